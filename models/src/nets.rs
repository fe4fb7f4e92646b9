//! The networks: a family is a file, a network is one line here.

mod efficientnet_lite;
mod inverted_residual;
mod mobilenet_v2;
mod mobilenet_v2_cifar;
mod resnet_cifar;
mod resnet_imagenet;
mod resnet_option_a;
mod shufflenet_v1_cifar;
mod shufflenet_v2;
mod vgg;

use crate::{CLASSIFIER_MAP, FEATURES, Graph, GraphBuilder, LOGITS, Network, NetworkConfig, NodeId, Result, STAGE};
use resnet_imagenet::Block;

/// A family of networks with the arguments that tell its members apart.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Family {
    /// CIFAR ResNets with 1x1-convolution shortcuts: depth, widths of stem and stages.
    ResNetCifar { depth: usize, widths: [usize; 4] },
    /// He et al.'s CIFAR ResNets with parameter-free shortcuts: depth.
    ResNetOptionA { depth: usize },
    /// CIFAR VGGs: convolutions in each block.
    Vgg { depth: usize },
    /// CIFAR MobileNetV2: factor of the channel counts.
    MobileNetV2Cifar { width: f64 },
    /// CIFAR ShuffleNet.
    ShuffleNetV1Cifar,
    /// CIFAR ShuffleNetV2: widths of the stages.
    ShuffleNetV2Cifar { widths: [usize; 3] },
    /// ImageNet ResNets: what a stage repeats, and how often.
    ResNetImageNet { block: Block, blocks: [usize; 4] },
    /// ImageNet MobileNetV2.
    MobileNetV2,
    /// EfficientNet-Lite0.
    EfficientNetLite0,
    /// ImageNet ShuffleNetV2: widths of the stages.
    ShuffleNetV2 { widths: [usize; 3] },
}

impl Family {
    pub(crate) fn build(&self, name: &str, config: &NetworkConfig) -> Result<Graph> {
        match *self {
            Self::ResNetCifar { depth, widths } => resnet_cifar::build(name, depth, widths, config),
            Self::ResNetOptionA { depth } => resnet_option_a::build(name, depth, config),
            Self::Vgg { depth } => vgg::build(name, depth, config),
            Self::MobileNetV2Cifar { width } => mobilenet_v2_cifar::build(name, width, config),
            Self::ShuffleNetV1Cifar => shufflenet_v1_cifar::build(name, config),
            Self::ShuffleNetV2Cifar { widths } => shufflenet_v2::build_cifar(name, widths, config),
            Self::ResNetImageNet { block, blocks } => resnet_imagenet::build(name, block, blocks, config),
            Self::EfficientNetLite0 => efficientnet_lite::build(name, config),
            Self::MobileNetV2 => mobilenet_v2::build(name, config),
            Self::ShuffleNetV2 { widths } => shufflenet_v2::build_imagenet(name, widths, config),
        }
    }

    /// Fewest pixels a side: what halves the map must leave something to pool. Padded strides round up, so 4 are enough for
    /// any number of them; pools round down, so three of them want 8.
    pub(crate) fn smallest_side(&self) -> usize {
        match self {
            Self::Vgg { .. } => 8,
            _ => 4,
        }
    }
}

/// A network with the outputs that every one has: the map of each stage, the last of which are the features, the map that
/// its classifier pools, and that classifier's scores.
fn finish(builder: GraphBuilder, stages: &[NodeId], classifier_map: NodeId, logits: NodeId) -> Graph {
    let names: Vec<String> = (1..=stages.len()).map(|stage| format!("{STAGE}.{stage}")).collect();
    let of_stages = names.iter().map(String::as_str).zip(stages.iter().copied());
    let features = stages.last().map(|last| (FEATURES, *last));
    let mut outputs: Vec<(&str, NodeId)> = of_stages.chain(features).collect();
    outputs.extend([(CLASSIFIER_MAP, classifier_map), (LOGITS, logits)]);
    builder.finish(&outputs)
}

const CIFAR_100: NetworkConfig = NetworkConfig {
    input: [3, 32, 32],
    classes: 100,
};
const IMAGENET: NetworkConfig = NetworkConfig {
    input: [3, 224, 224],
    classes: 1000,
};
const NARROW: [usize; 4] = [16, 16, 32, 64];
const DOUBLE: [usize; 4] = [16, 32, 64, 128];
const QUADRUPLE: [usize; 4] = [32, 64, 128, 256];

const fn cifar(name: &'static str, family: Family) -> Network {
    Network {
        name,
        published: CIFAR_100,
        family,
    }
}

const fn imagenet(name: &'static str, family: Family) -> Network {
    Network {
        name,
        published: IMAGENET,
        family,
    }
}

const fn resnet_cifar(name: &'static str, depth: usize, widths: [usize; 4]) -> Network {
    cifar(name, Family::ResNetCifar { depth, widths })
}

const fn option_a(name: &'static str, depth: usize) -> Network {
    cifar(name, Family::ResNetOptionA { depth })
}

const fn vgg(name: &'static str, depth: usize) -> Network {
    cifar(name, Family::Vgg { depth })
}

const fn mobilenet_v2(name: &'static str, width: f64) -> Network {
    cifar(name, Family::MobileNetV2Cifar { width })
}

const fn shufflenet_v2(name: &'static str, widths: [usize; 3]) -> Network {
    cifar(name, Family::ShuffleNetV2Cifar { widths })
}

const fn resnet(name: &'static str, block: Block, blocks: [usize; 4]) -> Network {
    imagenet(name, Family::ResNetImageNet { block, blocks })
}

const fn bottleneck(groups: usize, group_width: usize) -> Block {
    Block::Bottleneck { groups, group_width }
}

pub(crate) const ALL: &[Network] = &[
    resnet_cifar("resnet8x4", 8, QUADRUPLE),
    resnet_cifar("resnet14x4", 14, QUADRUPLE),
    resnet_cifar("resnet32x4", 32, QUADRUPLE),
    resnet_cifar("resnet38x4", 38, QUADRUPLE),
    resnet_cifar("resnet14x2", 14, DOUBLE),
    resnet_cifar("resnet38x2", 38, DOUBLE),
    resnet_cifar("resnet110x2", 110, DOUBLE),
    resnet_cifar("resnet38", 38, NARROW),
    resnet_cifar("resnet110", 110, NARROW),
    resnet_cifar("resnet116", 116, NARROW),
    vgg("vgg8", 1),
    vgg("vgg13", 2),
    mobilenet_v2("mobilenetv2_0.5", 0.5),
    mobilenet_v2("mobilenetv2_1.0", 1.0),
    option_a("resnet8", 8),
    option_a("resnet14", 14),
    option_a("resnet20", 20),
    option_a("resnet32", 32),
    option_a("resnet44", 44),
    option_a("resnet56", 56),
    option_a("resnet110a", 110),
    cifar("shufflenetv1", Family::ShuffleNetV1Cifar),
    shufflenet_v2("shufflenetv2_1.0", [116, 232, 464]),
    shufflenet_v2("shufflenetv2_1.5", [176, 352, 704]),
    resnet("resnet18", Block::Basic, [2, 2, 2, 2]),
    resnet("resnet34", Block::Basic, [3, 4, 6, 3]),
    resnet("resnet50", bottleneck(1, 64), [3, 4, 6, 3]),
    resnet("resnext50_32x4d", bottleneck(32, 4), [3, 4, 6, 3]),
    resnet("wide_resnet50_2", bottleneck(1, 128), [3, 4, 6, 3]),
    imagenet("mobilenet_v2", Family::MobileNetV2),
    imagenet(
        "shufflenet_v2_x1_0",
        Family::ShuffleNetV2 {
            widths: [116, 232, 464],
        },
    ),
    imagenet("efficientnet_lite0", Family::EfficientNetLite0),
];
