//! Mean of several values of one shape, element by element.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__Mean.html>, opset 13.

use super::super::emitter::{Emitter, Step};
use crate::Result;

pub(super) fn emit(step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    emitter.node("Mean", &step.node.name, &step.inputs, step.output, Vec::new())
}
