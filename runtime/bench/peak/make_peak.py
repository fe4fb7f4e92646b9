#!/usr/bin/env python3
"""Makes peak.onnx, on which askd-bench measures how much a machine computes at most. Run in this folder, with `onnx` (1.23.2).

One 3x3 convolution from 128 to 128 channels on maps of 28x28, 115,605,504 multiply-accumulates, then what makes it an image
classifier. The weights, all 1/1152, are made when it is loaded.
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

weights = helper.make_tensor("value", TensorProto.FLOAT, [1], [1 / 1152])
nodes = [
    helper.make_node("ConstantOfShape", ["shape"], ["weight"], name="weight", value=weights),
    helper.make_node("Conv", ["image", "weight"], ["maps"], name="conv", pads=[1, 1, 1, 1]),
    helper.make_node("GlobalAveragePool", ["maps"], ["pooled"], name="pool"),
    helper.make_node("Flatten", ["pooled"], ["logits"], name="flatten"),
]
graph = helper.make_graph(
    nodes,
    "peak",
    [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 128, 28, 28])],
    [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 128])],
    [numpy_helper.from_array(np.array([128, 128, 3, 3], np.int64), "shape")],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model, full_check=True)
onnx.save(model, "peak.onnx")
