//! ShuffleNetV2, for small images and for ImageNet: halves of the channels, one of which passes each block untouched.
//!
//! Source: Ma et al. 2018, arXiv:1807.11164, table 5; small images: the authors' code (RepDistiller's `ShuffleNetv2.py`), ImageNet:
//! torchvision's `shufflenetv2.py`, whose checkpoints' parameter names these are.

use super::finish;
use crate::{Graph, GraphBuilder, NetworkConfig, NodeId, Op, Result};

/// Blocks of each stage, the one that halves the map included.
const BLOCKS: [usize; 3] = [4, 8, 4];
const STEM: usize = 24;
const LAST: usize = 1024;

/// For small images: a 1x1 convolution before the stages, with these channels.
pub(super) fn build_cifar(name: &str, widths: [usize; 3], config: &NetworkConfig) -> Result<Graph> {
    let mut builder = GraphBuilder::new(name, config.input);
    let image = builder.input();
    let stem = Layer::new("conv1", "bn1").relu("relu");
    let mut x = stem.push(&mut builder, image, (STEM, 1, 1, 1))?;
    let mut ends = Vec::new();
    for (stage, (width, blocks)) in widths.into_iter().zip(BLOCKS).enumerate() {
        for block in 0..blocks {
            let name = format!("layer{}.{block}", stage + 1);
            let layer = |index: usize| Layer::new(&format!("{name}.conv{index}"), &format!("{name}.bn{index}"));
            let right = if block == 0 { [3, 4, 5] } else { [1, 2, 3] };
            let names = Block {
                left: [layer(1), layer(2)],
                right: right.map(layer),
                name: name.clone(),
            };
            x = names.push(&mut builder, x, width, block == 0)?;
        }
        ends.push(x);
    }
    x = Layer::new("conv2", "bn2")
        .relu("relu2")
        .push(&mut builder, x, (LAST, 1, 1, 1))?;
    let logits = builder.classifier("linear", x, config.classes)?;
    Ok(finish(builder, &ends, x, logits))
}

/// For ImageNet: a 3x3 convolution and a pooling that quarter the map, and stages with these channels.
pub(super) fn build_imagenet(name: &str, widths: [usize; 3], config: &NetworkConfig) -> Result<Graph> {
    let mut builder = GraphBuilder::new(name, config.input);
    let image = builder.input();
    let layer = |branch: &str, conv: usize| {
        let of = |index: usize| format!("{branch}.{index}");
        Layer::new(&of(conv), &of(conv + 1))
    };
    let mut x = layer("conv1", 0)
        .relu("conv1.2")
        .push(&mut builder, image, (STEM, 3, 2, 1))?;
    let pool = Op::MaxPool {
        kernel: 3,
        stride: 2,
        padding: 1,
    };
    x = builder.push("maxpool", pool, &[x])?;
    let mut ends = Vec::new();
    for (stage, (width, blocks)) in widths.into_iter().zip(BLOCKS).enumerate() {
        for block in 0..blocks {
            let name = format!("stage{}.{block}", stage + 2);
            let [left, right] = ["branch1", "branch2"].map(|branch| format!("{name}.{branch}"));
            let names = Block {
                left: [0, 2].map(|conv| layer(&left, conv)),
                right: [0, 3, 5].map(|conv| layer(&right, conv)),
                name,
            };
            x = names.push(&mut builder, x, width, block == 0)?;
        }
        ends.push(x);
    }
    x = layer("conv5", 0)
        .relu("conv5.2")
        .push(&mut builder, x, (LAST, 1, 1, 1))?;
    // the published features are the last convolution's
    ends.pop();
    ends.push(x);
    let logits = builder.classifier("fc", x, config.classes)?;
    Ok(finish(builder, &ends, x, logits))
}

/// The names of a convolution, of the batch norm behind it, and of a ReLU, where there is one.
struct Layer {
    conv: String,
    norm: String,
    relu: Option<String>,
}

impl Layer {
    fn new(conv: &str, norm: &str) -> Self {
        Self {
            conv: conv.to_owned(),
            norm: norm.to_owned(),
            relu: None,
        }
    }

    fn relu(self, name: &str) -> Self {
        Self {
            relu: Some(name.to_owned()),
            ..self
        }
    }

    /// A ReLU named after the convolution.
    fn rectified(self) -> Self {
        let name = format!("{}.relu", self.conv);
        self.relu(&name)
    }

    /// Appends it, with these channels, kernel, stride and groups.
    fn push(
        &self,
        builder: &mut GraphBuilder,
        x: NodeId,
        (channels, kernel, stride, groups): (usize, usize, usize, usize),
    ) -> Result<NodeId> {
        let mut y = builder.grouped_conv(&self.conv, x, channels, kernel, stride, groups)?;
        y = builder.batch_norm(&self.norm, y)?;
        match &self.relu {
            Some(relu) => builder.relu(relu, y),
            None => Ok(y),
        }
    }
}

/// The names of a block's layers; only one that halves the map has layers on the left.
struct Block {
    name: String,
    left: [Layer; 2],
    right: [Layer; 3],
}

impl Block {
    /// Both halves of `width` channels, mixed at the end. A block that halves the map computes both of them from all of `x`,
    /// else the first half of `x` stays what it is.
    fn push(self, builder: &mut GraphBuilder, x: NodeId, width: usize, halves: bool) -> Result<NodeId> {
        let half = width / 2;
        let of = |part: &str| format!("{}.{part}", self.name);
        let [depthwise, pointwise] = self.left;
        let (left, right) = if halves {
            let channels = builder.shape(x).channels();
            let y = depthwise.push(builder, x, (channels, 3, 2, channels))?;
            (pointwise.rectified().push(builder, y, (half, 1, 1, 1))?, x)
        } else {
            let mut part = |name, from| builder.push(&of(name), Op::Channels { from, count: half }, &[x]);
            (part("first", 0)?, part("second", half)?)
        };
        let stride = if halves { 2 } else { 1 };
        let [first, depthwise, last] = self.right;
        let mut y = first.rectified().push(builder, right, (half, 1, 1, 1))?;
        y = depthwise.push(builder, y, (half, 3, stride, half))?;
        y = last.rectified().push(builder, y, (half, 1, 1, 1))?;
        let both = builder.push(&of("concat"), Op::Concat, &[left, y])?;
        builder.push(&of("shuffle"), Op::ChannelShuffle { groups: 2 }, &[both])
    }
}

#[cfg(test)]
mod tests {
    use crate::{NetworkConfig, build};

    #[test]
    fn names_and_shapes_are_those_of_the_checkpoints() {
        let shape = |network: &str, name: &str| {
            let graph = build(network, &NetworkConfig::new([3, 64, 64], 1000)).unwrap();
            let found = graph.parameters().into_iter().find(|parameter| parameter.name == name);
            found.unwrap_or_else(|| panic!("{network} has no {name}")).shape
        };
        assert_eq!(shape("shufflenetv2_1.0", "conv1.weight"), [24, 3, 1, 1]);
        assert_eq!(shape("shufflenetv2_1.0", "layer1.0.conv2.weight"), [58, 24, 1, 1]);
        assert_eq!(shape("shufflenetv2_1.0", "layer1.0.conv4.weight"), [58, 1, 3, 3]);
        assert_eq!(shape("shufflenetv2_1.5", "layer3.3.conv3.weight"), [352, 352, 1, 1]);
        assert_eq!(shape("shufflenetv2_1.5", "bn2.running_mean"), [1024]);
        assert_eq!(shape("shufflenet_v2_x1_0", "stage2.0.branch1.2.weight"), [58, 24, 1, 1]);
        assert_eq!(shape("shufflenet_v2_x1_0", "stage3.7.branch2.6.bias"), [116]);
        assert_eq!(shape("shufflenet_v2_x1_0", "conv5.1.weight"), [1024]);
        assert_eq!(shape("shufflenet_v2_x1_0", "fc.weight"), [1000, 1024]);
    }
}
