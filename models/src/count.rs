//! Parameters, multiply-accumulates and memory of a graph.

use std::iter::Sum;

use crate::{Graph, Node, Op};

/// What a node, or several together, cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeCost {
    /// Trained parameters; batch norm's running statistics are not counted.
    pub parameters: usize,
    /// Multiply-accumulates of convolutions and linear layers for one image.
    pub macs: usize,
}

impl Sum for NodeCost {
    fn sum<I: Iterator<Item = Self>>(costs: I) -> Self {
        costs.fold(Self::default(), |sum, cost| Self {
            parameters: sum.parameters + cost.parameters,
            macs: sum.macs + cost.macs,
        })
    }
}

impl Node {
    /// Parameters and multiply-accumulates of this node.
    ///
    /// Source: counted as PyTorch's `sum(p.numel() for p in model.parameters())` and as the published tables do:
    /// convolutions and linear layers, biases and batch norm free.
    pub fn cost(&self) -> NodeCost {
        let trained = self
            .parameters()
            .into_iter()
            .filter(|parameter| parameter.role.is_trained());
        let parameters = trained.map(|parameter| parameter.shape.iter().product::<usize>()).sum();
        let macs = match self.op {
            Op::Conv2d(conv) => self.shape.elements() * (conv.in_channels / conv.groups) * conv.kernel * conv.kernel,
            Op::Linear {
                in_features,
                out_features,
            } => in_features * out_features,
            _ => 0,
        };
        NodeCost { parameters, macs }
    }
}

impl Graph {
    /// Trained parameters of all nodes.
    pub fn parameter_count(&self) -> usize {
        self.nodes().iter().map(|node| node.cost().parameters).sum()
    }

    /// Multiply-accumulates of convolutions and linear layers for one image.
    pub fn macs(&self) -> usize {
        self.nodes().iter().map(|node| node.cost().macs).sum()
    }

    /// Cost of the nodes named `prefix` or `prefix.` and more: of [`crate::PROJECTOR`], what the projectors of a
    /// distilled student cost.
    pub fn cost_under(&self, prefix: &str) -> NodeCost {
        let inside = |name: &str| {
            name.strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.nodes()
            .iter()
            .filter(|node| inside(&node.name))
            .map(Node::cost)
            .sum()
    }

    /// The most activation values alive at once for one image, when nodes run in order and each value is dropped after
    /// its last reader.
    pub fn peak_activations(&self) -> usize {
        let mut readers = self.reader_counts();
        let (mut live, mut peak) = (0, 0);
        for (id, node) in self.iter() {
            live += node.shape.elements();
            peak = peak.max(live);
            for input in &node.inputs {
                readers[input.index()] -= 1;
                if readers[input.index()] == 0 {
                    live -= self.node(*input).shape.elements();
                }
            }
            if readers[id.index()] == 0 {
                live -= node.shape.elements();
            }
        }
        peak
    }
}

#[cfg(test)]
mod tests {
    use crate::{GraphBuilder, NetworkConfig, NodeCost, build, networks};

    /// Counts of the authors' networks, K = 100, 32x32, those for ImageNet K = 1000, 224x224 (ATSC code, counted in PyTorch).
    const PUBLISHED: [(&str, usize, usize); 24] = [
        ("resnet8x4", 1_233_540, 177_071_104),
        ("resnet14x4", 2_783_620, 403_563_520),
        ("resnet32x4", 7_433_860, 1_083_040_768),
        ("resnet38x4", 8_983_940, 1_309_533_184),
        ("resnet38", 569_972, 83_286_272),
        ("resnet110", 1_736_564, 253_155_584),
        ("resnet116", 1_833_780, 267_311_360),
        ("resnet14x2", 703_732, 101_118_464),
        ("resnet38x2", 2_255_604, 327_610_880),
        ("resnet110x2", 6_911_220, 1_007_088_128),
        ("vgg8", 3_965_028, 96_192_512),
        ("vgg13", 9_462_180, 284_936_192),
        ("mobilenetv2_0.5", 812_836, 6_523_648),
        ("mobilenetv2_1.0", 2_353_060, 22_381_056),
        ("shufflenetv1", 949_258, 38_691_456),
        ("shufflenetv2_1.0", 1_355_528, 44_504_448),
        ("shufflenetv2_1.5", 2_580_548, 93_762_048),
        ("resnet18", 11_689_512, 1_814_073_344),
        ("resnet34", 21_797_672, 3_663_761_408),
        ("resnet50", 25_557_032, 4_089_184_256),
        ("resnext50_32x4d", 25_028_904, 4_230_479_872),
        ("wide_resnet50_2", 68_883_240, 11_398_021_120),
        ("mobilenet_v2", 3_504_872, 300_774_272),
        // torchvision's. The authors' code counts 1,801,420: its constructor has no `conv5`, which its forward pass runs.
        ("shufflenet_v2_x1_0", 1_801_420 + 464 * 1024 + 2 * 1024, 144_907_992),
    ];

    #[test]
    fn counts_equal_the_published_ones() {
        for (name, parameters, macs) in PUBLISHED {
            let network = networks().iter().find(|network| network.name == name).unwrap();
            let graph = network.build(&network.published).unwrap();
            assert_eq!((graph.parameter_count(), graph.macs()), (parameters, macs), "{name}");
        }
    }

    /// Parameters of He et al.'s networks on CIFAR-10: arXiv:1512.03385, table 6 (0.27 M, 0.46 M, 0.66 M, 0.85 M, 1.7 M).
    #[test]
    fn option_a_counts_equal_the_paper() {
        let counts = [
            ("resnet20", 0.27),
            ("resnet32", 0.46),
            ("resnet44", 0.66),
            ("resnet56", 0.85),
            ("resnet110a", 1.7),
        ];
        for (name, millions) in counts {
            let graph = build(name, &NetworkConfig::new([3, 32, 32], 10)).unwrap();
            let got = graph.parameter_count() as f64 / 1e6;
            assert!((got - millions).abs() < 0.05 * millions, "{name}: {got} M");
        }
    }

    #[test]
    fn costs_are_told_apart_by_name() {
        let graph = build("resnet8", &NetworkConfig::new([3, 32, 32], 10)).unwrap();
        let head = graph.cost_under("linear");
        assert_eq!((head.parameters, head.macs), (64 * 10 + 10, 64 * 10));
        let stages = ["conv1", "bn1", "layer1", "layer2", "layer3", "linear"].map(|name| graph.cost_under(name));
        let whole: NodeCost = stages.into_iter().sum();
        assert_eq!((whole.parameters, whole.macs), (graph.parameter_count(), graph.macs()));
        assert_eq!(graph.cost_under("layer"), NodeCost::default());
    }

    #[test]
    fn peak_activations_of_a_residual() {
        let mut builder = GraphBuilder::new("test", [2, 4, 4]);
        let x = builder.input();
        let a = builder.relu("a", x).unwrap();
        let b = builder.relu("b", a).unwrap();
        let sum = builder.add("sum", b, x).unwrap();
        let graph = builder.finish(&[("out", sum)]);
        // x is held across the branch: x, a and b are alive together, then x, b and the sum
        assert_eq!(graph.peak_activations(), 3 * 32);
    }
}
