//! He et al.'s CIFAR ResNets with parameter-free (option A) shortcuts.
//!
//! Source: He et al. 2015, arXiv:1512.03385, section 4.2; checkpoint names (`conv1`, `layer1.0.conv1`, `linear`) and the
//! place of the zero channels as in github.com/akamaster/pytorch_resnet_cifar10.

use super::finish;
use super::resnet_cifar::residual_block;
use crate::{Graph, GraphBuilder, NetworkConfig, Op, Result};

const WIDTHS: [usize; 3] = [16, 32, 64];

pub(super) fn build(name: &str, depth: usize, config: &NetworkConfig) -> Result<Graph> {
    let blocks = (depth - 2) / 6;
    let mut builder = GraphBuilder::new(name, config.input);
    let mut x = builder.conv("conv1", builder.input(), WIDTHS[0], 3, 1)?;
    x = builder.batch_norm("bn1", x)?;
    x = builder.relu("relu", x)?;
    let mut ends = Vec::new();
    for (stage, width) in WIDTHS.into_iter().enumerate() {
        for block in 0..blocks {
            let block_name = format!("layer{}.{block}", stage + 1);
            let (stride, shortcut) = if stage > 0 && block == 0 {
                let pad = Op::SubsamplePad {
                    stride: 2,
                    before: width / 4,
                    after: width / 4,
                };
                (2, builder.push(&format!("{block_name}.shortcut"), pad, &[x])?)
            } else {
                (1, x)
            };
            x = residual_block(&mut builder, &block_name, x, shortcut, width, stride)?;
        }
        ends.push(x);
    }
    let logits = builder.classifier("linear", x, config.classes)?;
    Ok(finish(builder, &ends, x, logits))
}
