//! A bundle's facts, after checking every file against its digest.

use std::fmt;
use std::path::{Path, PathBuf};

use askd_models::Shape;
use askd_runtime::{Batch, Manifest, Model};
use serde::Serialize;

use super::grouped;
use crate::Result;
use crate::distill::ProjectorCost;
use crate::train::Recipe;

/// A bundle whose files are what its manifest says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BundleReport {
    /// The directory.
    pub path: PathBuf,
    /// Its models and golden data.
    pub files: Vec<FileReport>,
    /// Size of these files together, in bytes.
    pub bytes: u64,
    /// What the projectors of a distilled student cost, as trained; none where there are none, and where the bundle does not hold
    /// its recipe.
    pub projector: Option<ProjectorCost>,
    /// All of `askd.json`.
    pub manifest: Manifest,
}

/// One checked file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// Its name in the bundle.
    pub name: String,
    /// Its size, in bytes.
    pub size: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// Opens a bundle and checks size and digest of every file of every variant; ONNX Runtime is not needed.
///
/// # Errors
/// [`crate::Error::Runtime`] if the directory is no bundle or a file is not the one the manifest vouches for.
pub fn inspect_bundle(path: impl AsRef<Path>) -> Result<BundleReport> {
    let path = path.as_ref();
    let manifest = Model::open(path)?.manifest().clone();
    for variant in manifest.variants.iter().skip(1) {
        Model::open_variant(path, &variant.name)?;
    }
    let models = manifest.variants.iter().map(|variant| FileReport {
        name: variant.file.clone(),
        size: variant.size,
        sha256: variant.sha256.clone(),
    });
    let golden = FileReport {
        name: manifest.golden.file.clone(),
        size: manifest.golden.size,
        sha256: manifest.golden.sha256.clone(),
    };
    let files: Vec<_> = models.chain([golden]).collect();
    Ok(BundleReport {
        path: path.to_owned(),
        bytes: files.iter().map(|file| file.size).sum(),
        files,
        projector: projector_cost(&manifest),
        manifest,
    })
}

/// What the recipe among a bundle's provenance says, if there is one that describes such a network.
fn projector_cost(manifest: &Manifest) -> Option<ProjectorCost> {
    let text = manifest.provenance.get("recipe")?.as_str()?;
    let recipe: Recipe = toml::from_str(text).ok()?;
    let same = recipe.input == manifest.input.shape && recipe.classes == manifest.output.classes;
    if same { recipe.projector_cost().ok()? } else { None }
}

impl fmt::Display for BundleReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manifest = &self.manifest;
        writeln!(f, "{}: every file has its digest", self.path.display())?;
        let (schema, sequence) = (manifest.schema, manifest.sequence);
        writeln!(
            f,
            "schema {schema}, sequence {sequence}, device class {}",
            manifest.device_class
        )?;
        let input = &manifest.input;
        let (shape, mean, std) = (Shape::Map(input.shape), &input.mean, &input.std);
        writeln!(f, "input {} {shape}, mean {mean:?}, std {std:?}", input.name)?;
        let (output, classes) = (&manifest.output.name, manifest.output.classes);
        writeln!(f, "output {output} ({classes}), temperature {}", manifest.temperature)?;
        // escaped: a label comes from a file
        let labels: Vec<_> = manifest
            .labels
            .iter()
            .map(|label| label.escape_debug().to_string())
            .collect();
        writeln!(f, "labels {}", labels.join(", "))?;
        for variant in &manifest.variants {
            let batch = match variant.batch {
                Batch::One => "1",
                Batch::Dynamic => "dynamic",
            };
            writeln!(
                f,
                "variant {}: {} for {}, batch {batch}, opset {}, IR {}",
                variant.name, variant.precision, variant.target, variant.opset, variant.ir_version
            )?;
            let (parameters, macs) = (grouped(variant.parameters), grouped(variant.macs));
            let peak = grouped(variant.peak_memory_bytes);
            writeln!(f, "  {parameters} parameters, {macs} MACs, peak memory {peak} bytes")?;
            for accuracy in &variant.accuracy {
                let (data, split, images) = (&accuracy.data, &accuracy.split, grouped(accuracy.images));
                let (top1, top5) = (accuracy.top1, accuracy.top5);
                writeln!(
                    f,
                    "  {data} {split}: top-1 {top1:.2} %, top-5 {top5:.2} % of {images} images"
                )?;
            }
        }
        if let Some(projector) = &self.projector {
            writeln!(f, "as trained, the {projector}")?;
        }
        let (images, tolerance) = (manifest.golden.images, manifest.golden.tolerance);
        writeln!(f, "golden data: {images} images, tolerance {tolerance:e}")?;
        let name = self.files.iter().map(|file| file.name.len()).max().unwrap_or_default();
        for file in &self.files {
            writeln!(
                f,
                "{:name$}  {:>14} bytes  sha256 {}",
                file.name,
                grouped(file.size),
                file.sha256
            )?;
        }
        Ok(())
    }
}
