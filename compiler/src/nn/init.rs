//! Random weights for an untrained network.

use askd_models::{Graph, Node, Op, PROJECTOR, Parameter, Role};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal, Uniform};

use crate::weights::{HostTensor, Weights};

/// Weights as the authors' code draws them: convolutions Kaiming normal over fan-out with biases of 0, linear layers and
/// the projector uniform over fan-in (PyTorch's default), batch norm 1 and 0.
///
/// The same seed gives the same bits.
///
/// Source: He et al. 2015, arXiv:1502.01852; `models/resnet.py` and `vgg.py` of github.com/HobbitLong/RepDistiller;
/// `torch.nn.Conv2d` and `torch.nn.Linear`, "Variables".
pub fn initialise(graph: &Graph, seed: u64) -> Weights {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(INIT_STREAM);
    let mut weights = Weights::new();
    for node in graph.nodes() {
        for parameter in node.parameters() {
            let count = parameter.shape.iter().product();
            let data = match parameter.role {
                Role::Weight | Role::Bias => random(node, &parameter, count, &mut rng),
                Role::Scale | Role::RunningVariance | Role::PixelDeviation => vec![1.0; count],
                Role::Shift | Role::RunningMean | Role::PixelMean => vec![0.0; count],
            };
            weights.insert(parameter.name, HostTensor::new(parameter.shape, data));
        }
    }
    weights
}

/// Keeps initial weights apart from the loader's draws under the same seed.
const INIT_STREAM: u64 = 1 << 63;

fn random(node: &Node, parameter: &Parameter, count: usize, rng: &mut ChaCha8Rng) -> Vec<f32> {
    let (fan_in, fan_out) = match node.op {
        Op::Conv2d(c) => {
            let area = c.kernel * c.kernel;
            (c.in_channels / c.groups * area, c.out_channels * area)
        }
        Op::Linear {
            in_features,
            out_features,
        } => (in_features, out_features),
        _ => (count, count),
    };
    let kaiming = matches!(node.op, Op::Conv2d(_)) && !node.name.starts_with(PROJECTOR);
    match parameter.role {
        Role::Weight if kaiming => return sample(Normal::new(0.0, (2.0 / fan_out as f32).sqrt()), count, rng),
        Role::Bias if kaiming => return vec![0.0; count],
        _ => {}
    }
    let bound = 1.0 / (fan_in as f32).sqrt();
    sample(Uniform::new(-bound, bound), count, rng)
}

fn sample<D: Distribution<f32>, E: std::fmt::Debug>(
    distribution: Result<D, E>,
    count: usize,
    rng: &mut impl Rng,
) -> Vec<f32> {
    let distribution = distribution.expect("fans are at least 1, so deviation and bounds are finite and positive");
    distribution.sample_iter(rng).take(count).collect()
}

#[cfg(test)]
mod tests {
    use askd_models::{DistilledOptions, NetworkConfig, build, distilled_student};

    use super::*;

    #[test]
    fn seeds_decide() {
        let graph = build("resnet8", &NetworkConfig::new([1, 28, 28], 10)).unwrap();
        assert_eq!(initialise(&graph, 1), initialise(&graph, 1));
        assert_ne!(initialise(&graph, 1), initialise(&graph, 2));
    }

    #[test]
    fn biases_of_convolutions_start_at_zero() {
        let weights = initialise(&build("vgg8", &NetworkConfig::new([1, 28, 28], 10)).unwrap(), 1);
        assert_eq!(weights["block0.0.bias"].data, [0.0; 64]);
        assert!(weights["classifier.bias"].data.iter().all(|bias| *bias != 0.0));
    }

    #[test]
    fn spread_is_that_of_the_rule() {
        let config = NetworkConfig::new([3, 32, 32], 10);
        let (student, teacher) = (build("resnet8", &config).unwrap(), build("resnet20", &config).unwrap());
        let deviation = |weights: &Weights, name: &str| {
            let data = &weights[name].data;
            (data.iter().map(|x| x * x).sum::<f32>() / data.len() as f32).sqrt()
        };
        for (depthwise, fan_in, tolerance) in [(false, 32.0 * 9.0, 0.03), (true, 9.0, 0.1)] {
            let options = DistilledOptions {
                depthwise,
                ..DistilledOptions::default()
            };
            let weights = initialise(&distilled_student(&student, &[&teacher], &options).unwrap(), 0);
            let kaiming = (2.0_f32 / (64.0 * 9.0)).sqrt();
            assert!((deviation(&weights, "encoder.layer3.0.conv2.weight") / kaiming - 1.0).abs() < 0.03);
            // uniform within 1/sqrt(fan_in)
            let uniform = (1.0_f32 / fan_in / 3.0).sqrt();
            let of_projector = deviation(&weights, "projector.conv2.weight") / uniform;
            assert!((of_projector - 1.0).abs() < tolerance, "{depthwise}: {of_projector}");
        }
    }
}
