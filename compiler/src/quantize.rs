//! Integers, or floats of 16 bits, for a network that was trained with 32, where they cost no more accuracy than is allowed.
//!
//! A bundle's float network is run on training images to see how large its values get (`observe`); from that come the scales
//! of the values (`calibration`) and of weights and biases (`layer`), laid out so that an engine finds its integer kernels
//! (`placement`, `plan`). The gate then measures, on images held out, and takes the layers that integers hurt most
//! (`sensitivity`) back to float until the loss is allowed. Test images are only measured at the end.

mod calibration;
mod gate;
mod histogram;
mod layer;
mod observe;
mod placement;
mod plan;
mod report;
mod sensitivity;
mod source;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use askd_models::{Graph, NodeId, Role};
use askd_runtime::{Accuracy, ElementType, GoldenData, Optimisation, Session, SessionOptions, Variant};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::json;

pub use calibration::{Calibration, Range};
pub use gate::Attempt;
pub use histogram::Histogram;
pub use layer::{IntegerBiases, IntegerLayer};
pub use observe::observe;
pub use placement::{Placement, layers};
pub use plan::Plan;
pub use report::QuantizeReport;
pub use sensitivity::Sensitivity;
pub use target::{Activations, Affine, Target};

use self::source::Source;
use crate::bundle::{Addition, add_variant, check_place};
use crate::data::{DataSpec, ImageSet, Loader, Part, split_validation};
use crate::evaluate::{EVALUATION_BATCH, Evaluation, Predictions, predict_session};
use crate::onnx::{Arithmetic, IR_VERSION, ModelInfo, OPSET, write_model_in};
use crate::weights::Weights;
use crate::{Error, Result};

/// Fewest images that scales are taken from.
pub const FEWEST_IMAGES: usize = 500;

/// Images of them on which each layer's sensitivity is measured.
const SENSITIVITY_IMAGES: usize = 128;

/// Share of training images that the gate looks at, where training held none out.
const VALIDATION: f64 = 0.1;

/// Seed of the choice of calibration images.
const SEED: u64 = 0xca11_b4a7;

/// How a bundle is quantised.
#[derive(Debug, Clone)]
pub struct QuantizeOptions {
    /// Data set whose training images are used; part of them calibrates, those held out judge.
    pub data: DataSpec,
    /// Where the variant is to run.
    pub target: Target,
    /// How ranges are chosen.
    pub calibration: Calibration,
    /// Images that calibrate; at least [`FEWEST_IMAGES`].
    pub images: usize,
    /// Most points of validation top-1 that may be lost.
    pub max_drop: f64,
    /// Name of the new variant; one of that name is replaced.
    pub name: String,
    /// Bundle to write; it may be the one that is read.
    pub out: PathBuf,
}

/// A network with what calibration saw.
pub(crate) struct Network<'a> {
    graph: &'a Graph,
    weights: &'a Weights,
    ranges: BTreeMap<NodeId, Range>,
    target: Target,
    info: ModelInfo,
    float_model: &'a [u8],
}

/// A quantised model that passed the gate.
pub(crate) struct Quantized {
    model: Vec<u8>,
    evaluation: Evaluation,
    float: BTreeSet<NodeId>,
}

impl Network<'_> {
    fn predict_float(&self, loader: &Loader) -> Result<Predictions> {
        predict_session(&mut session(self.float_model, Optimisation::All)?, loader)
    }

    /// The model with the nodes `float` left as they are, and its logits.
    fn predict_quantized(&self, float: &BTreeSet<NodeId>, loader: &Loader) -> Result<(Vec<u8>, Predictions)> {
        let plan = Plan::new(self.graph, self.weights, &self.ranges, self.target, float)?;
        let arithmetic = plan.as_ref().map_or(Arithmetic::Half, Arithmetic::Integer);
        let model = write_model_in(arithmetic, self.graph, self.weights, &self.info)?;
        let predictions = predict_session(&mut session(&model, Optimisation::All)?, loader)?;
        Ok((model, predictions))
    }
}

fn session(model: &[u8], optimisation: Optimisation) -> Result<Session> {
    let options = SessionOptions {
        intra_op_threads: 0,
        optimisation,
        ..SessionOptions::default()
    };
    Ok(Session::from_onnx(model, &options)?)
}

/// Adds a variant with 8-bit integers to a bundle.
///
/// # Errors
/// - [`Error::Runtime`] if the bundle cannot be opened, [`Error::Malformed`] if it has no float variant or no recipe
/// - [`Error::InvalidValue`] for fewer images than [`FEWEST_IMAGES`], or images of another shape or number of classes
/// - [`Error::GateFailed`] if more is lost than allowed whatever layers are left float, or if the new variant does not
///   reproduce its own golden outputs; then nothing is written
pub fn quantize(bundle: &Path, options: &QuantizeOptions) -> Result<QuantizeReport> {
    let source = Source::open(bundle)?;
    check_name(&source, &options.name)?;
    check_place(&options.out)?;
    let (calibration, validation) = split(&source, &options.data, options.images)?;
    let manifest = source.model.manifest();
    let info = ModelInfo::new(source.model.variant().batch);
    let network = Network {
        graph: &source.graph,
        weights: &source.weights,
        ranges: ranges(&source, options, &calibration)?,
        target: options.target,
        info: info.describe(&manifest.input, &manifest.labels, manifest.temperature)?,
        float_model: source.model.onnx(),
    };
    let sensitivities = if options.target.activations().is_some() {
        let few = calibration.set.select(0..calibration.set.len().min(SENSITIVITY_IMAGES));
        sensitivity::sensitivities(&network, &loader(&source, few)?)?
    } else {
        Vec::new()
    };
    let float = network.predict_float(&validation)?.evaluation();
    let (quantized, attempts) = gate::pass(&network, &float, &sensitivities, options.max_drop, &validation)?;

    let test = test_images(&source, options)?;
    let measured = predict_session(&mut session(&quantized.model, Optimisation::All)?, &test)?.evaluation();
    let float_test = network.predict_float(&test)?.evaluation();
    let (golden, tolerance) = golden(&source, options.target, &quantized.model)?;
    let variant = variant(&source, options, &quantized, &measured);
    let float_layers = attempts
        .last()
        .map(|attempt| attempt.float_layers.clone())
        .unwrap_or_default();
    let provenance = json!({
        "target": options.target.name(),
        "calibration": options.calibration.to_string(),
        "data": options.data.kind.name(),
        "images": calibration.set.len(),
        "images_sha256": calibration.set.digest(),
        "max_drop": options.max_drop,
        "float_layers": float_layers,
    });
    let addition = Addition {
        variant,
        model: &quantized.model,
        golden: &golden,
        tolerance,
        provenance,
    };
    let written = add_variant(bundle, &options.out, addition)?;
    let size_of = |name: &str| written.variant(name).map(|variant| variant.size);
    Ok(QuantizeReport {
        bundle: options.out.clone(),
        variant: options.name.clone(),
        target: options.target,
        calibration: options.calibration,
        calibration_images: calibration.set.len(),
        max_drop: options.max_drop,
        validation: [float, quantized.evaluation].into(),
        test: [float_test, measured].into(),
        integer_layers: sensitivities.len() - quantized.float.len(),
        precision: options.target.precision(),
        float_layers,
        attempts,
        sensitivity: sensitivities,
        float_bytes: size_of(&source.model.variant().name)?,
        bytes: size_of(&options.name)?,
        golden_tolerance: tolerance,
    })
}

/// The range of each value that integers stand for; empty for a target without.
fn ranges(source: &Source, options: &QuantizeOptions, images: &Loader) -> Result<BTreeMap<NodeId, Range>> {
    let Some(activations) = options.target.activations() else {
        return Ok(BTreeMap::new());
    };
    let placement = Placement::new(&source.graph, &BTreeSet::new())?;
    let values: Vec<NodeId> = placement.values.into_iter().collect();
    let histograms = observe(&source.graph, &source.weights, &values, images)?;
    let range = |(id, histogram): (NodeId, Histogram)| (id, options.calibration.range(&histogram, activations));
    Ok(histograms.into_iter().map(range).collect())
}

/// A variant's name is part of a file's, and must not take the place of the network it is made from.
fn check_name(source: &Source, name: &str) -> Result<()> {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && !name.is_empty();
    if !plain {
        return Err(Error::invalid("--name", "letters, digits and -_.", format!("{name:?}")));
    }
    if name == source.model.variant().name {
        return Err(Error::invalid("--name", "another than the float variant's", name));
    }
    Ok(())
}

/// The very images that [`quantize`] calibrates with, for another quantiser to be compared with.
///
/// # Errors
/// Those of [`quantize`] that are about the bundle or the data.
pub fn calibration_images(bundle: &Path, data: &DataSpec, images: usize) -> Result<Loader> {
    Ok(split(&Source::open(bundle)?, data, images)?.0)
}

/// Images that calibrate, and those that judge.
fn split(source: &Source, data: &DataSpec, images: usize) -> Result<(Loader, Loader)> {
    let all = data.load(Part::Train)?;
    source.recipe.check_images(&all)?;
    let held_out = if source.recipe.validation > 0.0 {
        source.recipe.validation
    } else {
        VALIDATION
    };
    let (training, validation) = split_validation(&all, held_out)?;
    if images < FEWEST_IMAGES || training.len() < images {
        let expected = format!("{FEWEST_IMAGES} to {} images", training.len());
        return Err(Error::invalid("calibration", expected, images));
    }
    let mut positions: Vec<usize> = (0..training.len()).collect();
    positions.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
    positions.truncate(images);
    Ok((loader(source, training.select(positions))?, loader(source, validation)?))
}

fn test_images(source: &Source, options: &QuantizeOptions) -> Result<Loader> {
    loader(source, options.data.load(Part::Test)?)
}

fn loader(source: &Source, images: ImageSet) -> Result<Loader> {
    Ok(Loader::plain(images, source.recipe.preprocess()?, EVALUATION_BATCH))
}

/// The golden images with what the quantised model must give for them, and how far a device may be from it.
///
/// The outputs are those of the model as written, node by node in floats, which is what ONNX says it means. Integer kernels
/// round in other places, and every value that lands one step aside moves the rest: two ways of rounding are as far from each
/// other as both are from the float network. So a device may differ by twice what quantisation itself moved the logits; a kernel
/// that saturates differs by more.
///
/// Kernels of 16 bits may add up in 16 bits as well: their error grows with the root of the number of terms of a sum.
fn golden(source: &Source, target: Target, model: &[u8]) -> Result<(GoldenData, f32)> {
    let float = source.model.golden();
    let mut session = session(model, Optimisation::None)?;
    let [images, ..] = float.shape();
    let mut outputs = Vec::new();
    let mut logits = vec![0.0; float.classes()];
    for image in float.input().chunks_exact(float.input().len() / images) {
        if session.interface().data_type == ElementType::U8 {
            let pixels: Vec<u8> = image.iter().map(|pixel| *pixel as u8).collect();
            session.run_u8(&pixels, &mut logits)?;
        } else {
            session.run(image, &mut logits)?;
        }
        outputs.extend(&logits);
    }
    let moved = outputs
        .iter()
        .zip(float.output())
        .map(|(a, b): (&f32, &f32)| (a - b).abs())
        .fold(0.0, f32::max);
    let terms = if target.activations().is_some() {
        1
    } else {
        longest_sum(&source.graph)
    };
    let tolerance = 2.0 * moved * (terms as f32).sqrt();
    let golden = GoldenData::new(float.shape(), float.input().to_vec(), outputs)?;
    Ok((golden, tolerance))
}

/// Most products that one output of a layer is the sum of.
fn longest_sum(graph: &Graph) -> usize {
    let weights = graph
        .parameters()
        .into_iter()
        .filter(|tensor| tensor.role == Role::Weight);
    let terms = weights.map(|tensor| tensor.shape.iter().skip(1).product());
    terms.max().unwrap_or(1)
}

/// What the manifest says of the new variant; its file is for the bundle's writer to fill in.
fn variant(source: &Source, options: &QuantizeOptions, quantized: &Quantized, test: &Evaluation) -> Variant {
    let weights: usize = source
        .graph
        .parameters()
        .iter()
        .map(|tensor| tensor.shape.iter().product::<usize>())
        .sum();
    // bytes a weight and an activation take; one float layer's activations are floats, and may be the largest
    let (of_weights, of_activations) = match options.target.activations() {
        None => (2, 2),
        Some(_) if quantized.float.is_empty() => (1, 1),
        Some(_) => (1, size_of::<f32>()),
    };
    let peak = of_weights * weights + of_activations * source.graph.peak_activations();
    let float = source.model.variant();
    Variant {
        name: options.name.clone(),
        precision: options.target.precision().to_owned(),
        target: options.target.name().to_owned(),
        opset: OPSET,
        ir_version: IR_VERSION,
        peak_memory_bytes: peak as u64,
        accuracy: vec![Accuracy {
            data: options.data.kind.name().to_owned(),
            split: "test".to_owned(),
            images: test.images as u64,
            top1: test.top1,
            top5: test.top5,
        }],
        ..float.clone()
    }
}
