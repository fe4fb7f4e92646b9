"""ONNX Runtime's Python package from a model file to the first result: prints the milliseconds of session and first run."""

import sys
import time

import numpy
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
start = time.perf_counter()
session = onnxruntime.InferenceSession(sys.argv[1], options, providers=["CPUExecutionProvider"])
made = time.perf_counter()
(image,) = session.get_inputs()
shape = [size if isinstance(size, int) else 1 for size in image.shape]
pixels = numpy.zeros(shape, numpy.float32)
begin = time.perf_counter()
session.run(None, {image.name: pixels})
end = time.perf_counter()
print((made - start) * 1e3)
print((end - begin) * 1e3)
