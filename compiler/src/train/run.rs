//! The training loop.

mod resume;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use askd_models::LOGITS;
use askd_runtime::sha256_hex;
use candle_core::Device;

use super::checkpoint::{Position, Sums};
use super::events::Events;
use super::prepare::{Prepared, tensors};
use super::record::{TeacherResult, write_metrics};
use super::{EpochRecord, Moment, Objective, RESULT_FILE, Recipe, RunResult, StepReport};
use crate::data::Loader;
use crate::evaluate::{Evaluation, predict};
use crate::nn::Network;
use crate::progress::{self, Progress};
use crate::weights::{Weights, save_safetensors};
use crate::{Error, Result, files};

/// The best weights, in a run directory.
pub const BEST_WEIGHTS: &str = "best/weights.safetensors";

/// What a run needs beyond its recipe; none of it changes the result.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Run directory.
    pub out: PathBuf,
    /// Go on from the newest checkpoint in `out`, if there is one.
    pub resume: bool,
    /// Checkpoints are written at the end of every epoch, and within one this often.
    pub checkpoint_interval: Duration,
    /// Where tensors live.
    pub device: Device,
    /// What the progress bar says.
    pub label: String,
}

impl RunOptions {
    /// What [`Self::checkpoint_interval`] is where nobody says otherwise: at most these seconds are lost to a kill.
    pub const CHECKPOINT_SECONDS: u64 = 120;
}

/// Trains as the recipe says and writes the run directory: `recipe.toml`, `checkpoints/`, `metrics.jsonl`,
/// `tensorboard/`, `best/weights.safetensors`, `result.json`.
///
/// The validation images choose the best epoch; the test images are looked at once, at the end. A run that is already in
/// `out` is replaced, unless the options say to resume it.
///
/// # Errors
/// [`Error::InvalidValue`] if the run to resume has another recipe or other data, [`Error::NotFinite`],
/// [`Error::Interrupted`] after a checkpoint, and whatever data and files give.
pub fn train(recipe: &Recipe, options: &RunOptions) -> Result<RunResult> {
    let Prepared {
        objective,
        training,
        validation,
        test,
    } = Prepared::new(recipe, &options.device)?;
    let data_digest = training.set.digest()?;
    let others = validation.iter().chain([&test]).map(|loader| loader.set.digest());
    let all_digests: String = std::iter::once(Ok(data_digest.clone()))
        .chain(others)
        .collect::<Result<_>>()?;
    let mut run = Run {
        recipe,
        options,
        objective,
        loader: training,
        validation,
        position: Position {
            recipe: sha256_hex(recipe.to_toml()?.as_bytes()),
            data: sha256_hex(all_digests.as_bytes()),
            ..Position::default()
        },
        best: None,
        clock: Instant::now(),
    };
    let checkpoint = run.checkpoint_to_resume()?;
    let teachers_before = run.evaluate_teachers(Some(&test))?;
    let events = run.start(checkpoint)?;
    run.train(events)?;
    run.finish(&test, teachers_before, data_digest)
}

struct Run<'a> {
    recipe: &'a Recipe,
    options: &'a RunOptions,
    objective: Box<dyn Objective>,
    loader: Loader,
    validation: Option<Loader>,
    position: Position,
    /// The best weights on validation data so far.
    best: Option<Weights>,
    /// Since the last checkpoint.
    clock: Instant,
}

/// How fast an epoch's steps were; an interrupted epoch's part since the run was resumed.
struct Pace {
    images_per_second: f64,
    data_wait_share: f64,
}

impl Run<'_> {
    fn train(&mut self, mut events: Events) -> Result<()> {
        let per_epoch = self.loader.set.len();
        let total = self.recipe.epochs * per_epoch;
        let done = self.position.epoch * per_epoch + self.position.batch * self.recipe.batch;
        let mut progress = Progress::new(&self.options.label, done, total);
        while !self.is_done() {
            let started = Instant::now();
            let images_before = self.position.sums.images;
            let waited = self.train_epoch(&mut progress, &mut events)?;
            let images = self.position.sums.images - images_before;
            let seconds = started.elapsed().as_secs_f64();
            let record = self.close_epoch(Pace {
                images_per_second: images as f64 / seconds,
                data_wait_share: 100.0 * waited.as_secs_f64() / seconds,
            })?;
            progress.note(&describe(&record));
            events.epoch(&record)?;
            self.position.records.push(record);
            write_metrics(&self.options.out, &self.position.records)?;
            self.save_checkpoint(&events)?;
        }
        Ok(())
    }

    /// Whether the last epoch is closed: a checkpoint can stand between its last step and that.
    fn is_done(&self) -> bool {
        self.position.batch == 0 && (self.position.epoch == self.recipe.epochs || self.is_spent())
    }

    /// Whether `max_steps` allows no further step.
    fn is_spent(&self) -> bool {
        self.recipe.max_steps.is_some_and(|most| self.position.step >= most)
    }

    /// The rest of the current epoch; gives how long steps waited for their images.
    fn train_epoch(&mut self, progress: &mut Progress, events: &mut Events) -> Result<Duration> {
        let mut batches = self.loader.epoch(self.position.epoch, self.position.batch)?;
        while !self.is_spent() {
            let Some(batch) = batches.next() else {
                // behind the last batch there may have been some of nothing but skipped files
                self.position.step = (self.position.epoch + 1) * self.loader.batches_per_epoch();
                break;
            };
            let batch = batch?;
            // batches of nothing but skipped files have their place in the schedule all the same
            self.position.batch = batch.number;
            self.position.step = self.position.epoch * self.loader.batches_per_epoch() + batch.number;
            if self.is_spent() {
                break;
            }
            let count = batch.len();
            self.objective.expect(&batch.positions);
            let (images, labels) = tensors(batch, self.recipe.input, &self.options.device)?;
            let at = self.moment(self.position.step);
            let report = self.objective.step(&images, &labels, &at)?;
            events.step(&at, &report, count)?;
            if let Some(incident) = &report.incident {
                progress.note(&incident.to_string());
            }
            self.position.step += 1;
            self.position.batch += 1;
            self.position.sums.add(&report, count);
            let sums = &self.position.sums;
            let done = self.position.epoch * self.loader.set.len() + sums.images;
            progress.update(done, || {
                format!("loss {:.3} top1 {:.1}%", sums.mean_loss(), sums.top1())
            });
            if progress::interrupted() {
                self.save_checkpoint(events)?;
                return Err(Error::Interrupted {
                    out: self.options.out.clone(),
                });
            }
            if self.clock.elapsed() >= self.options.checkpoint_interval {
                self.save_checkpoint(events)?;
            }
        }
        Ok(batches.waited())
    }

    /// Where the run stands when it takes step number `step`.
    fn moment(&self, step: usize) -> Moment {
        Moment::new(self.recipe, self.loader.batches_per_epoch(), step)
    }

    /// Measures the epoch that just ended, keeps its weights if they are the best, and moves on to the next.
    fn close_epoch(&mut self, pace: Pace) -> Result<EpochRecord> {
        let validation = match &self.validation {
            Some(loader) => Some(predict(self.objective.network(), loader)?.evaluation()),
            None => None,
        };
        let teacher_validation = if self.objective.teachers_move() {
            self.evaluate_teachers(None)?
        } else {
            Vec::new()
        };
        let epoch = self.position.epoch + 1;
        // without validation images the last epoch counts as best
        let top1 = validation.map_or(f64::MAX, |evaluation| evaluation.top1);
        if self.position.best.is_none_or(|(best, _)| top1 >= best) {
            let weights = self.objective.network().weights()?;
            save_safetensors(&self.options.out.join(BEST_WEIGHTS), &weights, None)?;
            self.best = Some(weights);
            self.position.best = Some((top1, epoch));
        }
        let sums = std::mem::take(&mut self.position.sums);
        self.position.epoch = epoch;
        self.position.batch = 0;
        Ok(EpochRecord {
            epoch,
            step: self.position.step,
            learning_rate: self.moment(self.position.step.saturating_sub(1)).rate,
            loss: sums.mean_loss(),
            train_top1: sums.top1(),
            terms: sums
                .terms
                .iter()
                .map(|(name, (sum, count))| (name.clone(), sum / *count as f64))
                .collect(),
            validation,
            teacher_validation,
            images_per_second: pace.images_per_second,
            data_wait_share: pace.data_wait_share,
        })
    }

    /// The teachers' accuracy on `loader`, by default the validation images; of none where there are no images.
    fn evaluate_teachers(&mut self, loader: Option<&Loader>) -> Result<Vec<Evaluation>> {
        let Some(loader) = loader.or(self.validation.as_ref()) else {
            return Ok(Vec::new());
        };
        let evaluate = |teacher: &mut Network| Ok(predict(teacher, loader)?.evaluation());
        self.objective.teachers().into_iter().map(evaluate).collect()
    }

    /// Measures the best weights and writes the result.
    fn finish(mut self, test: &Loader, before: Vec<Evaluation>, data_digest: String) -> Result<RunResult> {
        let after = if self.objective.teachers_move() {
            self.evaluate_teachers(Some(test))?
        } else {
            before.clone()
        };
        let names = self
            .objective
            .teachers()
            .into_iter()
            .map(|teacher| teacher.graph().name().to_owned());
        let teachers = names.zip(before.into_iter().zip(after));
        let teachers = teachers
            .map(|(network, (before, after))| TeacherResult { network, before, after })
            .collect();
        let guard = self.objective.incident();
        let network = self.objective.network();
        if let Some(best) = &self.best {
            network.set_weights(best)?;
        }
        let validation = self
            .validation
            .as_ref()
            .map(|loader| predict(network, loader))
            .transpose()?;
        let on_test = predict(network, test)?.evaluation();
        let shipped = network.graph().keep_outputs(&[LOGITS])?;
        // validation images are of the same files as training images
        let skipped_files = self.loader.set.skipped_files() + test.set.skipped_files();
        if skipped_files > 0 {
            progress::warn(&format!("{skipped_files} corrupt files were skipped"));
        }
        let result = RunResult {
            network: network.graph().name().to_owned(),
            parameters: shipped.parameter_count(),
            macs: shipped.macs(),
            projector: self.recipe.projector_cost()?,
            seed: self.recipe.seed,
            best_epoch: self.position.best.map_or(0, |(_, epoch)| epoch),
            steps: self.position.step,
            temperature: validation
                .as_ref()
                .map_or(1.0, |predictions| predictions.fit_temperature()),
            validation: validation.map(|predictions| predictions.evaluation()),
            test: Some(on_test),
            teachers,
            guard,
            skipped_files,
            data_digest,
            seconds: self.position.seconds,
        };
        files::write_json(&self.options.out.join(RESULT_FILE), &result)?;
        Ok(result)
    }
}

impl Sums {
    fn add(&mut self, report: &StepReport, images: usize) {
        self.images += images;
        self.correct += report.correct;
        self.loss += report.loss * images as f64;
        for (name, value) in &report.terms {
            let (sum, count) = self.terms.entry((*name).to_owned()).or_default();
            *sum += value;
            *count += 1;
        }
    }

    fn mean_loss(&self) -> f64 {
        self.loss / self.images.max(1) as f64
    }

    fn top1(&self) -> f64 {
        100.0 * self.correct as f64 / self.images.max(1) as f64
    }
}

fn describe(record: &EpochRecord) -> String {
    let mut text = format!(
        "epoch {} loss {:.4} train top1 {:.2}%",
        record.epoch, record.loss, record.train_top1
    );
    if let Some(validation) = &record.validation {
        text += &format!(" validation top1 {:.2}%", validation.top1);
    }
    for teacher in &record.teacher_validation {
        text += &format!(" teacher {:.2}%", teacher.top1);
    }
    text + &format!(" {:.0} images/s", record.images_per_second)
}
