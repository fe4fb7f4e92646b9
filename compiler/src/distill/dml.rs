//! Deep mutual learning: two untrained networks teach each other; the online side of the comparison.

use askd_models::LOGITS;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::divergence::{kl_of_samples, scalar};
use super::settings::{check_temperature, check_weights};
use super::shared_head::exactly;
use crate::Result;
use crate::nn::{Network, PassMode, Sgd, SgdConfig, Tape, ops};
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

    /// The network that learns beside the student.
    pub fn peer(&self) -> &Network {
        &self.peer
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
        let gradients = Tape::gradients(&loss, [student_tape, peer_tape])?;
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

#[cfg(test)]
mod tests {
    use super::super::testing::{SGD, batch, check_restore, moment, network, states};
    use super::*;
    use crate::train::Supervised;

    fn mutual(distillation_weight: f64) -> MutualLearning {
        let settings = Dml {
            distillation_weight,
            ..Dml::default()
        };
        MutualLearning::new(settings, SGD, network("resnet8", 1), network("resnet14", 2))
    }

    #[test]
    fn without_the_others_weight_both_train_alone() {
        let mut together = mutual(0.0);
        let mut alone = [("resnet8", 1), ("resnet14", 2)].map(|(name, seed)| Supervised::new(network(name, seed), SGD));
        for step in 0..3 {
            let (images, labels) = batch(step);
            let got = together.step(&images, &labels, &moment(step)).unwrap();
            let [expected, peer] = alone
                .each_mut()
                .map(|alone| alone.step(&images, &labels, &moment(step)).unwrap());
            assert_eq!((got.loss, got.correct), (expected.loss, expected.correct));
            assert!(got.terms.contains(&("peer_ce", peer.loss)), "{:?}", got.terms);
        }
        let state = together.state().unwrap();
        for (name, alone) in ["student", "peer"].into_iter().zip(alone) {
            let expected = alone.state().unwrap();
            assert_eq!(state[name], expected["network"], "{name}");
            assert_eq!(state[&format!("{name}_momentum")], expected["momentum"], "{name}");
        }
    }

    #[test]
    fn each_learns_from_the_other() {
        let (alone, together) = (states(mutual(0.0), 1), states(mutual(1.0), 1));
        for name in ["student", "peer"] {
            assert_ne!(alone[name], together[name], "{name}");
        }
    }

    /// Neither is changed before the other has learned from it: exchanged, they end the same.
    #[test]
    fn neither_comes_first() {
        let settings = Dml::default();
        let exchanged = MutualLearning::new(settings, SGD, network("resnet14", 2), network("resnet8", 1));
        let (one, other) = (states(mutual(1.0), 3), states(exchanged, 3));
        for [here, there] in [["student", "peer"], ["student_momentum", "peer_momentum"]] {
            assert_eq!(one[here], other[there]);
            assert_eq!(one[there], other[here]);
        }
    }

    #[test]
    fn a_restored_run_goes_on_to_the_same_bits() {
        check_restore(|| mutual(1.0));
    }
}
