//! What an ONNX model says of itself beyond its graph.

use std::collections::BTreeMap;

use askd_runtime::{Batch, Input, SCHEMA};

use crate::{Error, Result};

/// Batch, producer and metadata of an ONNX model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelInfo {
    /// How many images one run takes.
    pub batch: Batch,
    /// Metadata properties, beside `network`, which is always written.
    pub metadata: BTreeMap<String, String>,
    /// Name of the program that writes the model.
    pub producer_name: String,
    /// Its version.
    pub producer_version: String,
}

impl ModelInfo {
    /// A model without labels or preprocessing, written by this crate.
    pub fn new(batch: Batch) -> Self {
        Self {
            batch,
            metadata: BTreeMap::new(),
            producer_name: env!("CARGO_PKG_NAME").to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Adds the metadata that lets a model be used without its bundle: `labels`, a JSON array of K class names in the
    /// order of the logits; `preprocessing`, the JSON object that `askd.json` calls `input`; `schema`, the version of
    /// both forms.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if a value has no JSON form.
    pub fn describe(mut self, input: &Input, labels: &[String], temperature: f32) -> Result<Self> {
        let invalid = |error: serde_json::Error| Error::invalid("model metadata", "values with a JSON form", error);
        let properties = [
            ("labels", serde_json::to_string(labels).map_err(invalid)?),
            ("preprocessing", serde_json::to_string(input).map_err(invalid)?),
            ("schema", SCHEMA.to_string()),
            ("temperature", temperature.to_string()),
        ];
        self.metadata
            .extend(properties.map(|(key, value)| (key.to_owned(), value)));
        Ok(self)
    }
}
