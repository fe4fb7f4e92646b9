//! Rectifier that ends at 6.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__Clip.html>, opset 13. Its bounds are scalar inputs.

use super::super::emitter::{Emitter, Step};
use crate::Result;

pub(super) fn emit(step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    let name = &step.node.name;
    let mut inputs = step.inputs.clone();
    let bounds = [("min", 0.0), ("max", 6.0)].map(|(suffix, value)| (format!("{name}.{suffix}"), value));
    for (constant, value) in &bounds {
        emitter.floats(constant, &[], &[*value])?;
        inputs.push(constant);
    }
    emitter.node("Clip", name, &inputs, step.output, Vec::new())
}
