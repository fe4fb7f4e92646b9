//! ATSC in its `shared-head` reading, and SimKD as its special case.
//!
//! Source: arXiv:2406.08528, section 3; SimKD: arXiv:2203.14001. A step is one student pass and one teacher pass:
//! 1. `beta L_F + s CE(student) + t CE(teacher)` moves student encoder, projector and, while it adapts, the teacher's
//!    encoder, which an L2 anchor holds near its pretrained weights; L_F may be divided by the variance of F_T.
//! 2. `CE(cls(GAP(F_T)))` on the same, detached teacher features moves the shared classifier alone.
//!
//! F_T is the map that the teacher's classifier pools. The teacher's batch norm keeps its pretrained statistics. With
//! s = t = 0, no normalisation and a teacher that never adapts, this is SimKD.

mod settings;

use std::collections::BTreeMap;

use askd_models::{CLASSIFIER, CLASSIFIER_MAP, Graph, LOGITS, Op, PROJECTED};
use candle_core::{Tensor, Var};

use crate::nn::{Network, PassMode, Sgd, SgdConfig, ops};
use crate::train::{Moment, Objective, State, StepReport, StepTimes, Stopwatch, count_correct, finite_loss, group};
use crate::{Error, Result};

pub use settings::{Adaptation, AdaptationDecay, Guard, Mode, Normalise, SharedHeadSettings};

/// Student, projector and teacher around one classifier.
#[derive(Debug)]
pub struct SharedHead {
    settings: SharedHeadSettings,
    /// Student encoder + projector + the shared classifier.
    student: Network,
    teacher: Network,
    student_optimizer: Sgd,
    teacher_optimizer: Sgd,
    classifier_optimizer: Sgd,
    classifier: [Var; 2],
}

impl SharedHead {
    /// Couples a student graph made by [`askd_models::distilled_student`] to its teacher: the student's classifier
    /// becomes the teacher's own.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if the teacher has no classifier or the widths differ.
    pub fn new(
        settings: SharedHeadSettings,
        optimizer: SgdConfig,
        mut student: Network,
        teacher: Network,
    ) -> Result<Self> {
        let head = head_of(teacher.graph())?;
        let classifier = ["weight", "bias"].map(|suffix| teacher.trained()[&format!("{head}.{suffix}")].clone());
        for (suffix, var) in ["weight", "bias"].into_iter().zip(&classifier) {
            student.share(&format!("{CLASSIFIER}.{suffix}"), var)?;
        }
        let without = |network: &Network, layer: &str| -> BTreeMap<String, Var> {
            let inside = |name: &str| name.rsplit_once('.').is_some_and(|(prefix, _)| prefix == layer);
            network
                .trained()
                .iter()
                .filter(|(name, _)| !inside(name))
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect()
        };
        let student_optimizer = Sgd::new(optimizer, without(&student, CLASSIFIER));
        let anchored = SgdConfig {
            weight_decay: 0.0,
            ..optimizer
        };
        let teacher_optimizer = Sgd::new(anchored, without(&teacher, &head)).anchored(settings.anchor_weight)?;
        let shared = ["weight", "bias"]
            .into_iter()
            .zip(&classifier)
            .map(|(name, var)| (name.to_owned(), var.clone()));
        let classifier_optimizer = Sgd::new(optimizer, shared.collect());
        Ok(Self {
            settings,
            student,
            teacher,
            student_optimizer,
            teacher_optimizer,
            classifier_optimizer,
            classifier,
        })
    }

    fn move_classifier(
        &mut self,
        features: &Tensor,
        labels: &Tensor,
        at: &Moment,
        times: &mut StepTimes,
    ) -> Result<f64> {
        let mut watch = Stopwatch::start();
        let [weight, bias] = &self.classifier;
        let pooled = ops::global_average_pool(&features.detach())?;
        let loss = ops::cross_entropy(&ops::linear(&pooled, weight.as_tensor(), bias.as_tensor())?, labels)?;
        let value = scalar(&loss)?;
        watch.lap(&mut times.forward);
        let gradients = loss.backward()?;
        watch.lap(&mut times.backward);
        self.classifier_optimizer
            .step(&gradients, at.rate * self.settings.classifier_rate, at.step)?;
        watch.lap(&mut times.optimizer);
        Ok(value)
    }
}

impl Objective for SharedHead {
    fn step(&mut self, images: &Tensor, labels: &Tensor, at: &Moment) -> Result<StepReport> {
        let (mut watch, mut times) = (Stopwatch::start(), StepTimes::default());
        let teacher_rate = self.settings.adaptation.rate_at(at.progress);
        let adapts = teacher_rate > 0.0;
        let teacher_mode = if adapts {
            PassMode::FrozenStatistics
        } else {
            PassMode::Inference
        };
        let (outputs, teacher_tape) = self.teacher.record(images, teacher_mode, &[CLASSIFIER_MAP, LOGITS])?;
        let [teacher_features, teacher_logits] = pair(outputs)?;
        let (outputs, student_tape) = self.student.record(images, PassMode::Train, &[PROJECTED, LOGITS])?;
        let [projected, logits] = pair(outputs)?;

        let target = pooled_to(&teacher_features, &projected)?;
        let variance = variance(&target)?;
        let feature_loss = ops::mean_squared_error(&projected, &target)?;
        let compared = match self.settings.normalise {
            Normalise::None => feature_loss.clone(),
            Normalise::Elements => (&feature_loss / &variance)?,
            Normalise::Samples => (&feature_loss / sample_variance(&target)?)?,
        };
        let mut loss = (compared * self.settings.feature_weight)?;
        let mut terms = vec![
            ("feature_loss", scalar(&feature_loss)?),
            ("teacher_variance", scalar(&variance)?),
        ];
        if self.settings.student_weight > 0.0 {
            let student_loss = ops::cross_entropy(&logits, labels)?;
            terms.push(("student_ce", scalar(&student_loss)?));
            loss = (loss + (student_loss * self.settings.student_weight)?)?;
        }
        if adapts && self.settings.teacher_weight > 0.0 {
            let teacher_loss = ops::cross_entropy(&teacher_logits, labels)?;
            loss = (loss + (teacher_loss * self.settings.teacher_weight)?)?;
        }
        let value = finite_loss(
            &loss,
            at.step,
            &mut [(&mut self.student, PassMode::Train), (&mut self.teacher, teacher_mode)],
            images,
        )?;

        let correct = count_correct(&logits, labels)?;
        watch.lap(&mut times.forward);

        // the classifier gets gradients here too; it is in neither optimiser's group, so they move nothing
        let mut gradients = loss.backward()?;
        student_tape.backward(&mut gradients)?;
        teacher_tape.backward(&mut gradients)?;
        watch.lap(&mut times.backward);
        self.student_optimizer.step(&gradients, at.rate, at.step)?;
        if adapts {
            self.teacher_optimizer
                .step(&gradients, at.rate * teacher_rate, at.step)?;
            terms.push(("anchor_distance", self.teacher_optimizer.anchor_distance()?));
        }
        watch.lap(&mut times.optimizer);
        if adapts {
            let moved = self.move_classifier(&teacher_features, labels, at, &mut times)?;
            terms.push(("teacher_ce", moved));
        }
        Ok(StepReport {
            loss: value,
            correct,
            terms,
            times,
        })
    }

    fn network(&mut self) -> &mut Network {
        &mut self.student
    }

    fn teacher(&mut self) -> Option<&mut Network> {
        Some(&mut self.teacher)
    }

    fn teacher_moves(&self) -> bool {
        self.settings.adaptation.rate > 0.0
    }

    fn state(&self) -> Result<State> {
        Ok(State::from([
            ("student".to_owned(), self.student.weights()?),
            ("teacher".to_owned(), self.teacher.weights()?),
            ("student_momentum".to_owned(), self.student_optimizer.state()?),
            ("teacher_momentum".to_owned(), self.teacher_optimizer.state()?),
            ("classifier_momentum".to_owned(), self.classifier_optimizer.state()?),
        ]))
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let none = Default::default();
        self.student.set_weights(group(state, "student")?)?;
        self.teacher.set_weights(group(state, "teacher")?)?;
        self.student_optimizer
            .restore(group(state, "student_momentum").unwrap_or(&none))?;
        self.teacher_optimizer
            .restore(group(state, "teacher_momentum").unwrap_or(&none))?;
        self.classifier_optimizer
            .restore(group(state, "classifier_momentum").unwrap_or(&none))
    }
}

fn head_of(teacher: &Graph) -> Result<String> {
    let head = teacher
        .nodes()
        .iter()
        .rev()
        .find(|node| matches!(node.op, Op::Linear { .. }));
    let missing = || Error::invalid("teacher", "a network that ends in a linear classifier", teacher.name());
    head.map(|node| node.name.clone()).ok_or_else(missing)
}

/// The teacher's map, average-pooled to the student's size where it is the larger one.
fn pooled_to(features: &Tensor, projected: &Tensor) -> Result<Tensor> {
    let (_, _, height, width) = projected.dims4()?;
    if features.dims() == projected.dims() {
        return Ok(features.clone());
    }
    Ok(ops::adaptive_average_pool(features, height, width)?)
}

/// Variance over all elements.
fn variance(x: &Tensor) -> Result<Tensor> {
    Ok(x.broadcast_sub(&x.mean_all()?)?.sqr()?.mean_all()?)
}

/// Variance over the samples at each element, mean over the elements.
fn sample_variance(x: &Tensor) -> Result<Tensor> {
    Ok(x.broadcast_sub(&x.mean_keepdim(0)?)?.sqr()?.mean_all()?)
}

fn scalar(x: &Tensor) -> Result<f64> {
    Ok(x.to_dtype(candle_core::DType::F64)?.to_scalar::<f64>()?)
}

fn pair(outputs: Vec<Tensor>) -> Result<[Tensor; 2]> {
    let count = outputs.len();
    outputs
        .try_into()
        .map_err(|_| Error::invalid("network", "two outputs", count))
}

#[cfg(test)]
mod tests;
