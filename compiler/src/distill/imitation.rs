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
    /// T, b and a.
    #[serde(flatten)]
    pub kd: Kd,
}

impl Imitation {
    /// This weight of the method's own loss; the others are [`Kd`]'s.
    ///
    /// Source: `scripts/run_distill.sh` of github.com/DefangChen/SimKD, which gives every method of its tables `-c 1 -d 1`.
    pub fn weighing(feature_weight: f64) -> Self {
        Self {
            feature_weight,
            kd: Kd::default(),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        check_weights(&[("feature_weight", self.feature_weight)])?;
        self.kd.check()
    }
}
