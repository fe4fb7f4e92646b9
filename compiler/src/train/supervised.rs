//! Plain training: cross-entropy on labels.

use askd_models::LOGITS;
use candle_core::Tensor;

use super::objective::{Moment, Objective, State, StepReport, StepTimes, Stopwatch, count_correct};
use crate::nn::{Network, PassMode, Sgd, SgdConfig, Tape, ops};
use crate::weights::Weights;
use crate::{Error, Result};

/// One network, cross-entropy, SGD.
#[derive(Debug)]
pub struct Supervised {
    network: Network,
    optimizer: Sgd,
}

impl Supervised {
    /// Trains `network`.
    pub fn new(network: Network, config: SgdConfig) -> Self {
        let optimizer = Sgd::new(config, network.trained().clone());
        Self { network, optimizer }
    }
}

impl Objective for Supervised {
    fn step(&mut self, images: &Tensor, labels: &Tensor, at: &Moment) -> Result<StepReport> {
        let (mut watch, mut times) = (Stopwatch::start(), StepTimes::default());
        let (mut outputs, tape) = self.network.record(images, PassMode::Train, &[LOGITS])?;
        let logits = outputs.remove(0);
        let loss = ops::cross_entropy(&logits, labels)?;
        let value = finite_loss(&loss, at.step, &mut [(&mut self.network, PassMode::Train)], images)?;
        let correct = count_correct(&logits, labels)?;
        watch.lap(&mut times.forward);
        let gradients = Tape::gradients(&loss, [tape])?;
        watch.lap(&mut times.backward);
        self.optimizer.step(&gradients, at.rate, at.step)?;
        watch.lap(&mut times.optimizer);
        Ok(StepReport {
            loss: value,
            correct,
            times,
            ..StepReport::default()
        })
    }

    fn network(&mut self) -> &mut Network {
        &mut self.network
    }

    fn state(&self) -> Result<State> {
        Ok(State::from([
            ("network".to_owned(), self.network.weights()?),
            ("momentum".to_owned(), self.optimizer.state()?),
        ]))
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.network.set_weights(group(state, "network")?)?;
        self.optimizer
            .restore(group(state, "momentum").unwrap_or(&Weights::new()))
    }
}

/// The named group of a state.
///
/// # Errors
/// [`Error::InvalidValue`] if the state is another objective's.
pub(crate) fn group<'a>(state: &'a State, name: &str) -> Result<&'a Weights> {
    let available = || state.keys().cloned().collect::<Vec<_>>().join(", ");
    state
        .get(name)
        .ok_or_else(|| Error::invalid("checkpoint", format!("a group \"{name}\""), available()))
}

/// The loss as a number.
///
/// # Errors
/// [`Error::NotFinite`] naming the first layer of these networks that gives something not finite for these images.
pub(crate) fn finite_loss(
    loss: &Tensor,
    step: usize,
    networks: &mut [(&mut Network, PassMode)],
    images: &Tensor,
) -> Result<f64> {
    let value = loss.to_dtype(candle_core::DType::F64)?.to_scalar::<f64>()?;
    if value.is_finite() {
        return Ok(value);
    }
    let mut layer = "loss".to_owned();
    for (network, mode) in networks {
        if let Some(found) = network.first_non_finite(images, *mode)? {
            layer = format!("{} of {}", found, network.graph().name());
            break;
        }
    }
    let what = "output";
    Err(Error::NotFinite { what, step, layer })
}
