//! A network on raw pixels: not a pass, since it changes what the network takes.

use askd_models::{Graph, GraphBuilder, NodeId, Op};

use crate::weights::{self, HostTensor, Weights};
use crate::{Error, Result};

/// Name of the node that normalises.
const NAME: &str = "preprocess";

/// The same network, on raw pixels `0..=255` instead of normalised images: its first node is [`Op::Normalise`].
///
/// # Shapes
/// - `mean`, `std`: C values, for pixels in `0..=1`
///
/// # Errors
/// [`Error::InvalidValue`] if mean or standard deviation are not C finite numbers, the latter positive;
/// [`Error::WeightsMismatch`] if `weights` are not the graph's, [`Error::Network`] if it takes pixels already. `weights` are
/// unchanged then.
pub fn take_pixels(graph: &Graph, weights: &mut Weights, mean: &[f32], std: &[f32]) -> Result<Graph> {
    weights::check(graph, weights, weights::IN_MEMORY)?;
    let [channels, ..] = graph.input_shape();
    for (name, values, positive) in [("mean", mean, false), ("std", std, true)] {
        let right = |value: &f32| value.is_finite() && (!positive || *value > 0.0);
        if values.len() != channels || !values.iter().all(right) {
            let kind = if positive { "positive numbers" } else { "numbers" };
            let expected = format!("{channels} {kind}, one a channel");
            return Err(Error::invalid(name, expected, format!("{values:?}")));
        }
    }
    let mut builder = GraphBuilder::new(graph.name(), graph.input_shape());
    let normalise = Op::Normalise {
        channels,
        shift: true,
        scale: true,
    };
    let mut ids = vec![builder.push(NAME, normalise, &[builder.input()])?];
    for (_, node) in graph.iter().skip(1) {
        let inputs: Vec<NodeId> = node.inputs.iter().map(|input| ids[input.index()]).collect();
        ids.push(builder.push(&node.name, node.op, &inputs)?);
    }
    for (suffix, values) in [("mean", mean), ("std", std)] {
        let pixels = values.iter().map(|value| (f64::from(*value) * 255.0) as f32).collect();
        weights.insert(format!("{NAME}.{suffix}"), HostTensor::new(vec![channels], pixels));
    }
    let outputs: Vec<(&str, NodeId)> = graph.outputs().map(|(name, id)| (name, ids[id.index()])).collect();
    Ok(builder.finish(&outputs))
}
