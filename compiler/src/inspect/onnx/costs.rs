//! What a node costs: multiply-accumulates, and which constants are weights.

use onnx_protobuf::NodeProto;

use super::constants::Constant;
use super::infer::{Operands, is_elementwise};
use super::shape::{Dimension, elements};

/// Operators beside the elementwise ones that multiply nothing, or not by weights: pooling, normalisation, moves.
const FREE: [&str; 34] = [
    "ArgMax",
    "AveragePool",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Expand",
    "Flatten",
    "Gather",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GroupNormalization",
    "InstanceNormalization",
    "LRN",
    "LayerNormalization",
    "LpNormalization",
    "LpPool",
    "MaxPool",
    "Pad",
    "ReduceL1",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceSum",
    "Reshape",
    "Resize",
    "Shape",
    "Size",
    "Slice",
    "Split",
    "Squeeze",
    "TopK",
    "Transpose",
    "Unsqueeze",
];

/// Multiply-accumulates of a node whose first output has that shape: those of convolutions and matrix products.
///
/// An operator that is not known here may multiply too, so its are unknown.
pub(super) fn macs(operands: &Operands<'_>, output: Option<&[Dimension]>) -> Option<u64> {
    let op = operands.node.op_type.as_str();
    let weight = match op {
        "Conv" | "ConvInteger" => 1,
        "QLinearConv" => 3,
        "Gemm" | "MatMul" | "MatMulInteger" | "QLinearMatMul" => {
            let transposed = op == "Gemm" && operands.integer("transA", 0) != 0;
            let inner = match operands.shape(0)? {
                [first, .., _] if transposed => first,
                [.., last] => last,
                [] => return None,
            };
            return elements(output?)?.checked_mul(elements(std::slice::from_ref(inner))?);
        }
        _ if FREE.contains(&op) || is_elementwise(op) => return Some(0),
        _ => return None,
    };
    // each output is the sum over one filter
    let filter = operands.shape(weight)?.get(1..)?;
    elements(output?)?.checked_mul(elements(filter)?)
}

/// Whether the constant that a node reads as its input number `index` is a weight or a bias.
pub(super) fn is_parameter(node: &NodeProto, index: usize, constant: &Constant) -> bool {
    let quantised = match node.op_type.as_str() {
        "DequantizeLinear" => index == 0,
        "ConvInteger" => index == 1,
        "QLinearConv" => matches!(index, 3 | 8),
        "MatMulInteger" => index < 2,
        "QLinearMatMul" => matches!(index, 0 | 3),
        _ => {
            let other = match node.op_type.as_str() {
                "QuantizeLinear" => index > 0,
                "BatchNormalization" => index > 2,
                "Resize" | "Pad" | "Clip" | "Dropout" => index > 0,
                _ => false,
            };
            return constant.is_float() && !constant.dims.is_empty() && !other;
        }
    };
    quantised && constant.can_be_quantised()
}
