"""MNN, with the model as its converter makes it, or quantised by its own quantiser."""

import peer

import json

import _tools
import MNN
import numpy


def prepare(task):
    model = task.work / "mnn-float32.mnn"
    if not model.exists():
        files = ["--modelFile", str(task.model), "--MNNModel", str(model)]
        _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *files, "--bizCode", "askd"])
    if task.kind == "int8":
        quantise(task, model)


def quantise(task, model):
    """Its quantiser reads image files, and wants to know how pixels become the model's input."""
    contract = json.loads((task.model.parent / "askd.json").read_text())["input"]
    mean, std = (255 * numpy.array(contract[name]) for name in ("mean", "std"))
    channels, height, width = task.shape[1:]
    folder = task.work / "mnn-images"
    folder.mkdir()
    images = task.calibration()[:, 0].transpose(0, 2, 3, 1)
    for number, pixels in enumerate((images * std + mean).round().astype(numpy.uint8)):
        # the portable pixmap format: a line of text, then the bytes
        header = f"P{6 if channels == 3 else 5} {width} {height} 255\n"
        (folder / f"{number}.pnm").write_bytes(header.encode() + pixels.tobytes())
    settings = {
        "format": "RGB" if channels == 3 else "GRAY",
        "mean": mean.tolist(),
        "normal": (1 / std).tolist(),
        "width": width,
        "height": height,
        "path": f"{folder}/",
        "used_sample_num": len(images),
        "feature_quantize_method": "KL",
        "weight_quantize_method": "MAX_ABS",
    }
    config = task.work / "mnn-int8.json"
    config.write_text(json.dumps(settings))
    _tools.mnnquant(["mnnquant", str(model), str(task.work / "mnn-int8.mnn"), str(config)])


def load(task):
    interpreter = MNN.Interpreter(str(task.work / f"mnn-{task.kind}.mnn"))
    session = interpreter.createSession({"backend": "CPU", "numThread": task.threads, "precision": "high"})
    source, output = interpreter.getSessionInput(session), interpreter.getSessionOutput(session)
    layout = MNN.Tensor_DimensionType_Caffe
    logits = numpy.zeros(output.getShape(), numpy.float32)
    target = MNN.Tensor(output.getShape(), MNN.Halide_Type_Float, logits, layout)

    def infer(image):
        source.copyFrom(MNN.Tensor(image.shape, MNN.Halide_Type_Float, image, layout))
        interpreter.runSession(session)
        output.copyToHostTensor(target)
        return target.getNumpyData()

    return infer


peer.main(f"MNN {MNN.version()}", prepare, load)
