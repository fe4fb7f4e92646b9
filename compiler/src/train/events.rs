//! What a run tells TensorBoard: the numbers of `metrics.jsonl` by their keys there, and those of single steps.

use std::path::Path;

use super::{EpochRecord, Moment, StepReport};
use crate::Result;
use crate::evaluate::Evaluation;
use crate::tensorboard::EventFile;

/// Directory of event files in a run directory.
const DIRECTORY: &str = "tensorboard";

/// Every so many steps one is told of.
const STEP_INTERVAL: usize = 50;

/// A run's event file.
#[derive(Debug)]
pub(super) struct Events(EventFile);

impl Events {
    /// Those of a run that goes on from a checkpoint which was written when the file had `kept` bytes; 0 for a fresh run.
    pub(super) fn open(run: &Path, kept: u64) -> Result<Self> {
        Ok(Self(EventFile::replace(&run.join(DIRECTORY), kept)?))
    }

    /// A step with its batch of so many images, if it is one that is told of.
    pub(super) fn step(&mut self, at: &Moment, report: &StepReport, images: usize) -> Result<()> {
        if !at.step.is_multiple_of(STEP_INTERVAL) {
            return Ok(());
        }
        let own = [
            ("learning_rate", at.rate),
            ("loss", report.loss),
            ("train_top1", 100.0 * report.correct as f64 / images as f64),
        ];
        let terms = report.terms.iter().copied();
        self.0.add(at.step, &tagged("step", own.into_iter().chain(terms)))
    }

    /// An epoch that has ended, at the number of steps done.
    pub(super) fn epoch(&mut self, record: &EpochRecord) -> Result<()> {
        let own = [
            ("learning_rate", record.learning_rate),
            ("loss", record.loss),
            ("train_top1", record.train_top1),
            ("images_per_second", record.images_per_second),
            ("data_wait_share", record.data_wait_share),
        ];
        let terms = record.terms.iter().map(|(name, value)| (name.as_str(), *value));
        let mut scalars = tagged("epoch", own.into_iter().chain(terms));
        let students = record
            .validation
            .iter()
            .map(|evaluation| ("validation".to_owned(), evaluation));
        let teachers = record.teacher_validation.iter().enumerate();
        let teachers = teachers.map(|(m, evaluation)| match record.teacher_validation.len() {
            1 => ("teacher_validation".to_owned(), evaluation),
            _ => (format!("teacher{m}_validation"), evaluation),
        });
        for (group, Evaluation { top1, top5, loss, .. }) in students.chain(teachers) {
            let own = [("top1", *top1), ("top5", *top5), ("loss", *loss)];
            scalars.extend(tagged(&group, own.into_iter()));
        }
        self.0.add(record.step, &scalars)
    }

    /// Makes what was told so far last; gives the file's bytes, by which [`Self::open`] finds this point again.
    pub(super) fn sync(&self) -> Result<u64> {
        self.0.sync()
    }
}

fn tagged<'a>(group: &str, values: impl Iterator<Item = (&'a str, f64)>) -> Vec<(String, f64)> {
    values.map(|(name, value)| (format!("{group}/{name}"), value)).collect()
}
