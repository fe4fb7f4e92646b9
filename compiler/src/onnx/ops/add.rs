//! Sum of two maps of one shape.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__Add.html>, opset 14.

use super::super::emitter::{Emitter, Step};
use crate::Result;

pub(super) fn emit(step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    emitter.node("Add", &step.node.name, &step.inputs, step.output, Vec::new())
}
