//! CIFAR VGGs with batch norm: five blocks of 3x3 convolutions, no fully connected layers before the classifier.
//!
//! Source: Simonyan and Zisserman 2014, arXiv:1409.1556, as written in `models/vgg.py` of github.com/HobbitLong/RepDistiller,
//! which the codes of SimKD and ATSC share. Checkpoint names are that file's: `block0.0`, `block0.1`, `classifier`.

use super::finish;
use crate::{Conv2d, Graph, GraphBuilder, NetworkConfig, Op, Result};

const WIDTHS: [usize; 5] = [64, 128, 256, 512, 512];
/// Pixels a side from which a fourth pool halves the map, as for the original's images of 64x64.
const SIDE_OF_FOURTH_POOL: usize = 64;

/// A VGG with `depth` convolutions in each block.
pub(super) fn build(name: &str, depth: usize, config: &NetworkConfig) -> Result<Graph> {
    let [_, height, width] = config.input;
    let pools = if height.min(width) < SIDE_OF_FOURTH_POOL { 3 } else { 4 };
    let mut builder = GraphBuilder::new(name, config.input);
    let (mut x, mut stages) = (builder.input(), Vec::new());
    for (block, width) in WIDTHS.into_iter().enumerate() {
        for convolution in 0..depth {
            let layer = |index| format!("block{block}.{}", 3 * convolution + index);
            let conv = Conv2d {
                in_channels: builder.shape(x).channels(),
                out_channels: width,
                kernel: 3,
                stride: 1,
                padding: 1,
                groups: 1,
                bias: true,
            };
            x = builder.push(&layer(0), Op::Conv2d(conv), &[x])?;
            x = builder.batch_norm(&layer(1), x)?;
            x = builder.relu(&layer(2), x)?;
        }
        // block 0 is the stem
        if block > 0 {
            stages.push(x);
        }
        if block < pools {
            x = builder.max_pool(&format!("pool{block}"), x, 2, 2)?;
        }
    }
    let logits = builder.classifier("classifier", x, config.classes)?;
    Ok(finish(builder, &stages, x, logits))
}

#[cfg(test)]
mod tests {
    use crate::{FEATURES, NetworkConfig, Shape, build};

    #[test]
    fn a_fourth_pool_from_64_pixels() {
        for (side, left) in [(28, 3), (32, 4), (63, 7), (64, 4)] {
            let graph = build("vgg8", &NetworkConfig::new([3, side, side], 10)).unwrap();
            assert_eq!(graph.output(FEATURES).unwrap().shape, Shape::Map([512, left, left]));
        }
    }

    #[test]
    fn names_are_those_of_the_checkpoint() {
        let graph = build("vgg13", &NetworkConfig::new([3, 32, 32], 10)).unwrap();
        let names: Vec<_> = graph.parameters().into_iter().map(|parameter| parameter.name).collect();
        let block = |block: usize, first: usize| {
            let conv = ["weight", "bias"].map(|suffix| format!("block{block}.{first}.{suffix}"));
            let norm = ["weight", "bias", "running_mean", "running_var"];
            let norm = norm.map(|suffix| format!("block{block}.{}.{suffix}", first + 1));
            conv.into_iter().chain(norm)
        };
        let blocks = (0..5).flat_map(|index| block(index, 0).chain(block(index, 3)));
        let head = ["classifier.weight", "classifier.bias"].map(str::to_owned);
        assert_eq!(names, blocks.chain(head).collect::<Vec<_>>());
    }
}
