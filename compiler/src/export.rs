//! From a trained network to a checked bundle.
//!
//! The exported model must do what the trainer's network does: both see every test image, one through ONNX Runtime, and
//! a bundle is written only if their logits agree.

use std::path::{Path, PathBuf};

use askd_models::Graph;
use askd_runtime::{Accuracy, Batch, ElementType, GoldenData, Input, Session, SessionOptions};
use candle_core::{DType, Device};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::bundle::{BundleSpec, TOLERANCE, write_bundle};
use crate::data::{DataSpec, ImageSet, Part};
use crate::distill::{Distillation, ProjectorCost};
use crate::evaluate::{Evaluation, Predictions, argmax, predict, predict_session};
use crate::nn::Network;
use crate::onnx::{ModelInfo, write_model};
use crate::passes::{Pipeline, take_pixels};
use crate::train::{BEST_WEIGHTS, RESULT_FILE, Recipe, RunResult};
use crate::weights::{Weights, import};
use crate::{Error, Result, files};

/// Images whose outputs a bundle carries for its self-test, where nothing else is said.
const GOLDEN_IMAGES: usize = 8;

/// The trainer's network is the reference, so its own rounding must not count: with f32 it is larger than ONNX Runtime's where
/// convolutions go by minimal filtering.
const REFERENCE: DType = DType::F64;

/// A trained network: what it is, its weights, how it came to be.
#[derive(Debug, Clone)]
pub struct Source {
    recipe: Recipe,
    graph: Graph,
    weights: Weights,
    weights_file: PathBuf,
    result: Option<RunResult>,
}

/// How a bundle is made.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// Images one run of the model takes.
    pub batch: Batch,
    /// Number that rises with every bundle for one product.
    pub sequence: u64,
    /// Data whose test images check the export, instead of the recipe's.
    pub data: Option<DataSpec>,
    /// Graph passes between the trained network and the model.
    pub passes: Pipeline,
    /// What the model takes: normalised images, or pixels that it normalises itself.
    pub input: ElementType,
    /// Test images whose outputs the bundle carries for its self-test, at least one.
    pub golden_images: usize,
}

impl Default for ExportOptions {
    /// One normalised image a run, sequence 1, checked on the recipe's data, after all passes.
    fn default() -> Self {
        Self {
            batch: Batch::One,
            sequence: 1,
            data: None,
            passes: Pipeline::all(),
            input: ElementType::F32,
            golden_images: GOLDEN_IMAGES,
        }
    }
}

/// What was written, and how it was checked.
#[derive(Debug, Clone, Serialize)]
pub struct Exported {
    /// Parameters after folding.
    pub parameters: usize,
    /// Multiply-accumulates for one image.
    pub macs: usize,
    /// Size of the ONNX file.
    pub bytes: usize,
    /// What the projectors cost, as trained: before batch norm is folded; none where there are none.
    pub projector: Option<ProjectorCost>,
    /// Trainer against runtime.
    pub parity: Parity,
    /// Accuracy through the runtime on the test images.
    pub runtime: Evaluation,
}

/// How far the exported model is from the trainer's network.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Parity {
    /// Images compared.
    pub images: usize,
    /// Largest absolute difference of two logits.
    pub max_abs_diff: f64,
    /// Percent of images whose largest logit is the same class.
    pub top1_agreement: f64,
}

impl Source {
    /// The best weights of a run directory.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`] or [`Error::WeightsMismatch`] if it is no finished run.
    pub fn run(directory: &Path) -> Result<Self> {
        let recipe = Recipe::load(directory)?;
        let result = files::read_json(&directory.join(RESULT_FILE))?;
        let source = Self::checkpoint(recipe, &directory.join(BEST_WEIGHTS))?;
        Ok(Self {
            result: Some(result),
            ..source
        })
    }

    /// A checkpoint of the recipe's network.
    ///
    /// # Errors
    /// As [`import`].
    pub fn checkpoint(recipe: Recipe, weights_file: &Path) -> Result<Self> {
        let graph = recipe.graph()?;
        let weights = import(&graph, weights_file)?;
        Ok(Self {
            recipe,
            graph,
            weights,
            weights_file: weights_file.to_owned(),
            result: None,
        })
    }

    /// The network as it ships: on the input that is asked for, after the passes.
    ///
    /// # Errors
    /// [`Error::Network`] if the graph has no logits.
    pub fn compiled(&self, options: &ExportOptions) -> Result<(Graph, Weights)> {
        let mut weights = self.weights.clone();
        let graph = compile(&self.recipe, &self.graph, &mut weights, options.input, &options.passes)?;
        Ok((graph, weights))
    }

    /// The compiled network as ONNX bytes, the very ones that a bundle of it holds.
    ///
    /// # Errors
    /// As [`write_model`].
    pub fn onnx(&self, options: &ExportOptions, labels: &[String]) -> Result<Vec<u8>> {
        let (graph, weights) = self.compiled(options)?;
        let info = ModelInfo::new(options.batch).describe(&self.input(options.input), labels, self.temperature())?;
        write_model(&graph, &weights, &info)
    }

    /// The input contract of a model of that input.
    fn input(&self, data_type: ElementType) -> Input {
        match data_type {
            ElementType::U8 => self.recipe.input_contract().of_pixels(),
            _ => self.recipe.input_contract(),
        }
    }

    /// Divisor of the logits before softmax.
    fn temperature(&self) -> f32 {
        self.result.as_ref().map_or(1.0, |result| result.temperature)
    }

    /// The network in the trainer, computing in f32 as it trained, or in f64 as a reference.
    ///
    /// # Errors
    /// [`Error::Tensor`].
    pub fn network(&self, dtype: DType, device: &Device) -> Result<Network> {
        Network::new(self.graph.clone(), &self.weights, dtype, device)
    }

    /// What it was trained on and for.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    fn provenance(&self, options: &ExportOptions) -> Result<Map<String, Value>> {
        let bytes = std::fs::read(&self.weights_file).map_err(Error::io(&self.weights_file))?;
        let mut facts = Map::new();
        facts.insert("weights_sha256".to_owned(), json!(askd_runtime::sha256_hex(&bytes)));
        facts.insert("data".to_owned(), json!(self.recipe.data.kind.name()));
        // recipe and passes give the graph again, which whoever compiles the bundle further needs
        facts.insert("recipe".to_owned(), json!(self.recipe.to_toml()?));
        facts.insert("passes".to_owned(), json!(options.passes.names()));
        if let Some(result) = &self.result {
            facts.insert("seed".to_owned(), json!(result.seed));
            facts.insert("data_sha256".to_owned(), json!(result.data_digest));
        }
        facts.insert("recipe".to_owned(), json!(self.recipe.to_toml()?));
        if let Some(Distillation { teachers, .. }) = &self.recipe.distillation
            && !teachers.is_empty()
        {
            let networks: Vec<_> = teachers.iter().map(|teacher| teacher.network.as_str()).collect();
            let digests: Vec<_> = teachers.iter().map(|teacher| teacher.digest.as_str()).collect();
            facts.insert("teacher".to_owned(), json!(networks.join("+")));
            facts.insert("teacher_sha256".to_owned(), json!(digests.join("+")));
        }
        Ok(facts)
    }
}

/// From the network of `recipe` as it trained to the one that ships: made to take pixels where that is asked for, then the
/// passes. What a bundle records (`recipe`, `passes`, its input) gives its graph again.
///
/// # Errors
/// Those of the passes, and [`Error::WeightsMismatch`] if `weights` are not the graph's.
pub fn compile(
    recipe: &Recipe,
    graph: &Graph,
    weights: &mut Weights,
    input: ElementType,
    passes: &Pipeline,
) -> Result<Graph> {
    match input {
        ElementType::U8 => passes.run(&take_pixels(graph, weights, &recipe.mean, &recipe.std)?, weights),
        _ => passes.run(graph, weights),
    }
}

/// Compiles `source` to the bundle `out`.
///
/// # Errors
/// [`Error::GateFailed`] if the runtime's logits are not the trainer's within [`TOLERANCE`] or the class of any test image
/// differs; then nothing is written.
pub fn export(source: &Source, options: &ExportOptions, out: &Path) -> Result<Exported> {
    let (graph, weights) = source.compiled(options)?;
    let data = options.data.as_ref().unwrap_or(&source.recipe.data);
    let test = data.load(Part::Test)?.with_corrupt_files(source.recipe.corrupt_files);
    source.recipe.check_images(&test)?;
    let model = source.onnx(options, &test.classes)?;
    let (parity, runtime) = compare(source, &model, &test)?;
    check_parity(&parity)?;

    let measured = Accuracy {
        data: data.kind.name().to_owned(),
        split: "test".to_owned(),
        images: runtime.images as u64,
        top1: runtime.top1,
        top5: runtime.top5,
    };
    let spec = BundleSpec {
        graph: &graph,
        weights: &weights,
        batch: options.batch,
        input: source.input(options.input),
        labels: test.classes.to_vec(),
        temperature: source.temperature(),
        accuracy: vec![measured],
        golden: &golden(source, &test, options)?,
        sequence: options.sequence,
        device_class: "generic".to_owned(),
        provenance: source.provenance(options)?,
    };
    let manifest = write_bundle(out, &spec)?;
    let bytes = manifest.variants.first().map_or(0, |variant| variant.size) as usize;
    Ok(Exported {
        parameters: graph.parameter_count(),
        macs: graph.macs(),
        bytes,
        projector: source.recipe.projector_cost()?,
        parity,
        runtime,
    })
}

/// Runs every image through the trainer's network, in f64, and through ONNX Runtime.
///
/// # Errors
/// [`Error::Runtime`], [`Error::Tensor`].
pub fn compare(source: &Source, model: &[u8], images: &ImageSet) -> Result<(Parity, Evaluation)> {
    let mut session = Session::from_onnx(model, &SessionOptions::default())?;
    let loader = source.recipe.loader(images.clone(), session.interface().data_type)?;
    let reference = predict(&mut source.network(REFERENCE, &Device::Cpu)?, &loader)?;
    let exported = predict_session(&mut session, &loader)?;
    Ok((parity(&reference, &exported), exported.evaluation()))
}

fn parity(reference: &Predictions, exported: &Predictions) -> Parity {
    let differences = reference
        .logits
        .iter()
        .zip(&exported.logits)
        .map(|(a, b)| f64::from((a - b).abs()));
    // NaN is the largest difference there is
    let max_abs_diff = differences.fold(
        0.0,
        |worst, d| if d.is_nan() { f64::INFINITY } else { f64::max(worst, d) },
    );
    let same = reference
        .rows()
        .zip(exported.rows())
        .filter(|((a, _), (b, _))| argmax(a) == argmax(b))
        .count();
    let images = reference.labels.len();
    Parity {
        images,
        max_abs_diff,
        top1_agreement: 100.0 * same as f64 / images.max(1) as f64,
    }
}

/// Logits that close can differ in their class only at a tie, where neither is the wrong one: so the class is told, and
/// the logits decide.
fn check_parity(parity: &Parity) -> Result<()> {
    if parity.max_abs_diff <= f64::from(TOLERANCE) {
        return Ok(());
    }
    Err(Error::GateFailed {
        what: "exported model against the trainer's network".to_owned(),
        expected: format!("logits within {TOLERANCE:e}"),
        got: format!(
            "{:e} over {} images, {:.2} % of them of the same class",
            parity.max_abs_diff, parity.images, parity.top1_agreement
        ),
    })
}

/// The first images of the test part, as a model of that input takes them, with the trainer's logits for them.
fn golden(source: &Source, test: &ImageSet, options: &ExportOptions) -> Result<GoldenData> {
    let input = options.input;
    let images = test.select(0..test.len().min(options.golden_images.max(1)));
    let loader = source.recipe.loader(images, input)?;
    let outputs = predict(&mut source.network(REFERENCE, &Device::Cpu)?, &loader)?.logits;
    let mut inputs = Vec::new();
    if input == ElementType::U8 {
        loader.for_each_pixels(|pixels, _| {
            inputs.extend(pixels.iter().copied().map(f32::from));
            Ok(())
        })?;
    } else {
        for batch in loader.epoch(0, 0)? {
            inputs.extend(batch?.images);
        }
    }
    let [first, second, third] = source.input(input).tensor_shape();
    Ok(GoldenData::new(
        [inputs.len() / (first * second * third), first, second, third],
        inputs,
        outputs,
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(logits: &[f32]) -> Predictions {
        Predictions {
            logits: logits.to_vec(),
            labels: vec![0; logits.len() / 2],
        }
    }

    #[test]
    fn a_tie_may_fall_to_either_class() {
        let parity = parity(&of(&[1.0, 1.000_001, 3.0, 0.0]), &of(&[1.000_001, 1.0, 3.0, 0.0]));
        assert_eq!(parity.top1_agreement, 50.0);
        check_parity(&parity).unwrap();
    }

    #[test]
    fn logits_too_far_apart_fail_the_gate_whatever_the_class() {
        for exported in [[1.0, 0.001], [1.0, f32::NAN]] {
            let parity = parity(&of(&[1.0, 0.0]), &of(&exported));
            assert_eq!(parity.top1_agreement, 100.0);
            assert!(
                matches!(check_parity(&parity), Err(Error::GateFailed { .. })),
                "{exported:?}"
            );
        }
    }
}
