//! The list of networks, by name.

use crate::{Error, Graph, Result, nets};

/// What a network is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetworkConfig {
    /// Image shape `(C, H, W)`, C 1 or 3, H and W in pixels.
    pub input: [usize; 3],
    /// Number of classes K.
    pub classes: usize,
}

impl NetworkConfig {
    /// A network for images `(C, H, W)` of `classes` classes.
    pub fn new(input: [usize; 3], classes: usize) -> Self {
        Self { input, classes }
    }
}

/// One registered network.
#[derive(Debug, Clone, Copy)]
pub struct Network {
    /// Its name, as in the published tables.
    pub name: &'static str,
    /// What it was published for, and what `list networks` counts.
    pub published: NetworkConfig,
    /// The family with its arguments.
    pub(crate) family: nets::Family,
}

impl Network {
    /// The network's graph.
    ///
    /// # Errors
    /// [`Error::InvalidConfig`] if the network does not take that input or class count.
    pub fn build(&self, config: &NetworkConfig) -> Result<Graph> {
        let [channels, height, width] = config.input;
        let side = height.min(width);
        if !matches!(channels, 1 | 3) || side < self.family.smallest_side() || height.max(width) > 4096 {
            return Err(Error::InvalidConfig {
                network: self.name.to_owned(),
                expected: format!(
                    "1 or 3 channels and {} to 4096 pixels a side",
                    self.family.smallest_side()
                ),
                got: format!("{channels} channels, {height}x{width} pixels"),
            });
        }
        if !(1..=100_000).contains(&config.classes) {
            return Err(Error::InvalidConfig {
                network: self.name.to_owned(),
                expected: "1 to 100000 classes".to_owned(),
                got: config.classes.to_string(),
            });
        }
        self.family.build(self.name, config)
    }
}

/// All networks, in the order of the published tables.
pub fn networks() -> &'static [Network] {
    nets::ALL
}

/// The graph of the named network.
///
/// # Errors
/// [`Error::UnknownNetwork`] with the nearest name, [`Error::InvalidConfig`].
pub fn build(name: &str, config: &NetworkConfig) -> Result<Graph> {
    match networks().iter().find(|network| network.name == name) {
        Some(network) => network.build(config),
        None => Err(Error::UnknownNetwork {
            name: name.to_owned(),
            nearest: nearest(name),
        }),
    }
}

fn nearest(name: &str) -> &'static str {
    let closeness = |network: &&Network| (strsim::jaro_winkler(network.name, name) * 1e6) as u64;
    networks()
        .iter()
        .max_by_key(closeness)
        .map_or("resnet20", |network| network.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{CLASSIFIER_MAP, FEATURES, LOGITS, Shape};

    #[test]
    fn every_network_builds_for_every_supported_input() {
        for network in networks() {
            for input in [[1, 28, 28], [3, 28, 28], [1, 32, 32], [3, 32, 32]] {
                for classes in [2, 10, 100] {
                    let graph = network.build(&NetworkConfig::new(input, classes)).unwrap();
                    assert_eq!(
                        graph.output(LOGITS).unwrap().shape,
                        Shape::Vector(classes),
                        "{}",
                        network.name
                    );
                    for output in [FEATURES, CLASSIFIER_MAP] {
                        let shape = graph.output(output).unwrap().shape;
                        assert!(matches!(shape, Shape::Map(_)), "{} {output}", network.name);
                    }
                    assert_eq!(graph.input_shape(), input);
                }
            }
        }
    }

    /// Channels and pixels of `feat[1:-1]` in the published code, at 32x32.
    #[test]
    fn stages_are_those_of_the_published_code() {
        let cases: [(&str, &[[usize; 2]]); 4] = [
            ("resnet8x4", &[[64, 32], [128, 16], [256, 8]]),
            ("resnet20", &[[16, 32], [32, 16], [64, 8]]),
            ("vgg8", &[[128, 16], [256, 8], [512, 4], [512, 4]]),
            ("mobilenetv2_0.5", &[[12, 16], [16, 8], [48, 4], [160, 2]]),
        ];
        let shapes = |graph: &Graph| -> Vec<Shape> {
            let stages = graph.stages();
            stages.iter().map(|name| graph.output(name).unwrap().shape).collect()
        };
        for (name, expected) in cases {
            let graph = build(name, &NetworkConfig::new([3, 32, 32], 10)).unwrap();
            let expected = expected
                .iter()
                .map(|[channels, side]| Shape::Map([*channels, *side, *side]));
            assert_eq!(shapes(&graph), expected.collect::<Vec<_>>(), "{name}");
        }
        for network in networks() {
            let graph = network.build(&NetworkConfig::new([3, 32, 32], 10)).unwrap();
            let stages = graph.stages();
            assert!(stages.len() >= 3, "{}", network.name);
            let last = graph.output_id(&stages[stages.len() - 1]).unwrap();
            assert_eq!(last, graph.output_id(FEATURES).unwrap(), "{}", network.name);
        }
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::HashSet<_> = networks().iter().map(|network| network.name).collect();
        assert_eq!(names.len(), networks().len());
    }

    #[test]
    fn an_unknown_name_meets_its_nearest() {
        let error = build("resnet-20", &NetworkConfig::new([3, 32, 32], 10)).unwrap_err();
        assert_eq!(
            error,
            Error::UnknownNetwork {
                name: "resnet-20".to_owned(),
                nearest: "resnet20"
            }
        );
    }

    #[test]
    fn impossible_inputs_are_errors() {
        for (name, input, classes) in [
            ("resnet20", [2, 32, 32], 10),
            ("resnet20", [3, 2, 32], 10),
            ("resnet20", [3, 32, 9999], 10),
            ("resnet20", [3, 32, 32], 0),
            ("vgg8", [3, 7, 32], 10),
        ] {
            assert!(
                build(name, &NetworkConfig::new(input, classes)).is_err(),
                "{name} {input:?} {classes}"
            );
        }
    }

    #[test]
    fn the_smallest_inputs_build() {
        for network in networks() {
            let side = network.family.smallest_side();
            network.build(&NetworkConfig::new([1, side, side], 2)).unwrap();
        }
    }
}
