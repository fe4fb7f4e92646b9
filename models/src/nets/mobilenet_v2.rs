//! MobileNetV2 for ImageNet.
//!
//! Source: Sandler et al. 2018, arXiv:1801.04381, table 2; torchvision's `mobilenetv2.py`, whose checkpoint's parameter
//! names these are.

use super::finish;
use super::inverted_residual::{Block, Stage, stages};
use crate::{Graph, GraphBuilder, NetworkConfig, NodeId, Result};

const STAGES: [Stage; 7] = [
    Stage::new(1, 3, 16, 1, 1),
    Stage::new(6, 3, 24, 2, 2),
    Stage::new(6, 3, 32, 3, 2),
    Stage::new(6, 3, 64, 4, 2),
    Stage::new(6, 3, 96, 3, 1),
    Stage::new(6, 3, 160, 3, 2),
    Stage::new(6, 3, 320, 1, 1),
];
const STEM: usize = 32;
const LAST: usize = 1280;

pub(super) fn build(name: &str, config: &NetworkConfig) -> Result<Graph> {
    let mut builder = GraphBuilder::new(name, config.input);
    let image = builder.input();
    let stem = conv_bn_relu6(&mut builder, "features.0", image, (STEM, 3, 2, 1))?;
    // the stem is the first of `features`
    let name = |block: &Block| format!("features.{}", block.index + 1);
    let ends = stages(&mut builder, stem, &STAGES, name, inverted_residual)?;
    let blocks: usize = STAGES.iter().map(|stage| stage.blocks).sum();
    let last = ends.last().copied().unwrap_or(stem);
    let x = conv_bn_relu6(&mut builder, &format!("features.{}", blocks + 1), last, (LAST, 1, 1, 1))?;
    let logits = builder.classifier("classifier.1", x, config.classes)?;
    Ok(finish(builder, &ends, x, logits))
}

/// Convolution of these channels, kernel, stride and groups, batch norm, ReLU6: a `Sequential` of three.
fn conv_bn_relu6(
    builder: &mut GraphBuilder,
    name: &str,
    x: NodeId,
    (channels, kernel, stride, groups): (usize, usize, usize, usize),
) -> Result<NodeId> {
    let mut y = builder.grouped_conv(&format!("{name}.0"), x, channels, kernel, stride, groups)?;
    y = builder.batch_norm(&format!("{name}.1"), y)?;
    builder.relu6(&format!("{name}.2"), y)
}

fn inverted_residual(builder: &mut GraphBuilder, name: &str, x: NodeId, block: &Block) -> Result<NodeId> {
    let mut layers = (0..).map(|index| format!("{name}.conv.{index}"));
    let mut next = || layers.next().unwrap_or_default();
    let mut y = x;
    if block.expands(builder, x) {
        y = conv_bn_relu6(builder, &next(), y, (block.wide, 1, 1, 1))?;
    }
    y = conv_bn_relu6(
        builder,
        &next(),
        y,
        (block.wide, block.kernel, block.stride, block.wide),
    )?;
    y = builder.conv(&next(), y, block.channels, 1, 1)?;
    builder.batch_norm(&next(), y)
}

#[cfg(test)]
mod tests {
    use crate::{FEATURES, NetworkConfig, Shape, build};

    #[test]
    fn names_and_shapes_are_those_of_the_checkpoint() {
        let graph = build("mobilenet_v2", &NetworkConfig::new([3, 224, 224], 1000)).unwrap();
        let parameters = graph.parameters();
        let shape = |name: &str| {
            let found = parameters.iter().find(|parameter| parameter.name == name);
            found.unwrap_or_else(|| panic!("no {name}")).shape.clone()
        };
        assert_eq!(shape("features.0.0.weight"), [32, 3, 3, 3]);
        // the first block expands nothing: one layer less
        assert_eq!(shape("features.1.conv.0.0.weight"), [32, 1, 3, 3]);
        assert_eq!(shape("features.1.conv.2.running_mean"), [16]);
        assert_eq!(shape("features.2.conv.1.0.weight"), [96, 1, 3, 3]);
        assert_eq!(shape("features.17.conv.3.bias"), [320]);
        assert_eq!(shape("features.18.1.weight"), [1280]);
        assert_eq!(shape("classifier.1.weight"), [1000, 1280]);
        let last = graph.output(FEATURES).unwrap();
        assert_eq!(
            (last.name.as_str(), last.shape),
            ("features.17.conv.3", Shape::Map([320, 7, 7]))
        );
    }
}
