"""ONNX Runtime's Python package: the model as it is, or quantised by its own quantiser for processors with VNNI."""

import peer

import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process


class Images(CalibrationDataReader):
    """Calibration images, one at a time."""

    def __init__(self, images):
        self.rest = iter(images)

    def get_next(self):
        image = next(self.rest, None)
        return None if image is None else {"image": image}


def prepare(task):
    if task.kind == "float32":
        return
    prepared = str(task.work / "onnxruntime-prepared.onnx")
    quant_pre_process(str(task.model), prepared)
    # its default calibration, min-max
    quantize_static(
        prepared,
        str(task.work / "onnxruntime-int8.onnx"),
        Images(task.calibration()),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


def load(task):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = task.threads
    options.inter_op_num_threads = 1
    model = task.model if task.kind == "float32" else task.work / "onnxruntime-int8.onnx"
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return lambda image: session.run(None, {"image": image})[0]


peer.main(f"onnxruntime {onnxruntime.__version__}", prepare, load)
