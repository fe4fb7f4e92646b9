//! Dead code: what only a trainer reads (feature maps for distillation, auxiliary heads) does not ship.

use askd_models::{Graph, LOGITS};

use crate::Result;
use crate::weights::{self, Weights};

/// The same network with [`LOGITS`] as its only output; nodes it does not need, and their tensors, are gone.
///
/// # Errors
/// [`crate::Error::Network`] if the graph has no logits, [`crate::Error::WeightsMismatch`] if `weights` are not the
/// graph's.
pub fn eliminate_dead(graph: &Graph, weights: &mut Weights) -> Result<Graph> {
    weights::check(graph, weights, weights::IN_MEMORY)?;
    let kept = graph.keep_outputs(&[LOGITS])?;
    let parameters = kept.parameters();
    let names: std::collections::HashSet<_> = parameters.iter().map(|parameter| parameter.name.as_str()).collect();
    weights.retain(|name, _| names.contains(name.as_str()));
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use askd_models::GraphBuilder;

    use super::*;
    use crate::weights::HostTensor;

    #[test]
    fn an_unread_branch_and_its_tensors_go() {
        let mut builder = GraphBuilder::new("test", [1, 4, 4]);
        let kept = builder.conv("kept", builder.input(), 2, 3, 1).unwrap();
        let dead = builder.conv("dead", kept, 3, 1, 1).unwrap();
        let logits = builder.classifier("fc", kept, 2).unwrap();
        let graph = builder.finish(&[("aside", dead), (LOGITS, logits)]);
        let tensor = |shape: Vec<usize>| HostTensor::new(shape.clone(), vec![1.0; shape.iter().product()]);
        let parameters = graph.parameters().into_iter();
        let mut weights: Weights = parameters.map(|p| (p.name, tensor(p.shape))).collect();

        let pruned = eliminate_dead(&graph, &mut weights).unwrap();

        assert_eq!(
            weights.keys().collect::<Vec<_>>(),
            ["fc.bias", "fc.weight", "kept.weight"]
        );
        assert_eq!(pruned.outputs().map(|(name, _)| name).collect::<Vec<_>>(), [LOGITS]);
        assert!(pruned.nodes().iter().all(|node| node.name != "dead"));
    }
}
