//! PyTorch checkpoints: the zip files of PyTorch 1.6 and later, and the older ones, pickles with the storages behind them.
//!
//! Nothing in a file is executed. Both formats describe tensors by a pickle, of which only what stands for tensors has a meaning here;
//! sizes and offsets are held against the file before anything is allocated.
//!
//! Source: PyTorch's `torch/serialization.py` (`_save`, `_legacy_save`) and `torch/_weights_only_unpickler.py`.

mod legacy;
mod pickle;
mod state_dict;
mod tensor;
#[cfg(test)]
mod tests;
mod zipped;

use std::path::Path;

use super::Weights;
use crate::{Error, Result};

/// What a file has in the place of what it should have, as [`Error::Malformed`] tells it.
type Damage = String;

/// Reads every floating-point tensor of a checkpoint as f32; integer tensors (batch counters) are left out.
///
/// # Errors
/// [`Error::Io`], [`Error::Malformed`].
pub(super) fn load(path: &Path) -> Result<Weights> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    read(&bytes).map_err(|got| Error::malformed(path, "a PyTorch checkpoint", got))
}

fn read(bytes: &[u8]) -> std::result::Result<Weights, Damage> {
    if zipped::is_zip(bytes) {
        zipped::read(bytes)
    } else if legacy::is_legacy(bytes) {
        legacy::read(bytes)
    } else {
        Err("neither a zip file nor PyTorch's magic number".to_owned())
    }
}
