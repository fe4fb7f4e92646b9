//! Knowledge distillation from logits: from one teacher (KD) or from several, the divergences averaged (AVER).

use askd_models::LOGITS;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::divergence::{kl_of_samples, scalar};
use super::settings::check_weights;
use super::shared_head::exactly;
use crate::Result;
use crate::nn::{Network, PassMode, Sgd, SgdConfig, Tape, ops};
use crate::train::{Moment, Objective, State, StepReport, StepTimes, Stopwatch, count_correct, finite_loss, group};

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
        super::settings::check_temperature(self.temperature)?;
        check_weights(&[
            ("distillation_weight", self.distillation_weight),
            ("label_weight", self.label_weight),
        ])
    }
}

/// A student with its own classifier, and frozen teachers whose logits it follows.
///
/// With several teachers the divergence is the mean of those from each (AVER; `AVERAGE_LOSS` of CA-MKD's code,
/// arXiv:2201.00007), whose gradient is that of the divergence from their mean probabilities.
#[derive(Debug)]
pub struct KnowledgeDistillation {
    settings: Kd,
    student: Network,
    optimizer: Sgd,
    teachers: Vec<Network>,
}

impl KnowledgeDistillation {
    /// Trains `student` on labels and the teachers' logits.
    pub fn new(settings: Kd, optimizer: SgdConfig, student: Network, teachers: Vec<Network>) -> Self {
        Self {
            settings,
            optimizer: Sgd::new(optimizer, student.trained().clone()),
            student,
            teachers,
        }
    }
}

impl Objective for KnowledgeDistillation {
    fn step(&mut self, images: &Tensor, labels: &Tensor, at: &Moment) -> Result<StepReport> {
        let (mut watch, mut times) = (Stopwatch::start(), StepTimes::default());
        let (outputs, tape) = self.student.record(images, PassMode::Train, &[LOGITS])?;
        let [logits] = exactly(outputs)?;
        let label_loss = ops::cross_entropy(&logits, labels)?;
        let student_ce = scalar(&label_loss)?;
        let mut loss = (label_loss * self.settings.label_weight)?;
        let (mut divergence, share) = (0.0, 1.0 / self.teachers.len() as f64);
        for teacher in &mut self.teachers {
            let [target] = exactly(teacher.forward(images, PassMode::Inference, &[LOGITS])?)?;
            let apart = (kl_of_samples(&logits, &target, self.settings.temperature)?.mean_all()? * share)?;
            divergence += scalar(&apart)?;
            loss = (loss + (apart * self.settings.distillation_weight)?)?;
        }
        let mut networks = vec![(&mut self.student, PassMode::Train)];
        networks.extend(self.teachers.iter_mut().map(|teacher| (teacher, PassMode::Inference)));
        let value = finite_loss(&loss, at.step, &mut networks, images)?;
        let correct = count_correct(&logits, labels)?;
        watch.lap(&mut times.forward);
        let gradients = Tape::gradients(&loss, [tape])?;
        watch.lap(&mut times.backward);
        let norm = self.optimizer.step(&gradients, at.rate, at.step)?;
        watch.lap(&mut times.optimizer);
        Ok(StepReport {
            loss: value,
            correct,
            terms: vec![
                ("student_ce", student_ce),
                ("teacher_kl", divergence),
                ("gradient_norm", norm),
            ],
            times,
            ..StepReport::default()
        })
    }

    fn network(&mut self) -> &mut Network {
        &mut self.student
    }

    fn teachers(&mut self) -> Vec<&mut Network> {
        self.teachers.iter_mut().collect()
    }

    fn state(&self) -> Result<State> {
        Ok(State::from([
            ("student".to_owned(), self.student.weights()?),
            ("student_momentum".to_owned(), self.optimizer.state()?),
        ]))
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.student.set_weights(group(state, "student")?)?;
        self.optimizer
            .restore(group(state, "student_momentum").unwrap_or(&Default::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{SGD, batch, check_restore, moment, network, states};
    use super::super::{Distillation, Method, Teacher, Weighting};
    use super::*;
    use crate::train::Supervised;

    fn distilled(distillation_weight: f64, teachers: Vec<Network>) -> KnowledgeDistillation {
        let settings = Kd {
            distillation_weight,
            ..Kd::default()
        };
        KnowledgeDistillation::new(settings, SGD, network("resnet8", 1), teachers)
    }

    #[test]
    fn without_the_teachers_weight_it_is_plain_training() {
        let mut alone = Supervised::new(network("resnet8", 1), SGD);
        let mut distilled = distilled(0.0, vec![network("resnet14", 2)]);
        for step in 0..3 {
            let (images, labels) = batch(step);
            let expected = alone.step(&images, &labels, &moment(step)).unwrap();
            let got = distilled.step(&images, &labels, &moment(step)).unwrap();
            assert_eq!((got.loss, got.correct), (expected.loss, expected.correct));
        }
        let (got, expected) = (distilled.state().unwrap(), alone.state().unwrap());
        assert_eq!(got["student"], expected["network"]);
        assert_eq!(got["student_momentum"], expected["momentum"]);
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
    fn a_restored_run_goes_on_to_the_same_bits() {
        check_restore(|| distilled(1.0, vec![network("resnet14", 2)]));
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
