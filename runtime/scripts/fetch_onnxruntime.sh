#!/bin/sh
# Brings the ONNX Runtime shared library, as built by its authors, out of their Python package.
#
#   runtime/scripts/fetch_onnxruntime.sh DEST
#
# leaves DEST/lib/libonnxruntime.so, DEST/LICENSE, DEST/ThirdPartyNotices.txt and DEST/VERSION. Does nothing if that
# version is already there, or if ORT_DYLIB_PATH names a library of your own. Needs python3 with pip.
#
#   runtime/scripts/fetch_onnxruntime.sh --gpu DEST
#
# brings the build with CUDA and TensorRT (x86_64, 250 MB) instead, with its provider libraries beside it;
#
#   runtime/scripts/fetch_onnxruntime.sh --openvino DEST
#
# that with OpenVINO (x86_64, 84 MB), with what of OpenVINO runs models on the CPU: 127 MiB unpacked.
set -eu

build=
case ${1:-} in
    --gpu | --openvino) build=${1#--} && shift ;;
    -*) set -- ;;
esac
package=onnxruntime${build:+-$build}
version=1.32.0
# sha256 of the wheels onnxruntime-1.32.0-cp312-cp312-manylinux_2_28_{x86_64,aarch64}.whl
sha256_x86_64=99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8
sha256_aarch64=e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054

fail() {
    echo "fetch_onnxruntime.sh: $*" >&2
    exit 1
}

[ $# -eq 1 ] && [ -n "$1" ] || fail "usage: fetch_onnxruntime.sh [--gpu | --openvino] DEST"
dest=$1

if [ -z "$build" ] && [ -n "${ORT_DYLIB_PATH:-}" ]; then
    [ -f "$ORT_DYLIB_PATH" ] || fail "ORT_DYLIB_PATH names $ORT_DYLIB_PATH, which is no file (unset it, or correct it)"
    exit 0
fi

# ONNXRUNTIME_ARCH: for fetching the library of a board that one compiles for.
arch=${ONNXRUNTIME_ARCH:-$(uname -m)}
case $arch in
    x86_64) sha256=$sha256_x86_64 ;;
    aarch64 | arm64) arch=aarch64 sha256=$sha256_aarch64 ;;
    *) fail "no pinned ONNX Runtime for $arch (build one and set ORT_DYLIB_PATH)" ;;
esac

if [ -n "$build" ]; then
    [ "$arch" = x86_64 ] || fail "no pinned $package for $arch"
    # the newest of each package, of the wheel whose name ends in cp312-cp312-manylinux_2_28_x86_64.whl
    case $build in
        gpu)
            version=1.31.1
            sha256=05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7
            ;;
        openvino)
            version=1.24.1
            sha256=d617fac2f59a6ab5ea59a788c3e1592240a129642519aaeaa774761dfe35150e
            ;;
    esac
fi

if [ -f "$dest/lib/libonnxruntime.so" ] && [ "$(cat "$dest/VERSION" 2>/dev/null)" = "$version $arch${build:+ $build}" ]; then
    exit 0
fi

command -v python3 >/dev/null || fail "python3 not found (install it, or set ORT_DYLIB_PATH)"
python3 -m pip --version >/dev/null 2>&1 || fail "python3 has no pip (install python3-pip, or set ORT_DYLIB_PATH)"
mkdir -p "$dest/lib" 2>/dev/null || fail "cannot create $dest/lib"

# Inside DEST, so that the last step is a rename within one file system.
temporary=$(mktemp -d "$dest/.fetch.XXXXXX") || fail "cannot create a directory in $dest"
trap 'rm -rf "$temporary"' EXIT
trap 'exit 1' HUP INT TERM

echo "$package==$version --hash=sha256:$sha256" >"$temporary/requirements.txt"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
    --implementation cp --platform "manylinux_2_28_$arch" --require-hashes --dest "$temporary/wheel" \
    --requirement "$temporary/requirements.txt" >"$temporary/log" 2>&1 ||
    fail "pip could not bring $package $version for $arch: $(grep '^ERROR' "$temporary/log" | tail -n 1)"

python3 - "$temporary" "$version" "$sha256" <<'PYTHON' || fail "cannot unpack the $package $version wheel"
import hashlib, pathlib, re, shutil, sys, zipfile

temporary, version, sha256 = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
(wheel,) = (temporary / "wheel").glob("*.whl")
if hashlib.sha256(wheel.read_bytes()).hexdigest() != sha256:
    sys.exit(f"{wheel.name}: sha256 differs from the pinned one")
members = {
    f"onnxruntime/capi/libonnxruntime.so.{version}": "lib/libonnxruntime.so",
    "onnxruntime/LICENSE": "LICENSE",
    "onnxruntime/ThirdPartyNotices.txt": "ThirdPartyNotices.txt",
}
# Provider libraries and, of OpenVINO's, those that the CPU needs, by the names under which they are asked for.
beside = re.compile(
    r"/(libonnxruntime_providers_\w+\.so|libopenvino(_onnx_frontend)?\.so\.\d{4}|libopenvino_intel_cpu_plugin\.so|libtbb\.so\.12)$"
)
(temporary / "lib").mkdir()
with zipfile.ZipFile(wheel) as archive:
    found = [(name, beside.search(name)) for name in archive.namelist()]
    members |= {name: f"lib/{match[1]}" for name, match in found if match}
    for member, name in members.items():
        with archive.open(member) as source, open(temporary / name, "wb") as target:
            shutil.copyfileobj(source, target)
PYTHON

echo "$version $arch${build:+ $build}" >"$temporary/VERSION"
mv -f "$temporary/LICENSE" "$temporary/ThirdPartyNotices.txt" "$dest/"
mv -f "$temporary"/lib/* "$dest/lib/"
# Last: a file that is there says that everything is.
mv -f "$temporary/VERSION" "$dest/VERSION"
