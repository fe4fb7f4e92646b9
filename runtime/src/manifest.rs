//! `askd.json`: what a bundle holds, what its model takes and gives, and the digests of its files.
//!
//! One set of types for both sides: the compiler fills and writes them, the runtime reads them. Unknown fields are
//! ignored, so a later version may add some without a new schema number. No key may come twice, known or not.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::text::one_line;

mod check;
mod input;
mod structure;

pub use input::{ElementType, Input, Layout, Resize, ResizeMethod, ResizeSize};

/// The schema number this version writes and the only one it reads.
pub const SCHEMA: u32 = 1;

/// File name of the manifest in a bundle directory.
pub const MANIFEST_FILE: &str = "askd.json";

/// The whole of `askd.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Layout version of this file: [`SCHEMA`].
    pub schema: u32,
    /// Rises with every bundle made for one product, so that a device can refuse an older one.
    pub sequence: u64,
    /// The kind of device the bundle is meant for; `generic` runs anywhere.
    pub device_class: String,
    /// The model's input and how an image becomes it.
    pub input: Input,
    /// The model's output.
    pub output: Output,
    /// Class names in the order of the logits; K of them.
    pub labels: Vec<String>,
    /// Divisor of the logits before softmax, fitted on validation data; 1 where it was not.
    pub temperature: f32,
    /// The same network in one or more forms; the first is the default. Never empty.
    pub variants: Vec<Variant>,
    /// Inputs with the outputs that a working device must reproduce.
    pub golden: Golden,
    /// Where the bundle comes from: digests of data and weights, recipe, seed, versions. Free form.
    #[serde(default)]
    pub provenance: Map<String, Value>,
}

/// The model's output tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Name of the ONNX graph output: `logits`.
    pub name: String,
    /// K, the number of classes.
    pub classes: usize,
}

/// One form of the network: an ONNX file and what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Unique in the bundle, such as `fp32`.
    pub name: String,
    /// Arithmetic of the weights and activations, such as `fp32`.
    pub precision: String,
    /// Hardware or provider it is meant for; `any` runs anywhere.
    pub target: String,
    /// The ONNX file's plain name in the bundle directory.
    pub file: String,
    /// Its size, in bytes.
    pub size: u64,
    /// Its SHA-256: 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Version of ONNX's default operator set.
    pub opset: u32,
    /// ONNX IR version.
    pub ir_version: u32,
    /// How many images one run takes.
    pub batch: Batch,
    /// Learned numbers in the model.
    pub parameters: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
    /// Estimated peak of weights and live activations together for one image, in bytes.
    pub peak_memory_bytes: u64,
    /// Measured accuracies, each with the data it was measured on.
    pub accuracy: Vec<Accuracy>,
    /// Golden data of its own, where it gives other logits than the manifest's [`golden`](Manifest::golden), as with integers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<Golden>,
}

/// How many images one run of a variant takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Batch {
    /// Exactly one.
    #[serde(rename = "1")]
    One,
    /// One or more; the caller decides at every run.
    #[serde(rename = "dynamic")]
    Dynamic,
}

/// A measured accuracy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Name of the data set.
    pub data: String,
    /// Its part, such as `test`.
    pub split: String,
    /// Images in that part.
    pub images: u64,
    /// Images whose most likely class is right, in percent, `0..=100`.
    pub top1: f64,
    /// Images whose class is among the five most likely, in percent, `0..=100`.
    pub top5: f64,
}

/// The file of golden inputs and outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    /// The safetensors file's plain name in the bundle directory.
    pub file: String,
    /// Its size, in bytes.
    pub size: u64,
    /// Its SHA-256: 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// N, the number of images in it.
    pub images: usize,
    /// Largest absolute difference of a logit that still passes.
    pub tolerance: f32,
}

impl Manifest {
    /// Reads and checks the contents of `askd.json`.
    ///
    /// # Errors
    /// [`Error::ManifestSyntax`], [`Error::ManifestSchema`] or [`Error::ManifestField`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        // The schema first, alone: a later schema should be reported as such, not as a missing field.
        #[derive(Deserialize)]
        struct Head {
            schema: u64,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(syntax)?;
        if head.schema != u64::from(SCHEMA) {
            return Err(Error::ManifestSchema {
                expected: SCHEMA,
                found: head.schema,
            });
        }
        structure::check(bytes).map_err(syntax)?;
        let manifest: Self = serde_json::from_slice(bytes).map_err(syntax)?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// The text of `askd.json`, indented and with a final newline, after checking it.
    ///
    /// # Errors
    /// [`Error::ManifestField`] where [`validate`](Self::validate) fails.
    pub fn to_json(&self) -> Result<String, Error> {
        self.validate()?;
        let mut text = serde_json::to_string_pretty(self).map_err(syntax)?;
        text.push('\n');
        Ok(text)
    }

    /// Checks every rule that the types alone do not express.
    ///
    /// # Errors
    /// [`Error::ManifestSchema`] for another schema number, [`Error::ManifestField`] for the first field that breaks
    /// its rule.
    pub fn validate(&self) -> Result<(), Error> {
        check::manifest(self)
    }

    /// The variant called `name`.
    ///
    /// # Errors
    /// [`Error::UnknownVariant`] if there is none.
    pub fn variant(&self, name: &str) -> Result<&Variant, Error> {
        self.variants
            .iter()
            .find(|variant| variant.name == name)
            .ok_or_else(|| Error::UnknownVariant {
                name: name.to_owned(),
                available: self.variants.iter().map(|variant| variant.name.clone()).collect(),
            })
    }

    /// The golden data for one of these variants: its own, or else the manifest's.
    pub fn golden_of<'a>(&'a self, variant: &'a Variant) -> &'a Golden {
        variant.golden.as_ref().unwrap_or(&self.golden)
    }
}

fn syntax(source: serde_json::Error) -> Error {
    Error::ManifestSyntax {
        source: one_line(source).into(),
    }
}

#[cfg(test)]
pub(crate) mod tests;
