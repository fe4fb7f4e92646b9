//! The networks: a family is a file, a network is one line here.

mod resnet_cifar;
mod resnet_option_a;

use crate::{Graph, Network, NetworkConfig, Result};

/// A family of networks with the arguments that tell its members apart.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Family {
    /// CIFAR ResNets with 1x1-convolution shortcuts: depth, widths of stem and stages.
    ResNetCifar { depth: usize, widths: [usize; 4] },
    /// He et al.'s CIFAR ResNets with parameter-free shortcuts: depth.
    ResNetOptionA { depth: usize },
}

impl Family {
    pub(crate) fn build(&self, name: &str, config: &NetworkConfig) -> Result<Graph> {
        match *self {
            Self::ResNetCifar { depth, widths } => resnet_cifar::build(name, depth, widths, config),
            Self::ResNetOptionA { depth } => resnet_option_a::build(name, depth, config),
        }
    }

    /// Fewest pixels a side: two stages of stride 2 must leave something to pool.
    pub(crate) fn smallest_side(&self) -> usize {
        match self {
            Self::ResNetCifar { .. } | Self::ResNetOptionA { .. } => 4,
        }
    }
}

const CIFAR_100: NetworkConfig = NetworkConfig {
    input: [3, 32, 32],
    classes: 100,
};
const NARROW: [usize; 4] = [16, 16, 32, 64];
const DOUBLE: [usize; 4] = [16, 32, 64, 128];
const QUADRUPLE: [usize; 4] = [32, 64, 128, 256];

const fn cifar(name: &'static str, depth: usize, widths: [usize; 4]) -> Network {
    Network {
        name,
        published: CIFAR_100,
        family: Family::ResNetCifar { depth, widths },
    }
}

const fn option_a(name: &'static str, depth: usize) -> Network {
    Network {
        name,
        published: CIFAR_100,
        family: Family::ResNetOptionA { depth },
    }
}

pub(crate) const ALL: &[Network] = &[
    cifar("resnet8x4", 8, QUADRUPLE),
    cifar("resnet14x4", 14, QUADRUPLE),
    cifar("resnet32x4", 32, QUADRUPLE),
    cifar("resnet38x4", 38, QUADRUPLE),
    cifar("resnet14x2", 14, DOUBLE),
    cifar("resnet38x2", 38, DOUBLE),
    cifar("resnet110x2", 110, DOUBLE),
    cifar("resnet38", 38, NARROW),
    cifar("resnet110", 110, NARROW),
    cifar("resnet116", 116, NARROW),
    option_a("resnet8", 8),
    option_a("resnet14", 14),
    option_a("resnet20", 20),
    option_a("resnet32", 32),
    option_a("resnet44", 44),
    option_a("resnet56", 56),
    option_a("resnet110a", 110),
];
