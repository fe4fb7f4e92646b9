//! CIFAR ResNets with 1x1-convolution shortcuts, the networks of the distillation literature.
//!
//! Source: He et al. 2015, arXiv:1512.03385, as written in `models/resnet.py` of github.com/HobbitLong/RepDistiller,
//! which the codes of SimKD and ATSC share. Checkpoint names are that file's: `conv1`, `layer1.0.conv1`,
//! `layer1.0.downsample.0`, `fc`.

use super::finish;
use crate::{Graph, GraphBuilder, NetworkConfig, NodeId, Result};

pub(super) fn build(name: &str, depth: usize, widths: [usize; 4], config: &NetworkConfig) -> Result<Graph> {
    let [stem, stages @ ..] = widths;
    let blocks = (depth - 2) / 6;
    let mut builder = GraphBuilder::new(name, config.input);
    let mut x = builder.conv("conv1", builder.input(), stem, 3, 1)?;
    x = builder.batch_norm("bn1", x)?;
    x = builder.relu("relu", x)?;
    let mut ends = Vec::new();
    for (stage, width) in stages.into_iter().enumerate() {
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            x = basic_block(&mut builder, &format!("layer{}.{block}", stage + 1), x, width, stride)?;
        }
        ends.push(x);
    }
    let logits = builder.classifier("fc", x, config.classes)?;
    Ok(finish(builder, &ends, x, logits))
}

fn basic_block(builder: &mut GraphBuilder, name: &str, x: NodeId, width: usize, stride: usize) -> Result<NodeId> {
    let shortcut = if stride != 1 || builder.shape(x).channels() != width {
        let conv = builder.conv(&format!("{name}.downsample.0"), x, width, 1, stride)?;
        builder.batch_norm(&format!("{name}.downsample.1"), conv)?
    } else {
        x
    };
    residual_block(builder, name, x, shortcut, width, stride)
}

/// Two 3x3 convolutions with batch norm, the shortcut added before the last ReLU.
pub(super) fn residual_block(
    builder: &mut GraphBuilder,
    name: &str,
    x: NodeId,
    shortcut: NodeId,
    width: usize,
    stride: usize,
) -> Result<NodeId> {
    let mut y = builder.conv(&format!("{name}.conv1"), x, width, 3, stride)?;
    y = builder.batch_norm(&format!("{name}.bn1"), y)?;
    y = builder.relu(&format!("{name}.relu1"), y)?;
    y = builder.conv(&format!("{name}.conv2"), y, width, 3, 1)?;
    y = builder.batch_norm(&format!("{name}.bn2"), y)?;
    let sum = builder.add(&format!("{name}.add"), y, shortcut)?;
    builder.relu(&format!("{name}.relu2"), sum)
}
