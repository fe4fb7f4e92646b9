//! Integers, or floats of 16 bits, for a network that was trained with 32, where they cost no more accuracy than is allowed.
//!
//! A bundle's float network is run on training images to see how large its values get (`observe`); from that come the scales
//! of the values (`calibration`) and of weights and biases (`layer`), laid out so that an engine finds its integer kernels
//! (`placement`, `plan`). The gate then measures, on images held out, and takes the layers that integers hurt most
//! (`sensitivity`) back to float until the loss is allowed. Test images are only measured at the end.

mod calibration;
mod gate;
mod histogram;
mod images;
mod layer;
mod observe;
mod placement;
mod plan;
mod report;
mod sensitivity;
mod source;
mod target;
mod variant;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use askd_models::{Graph, NodeId};
use askd_runtime::{Optimisation, Session, SessionOptions};
use serde_json::json;

pub use calibration::{Calibration, Range};
pub use gate::Attempt;
pub use histogram::Histogram;
pub use images::calibration_images;
pub use layer::{IntegerBiases, IntegerLayer};
pub use observe::observe;
pub use placement::{Placement, layers};
pub use plan::Plan;
pub use report::QuantizeReport;
pub use sensitivity::Sensitivity;
pub use target::{Activations, Affine, Target};

use self::images::{loader, split};
use self::source::Source;
use self::variant::{golden, variant};
use crate::bundle::{Addition, add_variant, check_place};
use crate::data::{DataSpec, Loader, Part};
use crate::evaluate::{Evaluation, Predictions, predict_session};
use crate::onnx::{Arithmetic, ModelInfo, write_model_in};
use crate::weights::Weights;
use crate::{Error, Result};

/// Fewest images that scales are taken from.
pub const FEWEST_IMAGES: usize = 500;

/// Images of them on which each layer's sensitivity is measured.
const SENSITIVITY_IMAGES: usize = 128;

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

    let test = loader(
        &source,
        options
            .data
            .load(Part::Test)?
            .with_corrupt_files(source.recipe.corrupt_files),
    )?;
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
        "images_sha256": calibration.set.digest()?,
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
    let bytes_of = |name: &str| written.variant(name).map(|variant| variant.size);
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
        float_bytes: bytes_of(&source.model.variant().name)?,
        bytes: bytes_of(&options.name)?,
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
