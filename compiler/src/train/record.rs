//! What a run writes down: a JSON line an epoch, and its result.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::distill::{Incident, ProjectorCost};
use crate::evaluate::Evaluation;
use crate::{Error, Result, files};

/// File name of the epochs' records in a run directory.
const METRICS_FILE: &str = "metrics.jsonl";

/// File name of the result in a run directory.
pub const RESULT_FILE: &str = "result.json";

/// One epoch, one line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epochs done, from 1.
    pub epoch: usize,
    /// Optimiser steps done.
    pub step: usize,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Mean training loss.
    pub loss: f64,
    /// Training top-1 during the epoch, percent.
    pub train_top1: f64,
    /// The loss's parts and other quantities, means over the steps that had them.
    pub terms: BTreeMap<String, f64>,
    /// On validation images; absent where none are held out.
    pub validation: Option<Evaluation>,
    /// Each teacher's, where they adapt.
    pub teacher_validation: Vec<Evaluation>,
    /// Training images a second.
    pub images_per_second: f64,
    /// Part of the training time in which a step waited for its images, percent.
    pub data_wait_share: f64,
}

/// `result.json` of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunResult {
    /// What was trained.
    pub network: String,
    /// Trained parameters of what ships.
    pub parameters: usize,
    /// Multiply-accumulates of what ships, for one image.
    pub macs: usize,
    /// What the projectors are of that; none where there are none.
    #[serde(default)]
    pub projector: Option<ProjectorCost>,
    /// Run seed.
    pub seed: u64,
    /// Epoch whose weights are the best on validation data, from 1; the last where none are held out.
    pub best_epoch: usize,
    /// Steps taken.
    pub steps: usize,
    /// The best weights on validation data.
    pub validation: Option<Evaluation>,
    /// The best weights on test data, looked at once, at the end.
    pub test: Option<Evaluation>,
    /// Divisor of the logits fitted on validation data; 1 where none are held out.
    pub temperature: f32,
    /// The teachers on test data, before and after the run.
    pub teachers: Vec<TeacherResult>,
    /// What ended their adaptation before its time; none where nothing did.
    pub guard: Option<Incident>,
    /// Image files that were left out because they could not be decoded.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub skipped_files: usize,
    /// SHA-256 of the training images used.
    pub data_digest: String,
    /// Training seconds, evaluation included, over all resumes.
    pub seconds: f64,
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What happened to a teacher.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TeacherResult {
    /// Registered network.
    pub network: String,
    /// As it came.
    pub before: Evaluation,
    /// As the run left it; the same where it was frozen.
    pub after: Evaluation,
}

/// The records of a run so far.
///
/// # Errors
/// [`Error::Io`], [`Error::Malformed`].
pub fn epoch_records(run: &Path) -> Result<Vec<EpochRecord>> {
    let path = run.join(METRICS_FILE);
    let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
    let record = |line| {
        let record = serde_json::from_str(line);
        record.map_err(|error| Error::malformed(&path, "an epoch's record a line", error.to_string()))
    };
    text.lines().map(record).collect()
}

/// Writes the records of a run. The file is small, so it is written whole each time: a reader never sees half a line.
pub(super) fn write_metrics(run: &Path, records: &[EpochRecord]) -> Result<()> {
    let path = run.join(METRICS_FILE);
    let mut text = String::new();
    for record in records {
        let line = serde_json::to_string(record);
        text += &line.map_err(|e| Error::malformed(&path, "a JSON form", e.to_string()))?;
        text.push('\n');
    }
    files::write_atomically(&path, text.as_bytes())
}
