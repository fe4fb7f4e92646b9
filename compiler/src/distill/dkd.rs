//! Decoupled knowledge distillation (DKD): what the teacher says of an image's class, and what it says of the others, each
//! with a weight of its own.

use candle_core::{D, Tensor};
use serde::{Deserialize, Serialize};

use super::Modules;
use super::criterion::{Criterion, Seen, Term};
use super::settings::{check_temperature, check_weights};
use crate::Result;

/// What takes a class out of a softmax: more than any two logits differ by, as in the published code.
const OUT: f64 = 1000.0;

/// Weights of `a CE(student, y) + r (alpha TCKD + beta NCKD)`, r rising from epoch to epoch of the warm-up.
///
/// TCKD is `T^2` times the divergence between the two-class distributions "its class, another one", NCKD that between the
/// distributions over the other classes alone. With p the teacher's probability of the class, KD is
/// `TCKD + (1 - p) NCKD`.
///
/// Source: B. Zhao et al. 2022, arXiv:2203.08679, equation 7.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dkd {
    /// T: both networks' logits are divided by it before the softmax; above 0.
    pub temperature: f64,
    /// alpha: weight of TCKD.
    pub target_weight: f64,
    /// beta: weight of NCKD.
    pub non_target_weight: f64,
    /// a: weight of the cross-entropy on labels.
    pub label_weight: f64,
    /// Epochs over which r rises: in epoch e, from 1, it is the smaller of `e / warmup_epochs` and 1.
    pub warmup_epochs: f64,
}

impl Default for Dkd {
    /// T = 4, alpha 1, beta 8, 20 epochs: `mdistiller/engine/cfg.py` of github.com/megvii-research/mdistiller, the authors' code,
    /// which its run of ResNet-32x4 to ResNet-8x4 leaves as they are.
    fn default() -> Self {
        Self {
            temperature: 4.0,
            target_weight: 1.0,
            non_target_weight: 8.0,
            label_weight: 1.0,
            warmup_epochs: 20.0,
        }
    }
}

impl Dkd {
    pub(super) fn check(&self) -> Result<()> {
        check_temperature(self.temperature)?;
        check_weights(&[
            ("target_weight", self.target_weight),
            ("non_target_weight", self.non_target_weight),
            ("label_weight", self.label_weight),
            ("warmup_epochs", self.warmup_epochs),
        ])
    }

    /// r of an epoch, from 0.
    fn warmth(&self, epoch: usize) -> f64 {
        if self.warmup_epochs == 0.0 {
            return 1.0;
        }
        ((epoch + 1) as f64 / self.warmup_epochs).min(1.0)
    }
}

impl Criterion for Dkd {
    fn label_weight(&self) -> f64 {
        self.label_weight
    }

    fn terms(&self, seen: &Seen, _: &mut Modules) -> Result<Vec<Term>> {
        let [student, teacher] = [&seen.student, seen.teacher()?]
            .map(|outputs| Decoupled::new(&outputs.logits, seen.labels, self.temperature));
        let (student, teacher) = (student?, teacher?);
        let (warmth, scale) = (self.warmth(seen.at.epoch), self.temperature * self.temperature);
        let parts = [
            ("target_kl", student.target_kl(&teacher)?, self.target_weight),
            (
                "non_target_kl",
                student.non_target_kl(&teacher)?,
                self.non_target_weight,
            ),
        ];
        let term = |(name, of_samples, weight): (_, Tensor, f64)| {
            Ok(Term {
                name,
                value: (of_samples.mean_all()? * scale)?,
                weight: weight * warmth,
            })
        };
        parts.into_iter().map(term).collect()
    }
}

/// The logarithms of a network's probabilities, taken apart.
struct Decoupled {
    /// Of the image's class, `(N)`.
    target: Tensor,
    /// Of any other one, `(N)`.
    others: Tensor,
    /// Of each other one among them, `(N, K)`; that of the class itself is out of reach.
    among: Tensor,
}

impl Decoupled {
    fn new(logits: &Tensor, labels: &Tensor, temperature: f64) -> Result<Self> {
        let logits = (logits / temperature)?;
        let classes = Tensor::arange(0, logits.dim(1)? as u32, logits.device())?;
        let own = labels.unsqueeze(1)?.broadcast_eq(&classes.unsqueeze(0)?)?;
        let without = (&logits - (own.to_dtype(logits.dtype())? * OUT)?)?;
        let (all, rest) = (logits.log_sum_exp(D::Minus1)?, without.log_sum_exp(D::Minus1)?);
        let target = logits.gather(&labels.unsqueeze(1)?, 1)?.squeeze(1)?;
        Ok(Self {
            target: (target - &all)?,
            others: (&rest - &all)?,
            among: without.broadcast_sub(&rest.unsqueeze(1)?)?,
        })
    }

    /// Divergence from the teacher's "its class, another one" of each sample, `(N)`.
    fn target_kl(&self, teacher: &Self) -> Result<Tensor> {
        let part = |teacher: &Tensor, student: &Tensor| teacher.exp()? * (teacher - student)?;
        Ok((part(&teacher.target, &self.target)? + part(&teacher.others, &self.others)?)?)
    }

    /// Divergence from the teacher's distribution over the other classes of each sample, `(N)`.
    fn non_target_kl(&self, teacher: &Self) -> Result<Tensor> {
        Ok((teacher.among.exp()? * (&teacher.among - &self.among)?)?.sum(D::Minus1)?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::super::divergence::kl_of_samples;
    use super::super::testing::{look, network};
    use super::*;

    #[test]
    fn kd_is_its_parts() {
        let tensor = |values: [[f64; 4]; 2]| Tensor::new(&values, &Device::Cpu).unwrap();
        let student = tensor([[1.0, -2.0, 0.5, 3.0], [0.0, 7.0, -1.0, 2.0]]);
        let teacher = tensor([[2.0, 1.0, -4.0, 0.0], [5.0, 1.0, 1.5, -3.0]]);
        let labels = Tensor::new(&[3u32, 0], &Device::Cpu).unwrap();
        let [of_student, of_teacher] = [&student, &teacher].map(|logits| Decoupled::new(logits, &labels, 2.0).unwrap());
        let target = of_student.target_kl(&of_teacher).unwrap();
        let others = of_student.non_target_kl(&of_teacher).unwrap();
        let weighed = (others * of_teacher.others.exp().unwrap()).unwrap();
        let got = ((target + weighed).unwrap() * 4.0).unwrap().to_vec1::<f64>().unwrap();
        let expected = kl_of_samples(&student, &teacher, 2.0)
            .unwrap()
            .to_vec1::<f64>()
            .unwrap();
        for (got, expected) in got.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        }
    }

    #[test]
    fn a_warm_up_rises_by_the_epoch() {
        let settings = Dkd::default();
        assert_eq!(
            [0, 9, 19, 50].map(|epoch| settings.warmth(epoch)),
            [0.05, 0.5, 1.0, 1.0]
        );
        let without = Dkd {
            warmup_epochs: 0.0,
            ..settings
        };
        assert_eq!(without.warmth(0), 1.0);
    }

    #[test]
    fn a_students_own_logits_teach_nothing() {
        let mut networks = [network("resnet8", 1), network("resnet8", 1)];
        let [student, teacher] = &mut networks;
        let settings = Dkd::default();
        let (looked, mut modules) = look(&settings, student, std::slice::from_mut(teacher));
        for name in ["target_kl", "non_target_kl"] {
            assert_eq!(looked.term(&settings, &[], &mut modules, name), 0.0, "{name}");
        }
    }
}
