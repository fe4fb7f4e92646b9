//! CIFAR MobileNetV2, with plain ReLU and an expansion in every block.
//!
//! Source: Sandler et al. 2018, arXiv:1801.04381, as written in `models/mobilenetv2.py` of
//! github.com/HobbitLong/RepDistiller, which the codes of SimKD and ATSC share. Checkpoint names are that file's:
//! `conv1.0`, `blocks.1.0.conv.3`, `conv2.0`, `classifier.0`.

use super::finish;
use super::inverted_residual::{Block, Stage, stages};
use crate::{Graph, GraphBuilder, NetworkConfig, NodeId, Result};

/// At width 1.
const STAGES: [Stage; 7] = [
    Stage::new(1, 3, 16, 1, 1),
    Stage::new(6, 3, 24, 2, 1),
    Stage::new(6, 3, 32, 3, 2),
    Stage::new(6, 3, 64, 4, 2),
    Stage::new(6, 3, 96, 3, 1),
    Stage::new(6, 3, 160, 3, 2),
    Stage::new(6, 3, 320, 1, 1),
];
/// Channels of the stem at width 1.
const STEM: usize = 32;
/// Channels that the classifier pools, at any width up to 1.
const LAST: usize = 1280;

pub(super) fn build(name: &str, width: f64, config: &NetworkConfig) -> Result<Graph> {
    let scaled = |channels: usize| (channels as f64 * width) as usize;
    let mut builder = GraphBuilder::new(name, config.input);
    let mut x = builder.conv("conv1.0", builder.input(), scaled(STEM), 3, 2)?;
    x = builder.batch_norm("conv1.1", x)?;
    x = builder.relu("conv1.2", x)?;
    let name = |block: &Block| format!("blocks.{}.{}", block.stage, block.place);
    let scaled = STAGES.map(|stage| Stage {
        channels: scaled(stage.channels),
        ..stage
    });
    let ends = stages(&mut builder, x, &scaled, name, inverted_residual)?;
    x = ends.last().copied().unwrap_or(x);
    x = builder.conv("conv2.0", x, LAST, 1, 1)?;
    x = builder.batch_norm("conv2.1", x)?;
    x = builder.relu("conv2.2", x)?;
    let logits = builder.classifier("classifier.0", x, config.classes)?;
    Ok(finish(builder, &ends, x, logits))
}

/// Expansion, depthwise convolution, linear projection.
fn inverted_residual(builder: &mut GraphBuilder, name: &str, x: NodeId, block: &Block) -> Result<NodeId> {
    let layer = |index: usize| format!("{name}.conv.{index}");
    let mut y = builder.conv(&layer(0), x, block.wide, 1, 1)?;
    y = builder.batch_norm(&layer(1), y)?;
    y = builder.relu(&layer(2), y)?;
    y = builder.grouped_conv(&layer(3), y, block.wide, block.kernel, block.stride, block.wide)?;
    y = builder.batch_norm(&layer(4), y)?;
    y = builder.relu(&layer(5), y)?;
    y = builder.conv(&layer(6), y, block.channels, 1, 1)?;
    builder.batch_norm(&layer(7), y)
}

#[cfg(test)]
mod tests {
    use crate::{CLASSIFIER_MAP, FEATURES, NetworkConfig, Op, Shape, build};

    #[test]
    fn the_classifier_pools_a_wider_map_than_the_features() {
        for (name, features) in [("mobilenetv2_0.5", 160), ("mobilenetv2_1.0", 320)] {
            let graph = build(name, &NetworkConfig::new([3, 32, 32], 10)).unwrap();
            let last = graph.output(FEATURES).unwrap();
            assert_eq!(
                (last.name.as_str(), last.shape),
                ("blocks.6.0.conv.7", Shape::Map([features, 2, 2]))
            );
            assert_eq!(graph.output(CLASSIFIER_MAP).unwrap().shape, Shape::Map([1280, 2, 2]));
        }
    }

    #[test]
    fn names_are_those_of_the_checkpoint() {
        let graph = build("mobilenetv2_1.0", &NetworkConfig::new([3, 32, 32], 10)).unwrap();
        let of_kind = |kind: fn(&Op) -> bool| -> Vec<&str> {
            let nodes = graph.nodes().iter().filter(|node| kind(&node.op));
            nodes.map(|node| node.name.as_str()).collect()
        };
        let convolutions = of_kind(|op| matches!(op, Op::Conv2d(_)));
        assert_eq!(
            convolutions[..4],
            ["conv1.0", "blocks.0.0.conv.0", "blocks.0.0.conv.3", "blocks.0.0.conv.6"]
        );
        assert_eq!(convolutions[3 * 17..], ["blocks.6.0.conv.6", "conv2.0"]);
        assert_eq!(of_kind(|op| *op == Op::Add).len(), 1 + 2 + 3 + 2 + 2);
        assert_eq!(of_kind(|op| matches!(op, Op::Linear { .. })), ["classifier.0"]);
    }
}
