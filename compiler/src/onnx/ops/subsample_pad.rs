//! Option-A shortcut: every `stride`-th pixel, then zero channels on both sides.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__Slice.html>, opset 13, and
//! <https://onnx.ai/onnx/operators/onnx__Pad.html>, opset 13.

use askd_models::Shape;

use super::super::emitter::{Emitter, Step};
use super::unsupported;
use crate::Result;

pub(super) fn emit([stride, before, after]: [usize; 3], step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    let &[Shape::Map([_, height, width])] = step.input_shapes.as_slice() else {
        return Err(unsupported(step, "SubsamplePad of a vector"));
    };
    let name = &step.node.name;
    let of = |suffix: &str| format!("{name}.{suffix}");
    let slice = [
        (of("starts"), [0, 0]),
        (of("ends"), [height as i64, width as i64]),
        (of("axes"), [2, 3]),
        (of("steps"), [stride as i64; 2]),
    ];
    let mut inputs = step.inputs.clone();
    for (constant, values) in &slice {
        emitter.ints(constant, values)?;
        inputs.push(constant);
    }
    let kept = of("subsampled");
    emitter.node("Slice", &of("subsample"), &inputs, &kept, Vec::new())?;

    let around = [[0, before, 0, 0], [0, after, 0, 0]];
    emitter.pad(name, &kept, around, step.zero, step.output)
}
