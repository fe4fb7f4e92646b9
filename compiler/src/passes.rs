//! Graph passes: each takes a network with its weights and gives one that computes the same logits in fewer steps.
//!
//! A pass is one file and one line of [`PASSES`]. It returns the new graph and rewrites the weights beside it; when it
//! fails, the weights are as they were.

mod eliminate_dead;
mod fold_batch_norm;
mod merge_classifiers;

use askd_models::Graph;

pub use eliminate_dead::eliminate_dead;
pub use fold_batch_norm::fold_batch_norm;
pub use merge_classifiers::merge_classifiers;

use crate::Result;
use crate::weights::Weights;

/// One pass with what a list of passes says about it.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    /// Name, in words joined by dashes.
    pub name: &'static str,
    /// What it does, in one line.
    pub description: &'static str,
    /// The pass itself: gives the new graph, and makes the weights those of the new graph.
    pub run: fn(&Graph, &mut Weights) -> Result<Graph>,
}

/// The passes in the order in which they run: first what makes the graph smaller for the others.
pub const PASSES: &[Pass] = &[
    Pass {
        name: "eliminate-dead",
        description: "keep only what the logits need",
        run: eliminate_dead,
    },
    Pass {
        name: "merge-classifiers",
        description: "make the mean of several linear layers one linear layer",
        run: merge_classifiers,
    },
    Pass {
        name: "fold-batch-norm",
        description: "fold each batch norm into the convolution before it",
        run: fold_batch_norm,
    },
];

/// Runs all [`PASSES`] in order.
///
/// # Errors
/// That of the first pass that fails; `weights` then fit the graph that pass was given, so use neither.
pub fn run_all(graph: &Graph, weights: &mut Weights) -> Result<Graph> {
    PASSES
        .iter()
        .try_fold(graph.clone(), |graph, pass| (pass.run)(&graph, weights))
}

#[cfg(test)]
mod tests {
    use askd_models::{FEATURES, LOGITS, NetworkConfig, Op, build};

    use super::*;
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
            assert_eq!(compiled.macs(), graph.macs());
        }
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::HashSet<_> = PASSES.iter().map(|pass| pass.name).collect();
        assert_eq!(names.len(), PASSES.len());
    }
}
