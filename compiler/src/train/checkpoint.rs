//! What a killed run resumes from: one file with every tensor and where the run stood.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::State;
use crate::weights::{Weights, load_with_metadata, save_safetensors};
use crate::{Error, Result, files};

/// Directory of checkpoints in a run directory.
const DIRECTORY: &str = "checkpoints";

/// Key of the position in the file's metadata.
const POSITION: &str = "position";

/// Between a group's name and a tensor's: no parameter name has it.
const SEPARATOR: char = '/';

/// Checkpoints kept: the newest, and one more in case the machine fails while it is written.
const KEPT: usize = 2;

/// Where a run stands; with the tensors, all that its next step depends on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Epoch, from 0.
    pub(super) epoch: usize,
    /// Batches of that epoch already used.
    pub(super) batch: usize,
    /// Optimiser steps since the start.
    pub(super) step: usize,
    /// Sums over the epoch's batches so far.
    pub(super) sums: Sums,
    /// Best validation top-1 so far, percent, and its epoch.
    pub(super) best: Option<(f64, usize)>,
    /// Training seconds so far.
    pub(super) seconds: f64,
    /// Digest of the recipe, so that a run is not resumed with another one.
    pub(super) recipe: String,
}

/// Running sums of an epoch's training metrics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sums {
    pub(super) images: usize,
    pub(super) correct: usize,
    pub(super) loss: f64,
    pub(super) terms: std::collections::BTreeMap<String, (f64, usize)>,
}

/// Writes a checkpoint, then drops all but the newest few.
pub(super) fn save(run: &Path, position: &Position, state: &State) -> Result<()> {
    let directory = run.join(DIRECTORY);
    files::create_dir(&directory)?;
    let path = directory.join(format!("step-{:09}.safetensors", position.step));
    let tensors: Weights = state
        .iter()
        .flat_map(|(group, weights)| {
            weights
                .iter()
                .map(move |(name, tensor)| (format!("{group}{SEPARATOR}{name}"), tensor.clone()))
        })
        .collect();
    let text = serde_json::to_string(position).map_err(|e| Error::malformed(&path, "a JSON form", e.to_string()))?;
    save_safetensors(&path, &tensors, Some(HashMap::from([(POSITION.to_owned(), text)])))?;
    for old in list(run)?.iter().rev().skip(KEPT) {
        fs::remove_file(old).map_err(Error::io(old))?;
    }
    Ok(())
}

/// The newest checkpoint of a run, if it has one.
pub(super) fn load_newest(run: &Path) -> Result<Option<(Position, State)>> {
    let Some(path) = list(run)?.pop() else { return Ok(None) };
    let (tensors, metadata) = load_with_metadata(&path)?;
    let text = metadata
        .get(POSITION)
        .ok_or_else(|| Error::malformed(&path, "a training checkpoint", "none"))?;
    let position = serde_json::from_str(text);
    let position = position.map_err(|e| Error::malformed(&path, "a training checkpoint", e.to_string()))?;
    let mut state = State::new();
    for (name, tensor) in tensors {
        let parts = name.split_once(SEPARATOR);
        let (group, name) = parts.ok_or_else(|| Error::malformed(&path, "tensors named GROUP/NAME", &name))?;
        state
            .entry(group.to_owned())
            .or_default()
            .insert(name.to_owned(), tensor);
    }
    Ok(Some((position, state)))
}

/// Removes all checkpoints of a run.
pub(super) fn clear(run: &Path) -> Result<()> {
    list(run)?
        .iter()
        .try_for_each(|path| fs::remove_file(path).map_err(Error::io(path)))
}

/// Checkpoint files, oldest first.
fn list(run: &Path) -> Result<Vec<PathBuf>> {
    let directory = run.join(DIRECTORY);
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(&directory).map_err(Error::io(&directory))? {
        let path = entry.map_err(Error::io(&directory))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("step-") && name.ends_with(".safetensors") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
