//! Knowledge distillation from logits: from one teacher (KD) or from several, the divergences averaged (AVER).

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::Modules;
use super::criterion::{Criterion, Seen, Term};
use super::divergence::kl_of_samples;
use super::settings::{check_temperature, check_weights};
use crate::Result;

/// Weights of `a CE(student, y) + b T^2 KL(teacher || student)`, the divergence a mean over batch and teachers.
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
        check_temperature(self.temperature)?;
        check_weights(&[
            ("distillation_weight", self.distillation_weight),
            ("label_weight", self.label_weight),
        ])
    }

    /// A term for each teacher, of which each image has a share of its own: `1 / M mean share T^2 KL(teacher || student)`.
    ///
    /// # Shapes
    /// - `shares`: `(N)` for each teacher
    pub(super) fn shared_terms(&self, seen: &Seen, shares: &[Tensor]) -> Result<Vec<Term>> {
        let count = seen.teachers.len() as f64;
        self.terms_of(seen, |m, of_samples| {
            Ok(((&shares[m] * of_samples)?.mean_all()? / count)?)
        })
    }

    /// A term for each teacher: what `mean` makes of its number and the divergence from it of each sample, `(N)`.
    fn terms_of(&self, seen: &Seen, mean: impl Fn(usize, Tensor) -> Result<Tensor>) -> Result<Vec<Term>> {
        let each = seen.teachers.iter().enumerate().map(|(m, teacher)| {
            let of_samples = kl_of_samples(&seen.student.logits, &teacher.logits, self.temperature)?;
            Ok(Term {
                name: "teacher_kl",
                value: mean(m, of_samples)?,
                weight: self.distillation_weight,
            })
        });
        each.collect()
    }
}

impl Criterion for Kd {
    fn label_weight(&self) -> f64 {
        self.label_weight
    }

    /// A term for each teacher: their mean has the gradient of the divergence from the teachers' mean probabilities (AVER;
    /// `AVERAGE_LOSS` of CA-MKD's code, arXiv:2201.00007).
    fn terms(&self, seen: &Seen, _: &mut Modules) -> Result<Vec<Term>> {
        let share = 1.0 / seen.teachers.len() as f64;
        self.terms_of(seen, |_, of_samples| Ok((of_samples.mean_all()? * share)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{network, states, taught};
    use super::super::{Distillation, KnowledgeDistillation, Method, Teacher, Weighting};
    use super::*;
    use crate::nn::Network;

    fn distilled(distillation_weight: f64, teachers: Vec<Network>) -> KnowledgeDistillation {
        let settings = Kd {
            distillation_weight,
            ..Kd::default()
        };
        taught(settings, teachers)
    }

    #[test]
    fn teachers_that_agree_teach_as_one() {
        let one = states(distilled(1.0, vec![network("resnet14", 2)]), 3);
        let twice = vec![network("resnet14", 2), network("resnet14", 2)];
        assert_eq!(states(distilled(1.0, twice), 3), one);
        // and what they say matters
        let others = vec![network("resnet14", 2), network("vgg8", 3)];
        assert_ne!(states(distilled(1.0, others), 3), one);
        assert_ne!(states(distilled(0.5, vec![network("resnet14", 2)]), 3), one);
    }

    #[test]
    fn an_average_has_no_weights() {
        let teacher = Teacher {
            network: "resnet14".to_owned(),
            weights: "unread.safetensors".into(),
            digest: String::new(),
        };
        let averaged = |weighting| Distillation {
            method: Method::Aver(Kd::default()),
            weighting,
            teachers: vec![teacher.clone(), teacher.clone()],
        };
        averaged(Weighting::Uniform).check().unwrap();
        let error = averaged(Weighting::Confidence).check().unwrap_err().to_string();
        assert!(error.contains("uniform for method aver"), "{error}");
    }
}
