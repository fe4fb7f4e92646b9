//! Channels of several groups dealt out in turn: split into two dimensions, exchange them, join them.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__Reshape.html>, opset 14, and
//! <https://onnx.ai/onnx/operators/onnx__Transpose.html>, opset 13.

use askd_models::Shape;

use super::super::emitter::{Emitter, Step, ints};
use super::unsupported;
use crate::Result;

pub(super) fn emit(groups: usize, step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    let (&[input], &[Shape::Map([channels, height, width])]) = (step.inputs.as_slice(), step.input_shapes.as_slice())
    else {
        return Err(unsupported(step, "ChannelShuffle of a vector"));
    };
    let name = &step.node.name;
    let of = |suffix: &str| format!("{name}.{suffix}");
    let (split_shape, joined_shape) = (of("split_shape"), of("joined_shape"));
    let (split, exchanged) = (of("split"), of("exchanged"));
    // a 0 leaves the batch as it is
    let [channels, each, groups, height, width] =
        [channels, channels / groups, groups, height, width].map(|size| size as i64);
    emitter.ints(&split_shape, &[0, groups, each, height, width])?;
    emitter.ints(&joined_shape, &[0, channels, height, width])?;
    let nodes = [of("split_channels"), of("exchange")];
    emitter.node("Reshape", &nodes[0], &[input, &split_shape], &split, Vec::new())?;
    let order = vec![ints("perm", [0, 2, 1, 3, 4])];
    emitter.node("Transpose", &nodes[1], &[&split], &exchanged, order)?;
    emitter.node("Reshape", name, &[&exchanged, &joined_shape], step.output, Vec::new())
}
