//! Tensors of integers, with the nodes that restore the floats they stand for.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html>, opset 13.

use onnx_protobuf::tensor_proto::DataType;

use super::emitter::{Emitter, int};
use crate::Result;
use crate::quantize::{IntegerBiases, IntegerLayer};

/// Writes a layer's weights as integers; gives the name of the floats they stand for.
pub(super) fn weights(layer: &IntegerLayer, name: &str, emitter: &mut Emitter<'_>) -> Result<String> {
    let bytes = layer.weights.iter().map(|weight| weight.to_le_bytes()[0]).collect();
    emitter.initialiser(name, DataType::INT8, &layer.shape, bytes)?;
    restored(name, &layer.weight_scales, (DataType::INT8, 1), emitter)
}

/// Writes a layer's biases as integers; gives the name of the floats they stand for.
pub(super) fn biases(biases: &IntegerBiases, name: &str, emitter: &mut Emitter<'_>) -> Result<String> {
    let bytes = biases.values.iter().flat_map(|bias| bias.to_le_bytes()).collect();
    emitter.initialiser(name, DataType::INT32, &[biases.values.len()], bytes)?;
    restored(name, &biases.scales, (DataType::INT32, 4), emitter)
}

/// The floats of a tensor of integers with one scale an output channel, all with zero at 0.
fn restored(
    name: &str,
    scales: &[f32],
    (data_type, bytes): (DataType, usize),
    emitter: &mut Emitter<'_>,
) -> Result<String> {
    let of = |suffix: &str| format!("{name}.{suffix}");
    let (scale, zero_point, restored) = (of("scale"), of("zero_point"), of("dequantized"));
    let channels = [scales.len()];
    emitter.floats(&scale, &channels, scales)?;
    emitter.initialiser(&zero_point, data_type, &channels, vec![0; bytes * scales.len()])?;
    let inputs = [name, &scale, &zero_point];
    emitter.node(
        "DequantizeLinear",
        &of("dequantize"),
        &inputs,
        &restored,
        vec![int("axis", 0)],
    )?;
    Ok(restored)
}
