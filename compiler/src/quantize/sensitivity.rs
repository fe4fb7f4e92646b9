//! How much each layer's integers change what the network says.

use std::collections::BTreeSet;

use askd_models::NodeId;
use serde::Serialize;

use super::Network;
use super::placement::{Placement, layers};
use crate::Result;
use crate::data::Loader;
use crate::progress::Progress;

/// What one layer's integers do, all else being float.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sensitivity {
    /// The layer.
    pub layer: String,
    /// Sum of squared changes of the logits over the sum of squared logits, each image's mean logit taken out of both.
    pub noise: f64,
    #[serde(skip)]
    pub(super) id: NodeId,
}

/// Every layer's sensitivity on the images of `loader`, the worst first.
///
/// # Errors
/// [`crate::Error::Runtime`], and what the loader meets.
pub(super) fn sensitivities(network: &Network<'_>, loader: &Loader) -> Result<Vec<Sensitivity>> {
    let reference = network.predict_float(loader)?;
    let everything = Placement::new(network.graph, &BTreeSet::new())?.integer;
    let all = layers(network.graph);
    let mut progress = Progress::new("sensitivity of layers", 0, all.len() * loader.set.len());
    let mut found = Vec::new();
    for (index, id) in all.into_iter().enumerate() {
        let others: BTreeSet<NodeId> = everything.iter().copied().filter(|other| *other != id).collect();
        let (_, predictions) = network.predict_quantized(&others, loader)?;
        found.push(Sensitivity {
            layer: network.graph.node(id).name.clone(),
            noise: noise(&reference.logits, &predictions.logits, reference.classes()),
            id,
        });
        progress.update((index + 1) * loader.set.len(), String::new);
    }
    found.sort_by(|a, b| b.noise.total_cmp(&a.noise));
    Ok(found)
}

/// Squared difference over squared size, of logits without their image's mean, which softmax does not see.
fn noise(reference: &[f32], changed: &[f32], classes: usize) -> f64 {
    let (mut difference, mut size) = (0.0, 0.0);
    for (reference, changed) in reference
        .chunks_exact(classes.max(1))
        .zip(changed.chunks_exact(classes.max(1)))
    {
        let mean = |logits: &[f32]| logits.iter().copied().map(f64::from).sum::<f64>() / logits.len() as f64;
        let means = (mean(reference), mean(changed));
        for (a, b) in reference.iter().zip(changed) {
            let (a, b) = (f64::from(*a) - means.0, f64::from(*b) - means.1);
            difference += (a - b).powi(2);
            size += a.powi(2);
        }
    }
    if size > 0.0 { difference / size } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_is_relative_and_blind_to_a_shift() {
        let logits = [1.0, -1.0, 3.0, 1.0];
        assert_eq!(noise(&logits, &logits.map(|logit| logit + 5.0), 2), 0.0);
        assert_eq!(noise(&logits, &logits.map(|logit| logit * 1.5), 2), 0.25);
        assert_eq!(noise(&[], &[], 2), 0.0);
    }
}
