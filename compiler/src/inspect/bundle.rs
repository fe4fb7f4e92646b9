//! A bundle's facts, after checking every file against its digest: what was trained, what ships.

use std::fmt;
use std::path::{Path, PathBuf};

use askd_models::Shape;
use askd_runtime::{Batch, Manifest, Model};
use serde::Serialize;

use super::table::{self, grouped, known};
use super::{GraphReport, OnnxReport, inspect_graph};
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
    /// The network before the graph passes, built again from the recipe in the manifest's provenance; none without one.
    pub trained: Option<GraphReport>,
    /// What ships: the model of each variant, in the manifest's order.
    pub models: Vec<OnnxReport>,
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
/// [`crate::Error::Runtime`] if the directory is no bundle or a file is not the one the manifest vouches for, and those of
/// [`OnnxReport::of`].
pub fn inspect_bundle(path: impl AsRef<Path>) -> Result<BundleReport> {
    let path = path.as_ref();
    let first = Model::open(path)?;
    let manifest = first.manifest().clone();
    let mut models = vec![OnnxReport::of(first.onnx())?];
    for variant in manifest.variants.iter().skip(1) {
        models.push(OnnxReport::of(Model::open_variant(path, &variant.name)?.onnx())?);
    }
    let model_files = manifest.variants.iter().map(|variant| FileReport {
        name: variant.file.clone(),
        size: variant.size,
        sha256: variant.sha256.clone(),
    });
    let own = manifest.variants.iter().filter_map(|variant| variant.golden.as_ref());
    let golden = std::iter::once(&manifest.golden).chain(own).map(|golden| FileReport {
        name: golden.file.clone(),
        size: golden.size,
        sha256: golden.sha256.clone(),
    });
    let files: Vec<_> = model_files.chain(golden).collect();
    Ok(BundleReport {
        path: path.to_owned(),
        bytes: files.iter().map(|file| file.size).sum(),
        files,
        projector: projector_cost(&manifest),
        trained: trained(&manifest),
        models,
        manifest,
    })
}

/// The recipe in a bundle's provenance. That has no fixed form, so one that holds none is no error.
fn recipe(manifest: &Manifest) -> Option<Recipe> {
    let text = manifest.provenance.get("recipe")?.as_str()?;
    Recipe::from_toml(text, "provenance.recipe".as_ref()).ok()
}

/// The network as it was trained.
fn trained(manifest: &Manifest) -> Option<GraphReport> {
    Some(inspect_graph(&recipe(manifest)?.graph().ok()?))
}

/// What the projectors cost, if the recipe describes such a network.
fn projector_cost(manifest: &Manifest) -> Option<ProjectorCost> {
    let recipe = recipe(manifest)?;
    let same = recipe.input == manifest.input.shape && recipe.classes == manifest.output.classes;
    if same { recipe.projector_cost().ok()? } else { None }
}

impl BundleReport {
    /// The network before and after the passes: one row each.
    fn summary(&self) -> Vec<[String; 6]> {
        let header = ["", "", "nodes", "parameters", "MACs", "bytes"].map(str::to_owned);
        let before = match &self.trained {
            Some(network) => [
                "as trained".to_owned(),
                network.network.clone(),
                grouped(network.nodes),
                grouped(network.parameters),
                grouped(network.macs),
                grouped(network.bytes),
            ],
            None => ["as trained", "", "?", "?", "?", "?"].map(str::to_owned),
        };
        let after = self.manifest.variants.iter().zip(&self.models).map(|(variant, model)| {
            [
                "as shipped".to_owned(),
                variant.name.escape_debug().to_string(),
                grouped(model.nodes),
                grouped(model.parameters),
                known(model.macs),
                grouped(model.bytes),
            ]
        });
        [header, before].into_iter().chain(after).collect()
    }
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
        let (layout, data_type) = (format!("{:?}", input.layout).to_uppercase(), input.data_type);
        writeln!(
            f,
            "input {} {shape} {data_type} {layout}, mean {mean:?}, std {std:?}",
            input.name
        )?;
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
        if let Some(network) = &self.trained {
            write!(f, "\nas trained: {network}")?;
        }
        for (variant, model) in manifest.variants.iter().zip(&self.models) {
            write!(f, "\nas shipped, variant {}: {model}", variant.name.escape_debug())?;
        }
        writeln!(f)?;
        table::write(f, &self.summary())
    }
}
