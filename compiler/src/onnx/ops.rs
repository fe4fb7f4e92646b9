//! One file per operation, each with the ONNX page it follows.

mod adaptive_average_pool;
mod add;
mod average_pool;
mod batch_normalization;
mod channel_shuffle;
mod channels;
mod concat;
mod conv;
mod global_average_pool;
mod linear;
mod max_pool;
mod mean;
mod normalise;
mod relu;
mod relu6;
mod subsample_pad;
mod zero_pad;

use askd_models::Op;

use super::emitter::{Emitter, Step};
use crate::{Error, Result};

/// Writes one node of the network as one or more ONNX nodes.
pub(super) fn emit(step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    match step.node.op {
        Op::Normalise { shift, scale, .. } => normalise::emit([shift, scale], step, emitter),
        Op::Conv2d(op) => conv::emit(op, step, emitter),
        Op::BatchNorm { epsilon, .. } => batch_normalization::emit(epsilon, step, emitter),
        Op::Relu => relu::emit(step, emitter),
        Op::Relu6 => relu6::emit(step, emitter),
        Op::Add => add::emit(step, emitter),
        Op::Mean => mean::emit(step, emitter),
        Op::Concat => concat::emit(step, emitter),
        Op::SubsamplePad { stride, before, after } => subsample_pad::emit([stride, before, after], step, emitter),
        Op::ZeroPad {
            top,
            bottom,
            left,
            right,
        } => zero_pad::emit([top, left, bottom, right], step, emitter),
        Op::ChannelShuffle { groups } => channel_shuffle::emit(groups, step, emitter),
        Op::Channels { from, count } => channels::emit([from, count], step, emitter),
        Op::AveragePool {
            kernel,
            stride,
            padding,
        } => average_pool::emit([kernel, stride, padding], step, emitter),
        Op::MaxPool {
            kernel,
            stride,
            padding,
        } => max_pool::emit([kernel, stride, padding], step, emitter),
        Op::AdaptiveAveragePool { height, width } => adaptive_average_pool::emit([height, width], step, emitter),
        Op::GlobalAveragePool => global_average_pool::emit(step, emitter),
        Op::Linear { .. } => linear::emit(step, emitter),
        op => Err(unsupported(step, op.kind())),
    }
}

fn unsupported(step: &Step<'_>, got: impl ToString) -> Error {
    let name = format!("node \"{}\"", step.node.name);
    Error::invalid(name, "an operation with an ONNX form", got)
}
