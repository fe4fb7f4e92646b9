//! Convolution.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__Conv.html>, opset 11.

use askd_models::Conv2d;

use super::super::emitter::{Emitter, Step, int, ints};
use crate::Result;

pub(super) fn emit(conv: Conv2d, step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    let parameters = emitter.parameters(step)?;
    let mut inputs = step.inputs.clone();
    inputs.extend(parameters.iter().map(String::as_str));
    let attributes = vec![
        ints("dilations", [1; 2]),
        int("group", conv.groups),
        ints("kernel_shape", [conv.kernel; 2]),
        ints("pads", [conv.padding; 4]),
        ints("strides", [conv.stride; 2]),
    ];
    emitter.node("Conv", &step.node.name, &inputs, step.output, attributes)
}
