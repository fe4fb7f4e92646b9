//! Maximum over windows; the padding is minus infinity.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__MaxPool.html>, opset 12.

use super::super::emitter::{Emitter, Step, ints};
use crate::Result;

pub(super) fn emit([kernel, stride, padding]: [usize; 3], step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    let attributes = vec![
        ints("kernel_shape", [kernel; 2]),
        ints("pads", [padding; 4]),
        ints("strides", [stride; 2]),
    ];
    emitter.node("MaxPool", &step.node.name, &step.inputs, step.output, attributes)
}
