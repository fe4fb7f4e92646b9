//! ShuffleNet for small images, with three groups.
//!
//! Source: Zhang et al. 2017, arXiv:1707.01083; layout of the authors' code (RepDistiller's `ShuffleNetv1.py`), whose
//! checkpoint's parameter names these are.

use super::finish;
use crate::{Graph, GraphBuilder, NetworkConfig, NodeId, Op, Result};

/// Channels and blocks of each stage.
const STAGES: [(usize, usize); 3] = [(240, 4), (480, 8), (960, 4)];
const GROUPS: usize = 3;
const STEM: usize = 24;

pub(super) fn build(name: &str, config: &NetworkConfig) -> Result<Graph> {
    let mut builder = GraphBuilder::new(name, config.input);
    let mut x = builder.conv("conv1", builder.input(), STEM, 1, 1)?;
    x = builder.batch_norm("bn1", x)?;
    x = builder.relu("relu", x)?;
    let mut ends = Vec::new();
    for (stage, (channels, blocks)) in STAGES.into_iter().enumerate() {
        for block in 0..blocks {
            x = bottleneck(
                &mut builder,
                &format!("layer{}.{block}", stage + 1),
                x,
                channels,
                block == 0,
            )?;
        }
        ends.push(x);
    }
    let logits = builder.classifier("linear", x, config.classes)?;
    Ok(finish(builder, &ends, x, logits))
}

/// A block of `channels` out. The first of a stage halves the map, and has its pooled input beside what it computes.
fn bottleneck(builder: &mut GraphBuilder, name: &str, x: NodeId, channels: usize, halves: bool) -> Result<NodeId> {
    let in_channels = builder.shape(x).channels();
    let computed = if halves { channels - in_channels } else { channels };
    let narrow = computed / 4;
    // so few channels are not worth grouping
    let groups = if in_channels == STEM { 1 } else { GROUPS };
    let stride = if halves { 2 } else { 1 };
    let layer = |layer: &str| format!("{name}.{layer}");
    let mut y = builder.grouped_conv(&layer("conv1"), x, narrow, 1, 1, groups)?;
    y = builder.batch_norm(&layer("bn1"), y)?;
    y = builder.relu(&layer("relu1"), y)?;
    if groups > 1 {
        y = builder.push(&layer("shuffle1"), Op::ChannelShuffle { groups }, &[y])?;
    }
    y = builder.grouped_conv(&layer("conv2"), y, narrow, 3, stride, narrow)?;
    y = builder.batch_norm(&layer("bn2"), y)?;
    y = builder.relu(&layer("relu2"), y)?;
    y = builder.grouped_conv(&layer("conv3"), y, computed, 1, 1, GROUPS)?;
    y = builder.batch_norm(&layer("bn3"), y)?;
    let joined = if halves {
        let pool = Op::AveragePool {
            kernel: 3,
            stride: 2,
            padding: 1,
        };
        let shortcut = builder.push(&layer("shortcut.0"), pool, &[x])?;
        builder.push(&layer("concat"), Op::Concat, &[y, shortcut])?
    } else {
        builder.add(&layer("add"), y, x)?
    };
    builder.relu(&layer("relu3"), joined)
}
