//! What a killed run resumes from: one file with every tensor and where the run stood.
//!
//! A checkpoint holds all that the rest of the run depends on, and what the run has made so far: best weights and the
//! epochs' records. Those lie in files of their own too, which may be newer or older than the checkpoint; on resuming they
//! are made from it again. There is no random state: order and augmentation of the images follow from the recipe's seed,
//! the epoch and the batch's number, rates and whether a teacher adapts from the step.
//!
//! safetensors has no checksum, so the metadata hold one. A damaged checkpoint counts as none.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{EpochRecord, State};
use crate::weights::{Weights, load_with_metadata, save_safetensors};
use crate::{Error, Result, files, progress};

/// Directory of checkpoints in a run directory.
pub(super) const DIRECTORY: &str = "checkpoints";

/// Key of the position in the file's metadata: TOML, which unlike JSON can tell what is infinite or no number.
const POSITION: &str = "position";

/// Key of the content's SHA-256 in the file's metadata.
const DIGEST: &str = "sha256";

/// Between a group's name and a tensor's: no parameter name has it.
const SEPARATOR: char = '/';

/// Group of the best weights: no objective's group is called so.
const BEST: &str = "@best";

/// Checkpoints kept: the newest, and the one before in case the newest is damaged.
const KEPT: usize = 2;

/// All that a run goes on from.
#[derive(Debug, PartialEq)]
pub(super) struct Checkpoint {
    pub(super) position: Position,
    /// The objective's.
    pub(super) state: State,
    /// The best weights so far.
    pub(super) best: Option<Weights>,
}

/// Where a run stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Epoch, from 0.
    pub(super) epoch: usize,
    /// Batches of that epoch already used.
    pub(super) batch: usize,
    /// Optimiser steps since the start: rates follow from it.
    pub(super) step: usize,
    /// Best validation top-1 so far, percent, and its epoch.
    pub(super) best: Option<(f64, usize)>,
    /// Training seconds so far.
    pub(super) seconds: f64,
    /// SHA-256 of the recipe, so that a run is not resumed with another one.
    pub(super) recipe: String,
    /// SHA-256 of all images, so that a run is not resumed with others.
    pub(super) data: String,
    /// Bytes of the event file that belong to what is done.
    pub(super) events: u64,
    /// Sums over the epoch's batches so far.
    pub(super) sums: Sums,
    /// The epochs done.
    pub(super) records: Vec<EpochRecord>,
}

/// Running sums of an epoch's training metrics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sums {
    pub(super) images: usize,
    pub(super) correct: usize,
    pub(super) loss: f64,
    pub(super) terms: std::collections::BTreeMap<String, (f64, usize)>,
}

/// Writes a checkpoint, then drops all but it and the one before.
pub(super) fn save(run: &Path, checkpoint: Checkpoint) -> Result<()> {
    let Checkpoint {
        position,
        mut state,
        best,
    } = checkpoint;
    let directory = run.join(DIRECTORY);
    files::create_dir(&directory)?;
    let path = directory.join(format!("step-{:09}.safetensors", position.step));
    state.extend(best.map(|best| (BEST.to_owned(), best)));
    let named = |(group, weights): (String, Weights)| {
        let tensors = weights.into_iter();
        tensors.map(move |(name, tensor)| (format!("{group}{SEPARATOR}{name}"), tensor))
    };
    let tensors: Weights = state.into_iter().flat_map(named).collect();
    let position = toml::to_string(&position).map_err(|e| Error::malformed(&path, "a TOML value", e.to_string()))?;
    let digest = digest(&position, &tensors);
    let metadata = [(POSITION, position), (DIGEST, digest)].map(|(key, text)| (key.to_owned(), text));
    save_safetensors(&path, &tensors, Some(HashMap::from(metadata)))?;

    let (newer, mut kept): (Vec<_>, Vec<_>) = list(run)?.into_iter().partition(|other| *other > path);
    kept.truncate(kept.len().saturating_sub(KEPT));
    // what is newer is damaged, and the run was resumed from before it
    newer.iter().chain(&kept).try_for_each(|path| files::remove(path))
}

/// The newest checkpoint of a run that is whole, if it has any; tells of damaged ones on standard error.
///
/// # Errors
/// [`Error::Malformed`] if all are damaged.
pub(super) fn load_newest(run: &Path) -> Result<Option<Checkpoint>> {
    let mut damaged = Vec::new();
    for path in list(run)?.iter().rev() {
        match load(path) {
            Ok(checkpoint) => {
                for error in damaged {
                    progress::warn(&format!("{error}; going on from step {}", checkpoint.position.step));
                }
                return Ok(Some(checkpoint));
            }
            Err(error) => damaged.push(error.to_string()),
        }
    }
    if damaged.is_empty() {
        return Ok(None);
    }
    let got = format!("{}; start the run again without --resume", damaged.join("; "));
    Err(Error::malformed(run.join(DIRECTORY), "a whole checkpoint", got))
}

fn load(path: &Path) -> Result<Checkpoint> {
    let (tensors, metadata) = load_with_metadata(path)?;
    let [position, stored] = [POSITION, DIGEST].map(|key| {
        let missing = || Error::malformed(path, "a training checkpoint", format!("one without {key}"));
        metadata.get(key).ok_or_else(missing)
    });
    let (position, stored) = (position?, stored?);
    let digest = digest(position, &tensors);
    if digest != *stored {
        return Err(Error::malformed(
            path,
            "content with the sha256 it was written with",
            digest,
        ));
    }
    let position = toml::from_str(position)
        .map_err(|error| Error::malformed(path, "a training checkpoint", error.message().replace('\n', " ")))?;
    let mut state = State::new();
    for (name, tensor) in tensors {
        let parts = name.split_once(SEPARATOR);
        let (group, name) = parts.ok_or_else(|| Error::malformed(path, "tensors named GROUP/NAME", &name))?;
        let group = state.entry(group.to_owned()).or_default();
        group.insert(name.to_owned(), tensor);
    }
    let best = state.remove(BEST);
    Ok(Checkpoint { position, state, best })
}

/// SHA-256 over a checkpoint's content, every text and list after its length.
fn digest(position: &str, tensors: &Weights) -> String {
    let mut hash = Sha256::new();
    let mut update = |length: usize, bytes: &[u8]| {
        hash.update((length as u64).to_le_bytes());
        hash.update(bytes);
    };
    update(position.len(), position.as_bytes());
    for (name, tensor) in tensors {
        update(name.len(), name.as_bytes());
        let shape = tensor.shape.iter().flat_map(|dim| (*dim as u64).to_le_bytes());
        update(tensor.shape.len(), &shape.collect::<Vec<u8>>());
        let values = tensor.data.iter().flat_map(|value| value.to_le_bytes());
        update(tensor.data.len(), &values.collect::<Vec<u8>>());
    }
    format!("{:x}", hash.finalize())
}

/// Removes all checkpoints of a run, the newest last.
pub(super) fn clear(run: &Path) -> Result<()> {
    list(run)?.iter().try_for_each(|path| files::remove(path))
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

#[cfg(test)]
mod tests;
