//! Average over windows; the padding is zeros, which count.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__AveragePool.html>, opset 11.

use super::super::emitter::{Emitter, Step, int, ints};
use crate::Result;

pub(super) fn emit([kernel, stride, padding]: [usize; 3], step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    let attributes = vec![
        int("count_include_pad", 1),
        ints("kernel_shape", [kernel; 2]),
        ints("pads", [padding; 4]),
        ints("strides", [stride; 2]),
    ];
    emitter.node("AveragePool", &step.node.name, &step.inputs, step.output, attributes)
}
