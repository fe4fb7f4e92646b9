//! Fully connected layer: `y = x * weight^T + bias`, the weight `(out, in)` as in PyTorch.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__Gemm.html>, opset 13.

use super::super::emitter::{Emitter, Step, int};
use crate::Result;

pub(super) fn emit(step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    let parameters = emitter.parameters(step)?;
    let mut inputs = step.inputs.clone();
    inputs.extend(parameters.iter().map(String::as_str));
    emitter.node("Gemm", &step.node.name, &inputs, step.output, vec![int("transB", 1)])
}
