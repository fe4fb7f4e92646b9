"""The PyTorch side of the training benchmark: a process that times steps when asked.

    python train_torch.py [--threads N]

One JSON object a line. At the start it writes `{"torch": version, "threads": n, "device": "cpu"}`. Then, for each
line on stdin, one line on stdout:

    {"case": "train", "network": name, "batch": 64, "input": [3, 32, 32], "classes": 100, "steps": k}
        -> {"step_ms": [k numbers], "peak_rss_mib": number}
    {"case": "inference", ...}      the same keys
    {"case": "atsc", ...}           the same keys and "teacher": name
    {"case": "memory"}              -> {"peak_rss_mib": number}
    {"case": "quit"}                ends the process, as the end of stdin does

A request that cannot be run is answered by `{"error": text}`. Models stay between requests, so that whoever asks can
alternate with steps of its own; the first request of a case runs one more step, which is not timed. Images are normal
random numbers, labels uniform, both fixed. Everything is float32 with PyTorch's default settings.
"""

import argparse
import json
import re
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F
from torch.optim import SGD

from networks import build, conv_bn_relu

RECIPE = {"lr": 0.05, "momentum": 0.9, "weight_decay": 5e-4}


def data(request):
    """One batch: the same for the same shape."""
    random = torch.Generator().manual_seed(0)
    images = torch.randn(request["batch"], *request["input"], generator=random)
    return images, torch.randint(request["classes"], (request["batch"],), generator=random)


def train(request):
    """Cross-entropy and SGD."""
    images, labels = data(request)
    network = build(request["network"], request["classes"]).train()
    optimizer = SGD(network.parameters(), **RECIPE)

    def step():
        optimizer.zero_grad()
        _, logits = network(images)
        F.cross_entropy(logits, labels).backward()
        optimizer.step()

    return step


def inference(request):
    """The forward pass alone, with running statistics."""
    images, _ = data(request)
    network = build(request["network"], request["classes"]).eval()

    def step():
        with torch.inference_mode():
            network(images)

    return step


def atsc(request):
    """A step of the authors' code (github.com/random2314235/ATSC, `helper/loops.py`): beta = w = 1, c = d = 0, f = 2.

    Left out, to PyTorch's advantage: the terms that c = d = 0 multiply, accuracies, and `retain_graph`.
    """
    images, labels = data(request)
    student = build(request["network"], request["classes"])
    teacher = build(request["teacher"], request["classes"])
    with torch.inference_mode():
        source, target = (network.eval()(images[:1])[0].shape for network in (student, teacher))
    size = min(source[2:], target[2:])
    middle = target[1] // 2
    projector = nn.Sequential(
        *conv_bn_relu(source[1], middle, 1), *conv_bn_relu(middle, middle, 3), *conv_bn_relu(middle, target[1], 1)
    )
    # the teacher's batch norm takes the batch's statistics too
    trained = nn.ModuleList([student, projector, teacher]).train()
    optimizer = SGD(trained.parameters(), **RECIPE)
    # the last parameter only, which both optimisers hold
    bias_optimizer = SGD(list(teacher.parameters())[-1:], **RECIPE)
    anchored = [(tensor, tensor.detach().clone()) for tensor in teacher.parameters() if tensor.ndim > 1]

    def resized(features):
        return features if features.shape[2:] == size else F.adaptive_avg_pool2d(features, size)

    def step():
        student_features, _ = student(images)
        teacher_features, _ = teacher(images)
        feature_loss = F.mse_loss(projector(resized(student_features)), resized(teacher_features))
        anchor_loss = sum((tensor - start).square().sum() for tensor, start in anchored)
        optimizer.zero_grad()
        (feature_loss + anchor_loss).backward()
        optimizer.step()

        _, logits = teacher(images)
        bias_optimizer.zero_grad()
        F.cross_entropy(logits, labels).backward()
        bias_optimizer.step()

    return step


CASES = {"train": train, "inference": inference, "atsc": atsc}


def peak_rss_mib():
    """The most memory this process has held.

    Where Linux gives it, not `ru_maxrss`: that one also counts what the parent held when it started this process.
    """
    try:
        with open("/proc/self/status") as status:
            return int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1]) / 1024
    except (OSError, TypeError):
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def answer(request, steps_of):
    """Runs one request; `steps_of` holds the cases seen."""
    if request["case"] == "memory":
        return {"peak_rss_mib": peak_rss_mib()}
    if request["case"] not in CASES:
        raise ValueError(f"no case '{request['case']}'")
    key = json.dumps({name: value for name, value in request.items() if name != "steps"}, sort_keys=True)
    if key not in steps_of:
        step = CASES[request["case"]](request)
        step()
        steps_of[key] = step
    step_ms = []
    for _ in range(request["steps"]):
        start = time.perf_counter()
        steps_of[key]()
        step_ms.append((time.perf_counter() - start) * 1e3)
    return {"step_ms": step_ms, "peak_rss_mib": peak_rss_mib()}


def write(reply):
    print(json.dumps(reply), flush=True)


def main():
    parser = argparse.ArgumentParser(description="times PyTorch's steps; requests on stdin, answers on stdout")
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch (default 2)")
    torch.set_num_threads(parser.parse_args().threads)
    torch.manual_seed(0)
    write({"torch": torch.__version__, "threads": torch.get_num_threads(), "device": "cpu"})
    steps_of = {}
    for line in sys.stdin:
        try:
            request = json.loads(line)
            if request["case"] == "quit":
                return
            write(answer(request, steps_of))
        except KeyError as error:
            write({"error": f"the request has no {error}"})
        except (TypeError, ValueError, RuntimeError) as error:
            write({"error": str(error)})


if __name__ == "__main__":
    main()
