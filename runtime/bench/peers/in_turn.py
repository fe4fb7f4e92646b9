"""askd-bench beside a loop around ONNX Runtime's Python package, on the same model and images, in turn.

    [ROUNDS=24] in_turn.py ASKD_BENCH TINY.onnx BUNDLE...

ROUNDS in the environment says how many rounds there are. Each gives both sides a process of their own for some tenths of a second. What is told
is the least p50 of the rounds, in milliseconds: whatever else runs on the machine makes a round slower, never faster. What the call from Python itself costs is told beside it: the median of the time that Python
sees less the time of `model_run` in the engine's own profile, whole microseconds, of the same runs. ONNX Runtime is the one that ORT_DYLIB_PATH names, which must be the package's version.
"""

import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import tempfile
import time

ROUNDS = int(os.environ.get("ROUNDS") or 24)
SECONDS = 0.4
PROFILED_RUNS = 600


def images(path):
    """The tensor `input` of a golden file: a safetensors file, which is a header's length, the header, and the bytes."""
    import numpy

    data = pathlib.Path(path).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    tensor = json.loads(data[8 : 8 + length])["input"]
    begin, end = (8 + length + offset for offset in tensor["data_offsets"])
    return numpy.frombuffer(data[begin:end], {"F32": numpy.float32, "U8": numpy.uint8}[tensor["dtype"]]).reshape(tensor["shape"])


def loop(model, golden):
    """Prints the median time of a run, in milliseconds."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    (name,) = (entry.name for entry in session.get_inputs())
    inputs = [{name: image[None]} for image in images(golden)]
    times = []
    begun = time.perf_counter()
    for run in range(10**9):
        start = time.perf_counter_ns()
        session.run(None, inputs[run % len(inputs)])
        end = time.perf_counter_ns()
        if time.perf_counter() - begun > SECONDS:  # until then it warms up
            times.append(end - start)
        if time.perf_counter() - begun > 2 * SECONDS and len(times) > 20:
            break
    print(statistics.median_low(times) / 1e6)


def call_cost(model, golden):
    """What a call from Python costs beside the engine's run, in milliseconds."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(pathlib.Path(folder) / "profile")
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        (name,) = (entry.name for entry in session.get_inputs())
        inputs = [{name: image[None]} for image in images(golden)]
        seen = []
        for run in range(PROFILED_RUNS):
            start = time.perf_counter_ns()
            session.run(None, inputs[run % len(inputs)])
            seen.append((time.perf_counter_ns() - start) / 1e3)
        events = json.loads(pathlib.Path(session.end_profiling()).read_text())
    runs = [event["dur"] for event in events if event["name"] == "model_run"]
    print(statistics.median(wall - run for wall, run in list(zip(seen, runs))[PROFILED_RUNS // 6 :]) / 1e3)


def output(*command):
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


def compare(program, model, golden):
    """The least p50 of both sides, askd-bench's first, and the cost of a call."""
    ours, theirs = [], []
    for _ in range(ROUNDS):
        flags = ("--no-cold-start", "--warm-up", SECONDS, "--min-seconds", SECONDS, "--min-runs", 20, "--json")
        report = json.loads(output(program, "run", model, "--input", golden, *flags))
        ours.append(report["stages_ms"]["inference"]["p50"])
        theirs.append(float(output(sys.executable, __file__, "loop", model, golden)))
    return min(ours), min(theirs), float(output(sys.executable, __file__, "cost", model, golden))


def tiny_images(folder):
    """A file with one image for the network of five operators."""
    values = [((at * 7) % 32) / 16 - 1 for at in range(48)]
    header = json.dumps({"input": {"dtype": "F32", "shape": [1, 3, 4, 4], "data_offsets": [0, 192]}}).encode()
    path = pathlib.Path(folder) / "tiny.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + struct.pack("<48f", *values))
    return path


def main(program, tiny, *bundles):
    print("| model | askd-bench p50 ms | Python p50 ms | Python - askd-bench | cost of a call |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        cases = [("five operators", tiny, tiny_images(folder))]
        for bundle in map(pathlib.Path, bundles):
            manifest = json.loads((bundle / "askd.json").read_text())
            variant = manifest["variants"][0]
            cases.append((bundle.name, bundle / variant["file"], bundle / manifest["golden"]["file"]))
        for name, model, golden in cases:
            ours, theirs, cost = compare(program, model, golden)
            print(f"| {name} | {ours:.4f} | {theirs:.4f} | {theirs - ours:+.4f} | {cost:.4f} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "loop":
        loop(*sys.argv[2:])
    elif sys.argv[1] == "cost":
        call_cost(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
