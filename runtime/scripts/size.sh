#!/bin/sh
# What the runtime weighs: writes docs/size.md, and fails where a limit is exceeded.
#
#   ASKD_BUNDLES="BUNDLE.askd ..." runtime/scripts/size.sh
#   runtime/scripts/size.sh --check    # the library and the dependency tree alone; writes nothing
#
# Needs the strip program of the C compiler and, for memory, the bundles.
set -eu
cd "$(dirname "$0")/../.."

fail() {
    echo "size.sh: $*" >&2
    exit 1
}

library_limit=1048576
crates_limit=45

cargo rustc --quiet --locked --profile dist -p askd-runtime-capi --crate-type cdylib,staticlib
library=target/dist/libaskd.so
[ -f "$library" ] || fail "no $library after the build"
stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
strip -o "$stripped" "$library"
bytes=$(wc -c <"$stripped")
crates=$(cargo tree --locked -p askd-runtime -e normal --prefix none --no-dedupe | sort -u | wc -l)

[ "$bytes" -le "$library_limit" ] || fail "libaskd.so: expected at most $library_limit bytes, got $bytes"
[ "$crates" -le "$crates_limit" ] || fail "dependency tree: expected at most $crates_limit crates, got $crates"
if [ "${1:-}" = --check ]; then
    echo "libaskd.so: $bytes of $library_limit bytes; $crates of $crates_limit crates"
    exit
fi
memory=$(cargo bench --quiet --locked -p askd-runtime --bench memory) || fail "private memory: more than is allowed: $memory"

cat >docs/size.md <<PAGE
# What the runtime weighs

\`make size\` writes this page, and fails where a limit is exceeded. Measured on $(date +%Y-%m-%d), $(uname -m), $(rustc --version | cut -d' ' -f1,2).

| what | found | limit |
|---|---|---|
| \`libaskd.so\` (C ABI and runtime, without ONNX Runtime), stripped, bytes | $bytes | $library_limit |
| crates in the runtime's normal dependency tree, itself included | $crates | $crates_limit |

Private memory of a process after a self test, median of five processes, beside one that gives the same file to ONNX Runtime with
nothing of ours; the limit is the bundle's files and 2 MiB:

$memory
PAGE

echo "written to docs/size.md: libaskd.so $bytes bytes, $crates crates"
