"""ONNX Runtime's own quantiser, with its best settings for a target: writes one model a calibration method.

    quantize_onnxruntime.py MODEL IMAGES N,C,H,W TARGET OUT_DIR

IMAGES holds N preprocessed images as little-endian f32; TARGET is one of `askd-compile quantize --target`. Prints the files.
"""

import sys
from pathlib import Path

import numpy
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

model, images, shape, target, out = sys.argv[1:]
shape = [int(size) for size in shape.split(",")]
pixels = numpy.fromfile(images, numpy.float32).reshape(shape)
out = Path(out)


class Images(CalibrationDataReader):
    def __init__(self):
        self.rest = iter(pixels)

    def get_next(self):
        image = next(self.rest, None)
        return None if image is None else {"image": image[None]}


prepared = out / "prepared.onnx"
quant_pre_process(model, str(prepared))
signed = target in ("arm64-dotprod", "jetson-tensorrt")
extra = {
    # the symmetric ranges that TensorRT wants
    "ActivationSymmetric": target == "jetson-tensorrt",
}
for name, method in [
    ("min-max", CalibrationMethod.MinMax),
    ("percentile", CalibrationMethod.Percentile),
    ("entropy", CalibrationMethod.Entropy),
]:
    path = out / f"{name}.onnx"
    quantize_static(
        str(prepared),
        str(path),
        Images(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        reduce_range=target == "x86-avx2",
        activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        calibrate_method=method,
        extra_options=extra,
    )
    onnx.checker.check_model(str(path))
    print(path)
