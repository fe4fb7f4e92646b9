//! How long a run will take and how much memory it needs: a few of its steps, measured on its own data.
//!
//! Nothing is written. Steps in which a teacher adapts cost more than those in which it is frozen: both are measured, and
//! count as often as the run has them.

mod measure;

use std::fmt;
use std::time::Instant;

use candle_core::Device;
use serde::Serialize;

use self::measure::{Costs, evaluation_seconds, step_costs};
use crate::Result;
use crate::distill::ProjectorCost;
use crate::train::{Moment, Prepared, Recipe};

/// What a recipe costs on this machine.
#[derive(Debug, Clone, Serialize)]
pub struct Estimate {
    /// Training images a second; evaluation is left out.
    pub images_per_second: f64,
    /// Milliseconds a step, from asking for its images to the moved weights; mean over the run.
    pub step_ms: f64,
    /// Seconds an epoch: its steps, and the passes over the validation images that follow.
    pub epoch_seconds: f64,
    /// Seconds for the whole recipe: reading the data, all epochs, and the evaluation of the best weights on validation and
    /// test images at the end, the teacher's on test images included. Checkpoints are left out.
    pub total_seconds: f64,
    /// Most memory that the process has had so far, mapped files included, MiB; absent where the system does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_rss_mib: Option<f64>,
    /// What a step's time is spent on.
    pub shares: Shares,
    /// What the projectors cost in the student that would ship; absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub projector: Option<ProjectorCost>,
}

/// Parts of a step's time, percent: 100 together.
#[derive(Debug, Clone, Serialize)]
pub struct Shares {
    /// All networks' passes, and the losses.
    pub forward: f64,
    /// Gradients.
    pub backward: f64,
    /// The optimisers.
    pub optimizer: f64,
    /// Waiting for images and handing them over.
    pub data: f64,
}

/// Measures a few steps of every kind that the recipe has, and an evaluation pass.
///
/// # Errors
/// Those of [`train`](crate::train::train), but for files that it would write.
pub fn estimate(recipe: &Recipe, device: &Device) -> Result<Estimate> {
    let started = Instant::now();
    let mut run = Prepared::new(recipe, device)?;
    let reading = started.elapsed().as_secs_f64();
    let batches = run.training.batches_per_epoch();
    let mut costs = Costs::default();
    for stretch in stretches(recipe, batches) {
        let measured = step_costs(&mut run, recipe, device, &stretch)?;
        costs.add(&measured.scaled_to(stretch.steps));
    }

    let student = evaluation_seconds(run.objective.network(), &run.test)?;
    let mut teacher = 0.0;
    for network in run.objective.teachers() {
        teacher += evaluation_seconds(network, &run.test)?;
    }
    let moves = run.objective.teachers_move();
    let test = run.test.set.len() as f64;
    let validation = run.validation.as_ref().map_or(0.0, |loader| loader.set.len() as f64);
    let after_epoch = validation * (student + if moves { teacher } else { 0.0 });
    // the teachers on test images before the run, and after it where they moved
    let around = test * teacher * if moves { 2.0 } else { 1.0 };
    let epochs = recipe.steps(batches).div_ceil(batches) as f64;
    let step = costs.seconds / costs.steps;
    Ok(Estimate {
        images_per_second: costs.images / costs.seconds,
        step_ms: 1e3 * step,
        epoch_seconds: step * batches as f64 + after_epoch,
        total_seconds: reading + costs.seconds + epochs * after_epoch + around + (validation + test) * student,
        peak_rss_mib: peak_rss_mib(),
        shares: costs.shares(),
        projector: recipe.projector_cost()?,
    })
}

/// Steps of a run that cost the same.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stretch {
    /// A moment among them.
    at: Moment,
    /// How many there are.
    steps: usize,
}

/// The kinds of steps that a recipe has: with a frozen teacher or none, and with one that adapts.
fn stretches(recipe: &Recipe, batches: usize) -> Vec<Stretch> {
    let (total, whole) = (recipe.steps(batches), recipe.epochs * batches);
    let step_at = |share: f64| ((share * whole as f64).ceil() as usize).min(total);
    let settings = recipe.distillation.as_ref().and_then(|d| d.method.shared_head());
    let [start, stop] = match settings.map(|settings| settings.adaptation) {
        Some(adaptation) if adaptation.rate > 0.0 => [adaptation.start, adaptation.stop].map(step_at),
        _ => [0, 0],
    };
    // from the middle of a kind, so that rounding at its ends does not matter
    let frozen_at = if start > 0 {
        start / 2
    } else {
        usize::midpoint(stop, total)
    };
    let kinds = [
        (frozen_at, total - (stop - start)),
        (usize::midpoint(start, stop), stop - start),
    ];
    let present = kinds.into_iter().filter(|(_, steps)| *steps > 0);
    present
        .map(|(step, steps)| Stretch {
            at: Moment::new(recipe, batches, step),
            steps,
        })
        .collect()
}

/// The process's largest resident set so far, MiB; `None` where the system does not tell.
pub fn peak_rss_mib() -> Option<f64> {
    high_water_mark(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// `VmHWM` of Linux's process status, in MiB.
///
/// Source: proc_pid_status(5).
fn high_water_mark(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shares {
            forward,
            backward,
            optimizer,
            data,
        } = self.shares;
        writeln!(
            f,
            "{:.1} images/s, {:.1} ms a step:",
            self.images_per_second, self.step_ms
        )?;
        writeln!(
            f,
            "forward {forward:.1} %, backward {backward:.1} %, optimiser {optimizer:.1} %, data {data:.1} %"
        )?;
        writeln!(f, "an epoch: {}, validation included", duration(self.epoch_seconds))?;
        write!(
            f,
            "the whole recipe: {}, evaluation included",
            duration(self.total_seconds)
        )?;
        if let Some(peak) = self.peak_rss_mib {
            write!(f, "\npeak memory: {peak:.0} MiB")?;
        }
        match &self.projector {
            Some(projector) => write!(f, "\nships with a {projector}"),
            None => Ok(()),
        }
    }
}

/// Seconds in the units that people plan with.
fn duration(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests;
