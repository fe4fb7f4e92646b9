//! Seeded numbers: the same on every machine, so a failure can be repeated.

use askd_compiler::weights::{HostTensor, Weights};
use askd_models::{Graph, Parameter, Role};

/// A small generator for test data, not for anything that must be unpredictable.
///
/// Source: SplitMix64, Steele, Lea and Flood 2014, doi:10.1145/2714064.2660195.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator that gives the same numbers for the same seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator seeded by a name: what the fixtures' Python scripts draw for a tensor of that name.
    ///
    /// Source: FNV-1a, 64 bits, <http://www.isthe.com/chongo/tech/comp/fnv/>.
    pub fn named(name: &str) -> Self {
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    /// A number in `0.0..1.0`.
    pub fn unit(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // 24 bits are what an f32 holds
        (mixed >> 40) as f32 / (1u32 << 24) as f32
    }

    /// `count` numbers, uniform from `low` to `high`.
    pub fn values(&mut self, count: usize, low: f32, high: f32) -> Vec<f32> {
        (0..count).map(|_| low + (high - low) * self.unit()).collect()
    }
}

/// The range of a parameter's values with which activations neither vanish nor explode in a hundred layers.
pub fn parameter_range(parameter: &Parameter) -> (f32, f32) {
    match parameter.role {
        Role::Weight => {
            let fan_in: usize = parameter.shape.iter().skip(1).product();
            // uniform with the variance of He et al. 2015, arXiv:1502.01852
            let bound = (6.0 / fan_in as f32).sqrt();
            (-bound, bound)
        }
        Role::Scale => (0.3, 0.7),
        Role::RunningVariance => (0.5, 1.5),
        Role::Bias | Role::Shift | Role::RunningMean => (-0.1, 0.1),
        Role::PixelMean => (100.0, 150.0),
        Role::PixelDeviation => (40.0, 80.0),
    }
}

/// Weights for every parameter of a graph, each in its [`parameter_range`].
///
/// Batch norm's statistics are random too, so that leaving one out, or exchanging two, shows.
pub fn random_weights(graph: &Graph, seed: u64) -> Weights {
    let mut random = Random::new(seed);
    let tensor = |parameter: Parameter| {
        let (low, high) = parameter_range(&parameter);
        let data = random.values(parameter.shape.iter().product(), low, high);
        (parameter.name, HostTensor::new(parameter.shape, data))
    };
    graph.parameters().into_iter().map(tensor).collect()
}
