"""What the peers of the inference benchmark share: their command line, and a process that runs one image when asked.

    infer_ENGINE.py prepare MODEL KIND WORK C,H,W             converts or quantises, once
    infer_ENGINE.py serve   MODEL KIND WORK C,H,W THREADS     answers requests

MODEL is an ONNX file, KIND one of the engine's (`float32`, `int8`, ...), WORK a directory for what the engine makes of the
model, with `image.f32` (one image) and `calibration.f32` (many) in it: preprocessed, little-endian, NCHW.

The server first writes its engine's version. Then, for each line on stdin, one line on stdout:

    run N                 -> N numbers, the nanoseconds of N runs of the image
    logits FILE OUT       -> "done", once the logits of all images of FILE are in OUT

A run takes the image as a numpy array and ends when its logits are in one. Whatever fails ends the process, with the reason
as the last line on stderr.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy

# Answers go where nobody else writes: engines print on standard output, some when they are imported, so this comes first.
ANSWERS = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)


class Task:
    """What the command line says."""

    def __init__(self, arguments):
        self.command, model, self.kind, work, shape, *threads = arguments
        self.model, self.work = Path(model), Path(work)
        self.shape = (1, *(int(size) for size in shape.split(",")))
        self.threads = int(threads[0]) if threads else 1

    def images(self, file):
        """All images of a file, each (1, C, H, W)."""
        return numpy.fromfile(file, numpy.float32).reshape(-1, *self.shape)

    def calibration(self):
        """The images to quantise with."""
        return self.images(self.work / "calibration.f32")


def converted(task):
    """The model as pnnx writes it for ncnn and PyTorch, all of it float32: the path without `.ncnn.param`, `_pnnx.py`..."""
    model = task.work / "pnnx" / "model"
    if not model.parent.exists():
        import pnnx

        model.parent.mkdir()
        source = shutil.copy(task.model, model.with_suffix(".onnx"))
        shape = ",".join(str(size) for size in task.shape)
        subprocess.run(
            [pnnx.EXEC_PATH, source, f"inputshape=[{shape}]", "fp16=0"], check=True, stdout=sys.stderr, cwd=model.parent
        )
    return model


def main(version, prepare, load):
    """Does what the command line says.

    `prepare(task)` leaves in `task.work` what `load(task)` needs, which gives a function from an image to its logits.
    """
    task = Task(sys.argv[1:])
    if task.command == "prepare":
        prepare(task)
        return
    infer = load(task)
    image = task.images(task.work / "image.f32")[0]
    ANSWERS.write(f"{version}\n")
    for line in sys.stdin:
        request, *arguments = line.split()
        if request == "run":
            times = []
            for _ in range(int(arguments[0])):
                start = time.perf_counter_ns()
                infer(image)
                times.append(time.perf_counter_ns() - start)
            ANSWERS.write(" ".join(map(str, times)) + "\n")
        elif request == "logits":
            source, target = arguments
            numpy.concatenate([numpy.array(infer(image), numpy.float32).ravel() for image in task.images(source)]).tofile(target)
            ANSWERS.write("done\n")
        else:
            raise SystemExit(f"no request '{request}'")
