//! Weights as safetensors files.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::{HostTensor, Weights};
use crate::{Error, Result, files};

/// Reads every floating-point tensor of a safetensors file as f32; integer tensors (batch counters) are left out.
///
/// # Errors
/// [`Error::Io`], [`Error::Malformed`].
pub fn load_safetensors(path: impl AsRef<Path>) -> Result<Weights> {
    Ok(load_with_metadata(path.as_ref())?.0)
}

/// As [`load_safetensors`], with the file's metadata.
///
/// # Errors
/// [`Error::Io`], [`Error::Malformed`].
pub fn load_with_metadata(path: &Path) -> Result<(Weights, HashMap<String, String>)> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let malformed = |got: String| Error::malformed(path, "a safetensors file of f32 or f64 tensors", got);
    let file = SafeTensors::deserialize(&bytes).map_err(|error| malformed(error.to_string()))?;
    let mut weights = Weights::new();
    for (name, view) in file.iter() {
        let data = match view.dtype() {
            Dtype::F32 => view
                .data()
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
            Dtype::F64 => {
                let value = |b: &[u8]| f64::from_le_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32;
                view.data().chunks_exact(8).map(value).collect()
            }
            Dtype::I64 | Dtype::I32 | Dtype::U8 | Dtype::BOOL => continue,
            other => return Err(malformed(format!("tensor \"{name}\" of type {other:?}"))),
        };
        weights.insert(name.to_owned(), HostTensor::new(view.shape().to_vec(), data));
    }
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(|error| malformed(error.to_string()))?;
    Ok((weights, header.metadata().clone().unwrap_or_default()))
}

/// Writes tensors as a safetensors file of f32, whole or not at all.
///
/// # Errors
/// [`Error::Io`].
pub fn save_safetensors(path: &Path, weights: &Weights, metadata: Option<HashMap<String, String>>) -> Result<()> {
    let bytes: Vec<(&String, &[usize], Vec<u8>)> = weights
        .iter()
        .map(|(name, tensor)| {
            (
                name,
                tensor.shape.as_slice(),
                tensor.data.iter().flat_map(|value| value.to_le_bytes()).collect(),
            )
        })
        .collect();
    let mut views = Vec::with_capacity(bytes.len());
    for (name, shape, data) in &bytes {
        let view = TensorView::new(Dtype::F32, shape.to_vec(), data).map_err(|error| {
            Error::malformed(path, format!("tensor \"{name}\" of shape {shape:?}"), error.to_string())
        })?;
        views.push((*name, view));
    }
    let file = safetensors::serialize(views, metadata)
        .map_err(|error| Error::malformed(path, "serialisable tensors", error.to_string()))?;
    files::write_atomically(path, &file)
}
