#!/bin/sh
# Builds what goes to a device for 64-bit Arm Linux, and runs its tests there under emulation.
#
#   runtime/scripts/test_arm.sh
#
# needs, beside what every build here needs, a cross toolchain and an emulator; on a Debian-like machine:
#
#   rustup target add aarch64-unknown-linux-gnu
#   sudo apt-get install g++-aarch64-linux-gnu qemu-user
#
# (g++ for its libstdc++, which ONNX Runtime wants, and for the examples in C++). Others than Debian's are named by
# CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER, _RUNNER, CC_aarch64_unknown_linux_gnu and CXX_aarch64_unknown_linux_gnu.
# On an Arm machine nothing is needed, and nothing emulated.
#
# Where there is no such target or toolchain, ASKD_ARM_ENV names a command that takes a shell command line as its last
# argument and runs it in an environment (a container, say) that has them: rustc and cargo with the target's standard library,
# linker, emulator. This directory and cargo's home must be visible there under the same paths; the network is not needed there.
#
#   ASKD_ARM_ENV="docker run --rm -v $PWD:$PWD -v $HOME/.cargo/registry:$HOME/.cargo/registry IMAGE sh -c"
#
# All that is built stays in target/aarch64: neither the crates nor the ONNX Runtime of this machine are touched. What passes
# here computes the right thing; times under emulation mean nothing. docs/arm.md has the rest.
set -eu
cd "$(dirname "$0")/../.."

# What goes to a device: built and tested.
packages="-p askd-runtime -p askd-runtime-capi -p askd-bench -p askd-examples"

target=aarch64-unknown-linux-gnu
output=$PWD/target/aarch64

fail() {
    echo "test_arm.sh: $*" >&2
    exit 1
}

# The half that needs the cross toolchain.
inside() {
    command -v cargo >/dev/null && command -v rustc >/dev/null || fail "no cargo or rustc (install Rust 1.92 or later)"
    [ -d "$(rustc --print target-libdir --target $target)" ] ||
        fail "rustc has no standard library for $target (rustup target add $target, or set ASKD_ARM_ENV: see this script's head)"
    processors=native cc=${CC:-cc} cxx=${CXX:-c++}
    if [ "$(uname -m)" != aarch64 ]; then
        : "${CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER:=aarch64-linux-gnu-gcc}"
        : "${CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER:=qemu-aarch64 -L /usr/aarch64-linux-gnu}"
        # a Raspberry Pi 4's; QEMU's own default is no processor that ONNX Runtime knows, and it says so on every start
        export QEMU_CPU="${QEMU_CPU:-cortex-a72}"
        processors="cortex-a53 cortex-a76 max"
        # exported: tests that start programs read it too
        export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER
        linker=$CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER
        cc=${CC_aarch64_unknown_linux_gnu:-aarch64-linux-gnu-gcc} cxx=${CXX_aarch64_unknown_linux_gnu:-aarch64-linux-gnu-g++}
        runner=${CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER%% *}
        for program in "$linker" "$cc" "$cxx"; do
            command -v "$program" >/dev/null || fail "$program not found (install g++-aarch64-linux-gnu)"
        done
        command -v "$runner" >/dev/null || fail "emulator $runner not found (install qemu-user)"
        [ -e "$("$linker" -print-file-name=libstdc++.so.6)" ] ||
            fail "$linker has no libstdc++.so.6, which ONNX Runtime needs (install g++-aarch64-linux-gnu)"
    fi
    export CARGO_TARGET_DIR="$output" ORT_DYLIB_PATH="$output/onnxruntime/lib/libonnxruntime.so"
    set -x
    # shellcheck disable=SC2086 # a list of flags
    cargo build --offline --locked --target $target $packages --lib --bins --examples
    # CC and CXX: what the tests compile in C and C++
    # shellcheck disable=SC2086
    CC=$cc CXX=$cxx cargo test --offline --locked --target $target $packages --lib --bins --tests
    # ONNX Runtime chooses kernels by processor: parity again on older and newer ones; they print the largest difference
    # shellcheck disable=SC2086
    for processor in $processors; do
        QEMU_CPU=$processor cargo test --offline --locked --target $target $packages --test parity -- --nocapture
    done
    { set +x; } 2>/dev/null
}

if [ "${1:-}" = inside ]; then
    inside
    exit
fi

command -v cargo >/dev/null || fail "cargo not found (install Rust, https://rustup.rs)"
cargo fetch --locked
bundle=${ASKD_PARITY_BUNDLE:-}
[ -z "$bundle" ] || bundle=$(realpath -e "$bundle" 2>/dev/null) ||
    fail "ASKD_PARITY_BUNDLE names $ASKD_PARITY_BUNDLE, which is not there (unset it, or correct it)"
export ASKD_PARITY_BUNDLE="$bundle"
# not ORT_DYLIB_PATH's, which is this machine's own
env -u ORT_DYLIB_PATH ONNXRUNTIME_ARCH=aarch64 runtime/scripts/fetch_onnxruntime.sh "$output/onnxruntime"

if [ -n "${ASKD_ARM_ENV:-}" ]; then
    command -v "${ASKD_ARM_ENV%% *}" >/dev/null ||
        fail "ASKD_ARM_ENV names ${ASKD_ARM_ENV%% *}, which is no command (see this script's head)"
    # shellcheck disable=SC2086 # a command with its arguments
    $ASKD_ARM_ENV "cd '$PWD' && export CARGO_HOME='${CARGO_HOME:-$HOME/.cargo}' ASKD_PARITY_BUNDLE='$bundle' \
        && runtime/scripts/test_arm.sh inside"
else
    inside
fi
echo "test_arm.sh: built for 64-bit Arm, tests passed there (function, not time)"
