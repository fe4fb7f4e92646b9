//! Values one behind the other along their channels, the dimension after the batch.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__Concat.html>, opset 13.

use super::super::emitter::{Emitter, Step, int};
use crate::Result;

pub(super) fn emit(step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    emitter.node(
        "Concat",
        &step.node.name,
        &step.inputs,
        step.output,
        vec![int("axis", 1)],
    )
}
