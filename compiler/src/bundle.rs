//! Builds a bundle: the directory that ships to a device, whole and tested or not there at all.

mod addition;
mod staging;

use std::path::Path;

use askd_models::{Graph, Shape};
use askd_runtime::{
    Accuracy, Batch, ElementType, GOLDEN_FILE, Golden, GoldenData, Input, Layout, MANIFEST_FILE, Manifest, Model,
    Output, Resize, ResizeMethod, ResizeSize, SCHEMA, SessionOptions, Variant,
};
use serde_json::{Map, Value};

pub(crate) use self::addition::{Addition, add_variant};
use self::staging::Staging;
use crate::onnx::{self, ModelInfo};
use crate::weights::Weights;
use crate::{Error, Result};

/// Largest absolute difference of a golden logit that a device may show.
///
/// Source: what two inference engines differ by on the networks here, with a margin of ten; see `tests/export.rs`.
pub const TOLERANCE: f32 = 1e-4;

/// Bytes that a weight and a value take as f32.
pub const FLOATS: [usize; 2] = [size_of::<f32>(); 2];

/// What goes into a bundle with one fp32 variant.
#[derive(Debug, Clone)]
pub struct BundleSpec<'a> {
    /// The network as it ships, after the graph passes ([`crate::passes`]).
    pub graph: &'a Graph,
    /// Its tensors.
    pub weights: &'a Weights,
    /// How many images one run takes.
    pub batch: Batch,
    /// How an image becomes the network's input; see [`input_of`].
    pub input: Input,
    /// K class names in the order of the logits.
    pub labels: Vec<String>,
    /// Divisor of the logits before softmax, fitted on validation data; 1 where it was not.
    pub temperature: f32,
    /// What the trainer measured, each with its data.
    pub accuracy: Vec<Accuracy>,
    /// Preprocessed images with the logits that the trainer's own forward pass gave for them.
    pub golden: &'a GoldenData,
    /// Rises with every bundle made for one product.
    pub sequence: u64,
    /// The kind of device the bundle is meant for; `generic` runs anywhere.
    pub device_class: String,
    /// Digests of data and weights, recipe, seed, versions; `network` and `compiler` are added.
    pub provenance: Map<String, Value>,
}

/// The input contract of a network for images of `shape` `[C, H, W]`, to which they are scaled, and then normalised.
///
/// # Shapes
/// - `mean`, `std`: C values, for pixels in `0..=1`
pub fn input_of(shape: [usize; 3], mean: &[f32], std: &[f32]) -> Input {
    let [_, height, width] = shape;
    Input {
        name: onnx::INPUT.to_owned(),
        layout: Layout::Nchw,
        data_type: ElementType::F32,
        shape,
        mean: mean.to_vec(),
        std: std.to_vec(),
        resize: Resize {
            method: ResizeMethod::BilinearAntialias,
            size: ResizeSize::Exactly([height, width]),
            crop: None,
        },
    }
}

/// The same for images of any size: the shorter side is scaled to 8/7 of what is cut out of the middle, as 256 to 224.
///
/// Source: the usual evaluation on ImageNet, torchvision `references/classification/presets.py`.
pub fn input_of_files(shape: [usize; 3], mean: &[f32], std: &[f32]) -> Input {
    let [_, height, width] = shape;
    Input {
        resize: Resize {
            method: ResizeMethod::BilinearAntialias,
            size: ResizeSize::ShorterSide((8 * height.max(width)).div_ceil(7)),
            crop: Some([height, width]),
        },
        ..input_of(shape, mean, std)
    }
}

/// Estimated peak of weights and live activations together for one image, in bytes, of which each weight and each value takes
/// so many; in f32 4 and 4.
pub fn peak_memory_bytes(graph: &Graph, [of_weight, of_value]: [usize; 2]) -> u64 {
    let tensors = graph.parameters();
    let weights: usize = tensors
        .iter()
        .map(|tensor| tensor.shape.iter().product::<usize>())
        .sum();
    (of_weight * weights + of_value * graph.peak_activations()) as u64
}

/// Writes the bundle `out` (`NAME.askd`), tests it with the runtime, and only then puts it in place.
///
/// The bundle is built in a directory beside `out`, every file synced. There the runtime opens it and runs its golden
/// images; it is renamed to `out` when it has passed. A bundle already at `out` is moved aside just before that and
/// removed afterwards; a failure leaves it as it was and nothing else behind. Missing parent directories are made. A
/// process that is killed may leave a hidden directory `.askd-*` beside `out`, never half a bundle.
///
/// # Errors
/// - [`Error::InvalidValue`] if the parts do not fit each other, or `out` is there and is no bundle
/// - [`Error::GateFailed`] if the exported model does not reproduce the golden logits within [`TOLERANCE`]
/// - [`Error::Io`] if `out` cannot be written
/// - [`Error::Runtime`] if a manifest field breaks its rule, or ONNX Runtime cannot be loaded
/// - those of [`onnx::write_model`]
pub fn write_bundle(out: impl AsRef<Path>, spec: &BundleSpec<'_>) -> Result<Manifest> {
    check(spec)?;
    let info = ModelInfo::new(spec.batch).describe(&spec.input, &spec.labels, spec.temperature)?;
    let model = onnx::write_model(spec.graph, spec.weights, &info)?;

    let staging = Staging::new(out.as_ref())?;
    let variant = variant(spec, &staging.write("model.fp32.onnx", &model)?);
    let golden = staging.write(GOLDEN_FILE, &spec.golden.to_safetensors()?)?;
    let manifest = Manifest {
        schema: SCHEMA,
        sequence: spec.sequence,
        device_class: spec.device_class.clone(),
        input: spec.input.clone(),
        output: Output {
            name: askd_models::LOGITS.to_owned(),
            classes: spec.graph.classes()?,
        },
        labels: spec.labels.clone(),
        temperature: spec.temperature,
        variants: vec![variant],
        golden: Golden {
            file: golden.name,
            size: golden.size,
            sha256: golden.sha256,
            images: spec.golden.shape()[0],
            tolerance: TOLERANCE,
        },
        provenance: provenance(spec),
    };
    staging.write(MANIFEST_FILE, manifest.to_json()?.as_bytes())?;
    self_test(staging.path(), &manifest)?;
    staging.commit()?;
    Ok(manifest)
}

/// Refuses a place in which something other than a bundle is, before any work is done for it.
///
/// # Errors
/// [`Error::InvalidValue`].
pub(crate) fn check_place(out: &Path) -> Result<()> {
    staging::refuse_what_is_no_bundle(out)
}

fn check(spec: &BundleSpec<'_>) -> Result<()> {
    let shape = spec.graph.input_shape();
    if spec.input.shape != shape {
        let (expected, got) = (Shape::Map(shape), Shape::Map(spec.input.shape));
        return Err(Error::invalid("input.shape", format!("the network's {expected}"), got));
    }
    let expected = match spec.graph.takes_pixels() {
        true => ElementType::U8,
        false => ElementType::F32,
    };
    if spec.input.data_type != expected {
        return Err(Error::invalid(
            "input.data_type",
            format!("the network's {expected}"),
            spec.input.data_type,
        ));
    }
    if spec.input.name != onnx::INPUT {
        return Err(Error::invalid("input.name", onnx::INPUT, &spec.input.name));
    }
    let classes = spec.graph.classes()?;
    if spec.labels.len() != classes {
        let expected = format!("{classes}, one a class");
        return Err(Error::invalid("labels", expected, spec.labels.len()));
    }
    let [_, golden @ ..] = spec.golden.shape();
    let images = spec.input.tensor_shape();
    if golden != images || spec.golden.classes() != classes {
        return Err(Error::invalid(
            "golden data",
            format!("images {} with {classes} logits each", Shape::Map(images)),
            format!("{} with {}", Shape::Map(golden), spec.golden.classes()),
        ));
    }
    Ok(())
}

fn variant(spec: &BundleSpec<'_>, file: &staging::Written) -> Variant {
    Variant {
        name: "fp32".to_owned(),
        precision: "fp32".to_owned(),
        target: "any".to_owned(),
        file: file.name.clone(),
        size: file.size,
        sha256: file.sha256.clone(),
        opset: onnx::OPSET,
        ir_version: onnx::IR_VERSION,
        batch: spec.batch,
        parameters: spec.graph.parameter_count() as u64,
        macs: spec.graph.macs() as u64,
        peak_memory_bytes: peak_memory_bytes(spec.graph, FLOATS),
        accuracy: spec.accuracy.clone(),
        golden: None,
    }
}

fn provenance(spec: &BundleSpec<'_>) -> Map<String, Value> {
    let mut all = spec.provenance.clone();
    all.insert("network".to_owned(), spec.graph.name().into());
    let compiler = concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION"));
    all.insert("compiler".to_owned(), compiler.into());
    all
}

/// Opens every variant and runs its golden images through the runtime, as a device will.
fn self_test(bundle: &Path, manifest: &Manifest) -> Result<()> {
    for variant in &manifest.variants {
        let mut session = Model::open_variant(bundle, &variant.name)?.session(&SessionOptions::default())?;
        match session.self_test() {
            Ok(_) => {}
            Err(askd_runtime::Error::GoldenMismatch {
                image,
                difference,
                tolerance,
            }) => {
                return Err(Error::GateFailed {
                    what: format!("self-test of variant {}", variant.name),
                    expected: format!("golden logits within {tolerance:e}"),
                    got: format!("a difference of {difference:e} at image {image}"),
                });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
