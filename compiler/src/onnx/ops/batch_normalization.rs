//! Batch norm with its running statistics.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__BatchNormalization.html>, opset 15. Its inputs after the map are
//! scale, shift, mean, variance: the order of the node's parameters.

use askd_models::Epsilon;

use super::super::emitter::{Emitter, Step, float};
use crate::Result;

pub(super) fn emit(epsilon: Epsilon, step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    let parameters = emitter.parameters(step)?;
    let mut inputs = step.inputs.clone();
    inputs.extend(parameters.iter().map(String::as_str));
    let attributes = vec![float("epsilon", epsilon.value() as f32)];
    emitter.node("BatchNormalization", &step.node.name, &inputs, step.output, attributes)
}
