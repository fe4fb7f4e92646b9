//! MobileNetV2 for ImageNet.
//!
//! Source: Sandler et al. 2018, arXiv:1801.04381, table 2; torchvision's `mobilenetv2.py`, whose checkpoint's parameter
//! names these are.

use super::finish;
use crate::{Graph, GraphBuilder, NetworkConfig, NodeId, Result};

/// Expansion, channels, blocks and stride of each stage.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];
/// The stages, from 0, whose maps are outputs: as of the network for small images.
const OUTPUT_STAGES: [usize; 4] = [1, 2, 4, 6];
const STEM: usize = 32;
const LAST: usize = 1280;

pub(super) fn build(name: &str, config: &NetworkConfig) -> Result<Graph> {
    let mut builder = GraphBuilder::new(name, config.input);
    let image = builder.input();
    let mut x = conv_bn_relu6(&mut builder, "features.0", image, (STEM, 3, 2, 1))?;
    let (mut block, mut ends) = (0, Vec::new());
    for (stage, (expansion, channels, blocks, stride)) in STAGES.into_iter().enumerate() {
        for index in 0..blocks {
            block += 1;
            let stride = if index == 0 { stride } else { 1 };
            x = inverted_residual(
                &mut builder,
                &format!("features.{block}"),
                x,
                expansion,
                channels,
                stride,
            )?;
        }
        if OUTPUT_STAGES.contains(&stage) {
            ends.push(x);
        }
    }
    x = conv_bn_relu6(&mut builder, &format!("features.{}", block + 1), x, (LAST, 1, 1, 1))?;
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

fn inverted_residual(
    builder: &mut GraphBuilder,
    name: &str,
    x: NodeId,
    expansion: usize,
    channels: usize,
    stride: usize,
) -> Result<NodeId> {
    let in_channels = builder.shape(x).channels();
    let wide = in_channels * expansion;
    let mut layers = (0..).map(|index| format!("{name}.conv.{index}"));
    let mut next = || layers.next().unwrap_or_default();
    let mut y = x;
    if expansion != 1 {
        y = conv_bn_relu6(builder, &next(), y, (wide, 1, 1, 1))?;
    }
    y = conv_bn_relu6(builder, &next(), y, (wide, 3, stride, wide))?;
    y = builder.conv(&next(), y, channels, 1, 1)?;
    y = builder.batch_norm(&next(), y)?;
    if stride == 1 && in_channels == channels {
        y = builder.add(&format!("{name}.add"), x, y)?;
    }
    Ok(y)
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
