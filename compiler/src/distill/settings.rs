//! `[distillation]` of a recipe: the method, the teachers, and how these share a student.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Method, Mode};
use crate::{Error, Result};

/// Key of the teachers in a recipe.
pub(super) const TEACHERS: &str = "distillation.teachers";

/// Who teaches, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distillation {
    /// The method with its settings.
    pub method: Method,
    /// How several teachers' losses are weighted.
    pub weighting: Weighting,
    /// The teachers, each pretrained; none for mutual learning.
    #[serde(default)]
    pub teachers: Vec<Teacher>,
}

/// A pretrained network that teaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Teacher {
    /// Registered network.
    pub network: String,
    /// Its checkpoint, `.safetensors` or `.pth`.
    pub weights: PathBuf,
    /// SHA-256 of that file, hexadecimal.
    pub digest: String,
}

/// Weights of several teachers' losses; their sum is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Weighting {
    /// Each the same.
    Uniform,
    /// For each image `(1 - softmax over teachers of CE) / (M - 1)`, in training only.
    ///
    /// Source: H. Zhang et al. 2022, arXiv:2201.00007.
    Confidence,
}

impl Distillation {
    /// One teacher with `method`.
    ///
    /// # Errors
    /// [`Error::Io`] if the checkpoint cannot be read.
    pub fn new(method: Method, network: &str, weights: &Path) -> Result<Self> {
        Ok(Self {
            method,
            weighting: Weighting::Uniform,
            teachers: vec![Teacher::new(network, weights)?],
        })
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::InvalidValue`].
    pub fn check(&self) -> Result<()> {
        self.method.check()?;
        let (name, count) = (self.method.name(), self.teachers.len());
        let takes = self.method.teachers();
        if !takes.contains(&count) {
            let how = "by --teacher and --teacher-weights or in a recipe";
            let expected = match (takes.start(), takes.end()) {
                (_, 0) => format!("none for method {name}"),
                (2.., _) => format!("two or more for method {name}, {how}"),
                _ if count == 0 => format!("a teacher for method {name}, {how}"),
                _ => format!("one for method {name}"),
            };
            let got = if count == 0 {
                "none".to_owned()
            } else {
                count.to_string()
            };
            return Err(Error::invalid(TEACHERS, expected, got));
        }
        match (&self.method, count) {
            (Method::Simkd(settings), _) if settings.mode != Mode::SharedHead => {
                let key = "distillation.method.mode";
                return Err(Error::invalid(key, "shared-head for method simkd", "official-code"));
            }
            (Method::Atsc(settings), 2..) if settings.mode == Mode::OfficialCode => {
                return Err(Error::invalid(TEACHERS, "one in mode official-code", count));
            }
            (Method::Simkd(settings) | Method::Atsc(settings), 1) if settings.shared_trunk => {
                let key = "distillation.method.shared_trunk";
                return Err(Error::invalid(key, "false for a single teacher", true));
            }
            (_, 1) if self.weighting == Weighting::Confidence => {
                let key = "distillation.weighting";
                return Err(Error::invalid(key, "uniform for a single teacher", "confidence"));
            }
            (Method::Atsc(_), _) => {}
            (_, 2..) if self.weighting == Weighting::Confidence => {
                let key = "distillation.weighting";
                return Err(Error::invalid(key, format!("uniform for method {name}"), "confidence"));
            }
            _ => {}
        }
        Ok(())
    }
}

impl Teacher {
    /// A teacher with the digest of its checkpoint as it is now.
    ///
    /// # Errors
    /// [`Error::Io`] if the checkpoint cannot be read.
    pub fn new(network: &str, weights: &Path) -> Result<Self> {
        Ok(Self {
            network: network.to_owned(),
            weights: weights.to_owned(),
            digest: digest_of(weights)?,
        })
    }

    /// Checks that the checkpoint is the one whose digest this is.
    ///
    /// # Errors
    /// [`Error::Malformed`] if it is another, [`Error::Io`].
    pub fn check_digest(&self) -> Result<()> {
        let found = digest_of(&self.weights)?;
        if found == self.digest {
            return Ok(());
        }
        let expected = format!("the checkpoint that the recipe was made with, SHA-256 {}", self.digest);
        Err(Error::malformed(&self.weights, expected, found))
    }
}

fn digest_of(file: &Path) -> Result<String> {
    let bytes = std::fs::read(file).map_err(Error::io(file))?;
    Ok(askd_runtime::sha256_hex(&bytes))
}

/// Checks weights of losses and multipliers of rates, keys of `[distillation.method]`.
pub(super) fn check_weights(weights: &[(&str, f64)]) -> Result<()> {
    match weights.iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0)) {
        Some((key, value)) => {
            let key = format!("distillation.method.{key}");
            Err(Error::invalid(key, "a number, 0 or more", value))
        }
        None => Ok(()),
    }
}

/// Checks a temperature, a key of `[distillation.method]`.
pub(super) fn check_temperature(temperature: f64) -> Result<()> {
    if temperature.is_finite() && temperature > 0.0 {
        return Ok(());
    }
    Err(Error::invalid(
        "distillation.method.temperature",
        "a positive number",
        temperature,
    ))
}
