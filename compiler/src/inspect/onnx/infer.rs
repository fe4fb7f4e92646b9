//! The shape of a node's first output, for the operators that classifiers are made of.
//!
//! Sources: the operators' pages, <https://onnx.ai/onnx/operators/>. Whatever does not fit its operator has no shape.

mod axes;
mod windows;

use std::collections::HashMap;

use onnx_protobuf::{AttributeProto, NodeProto};

use super::constants::Constant;
use super::shape::{Dimension, Shape};
use Dimension::{Known, Unknown};

/// Operators that give each element from those in its place: of one value, or of several that are stretched over each other.
const ELEMENTWISE: [&str; 44] = [
    "Abs",
    "Add",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Clip",
    "DequantizeLinear",
    "Div",
    "Dropout",
    "Elu",
    "Erf",
    "Exp",
    "Floor",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "Max",
    "Mean",
    "Min",
    "Mish",
    "Mul",
    "Neg",
    "PRelu",
    "Pow",
    "QuantizeLinear",
    "Reciprocal",
    "Relu",
    "Round",
    "Selu",
    "Sigmoid",
    "Sign",
    "Softmax",
    "Softplus",
    "Softsign",
    "Sqrt",
    "Sub",
    "Sum",
    "Swish",
    "Tanh",
    "ThresholdedRelu",
];

/// Those of them that take several values.
const STRETCHED: [&str; 10] = ["Add", "Div", "Max", "Mean", "Min", "Mul", "PRelu", "Pow", "Sub", "Sum"];

/// Whether an operator works on each element by itself, but for normalisation.
pub(super) fn is_elementwise(op: &str) -> bool {
    ELEMENTWISE.contains(&op)
}

/// A node with what is known of its inputs.
pub(super) struct Operands<'a> {
    pub(super) node: &'a NodeProto,
    opset: u32,
    shapes: Vec<Option<&'a [Dimension]>>,
    constants: Vec<Option<&'a Constant>>,
}

impl<'a> Operands<'a> {
    pub(super) fn new(
        node: &'a NodeProto,
        opset: u32,
        shapes: &'a HashMap<&str, Shape>,
        constants: &'a HashMap<&str, Constant>,
    ) -> Self {
        let names = || node.input.iter().map(String::as_str);
        Self {
            node,
            opset,
            shapes: names()
                .map(|name| shapes.get(name).and_then(Option::as_deref))
                .collect(),
            constants: names().map(|name| constants.get(name)).collect(),
        }
    }

    /// Shape of an input.
    pub(super) fn shape(&self, index: usize) -> Option<&'a [Dimension]> {
        self.shapes.get(index).copied().flatten()
    }

    fn has(&self, index: usize) -> bool {
        self.node.input.get(index).is_some_and(|name| !name.is_empty())
    }

    /// The integers that an input always has.
    fn constant(&self, index: usize) -> Option<&'a [i64]> {
        self.constants.get(index).copied().flatten()?.integers.as_deref()
    }

    fn attribute(&self, name: &str) -> Option<&'a AttributeProto> {
        self.node.attribute.iter().find(|attribute| attribute.name == name)
    }

    /// An integer attribute.
    pub(super) fn integer(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.i)
    }

    fn integers(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|attribute| attribute.ints.as_slice())
    }

    /// Integers that are an attribute in opsets before `since`, and the input `index` from there on: none where they are left
    /// out, an error where they are computed.
    fn setting(&self, name: &str, index: usize, since: u32) -> Result<Option<&'a [i64]>, Computed> {
        if self.opset < since {
            return Ok(self.integers(name));
        }
        match self.has(index) {
            false => Ok(None),
            true => self.constant(index).map(Some).ok_or(Computed),
        }
    }
}

/// What decides a shape is known only when the model runs.
struct Computed;

/// The shape of a node's first output.
pub(super) fn first_output(operands: &Operands<'_>) -> Shape {
    let op = operands.node.op_type.as_str();
    let first = operands.shape(0);
    match op {
        _ if STRETCHED.contains(&op) => stretched(operands),
        _ if is_elementwise(op) => first.map(<[_]>::to_vec),
        "LRN" | "LpNormalization" | "LayerNormalization" | "InstanceNormalization" | "GroupNormalization" => {
            first.map(<[_]>::to_vec)
        }
        "Conv" | "ConvInteger" => windows::convolution(operands, 1),
        "QLinearConv" => windows::convolution(operands, 3),
        "MaxPool" | "AveragePool" | "LpPool" => windows::pool(operands),
        "GlobalAveragePool" | "GlobalMaxPool" => {
            let [batch, channels, pixels @ ..] = first? else {
                return None;
            };
            let ones = pixels.iter().map(|_| Known(1));
            Some([batch.clone(), channels.clone()].into_iter().chain(ones).collect())
        }
        "Gemm" => gemm(operands),
        "MatMul" | "MatMulInteger" => product(first?, operands.shape(1)?),
        "QLinearMatMul" => product(first?, operands.shape(3)?),
        "Flatten" => axes::flatten(operands),
        "Concat" => axes::concat(operands),
        "Transpose" => axes::transpose(operands),
        "Reshape" => axes::reshape(operands),
        "Squeeze" => axes::squeeze(operands),
        "Unsqueeze" => axes::unsqueeze(operands),
        "ReduceL1" | "ReduceL2" | "ReduceMax" | "ReduceMean" | "ReduceMin" | "ReduceSum" => axes::reduce(operands),
        "Slice" => windows::slice(operands),
        "Pad" => windows::pad(operands),
        _ => None,
    }
}

/// All inputs, each dimension as long as the longest of those that meet there.
///
/// Source: <https://github.com/onnx/onnx/blob/main/docs/Broadcasting.md>.
fn stretched(operands: &Operands<'_>) -> Shape {
    let mut shape = operands.shape(0)?.to_vec();
    for index in 1..operands.node.input.len() {
        shape = stretch(&shape, operands.shape(index)?)?;
    }
    Some(shape)
}

fn stretch(a: &[Dimension], b: &[Dimension]) -> Shape {
    let rank = a.len().max(b.len());
    let at = |shape: &[Dimension], place: usize| match (place + shape.len()).checked_sub(rank) {
        Some(index) => shape[index].clone(),
        None => Known(1),
    };
    let meet = |place| match (at(a, place), at(b, place)) {
        (Known(1), other) | (other, Known(1)) => Some(other),
        (Known(one), Known(other)) if one != other => None,
        (one, other) if one == other => Some(one),
        // two symbols may stand for one number, or one of them for 1
        _ => Some(Unknown),
    };
    (0..rank).map(meet).collect()
}

/// `A * B`, each of the two transposed where the node says so.
fn gemm(operands: &Operands<'_>) -> Shape {
    let pick = |index: usize, name: &str, place: usize| {
        let [rows, columns] = operands.shape(index)? else {
            return None;
        };
        let transposed = operands.integer(name, 0) != 0;
        let found = if transposed == (place == 0) { columns } else { rows };
        Some(found.clone())
    };
    let (inner, other) = (pick(0, "transA", 1)?, pick(1, "transB", 0)?);
    meets(&inner, &other).then_some(vec![pick(0, "transA", 0)?, pick(1, "transB", 1)?])
}

/// A product of matrices, or of stacks of matrices.
fn product(a: &[Dimension], b: &[Dimension]) -> Shape {
    let ([stack_a @ .., rows, inner], [stack_b @ .., other, columns]) = (a, b) else {
        return None;
    };
    if !meets(inner, other) {
        return None;
    }
    let mut shape = stretch(stack_a, stack_b)?;
    shape.extend([rows.clone(), columns.clone()]);
    Some(shape)
}

/// Whether the two can be one dimension.
fn meets(a: &Dimension, b: &Dimension) -> bool {
    a.known().zip(b.known()).is_none_or(|(a, b)| a == b)
}
