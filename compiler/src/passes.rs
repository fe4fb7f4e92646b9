//! Graph passes: each takes a network with its weights and gives one that computes the same logits in fewer steps.
//!
//! A pass is one file and one line of [`PASSES`]. It returns the new graph and rewrites the weights beside it; when it
//! fails, the weights are as they were. Which passes run is a [`Pipeline`]: all of them, unless some are skipped.

mod eliminate_dead;
mod fold_batch_norm;
mod fold_preprocessing;
mod merge_classifiers;
mod pipeline;
mod shortcuts_to_convolutions;
mod take_pixels;

use askd_models::Graph;

pub use eliminate_dead::eliminate_dead;
pub use fold_batch_norm::fold_batch_norm;
pub use fold_preprocessing::fold_preprocessing;
pub use merge_classifiers::merge_classifiers;
pub use pipeline::Pipeline;
pub use shortcuts_to_convolutions::shortcuts_to_convolutions;
pub use take_pixels::take_pixels;

use crate::Result;
use crate::weights::Weights;

/// One pass with what a list of passes says about it.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// Name, in words joined by dashes.
    pub name: &'static str,
    /// What it does, in one line.
    pub description: &'static str,
    /// Why it cannot be skipped; none for a pass that can.
    pub required: Option<&'static str>,
    /// The pass itself: gives the new graph, and makes the weights those of the new graph.
    pub run: fn(&Graph, &mut Weights) -> Result<Graph>,
}

/// The passes in the order in which they run: first what makes the graph smaller for the others.
pub const PASSES: &[Pass] = &[
    Pass {
        name: "eliminate-dead",
        description: "keep only what the logits need",
        required: Some("a model holds nothing else, and its costs are counted on this graph"),
        run: eliminate_dead,
    },
    Pass {
        name: "merge-classifiers",
        description: "make the mean of several linear layers one linear layer",
        required: None,
        run: merge_classifiers,
    },
    Pass {
        name: "fold-batch-norm",
        description: "fold each batch norm into the convolution before it",
        required: None,
        run: fold_batch_norm,
    },
    Pass {
        name: "fold-preprocessing",
        description: "fold the normalisation of raw pixels into the first convolution, as far as it is exact",
        required: None,
        run: fold_preprocessing,
    },
    Pass {
        name: "shortcuts-to-convolutions",
        description: "make option-A shortcuts 1x1 convolutions, which the engine fuses with the addition",
        required: None,
        run: shortcuts_to_convolutions,
    },
];

/// Runs all [`PASSES`] in order.
///
/// # Errors
/// That of the first pass that fails; `weights` then fit the graph that pass was given, so use neither.
pub fn run_all(graph: &Graph, weights: &mut Weights) -> Result<Graph> {
    Pipeline::all().run(graph, weights)
}

#[cfg(test)]
mod tests {
    use askd_models::{DistilledOptions, FEATURES, LOGITS, NetworkConfig, Op, Role, build, distilled_student};
    use candle_core::{DType, Device, Tensor};

    use super::*;
    use crate::nn::{Network, PassMode, initialise};
    use crate::weights::{self, HostTensor};

    #[test]
    fn every_network_loses_all_batch_norms() {
        for network in askd_models::networks() {
            let graph = build(network.name, &NetworkConfig::new([3, 32, 32], 10)).unwrap();
            let tensor = |shape: Vec<usize>| HostTensor::new(shape.clone(), vec![0.5; shape.iter().product()]);
            let parameters = graph.parameters().into_iter();
            let mut weights: Weights = parameters.map(|p| (p.name, tensor(p.shape))).collect();
            let compiled = run_all(&graph, &mut weights).unwrap();
            weights::check(&compiled, &weights, weights::IN_MEMORY).unwrap();
            let norms = compiled
                .nodes()
                .iter()
                .filter(|node| matches!(node.op, Op::BatchNorm { .. }));
            assert_eq!(norms.count(), 0, "{}", network.name);
            assert_eq!(
                compiled.output(LOGITS).unwrap().shape,
                graph.output(LOGITS).unwrap().shape
            );
            assert!(compiled.output(FEATURES).is_err());
            let shortcuts = graph
                .nodes()
                .iter()
                .any(|node| matches!(node.op, Op::SubsamplePad { .. }));
            assert!(compiled.macs() == graph.macs() || shortcuts, "{}", network.name);
            // copies are multiplications too, but few
            assert!(
                (compiled.macs() as f64) < 1.05 * graph.macs() as f64,
                "{}",
                network.name
            );
        }
    }

    /// Initial weights, with batch norms that have seen something.
    fn weights_of(graph: &Graph) -> Weights {
        let mut weights = initialise(graph, 3);
        for parameter in graph.parameters() {
            if matches!(
                parameter.role,
                Role::Scale | Role::Shift | Role::RunningMean | Role::RunningVariance
            ) {
                let values = weights.get_mut(&parameter.name).unwrap().data.iter_mut();
                values
                    .enumerate()
                    .for_each(|(at, value)| *value = 0.5 + (at * 37 % 64) as f32 / 64.0);
            }
        }
        weights
    }

    /// Logits in f64 of two images of whole numbers.
    fn logits(graph: &Graph, weights: &Weights) -> Vec<f64> {
        let mut network = Network::new(graph.clone(), weights, DType::F64, &Device::Cpu).unwrap();
        let [c, h, w] = graph.input_shape();
        let images: Vec<f64> = (0..2 * c * h * w)
            .map(|at| ((at * at * 31 + 7 * at) % 256) as f64)
            .collect();
        let images = Tensor::from_vec(images, (2, c, h, w), &Device::Cpu).unwrap();
        let outputs = network.forward(&images, PassMode::FrozenStatistics, &[LOGITS]).unwrap();
        outputs[0].flatten_all().unwrap().to_vec1().unwrap()
    }

    /// A pass computes in f64 and rounds each new weight to f32, once: 6e-8 of it. That is all that may differ.
    #[test]
    fn each_pass_alone_keeps_the_logits() {
        let config = NetworkConfig::new([3, 16, 12], 5);
        let mut graphs = ["resnet8", "resnet8x4", "mobilenetv2_0.5", "vgg8"]
            .map(|name| build(name, &config).unwrap())
            .to_vec();
        let teachers = [&graphs[1], &graphs[3]];
        let student = distilled_student(&graphs[0], &teachers, &DistilledOptions::default()).unwrap();
        graphs.push(student);
        for graph in graphs {
            // without the outputs that only training reads, as every pass but the first one meets it
            let graph = graph.keep_outputs(&[LOGITS]).unwrap();
            let mut weights = weights_of(&graph);
            let graph = take_pixels(&graph, &mut weights, &[0.5, 0.4, 0.3], &[0.2, 0.3, 0.25]).unwrap();
            let expected = logits(&graph, &weights);
            let scale = expected.iter().fold(0.0, |scale, value| f64::max(scale, value.abs()));
            assert!(scale > 1e-2, "{}: logits of {scale} say nothing", graph.name());
            for pass in PASSES {
                let mut weights = weights.clone();
                let after = (pass.run)(&graph, &mut weights).unwrap();
                let bound = if pass.name == "eliminate-dead" {
                    0.0
                } else {
                    1e-6 * scale
                };
                for (got, expected) in logits(&after, &weights).iter().zip(&expected) {
                    assert!(
                        (got - expected).abs() <= bound,
                        "{}, {}: {got} {expected}",
                        graph.name(),
                        pass.name
                    );
                }
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::HashSet<_> = PASSES.iter().map(|pass| pass.name).collect();
        assert_eq!(names.len(), PASSES.len());
    }
}
