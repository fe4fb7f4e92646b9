"""Checks ONNX files with the ONNX project's own checker and prints what they are.

    python check_onnx.py FILE...

Full check, then shape inference in strict mode with data propagation. Prints a JSON array, one object a file; ends with
an error on the first file that is not accepted. Needs the packages of tests/requirements.txt.
"""

import json
import sys

import onnx


def shapes(values):
    """Name to shape; a dimension is a number, or the symbol of a free one."""
    return {
        value.name: [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in values
    }


def check(path):
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    unknown = {name for node in inferred.graph.node for name in node.output}
    unknown -= set(shapes([*inferred.graph.value_info, *inferred.graph.output]))
    if unknown:
        raise ValueError(f"{path}: no shape could be inferred for {sorted(unknown)}")
    names = [node.name for node in model.graph.node]
    if not all(names) or len(set(names)) != len(names):
        raise ValueError(f"{path}: every node needs a name of its own")
    return {
        "file": path,
        "inputs": shapes(model.graph.input),
        "outputs": shapes(inferred.graph.output),
        "opset": {entry.domain: entry.version for entry in model.opset_import}[""],
        "ir_version": model.ir_version,
        "producer": f"{model.producer_name} {model.producer_version}",
        "metadata": {entry.key: entry.value for entry in model.metadata_props},
        "batch_norms": sum(node.op_type == "BatchNormalization" for node in model.graph.node),
    }


if __name__ == "__main__":
    json.dump([check(path) for path in sys.argv[1:]], sys.stdout, indent=1)
