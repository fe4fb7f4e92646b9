//! A map with zeros around it.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__Pad.html>, opset 13.

use super::super::emitter::{Emitter, Step};
use super::unsupported;
use crate::Result;

/// Rows above, columns on the left, rows below, columns on the right.
pub(super) fn emit(around: [usize; 4], step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    let &[input] = step.inputs.as_slice() else {
        return Err(unsupported(step, "ZeroPad of several values"));
    };
    let [top, left, bottom, right] = around;
    let around = [[0, 0, top, left], [0, 0, bottom, right]];
    emitter.pad(&step.node.name, input, around, step.zero, step.output)
}
