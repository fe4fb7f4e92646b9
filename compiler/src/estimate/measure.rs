//! The measuring itself: steps and evaluation passes against the clock.

use std::time::{Duration, Instant};

use candle_core::Device;

use super::{Shares, Stretch};
use crate::Result;
use crate::data::Loader;
use crate::evaluate::predict;
use crate::nn::Network;
use crate::train::{Prepared, Recipe, StepReport, tensors};

/// Of every kind at least so many steps are measured, for at least so long.
const LEAST_STEPS: usize = 10;
const LEAST_TIME: Duration = Duration::from_secs(5);

/// But after so long no other step is begun.
const MOST_TIME: Duration = Duration::from_secs(10);

/// Batches of an evaluation pass that is measured, after one that warms up.
const EVALUATION_BATCHES: usize = 4;

/// Sums over steps; times in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Costs {
    pub(super) steps: f64,
    pub(super) images: f64,
    pub(super) seconds: f64,
    forward: f64,
    backward: f64,
    optimizer: f64,
    data: f64,
}

impl Costs {
    /// One step, with how long it took and how long it had to do with its images.
    fn of(report: &StepReport, images: usize, took: Duration, data: Duration) -> Self {
        Self {
            steps: 1.0,
            images: images as f64,
            seconds: took.as_secs_f64(),
            forward: report.times.forward.as_secs_f64(),
            backward: report.times.backward.as_secs_f64(),
            optimizer: report.times.optimizer.as_secs_f64(),
            data: data.as_secs_f64(),
        }
    }

    /// What so many such steps cost.
    pub(super) fn scaled_to(self, steps: usize) -> Self {
        let factor = steps as f64 / self.steps;
        Self {
            steps: self.steps * factor,
            images: self.images * factor,
            seconds: self.seconds * factor,
            forward: self.forward * factor,
            backward: self.backward * factor,
            optimizer: self.optimizer * factor,
            data: self.data * factor,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.images += other.images;
        self.seconds += other.seconds;
        self.forward += other.forward;
        self.backward += other.backward;
        self.optimizer += other.optimizer;
        self.data += other.data;
    }

    /// The parts of the steps' time.
    pub(super) fn shares(&self) -> Shares {
        let together = self.forward + self.backward + self.optimizer + self.data;
        let percent = |part: f64| 100.0 * part / together;
        Shares {
            forward: percent(self.forward),
            backward: percent(self.backward),
            optimizer: percent(self.optimizer),
            data: percent(self.data),
        }
    }
}

/// Takes steps of one kind: one that warms up, then those that are measured.
pub(super) fn step_costs(run: &mut Prepared, recipe: &Recipe, device: &Device, stretch: &Stretch) -> Result<Costs> {
    let mut epoch = 0;
    let mut batches = run.training.epoch(epoch, 0)?;
    let mut costs = Costs::default();
    let mut begun = None;
    loop {
        let asked = Instant::now();
        let Some(batch) = batches.next() else {
            epoch += 1;
            batches = run.training.epoch(epoch, 0)?;
            continue;
        };
        let batch = batch?;
        let count = batch.len();
        run.objective.expect(&batch.positions);
        let (images, labels) = tensors(batch, recipe.input, device)?;
        let data = asked.elapsed();
        let report = run.objective.step(&images, &labels, &stretch.at)?;
        let Some(begun) = begun else {
            begun = Some(Instant::now());
            continue;
        };
        costs.add(&Costs::of(&report, count, asked.elapsed(), data));
        let steps = costs.steps as usize;
        let enough = steps >= LEAST_STEPS && begun.elapsed() >= LEAST_TIME;
        if enough || steps >= stretch.steps || begun.elapsed() >= MOST_TIME {
            return Ok(costs);
        }
    }
}

/// Seconds that an image takes in an evaluation pass over such images.
pub(super) fn evaluation_seconds(network: &mut Network, loader: &Loader) -> Result<f64> {
    let mut pass = |images: usize| -> Result<(Duration, f64)> {
        let images = images.min(loader.set.len());
        let part = Loader {
            set: loader.set.select(0..images),
            ..loader.clone()
        };
        let started = Instant::now();
        predict(network, &part)?;
        let took = started.elapsed();
        Ok((took, took.as_secs_f64() / images.max(1) as f64))
    };
    let (took, seconds) = pass(loader.batch)?;
    // a pass that takes long has little to warm up
    if took >= LEAST_TIME {
        return Ok(seconds);
    }
    Ok(pass(EVALUATION_BATCHES * loader.batch)?.1)
}
