//! He et al.'s ImageNet ResNets, and what became of them: ResNeXt and wide ResNet.
//!
//! Source: torchvision's `resnet.py`, whose checkpoints' parameter names these are. A bottleneck's stride is in its 3x3
//! convolution ("ResNet v1.5").

use super::finish;
use super::resnet_cifar::residual_block;
use crate::{Graph, GraphBuilder, NetworkConfig, NodeId, Op, Result};

/// Width of the first stage; each later one doubles it.
const WIDTH: usize = 64;
/// A bottleneck gives so many times the channels of its stage.
const EXPANSION: usize = 4;

/// What a stage repeats.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Block {
    /// Two 3x3 convolutions.
    Basic,
    /// 1x1, 3x3 and 1x1 convolutions; the 3x3 one in `groups`, each as wide as `group_width` at a stage of [`WIDTH`].
    Bottleneck { groups: usize, group_width: usize },
}

pub(super) fn build(name: &str, block: Block, blocks: [usize; 4], config: &NetworkConfig) -> Result<Graph> {
    let mut builder = GraphBuilder::new(name, config.input);
    let mut x = builder.conv("conv1", builder.input(), WIDTH, 7, 2)?;
    x = builder.batch_norm("bn1", x)?;
    x = builder.relu("relu", x)?;
    let pool = Op::MaxPool {
        kernel: 3,
        stride: 2,
        padding: 1,
    };
    x = builder.push("maxpool", pool, &[x])?;
    let mut ends = Vec::new();
    for (stage, count) in blocks.into_iter().enumerate() {
        for index in 0..count {
            let stride = if stage > 0 && index == 0 { 2 } else { 1 };
            let name = format!("layer{}.{index}", stage + 1);
            x = residual(&mut builder, &name, x, block, WIDTH << stage, stride)?;
        }
        ends.push(x);
    }
    let logits = builder.classifier("fc", x, config.classes)?;
    Ok(finish(builder, &ends, x, logits))
}

fn residual(
    builder: &mut GraphBuilder,
    name: &str,
    x: NodeId,
    block: Block,
    width: usize,
    stride: usize,
) -> Result<NodeId> {
    let out = match block {
        Block::Basic => width,
        Block::Bottleneck { .. } => EXPANSION * width,
    };
    let shortcut = if stride != 1 || builder.shape(x).channels() != out {
        let conv = builder.conv(&format!("{name}.downsample.0"), x, out, 1, stride)?;
        builder.batch_norm(&format!("{name}.downsample.1"), conv)?
    } else {
        x
    };
    match block {
        Block::Basic => residual_block(builder, name, x, shortcut, width, stride),
        Block::Bottleneck { groups, group_width } => {
            let narrow = width * group_width / WIDTH * groups;
            let layer = |layer: &str, index: usize| format!("{name}.{layer}{index}");
            let mut y = builder.conv(&layer("conv", 1), x, narrow, 1, 1)?;
            y = builder.batch_norm(&layer("bn", 1), y)?;
            y = builder.relu(&layer("relu", 1), y)?;
            y = builder.grouped_conv(&layer("conv", 2), y, narrow, 3, stride, groups)?;
            y = builder.batch_norm(&layer("bn", 2), y)?;
            y = builder.relu(&layer("relu", 2), y)?;
            y = builder.conv(&layer("conv", 3), y, out, 1, 1)?;
            y = builder.batch_norm(&layer("bn", 3), y)?;
            let sum = builder.add(&format!("{name}.add"), y, shortcut)?;
            builder.relu(&layer("relu", 3), sum)
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{NetworkConfig, build};

    /// Names and shapes of a few tensors of torchvision's checkpoints.
    #[test]
    fn names_and_shapes_are_those_of_the_checkpoints() {
        let shape = |network: &str, name: &str| {
            let graph = build(network, &NetworkConfig::new([3, 224, 224], 1000)).unwrap();
            let found = graph.parameters().into_iter().find(|parameter| parameter.name == name);
            found.unwrap_or_else(|| panic!("{network} has no {name}")).shape
        };
        assert_eq!(shape("resnet18", "layer1.1.conv2.weight"), [64, 64, 3, 3]);
        assert_eq!(shape("resnet18", "layer4.0.downsample.0.weight"), [512, 256, 1, 1]);
        assert_eq!(shape("resnet34", "layer3.5.bn2.running_var"), [256]);
        assert_eq!(shape("resnet50", "layer1.0.downsample.1.bias"), [256]);
        assert_eq!(shape("resnet50", "layer4.2.conv3.weight"), [2048, 512, 1, 1]);
        assert_eq!(shape("resnext50_32x4d", "layer1.0.conv2.weight"), [128, 4, 3, 3]);
        assert_eq!(shape("wide_resnet50_2", "layer4.0.conv2.weight"), [1024, 1024, 3, 3]);
        assert_eq!(shape("resnet50", "fc.weight"), [1000, 2048]);
    }
}
