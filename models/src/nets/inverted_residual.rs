//! Stages of inverted residuals, of which MobileNetV2 and EfficientNet are made: a narrow map is made wide, filtered channel by channel,
//! and made narrow again.
//!
//! Source: Sandler et al. 2018, arXiv:1801.04381, section 3.3 and table 2.

use crate::{GraphBuilder, NodeId, Result};

/// The stages, from 0, whose maps are outputs, as of the published network for small images: there those after which the map is
/// halved, and the last.
const OUTPUT_STAGES: [usize; 4] = [1, 2, 4, 6];

/// One row of a network's table.
pub(super) struct Stage {
    /// The wide map has so many times the channels of the block's input.
    pub(super) expansion: usize,
    /// Height and width of the filters.
    pub(super) kernel: usize,
    /// Channels out.
    pub(super) channels: usize,
    /// How many blocks.
    pub(super) blocks: usize,
    /// Of the first block; the others have 1.
    pub(super) stride: usize,
}

impl Stage {
    pub(super) const fn new(expansion: usize, kernel: usize, channels: usize, blocks: usize, stride: usize) -> Self {
        Self {
            expansion,
            kernel,
            channels,
            blocks,
            stride,
        }
    }
}

/// What a block is made with.
#[derive(Clone, Copy)]
pub(super) struct Block {
    /// Its stage, from 0.
    pub(super) stage: usize,
    /// Its place in its stage, from 0.
    pub(super) place: usize,
    /// Its place among all blocks, from 0.
    pub(super) index: usize,
    /// Channels of the wide map.
    pub(super) wide: usize,
    /// Height and width of the filters.
    pub(super) kernel: usize,
    /// Channels out.
    pub(super) channels: usize,
    /// Stride of the filters.
    pub(super) stride: usize,
}

impl Block {
    /// Whether the wide map has more channels than the block's input `x`; else that is filtered as it is.
    pub(super) fn expands(&self, builder: &GraphBuilder, x: NodeId) -> bool {
        self.wide != builder.shape(x).channels()
    }
}

/// Appends all `stages` behind `x`, each block by `layers` under its `name`, and adds a block's input where the shapes allow it.
/// Gives the maps that are outputs.
pub(super) fn stages(
    builder: &mut GraphBuilder,
    mut x: NodeId,
    stages: &[Stage],
    name: impl Fn(&Block) -> String,
    layers: impl Fn(&mut GraphBuilder, &str, NodeId, &Block) -> Result<NodeId>,
) -> Result<Vec<NodeId>> {
    let (mut index, mut ends) = (0, Vec::new());
    for (at, stage) in stages.iter().enumerate() {
        for place in 0..stage.blocks {
            let in_channels = builder.shape(x).channels();
            let block = Block {
                stage: at,
                place,
                index,
                wide: in_channels * stage.expansion,
                kernel: stage.kernel,
                channels: stage.channels,
                stride: if place == 0 { stage.stride } else { 1 },
            };
            let name = name(&block);
            let y = layers(builder, &name, x, &block)?;
            x = if block.stride == 1 && in_channels == block.channels {
                builder.add(&format!("{name}.add"), x, y)?
            } else {
                y
            };
            index += 1;
        }
        if OUTPUT_STAGES.contains(&at) {
            ends.push(x);
        }
    }
    Ok(ends)
}
