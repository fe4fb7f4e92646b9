#!/bin/sh
# Builds askd-compile with CUDA and runs it: on a GPU, or without one to see that it is refused and nothing runs on the CPU.
#
#   compiler/scripts/check_cuda.sh
#
# needs a CUDA toolkit, whose directory CUDA_HOME names (or CUDA_ROOT, CUDA_PATH, CUDA_TOOLKIT_ROOT_DIR). CUDA_FEATURES=cudnn
# builds with cuDNN too. docs/cuda.md has the rest.
set -eu
cd "$(dirname "$0")/../.."

fail() {
    echo "check_cuda.sh: $*" >&2
    exit 1
}

toolkit=${CUDA_HOME:-${CUDA_ROOT:-${CUDA_PATH:-${CUDA_TOOLKIT_ROOT_DIR:-}}}}
[ -n "$toolkit" ] || fail "no CUDA toolkit is named (set CUDA_HOME to its directory, the one with bin/nvcc)"
[ -x "$toolkit/bin/nvcc" ] || fail "$toolkit/bin/nvcc is no program (set CUDA_HOME to the directory of a CUDA toolkit)"
export CUDA_HOME="$toolkit" PATH="$toolkit/bin:$PATH"

if nvidia-smi -L >/dev/null 2>&1 || [ -e /dev/nvhost-gpu ]; then gpu=yes; else gpu=no; fi
if [ $gpu = no ] && [ -z "${CUDA_COMPUTE_CAP:-}" ]; then
    # no GPU to ask: the oldest that candle has all its kernels for
    export CUDA_COMPUTE_CAP=80
fi
features=${CUDA_FEATURES:-cuda}
cargo build --release --locked -p askd-compiler --features "$features"
program=target/release/askd-compile

temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
trap 'exit 1' HUP INT TERM

for libraries in "$toolkit"/lib64 "$toolkit"/lib "$toolkit"/targets/*/lib; do
    [ ! -d "$libraries" ] || LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$libraries
    # a machine without a driver: the toolkit's stand-in for it, under the name that programs look for
    [ ! -f "$libraries/stubs/libcuda.so" ] || ln -sf "$libraries/stubs/libcuda.so" "$temporary/libcuda.so.1"
done
export LD_LIBRARY_PATH
if ldd "$program" | grep -q 'libcuda\.so\.1 => not found'; then
    [ -e "$temporary/libcuda.so.1" ] || fail "no libcuda.so.1, neither a driver's nor a stub under $toolkit"
    LD_LIBRARY_PATH=$LD_LIBRARY_PATH:$temporary
fi
missing=$(ldd "$program" | grep 'not found' || true)
[ -z "$missing" ] || fail "$program finds no $(echo "$missing" | awk '{print $1}' | tr '\n' ' ')"

short="--data fashion-mnist --epochs 1 --batch 64 --max-steps 20 --device cuda:0"
if [ $gpu = yes ]; then
    set -x
    "$program" train --model resnet20 $short --out "$temporary/teacher"
    "$program" distill --teacher resnet20 --teacher-weights "$temporary/teacher/best/weights.safetensors" \
        --student resnet8 --adapt-start 0 $short --out "$temporary/student"
    "$program" eval "$temporary/student" --data fashion-mnist --device cuda:0
    # networks and training steps on the GPU in f64, against the CPU's kernels
    cargo test --release --locked -p askd-compiler --features "$features" --lib composition_tests
    set +x
    echo "check_cuda.sh: built, linked and run on a GPU"
    exit
fi

echo "\$ askd-compile train --model resnet8 $short --out run"
code=0
"$program" train --model resnet8 $short --out "$temporary/run" >"$temporary/out" 2>"$temporary/error" || code=$?
cat "$temporary/out" "$temporary/error"
[ $code -eq 2 ] || fail "expected exit code 2, got $code"
[ ! -s "$temporary/out" ] && [ ! -e "$temporary/run" ] || fail "expected no output, neither text nor a run directory"
[ "$(wc -l <"$temporary/error")" -eq 1 ] && grep -q '^error: --device: expected .*, got cuda:0$' "$temporary/error" ||
    fail "expected one line that begins with \"error: --device: expected\""
echo "check_cuda.sh: built and linked; no GPU here, and the line above says so; not run on a GPU"
