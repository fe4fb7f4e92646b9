//! The weights that methods with a loss on features share.

use serde::{Deserialize, Serialize};

use super::Kd;
use super::settings::check_weights;
use crate::Result;

/// Weights of `a CE(student, y) + b T^2 KL(teacher || student) + beta L`, L the method's own loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imitation {
    /// beta: weight of the method's own loss.
    pub feature_weight: f64,
    /// T: both networks' logits are divided by it before the softmax; above 0.
    pub temperature: f64,
    /// b: weight of the divergence from the teacher.
    pub distillation_weight: f64,
    /// a: weight of the cross-entropy on labels.
    pub label_weight: f64,
}

impl Imitation {
    /// This weight of the method's own loss; the others are [`Kd`]'s.
    ///
    /// Source: `scripts/run_distill.sh` of github.com/DefangChen/SimKD, which gives every method of its tables `-c 1 -d 1`.
    pub fn weighing(feature_weight: f64) -> Self {
        let Kd {
            temperature,
            distillation_weight,
            label_weight,
        } = Kd::default();
        Self {
            feature_weight,
            temperature,
            distillation_weight,
            label_weight,
        }
    }

    /// The part on logits.
    pub(super) fn logits(&self) -> Kd {
        Kd {
            temperature: self.temperature,
            distillation_weight: self.distillation_weight,
            label_weight: self.label_weight,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        check_weights(&[("feature_weight", self.feature_weight)])?;
        self.logits().check()
    }
}
