//! ATSC in its `shared-head` reading, with any number of teachers, and SimKD as its special case.
//!
//! Source: arXiv:2406.08528, section 3; SimKD: arXiv:2203.14001. A step is one student pass and one pass of each teacher:
//! 1. `beta L_F + s L_s + t L_t + c L_c + d L_d` moves student encoder, projectors and, while they adapt, the teachers'
//!    encoders, which an L2 anchor holds near their pretrained weights; L_F may be divided by the variance of F_T.
//! 2. `CE(cls(GAP(F_T)))` on the same, detached teacher features moves the shared classifiers alone.
//!
//! F_T is the map that a teacher's classifier pools. The teachers' batch norm keeps its pretrained statistics. With all
//! weights but beta 0, no normalisation and a teacher that never adapts, this is SimKD. Several teachers' losses are weighted
//! sums; the terms are in `terms.rs`, what belongs to one teacher in `teacher.rs`.

mod settings;
mod teacher;
mod terms;

use askd_models::{CLASSIFIER_MAP, LOGITS, OWN_LOGITS, TeacherNames};
use candle_core::Tensor;

use self::teacher::Teaching;
use self::terms::{Shares, Total, feature_loss};
use super::divergence::{kl_of_samples, scalar};
use super::{Adaptive, Weighting};
use crate::nn::{Network, PassMode, Sgd, SgdConfig, Tape, ops};
use crate::train::{Moment, Objective, State, StepReport, StepTimes, Stopwatch, count_correct, finite_loss, group};
use crate::{Error, Result};

pub(super) use self::teacher::{HEAD_TENSORS, head_of, head_tensors, trained_where};
pub(super) use self::terms::{confidence, pooled_to, variance};
pub use settings::{Adaptation, AdaptationDecay, Guard, Mode, Normalise, Projector, SharedHeadSettings};

/// Student and projectors, and the teachers whose classifiers they share.
#[derive(Debug)]
pub struct SharedHead {
    settings: SharedHeadSettings,
    weighting: Weighting,
    /// Student encoder + projectors + the shared classifiers.
    student: Network,
    student_optimizer: Sgd,
    teachers: Vec<Teaching>,
    /// Whether the teachers stay as they are from now on, whatever their schedule says.
    frozen: bool,
}

/// What one teacher gives for a batch.
struct Taught {
    features: Tensor,
    logits: Tensor,
}

/// What the student gives for a batch.
struct Learned {
    /// A map for each teacher.
    projected: Vec<Tensor>,
    /// The weighted mean of the logits through all classifiers.
    logits: Tensor,
    /// Those of its own head, where a term reads them.
    own: Option<Tensor>,
}

impl SharedHead {
    /// Couples a student graph made by [`askd_models::distilled_student`] to its teachers, in the same order: the student's
    /// classifiers become the teachers' own.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if a teacher has no classifier or the widths differ.
    pub fn new(
        settings: SharedHeadSettings,
        weighting: Weighting,
        optimizer: SgdConfig,
        mut student: Network,
        teachers: Vec<Network>,
    ) -> Result<Self> {
        let names = TeacherNames::all(teachers.len());
        let couple = |(network, names)| Teaching::couple(network, names, &mut student, &settings, optimizer);
        let teachers = teachers
            .into_iter()
            .zip(names)
            .map(couple)
            .collect::<Result<Vec<_>>>()?;
        let shared = |name: &str| teachers.iter().any(|teacher| teacher.is_shared(name));
        let student_optimizer = Sgd::new(optimizer, trained_where(&student, |name| !shared(name)));
        Ok(Self {
            settings,
            weighting,
            student,
            student_optimizer,
            teachers,
            frozen: false,
        })
    }

    fn teacher_rate(&self, at: &Moment) -> f64 {
        if self.frozen {
            0.0
        } else {
            self.settings.adaptation.rate_at(at.progress)
        }
    }

    /// All terms of the encoder step, in the order of the formula; the report gets their values.
    fn losses(
        &self,
        (learned, taught, shares): (&Learned, &[Taught], &Shares),
        labels: &Tensor,
        adapts: bool,
        report: &mut StepReport,
    ) -> Result<Total> {
        let (settings, count) = (&self.settings, taught.len() as f64);
        let mut total = Total::default();
        let (mut unscaled, mut spread, mut teacher_ce) = (0.0, 0.0, 0.0);
        for (m, (taught, projected)) in taught.iter().zip(&learned.projected).enumerate() {
            let target = pooled_to(&taught.features, projected)?;
            let apart = feature_loss(projected, &target, shares.of(m)?)?;
            let over_elements = variance(&target, Normalise::Elements)?;
            unscaled += scalar(&apart)?;
            spread += scalar(&over_elements)? / count;
            let compared = match settings.normalise {
                Normalise::None => apart,
                Normalise::Elements => (apart / over_elements)?,
                Normalise::Samples => (apart / variance(&target, Normalise::Samples)?)?,
            };
            total.add(compared, settings.feature_weight)?;
        }
        report
            .terms
            .extend([("feature_loss", unscaled), ("teacher_variance", spread)]);
        if settings.student_weight > 0.0 {
            let student_loss = ops::cross_entropy(&learned.logits, labels)?;
            report.terms.push(("student_ce", scalar(&student_loss)?));
            total.add(student_loss, settings.student_weight)?;
        }
        for (m, taught) in taught.iter().enumerate() {
            teacher_ce += scalar(&ops::cross_entropy(&taught.logits.detach(), labels)?)? / count;
            if adapts && settings.teacher_weight > 0.0 {
                let teacher_loss = shares.cross_entropy(m, &taught.logits, labels)?;
                total.add(teacher_loss, settings.teacher_weight)?;
            }
        }
        report.terms.push(("teacher_ce", teacher_ce));
        if let Some(own) = &learned.own {
            self.own_head_losses(own, (taught, shares), labels, &mut total, report)?;
        }
        Ok(total)
    }

    /// The terms of the student's own head, with c and d.
    fn own_head_losses(
        &self,
        own: &Tensor,
        (taught, shares): (&[Taught], &Shares),
        labels: &Tensor,
        total: &mut Total,
        report: &mut StepReport,
    ) -> Result<()> {
        let own_loss = ops::cross_entropy(own, labels)?;
        report.terms.push(("own_ce", scalar(&own_loss)?));
        total.add(own_loss, self.settings.own_head_weight)?;
        if self.settings.own_head_distillation_weight == 0.0 {
            return Ok(());
        }
        let mut divergence = 0.0;
        for (m, taught) in taught.iter().enumerate() {
            let of_samples = kl_of_samples(own, &taught.logits.detach(), self.settings.temperature)?;
            let term = shares.mean(m, &of_samples)?;
            divergence += scalar(&term)?;
            total.add(term, self.settings.own_head_distillation_weight)?;
        }
        report.terms.push(("own_kl", divergence));
        Ok(())
    }
}

/// The outputs of the student that a step reads: projected maps, logits through each classifier, and its own at last.
fn student_outputs<'a>(teachers: &'a [Teaching], settings: &SharedHeadSettings) -> Vec<&'a str> {
    let projected = teachers.iter().map(|teacher| teacher.names.projected.as_str());
    let logits = teachers.iter().map(|teacher| teacher.names.logits.as_str());
    let own = settings.has_own_head().then_some(OWN_LOGITS);
    projected.chain(logits).chain(own).collect()
}

impl Objective for SharedHead {
    fn step(&mut self, images: &Tensor, labels: &Tensor, at: &Moment) -> Result<StepReport> {
        let (mut watch, mut times) = (Stopwatch::start(), StepTimes::default());
        let teacher_rate = self.teacher_rate(at);
        let adapts = teacher_rate > 0.0;
        let teacher_mode = if adapts {
            PassMode::FrozenStatistics
        } else {
            PassMode::Inference
        };
        let (mut taught, mut tapes) = (Vec::new(), Vec::new());
        for teacher in &mut self.teachers {
            let (outputs, tape) = teacher
                .network
                .record(images, teacher_mode, &[CLASSIFIER_MAP, LOGITS])?;
            let [features, logits] = exactly(outputs)?;
            taught.push(Taught { features, logits });
            tapes.push(tape);
        }
        let teacher_logits: Vec<&Tensor> = taught.iter().map(|taught| &taught.logits).collect();
        let shares = Shares::new(self.weighting, &teacher_logits, labels)?;

        let outputs = student_outputs(&self.teachers, &self.settings);
        let (mut outputs, tape) = self.student.record(images, PassMode::Train, &outputs)?;
        tapes.insert(0, tape);
        let own = self.settings.has_own_head().then(|| outputs.pop()).flatten();
        let through_classifiers = outputs.split_off(taught.len());
        let learned = Learned {
            projected: outputs,
            logits: shares.mean_logits(&through_classifiers)?,
            own,
        };

        let mut report = StepReport::default();
        let loss = self
            .losses((&learned, &taught, &shares), labels, adapts, &mut report)?
            .sum()?;
        let mut networks = vec![(&mut self.student, PassMode::Train)];
        let teachers = self.teachers.iter_mut();
        networks.extend(teachers.map(|teacher| (&mut teacher.network, teacher_mode)));
        report.loss = finite_loss(&loss, at.step, &mut networks, images)?;
        report.correct = count_correct(&learned.logits, labels)?;
        watch.lap(&mut times.forward);

        // the classifiers get gradients here too; they are in no encoder's group, so they move nothing
        let gradients = Tape::gradients(&loss, tapes)?;
        watch.lap(&mut times.backward);
        let mut squares = self.student_optimizer.step(&gradients, at.rate, at.step)?.powi(2);
        if adapts {
            let mut distance = 0.0;
            for teacher in &mut self.teachers {
                let norm = teacher
                    .encoder_optimizer
                    .step(&gradients, at.rate * teacher_rate, at.step)?;
                squares += norm.powi(2);
                distance += teacher.encoder_optimizer.anchor_distance()?;
            }
            report.terms.push(("anchor_distance", distance));
        }
        report.terms.push(("gradient_norm", squares.sqrt()));
        watch.lap(&mut times.optimizer);
        if adapts {
            let rate = at.rate * self.settings.classifier_rate;
            for (teacher, taught) in self.teachers.iter_mut().zip(&taught) {
                teacher.move_classifier(&taught.features, labels, rate, at.step, &mut times)?;
            }
        }
        report.times = times;
        Ok(report)
    }

    fn network(&mut self) -> &mut Network {
        &mut self.student
    }

    fn teachers(&mut self) -> Vec<&mut Network> {
        self.teachers.iter_mut().map(|teacher| &mut teacher.network).collect()
    }

    fn teachers_move(&self) -> bool {
        self.settings.adaptation.rate > 0.0
    }

    fn state(&self) -> Result<State> {
        let mut state = State::from([
            ("student".to_owned(), self.student.weights()?),
            ("student_momentum".to_owned(), self.student_optimizer.state()?),
        ]);
        for (m, teacher) in self.teachers.iter().enumerate() {
            teacher.store(m, &mut state)?;
        }
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.student.set_weights(group(state, "student")?)?;
        self.student_optimizer
            .restore(group(state, "student_momentum").unwrap_or(&Default::default()))?;
        for (m, teacher) in self.teachers.iter_mut().enumerate() {
            teacher.restore(m, state)?;
        }
        Ok(())
    }
}

impl Adaptive for SharedHead {
    fn adapts(&self, at: &Moment) -> bool {
        self.teacher_rate(at) > 0.0
    }

    /// What follows is SimKD with the other terms.
    fn freeze(&mut self) {
        self.frozen = true;
    }
}

/// The outputs as an array of this length.
pub(super) fn exactly<const N: usize>(outputs: Vec<Tensor>) -> Result<[Tensor; N]> {
    let count = outputs.len();
    outputs
        .try_into()
        .map_err(|_| Error::invalid("network", format!("{N} outputs"), count))
}

#[cfg(test)]
mod tests;
