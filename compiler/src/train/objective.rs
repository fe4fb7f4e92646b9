//! What one training step does: the part in which methods differ.

use std::time::{Duration, Instant};

use candle_core::Tensor;

use super::Recipe;
use crate::Result;
use crate::distill::Incident;
use crate::nn::Network;
use crate::weights::Weights;

/// A training method, with the networks it moves.
pub trait Objective {
    /// One optimiser step.
    ///
    /// # Shapes
    /// - `images`: `(N, C, H, W)`, normalised; `labels`: u32 `(N)`
    ///
    /// # Errors
    /// [`crate::Error::NotFinite`] with the layer, [`crate::Error::Tensor`].
    fn step(&mut self, images: &Tensor, labels: &Tensor, at: &Moment) -> Result<StepReport>;

    /// Tells of the images that are trained with, by their classes, before the first step and before [`Self::restore`].
    ///
    /// # Errors
    /// [`crate::Error::Tensor`].
    fn meet(&mut self, _classes: &[u32]) -> Result<()> {
        Ok(())
    }

    /// Tells which of them the next step's images are, by their positions.
    fn expect(&mut self, _positions: &[u32]) {}

    /// The network that ships; its logits are the predictions.
    fn network(&mut self) -> &mut Network;

    /// Everything that the next step depends on: weights, statistics, momentum, in named groups.
    ///
    /// # Errors
    /// [`crate::Error::Tensor`].
    fn state(&self) -> Result<State>;

    /// Takes over a state that [`Self::state`] gave.
    ///
    /// # Errors
    /// [`crate::Error::WeightsMismatch`] or [`crate::Error::InvalidValue`] if it is another objective's.
    fn restore(&mut self, state: &State) -> Result<()>;

    /// The teachers, in the recipe's order.
    fn teachers(&mut self) -> Vec<&mut Network> {
        Vec::new()
    }

    /// Whether the teachers ever move: then they are measured beside the student.
    fn teachers_move(&self) -> bool {
        false
    }

    /// What ended the teachers' adaptation before its time, if something did.
    fn incident(&self) -> Option<Incident> {
        None
    }
}

/// Named groups of tensors.
pub type State = std::collections::BTreeMap<String, Weights>;

/// Where a run stands when a step is taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// Optimiser steps taken before this one.
    pub step: usize,
    /// Epochs that were over before it.
    pub epoch: usize,
    /// Share of the whole recipe done, `0..1`.
    pub progress: f64,
    /// Learning rate of this step.
    pub rate: f64,
}

impl Moment {
    /// Step number `step` of a run with so many batches an epoch.
    pub(crate) fn new(recipe: &Recipe, batches: usize, step: usize) -> Self {
        let epoch = step as f64 / batches as f64;
        let epochs = recipe.epochs as f64;
        Self {
            step,
            epoch: step / batches.max(1),
            progress: epoch / epochs,
            rate: recipe.schedule.rate(epoch, epochs),
        }
    }
}

/// What a step measured.
#[derive(Debug, Clone, Default)]
pub struct StepReport {
    /// The value that was minimised, mean over the batch.
    pub loss: f64,
    /// Images whose class was predicted before the step.
    pub correct: usize,
    /// The loss's parts and other quantities worth following, by name.
    pub terms: Vec<(&'static str, f64)>,
    /// How long its parts took.
    pub times: StepTimes,
    /// What ended the teachers' adaptation in this step, if something did.
    pub incident: Option<Incident>,
}

/// How long the parts of a step took. A GPU works beside the program: what it has not done at the end of a part counts in
/// the one that waits for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct StepTimes {
    /// All networks' passes, with losses and predictions.
    pub forward: Duration,
    /// Gradients.
    pub backward: Duration,
    /// What the optimisers do with them.
    pub optimizer: Duration,
}

/// Cuts the time of a step into its parts.
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts the first part.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Adds the time since the start or the last lap to `part`.
    pub(crate) fn lap(&mut self, part: &mut Duration) {
        let now = Instant::now();
        *part += now - self.0;
        self.0 = now;
    }
}

/// Number of images whose largest logit is their label's.
///
/// # Errors
/// [`crate::Error::Tensor`] if the shapes do not fit.
pub(crate) fn count_correct(logits: &Tensor, labels: &Tensor) -> Result<usize> {
    let predicted = logits.detach().argmax(candle_core::D::Minus1)?;
    Ok(predicted
        .eq(labels)?
        .to_dtype(candle_core::DType::U32)?
        .sum_all()?
        .to_scalar::<u32>()? as usize)
}
