//! The accuracy gate: integers where they cost no more than is allowed.

use std::collections::BTreeSet;

use askd_models::NodeId;
use serde::Serialize;

use super::sensitivity::Sensitivity;
use super::{Network, Quantized};
use crate::data::Loader;
use crate::evaluate::Evaluation;
use crate::progress::warn;
use crate::{Error, Result};

/// One try, and what it gave.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Attempt {
    /// Layers left float, in the order in which they were taken out.
    pub float_layers: Vec<String>,
    /// Validation top-1, percent.
    pub top1: f64,
    /// Points below the float network.
    pub drop: f64,
}

/// Leaves the worst layers float, one more at a time, until the network loses at most `max_drop` points of top-1 on the
/// validation images; gives the model and all attempts, of which the last holds.
///
/// # Errors
/// [`Error::GateFailed`] with every attempt if no layer is left to take out.
pub(super) fn pass(
    network: &Network<'_>,
    float: &Evaluation,
    ranking: &[Sensitivity],
    max_drop: f64,
    validation: &Loader,
) -> Result<(Quantized, Vec<Attempt>)> {
    let mut attempts = Vec::new();
    let mut out: BTreeSet<NodeId> = BTreeSet::new();
    for taken in 0..=ranking.len() {
        let worst = &ranking[..taken];
        out.extend(worst.last().map(|sensitivity| sensitivity.id));
        let (model, predictions) = network.predict_quantized(&out, validation)?;
        let evaluation = predictions.evaluation();
        let attempt = Attempt {
            float_layers: worst.iter().map(|sensitivity| sensitivity.layer.clone()).collect(),
            top1: evaluation.top1,
            drop: float.top1 - evaluation.top1,
        };
        let holds = attempt.drop <= max_drop;
        if !holds {
            warn(&format!(
                "with {taken} layers float {:.2} points are lost, allowed are {max_drop}",
                attempt.drop
            ));
        }
        attempts.push(attempt);
        if holds {
            return Ok((
                Quantized {
                    model,
                    evaluation,
                    float: out,
                },
                attempts,
            ));
        }
        if taken + 1 == ranking.len() {
            break; // what is left would be no quantised model
        }
    }
    let table = attempts
        .iter()
        .map(|attempt| format!("{}: {:.2}", attempt.float_layers.len(), attempt.drop));
    Err(Error::GateFailed {
        what: "accuracy of the quantised model".to_owned(),
        expected: format!(
            "at most {max_drop} points below {:.2} % on validation images",
            float.top1
        ),
        got: format!(
            "by number of float layers, worst first ({}), {}",
            ranking
                .iter()
                .map(|sensitivity| sensitivity.layer.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            table.collect::<Vec<_>>().join(", ")
        ),
    })
}
