//! Deep mutual learning: two untrained networks teach each other; the online side of the comparison.

use askd_models::LOGITS;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::divergence::{kl_of_samples, scalar};
use super::settings::{check_temperature, check_weights};
use super::shared_head::exactly;
use crate::Result;
use crate::nn::{Network, PassMode, Sgd, SgdConfig, ops};
use crate::train::{Moment, Objective, State, StepReport, StepTimes, Stopwatch, count_correct, finite_loss, group};

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

/// Student and peer, each with its own optimiser; the peer does not ship.
#[derive(Debug)]
pub struct MutualLearning {
    settings: Dml,
    student: Network,
    peer: Network,
    student_optimizer: Sgd,
    peer_optimizer: Sgd,
}

impl MutualLearning {
    /// Trains both networks on labels and on each other.
    pub fn new(settings: Dml, optimizer: SgdConfig, student: Network, peer: Network) -> Self {
        Self {
            settings,
            student_optimizer: Sgd::new(optimizer, student.trained().clone()),
            peer_optimizer: Sgd::new(optimizer, peer.trained().clone()),
            student,
            peer,
        }
    }
}

impl Objective for MutualLearning {
    /// Both losses are of one pass each; then both networks step.
    fn step(&mut self, images: &Tensor, labels: &Tensor, at: &Moment) -> Result<StepReport> {
        let (mut watch, mut times) = (Stopwatch::start(), StepTimes::default());
        let (outputs, student_tape) = self.student.record(images, PassMode::Train, &[LOGITS])?;
        let [logits] = exactly(outputs)?;
        let (outputs, peer_tape) = self.peer.record(images, PassMode::Train, &[LOGITS])?;
        let [peer_logits] = exactly(outputs)?;
        let mut terms = Vec::new();
        let mut loss_of = |own: &Tensor, other: &Tensor, names: [&'static str; 2]| -> Result<Tensor> {
            let label_loss = ops::cross_entropy(own, labels)?;
            let apart = kl_of_samples(own, &other.detach(), self.settings.temperature)?.mean_all()?;
            terms.extend([(names[0], scalar(&label_loss)?), (names[1], scalar(&apart)?)]);
            let weighted = (apart * self.settings.distillation_weight)?;
            Ok(((label_loss * self.settings.label_weight)? + weighted)?)
        };
        let student_loss = loss_of(&logits, &peer_logits, ["student_ce", "student_kl"])?;
        // each loss reaches its own network alone, so one way back serves both
        let peer_loss = loss_of(&peer_logits, &logits, ["peer_ce", "peer_kl"])?;
        let loss = (&student_loss + &peer_loss)?;
        let mode = PassMode::Train;
        let networks = &mut [(&mut self.student, mode), (&mut self.peer, mode)];
        finite_loss(&loss, at.step, networks, images)?;
        let correct = count_correct(&logits, labels)?;
        watch.lap(&mut times.forward);
        let mut gradients = loss.backward()?;
        student_tape.backward(&mut gradients)?;
        peer_tape.backward(&mut gradients)?;
        watch.lap(&mut times.backward);
        let norm = self.student_optimizer.step(&gradients, at.rate, at.step)?;
        self.peer_optimizer.step(&gradients, at.rate, at.step)?;
        terms.push(("gradient_norm", norm));
        watch.lap(&mut times.optimizer);
        Ok(StepReport {
            loss: scalar(&student_loss)?,
            correct,
            terms,
            times,
            ..StepReport::default()
        })
    }

    fn network(&mut self) -> &mut Network {
        &mut self.student
    }

    fn state(&self) -> Result<State> {
        Ok(State::from([
            ("student".to_owned(), self.student.weights()?),
            ("peer".to_owned(), self.peer.weights()?),
            ("student_momentum".to_owned(), self.student_optimizer.state()?),
            ("peer_momentum".to_owned(), self.peer_optimizer.state()?),
        ]))
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let none = Default::default();
        self.student.set_weights(group(state, "student")?)?;
        self.peer.set_weights(group(state, "peer")?)?;
        self.student_optimizer
            .restore(group(state, "student_momentum").unwrap_or(&none))?;
        self.peer_optimizer
            .restore(group(state, "peer_momentum").unwrap_or(&none))
    }
}
