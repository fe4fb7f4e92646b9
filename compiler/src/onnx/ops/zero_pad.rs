//! A map with zeros around it.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__Pad.html>, opset 13.

use super::super::emitter::{Emitter, Step};
use crate::Result;

/// Rows above, columns on the left, rows below, columns on the right.
pub(super) fn emit(around: [usize; 4], step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    let pads = format!("{}.pads", step.node.name);
    // beginnings of N, C, H, W, then their ends; without a value the mode "constant" pads the number 0
    let [top, left, bottom, right] = around.map(|count| count as i64);
    emitter.ints(&pads, &[0, 0, top, left, 0, 0, bottom, right])?;
    let mut inputs = step.inputs.clone();
    inputs.push(&pads);
    inputs.extend(step.zero);
    emitter.node("Pad", &step.node.name, &inputs, step.output, Vec::new())
}
