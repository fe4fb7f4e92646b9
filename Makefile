# make pilot   the main job on real images: teacher, distilled student, bundle, report in out/pilot
# make test    everything CI runs
# The rest, one line each: make help

ONNXRUNTIME := target/onnxruntime/lib/libonnxruntime.so
PYTHON_ENV := target/python/.ready
# Empty where there is none.
OPENVINO_ONNXRUNTIME = $$(ls $(CURDIR)/target/onnxruntime-openvino/lib/libonnxruntime.so 2>/dev/null)

# What ONNX Runtime would report to its maker stays off, for us and for those we compare with.
export ORT_DISABLE_TELEMETRY ?= 1

.PHONY: pilot test onnxruntime onnxruntime-gpu onnxruntime-openvino fmt clippy doc unit bench bench-layers bench-train bench-decode bench-start bench-quantize bench-run bench-inference bench-overhead size check-size soak check-cuda test-arm fuzz clean help

pilot: onnxruntime ## train, distil, export, check, run (under 10 minutes on 2 cores after the build)
	cargo run --release --locked -p askd-compiler -- pilot $(PILOT_ARGS)

test: fmt clippy doc unit check-size ## everything CI runs, cheapest first

onnxruntime: ## bring the pinned ONNX Runtime library, unless ORT_DYLIB_PATH names one
	@runtime/scripts/fetch_onnxruntime.sh target/onnxruntime

onnxruntime-gpu: ## bring the pinned build with CUDA, for the tests of what happens without a GPU
	@if [ "$$(uname -m)" = x86_64 ]; then runtime/scripts/fetch_onnxruntime.sh --gpu target/onnxruntime-gpu; fi

onnxruntime-openvino: ## bring the pinned build with OpenVINO, for x86-64
	@if [ "$$(uname -m)" = x86_64 ]; then runtime/scripts/fetch_onnxruntime.sh --openvino target/onnxruntime-openvino; fi

fmt: ## formatting as rustfmt wants it
	cargo fmt --all -- --check

clippy: ## lints, warnings denied
	cargo clippy --workspace --all-targets --locked -- -D warnings

doc: ## rustdoc, warnings denied
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

unit: onnxruntime onnxruntime-gpu onnxruntime-openvino $(PYTHON_ENV) ## all tests; those that need ASKD_DATA say so and skip without it
	ASKD_PYTHON=$(CURDIR)/target/python/bin/python \
	ASKD_GPU_ONNXRUNTIME=$$(ls $(CURDIR)/target/onnxruntime-gpu/lib/libonnxruntime.so 2>/dev/null) \
	ASKD_OPENVINO_ONNXRUNTIME=$(OPENVINO_ONNXRUNTIME) \
	cargo test --workspace --locked

bench: ## every operation of the trainer, forward and backward (BENCH_ARGS="conv2d" chooses some)
	cargo bench --locked -p askd-compiler --bench ops -- $(BENCH_ARGS)

bench-layers: ## every layer of a training step against its floor (BENCH_ARGS="vgg8" chooses networks)
	cargo bench --locked -p askd-compiler --bench layers -- $(BENCH_ARGS)

# PyTorch, to compare with: outside the tree, and no part of anything else here.
PEERS ?= $(HOME)/.cache/askd/peers

bench-train: $(PEERS)/.ready ## training steps and inference against PyTorch, in turn (BENCH_ARGS="vgg8" chooses cases)
	ASKD_PEER_PYTHON=$(PEERS)/bin/python cargo bench --locked -p askd-compiler --bench train -- $(BENCH_ARGS)

BUNDLES ?= out/pilot/student.askd
DATA ?= fashion-mnist

bench-decode: $(PEERS)/.ready ## training images out of JPEG files beside PyTorch's data loader, in turn (IMAGES=folder of classes)
	ASKD_IMAGES="$(abspath $(IMAGES))" ASKD_PEER_PYTHON=$(PEERS)/bin/python cargo bench --locked -p askd-compiler --bench decode

bench-start: onnxruntime $(PEERS)/.ready ## from nothing to the first result, beside Python's onnxruntime (BUNDLES="...")
	ASKD_BUNDLES="$(abspath $(BUNDLES))" ASKD_PEER_PYTHON=$(PEERS)/bin/python cargo bench --locked -p askd-runtime --bench start

bench-run: onnxruntime $(PEERS)/.ready ## askd-bench run beside a loop around Python's onnxruntime, in turn (BUNDLES="..." ROUNDS=24)
	cargo build --release --locked -p askd-bench
	ROUNDS="$(ROUNDS)" ORT_DYLIB_PATH="$${ORT_DYLIB_PATH:-$(CURDIR)/$(ONNXRUNTIME)}" $(PEERS)/bin/python runtime/bench/peers/in_turn.py \
		target/release/askd-bench runtime/tests/fixtures/tiny_fixed.onnx $(abspath $(BUNDLES))

bench-quantize: onnxruntime $(PEERS)/.ready ## quantised models beside ONNX Runtime's quantiser's (BUNDLES="..." DATA=KIND:PATH BENCH_ARGS="x86-vnni")
	ASKD_BUNDLES="$(abspath $(BUNDLES))" ASKD_CALIBRATION="$(DATA)" ASKD_PEER_PYTHON=$(PEERS)/bin/python \
	cargo bench --locked -p askd-compiler --bench quantize -- $(BENCH_ARGS)

bench-inference: onnxruntime onnxruntime-openvino $(PEERS)/.inference ## every variant beside other engines, in turn (BUNDLES="..." DATA=KIND:PATH ROUNDS=60 BENCH_ARGS="askd openvino")
	ASKD_BUNDLES="$(abspath $(BUNDLES))" ASKD_CALIBRATION="$(DATA)" ASKD_ROUNDS="$(ROUNDS)" ASKD_OPENVINO_ONNXRUNTIME=$(OPENVINO_ONNXRUNTIME) \
	ASKD_PEER_PYTHON=$(PEERS)/bin/python cargo bench --locked -p askd-compiler --bench inference -- $(BENCH_ARGS)

bench-overhead: onnxruntime ## what a run costs beyond the engine's bare C call (BUNDLES="...")
	ASKD_BUNDLES="$(abspath $(BUNDLES))" cargo test --release --locked -p askd-runtime --lib overhead -- --ignored --nocapture

check-size: ## what the library weighs, against its limit
	runtime/scripts/size.sh --check

size: onnxruntime ## what the library and a process with it weigh, into docs/size.md (BUNDLES="...")
	ASKD_BUNDLES="$(abspath $(BUNDLES))" runtime/scripts/size.sh

soak: onnxruntime ## a million inferences, a thousand swaps, eight threads: memory, files and outputs stay
	ASKD_SOAK=full cargo test --release --locked -p askd-runtime --test endurance -- --nocapture

check-cuda: ## build with CUDA (CUDA_HOME names the toolkit), train on the GPU, or see the error where there is none
	compiler/scripts/check_cuda.sh

test-arm: ## build what goes to a device for 64-bit Arm and run its tests there under emulation (docs/arm.md)
	runtime/scripts/test_arm.sh

FUZZ_SECONDS ?= 60

fuzz: ## fuzz what reads a bundle, each target FUZZ_SECONDS long; needs a nightly compiler and cargo-fuzz
	cd runtime && for target in manifest golden onnx; do \
		mkdir -p fuzz/corpus/$$target && cargo +nightly fuzz run $$target fuzz/corpus/$$target fuzz/seeds/$$target \
			-- -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 || exit 1; done

PEER_REQUIREMENTS := compiler/benches/peers/requirements.txt runtime/benches/peers/requirements.txt

$(PEERS)/.ready: $(PEER_REQUIREMENTS)
	python3 -m venv --clear $(PEERS)
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check $(addprefix -r ,$(PEER_REQUIREMENTS))
	@touch $@

# the other engines come on top, for the one target that needs them
$(PEERS)/.inference: $(PEERS)/.ready compiler/benches/peers/inference/requirements.txt
	$(PEERS)/bin/pip install --quiet --disable-pip-version-check -r compiler/benches/peers/inference/requirements.txt
	@touch $@

$(PYTHON_ENV): tests/requirements.txt
	python3 -m venv --clear target/python
	target/python/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@touch $@

clean: ## remove all that was built, downloaded and trained
	rm -rf target out

help:
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 22
