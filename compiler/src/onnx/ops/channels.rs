//! Some of a map's channels.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__Slice.html>, opset 13.

use super::super::emitter::{Emitter, Step};
use crate::Result;

pub(super) fn emit([from, count]: [usize; 2], step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    let of = |suffix: &str| format!("{}.{suffix}", step.node.name);
    let constants = [(of("starts"), from), (of("ends"), from + count), (of("axes"), 1)];
    let mut inputs = step.inputs.clone();
    for (constant, value) in &constants {
        emitter.ints(constant, &[*value as i64])?;
        inputs.push(constant);
    }
    emitter.node("Slice", &step.node.name, &inputs, step.output, Vec::new())
}
