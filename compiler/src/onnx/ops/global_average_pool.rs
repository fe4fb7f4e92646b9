//! Average over all pixels, then the pixel dimensions dropped: `(N, C, H, W)` to `(N, C)`.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__GlobalAveragePool.html>, opset 1, and
//! <https://onnx.ai/onnx/operators/onnx__Flatten.html>, opset 13.

use super::super::emitter::{Emitter, Step, int};
use crate::Result;

pub(super) fn emit(step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    let name = &step.node.name;
    let pooled = format!("{name}.pooled");
    emitter.node("GlobalAveragePool", name, &step.inputs, &pooled, Vec::new())?;
    // rounded at once: engines look for the rounding right behind the average
    let pooled = match &step.rounding {
        Some(rounding) => rounding.emit(&pooled, emitter)?,
        None => pooled,
    };
    let flatten = format!("{name}.flatten");
    emitter.node("Flatten", &flatten, &[&pooled], step.output, vec![int("axis", 1)])
}
