//! Deep mutual learning: two untrained networks teach each other; the online side of the comparison.

use serde::{Deserialize, Serialize};

use super::settings::{check_temperature, check_weights};
use crate::Result;

/// Weights of `a CE(student, y) + b T^2 KL(peer || student)`, and of the same loss with the parts exchanged for the peer.
///
/// Source: Y. Zhang et al. 2018, arXiv:1706.00384, equations 5 and 6.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dml {
    /// Registered network of the peer, which starts untrained; none for the student's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// T: both networks' logits are divided by it before the softmax; above 0.
    pub temperature: f64,
    /// b: weight of the divergence from the other network.
    pub distillation_weight: f64,
    /// a: weight of the cross-entropy on labels.
    pub label_weight: f64,
}

impl Default for Dml {
    /// T = 1, both weights 1, and a peer like the student: the paper's.
    fn default() -> Self {
        Self {
            peer: None,
            temperature: 1.0,
            distillation_weight: 1.0,
            label_weight: 1.0,
        }
    }
}

impl Dml {
    pub(super) fn check(&self) -> Result<()> {
        check_temperature(self.temperature)?;
        check_weights(&[
            ("distillation_weight", self.distillation_weight),
            ("label_weight", self.label_weight),
        ])
    }
}
