//! Knowledge distillation from logits: from one teacher (KD) or from the mean of several (AVER).

use serde::{Deserialize, Serialize};

use super::settings::check_weights;
use crate::Result;

/// Weights of `a CE(student, y) + b T^2 KL(teacher || student)`, the divergence a mean over the batch.
///
/// Source: G. Hinton et al. 2015, arXiv:1503.02531, section 2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kd {
    /// T: both networks' logits are divided by it before the softmax; above 0.
    pub temperature: f64,
    /// b: weight of the divergence from the teacher.
    pub distillation_weight: f64,
    /// a: weight of the cross-entropy on labels.
    pub label_weight: f64,
}

impl Default for Kd {
    /// T = 4 and both weights 1: SimKD's published code (arXiv:2203.14001), of whose tables the CIFAR-100 figures of
    /// arXiv:2406.08528 are part.
    fn default() -> Self {
        Self {
            temperature: 4.0,
            distillation_weight: 1.0,
            label_weight: 1.0,
        }
    }
}

impl Kd {
    pub(super) fn check(&self) -> Result<()> {
        super::settings::check_temperature(self.temperature)?;
        check_weights(&[
            ("distillation_weight", self.distillation_weight),
            ("label_weight", self.label_weight),
        ])
    }
}
