//! A trained network with its answers to the test images, as a run, a variant of a bundle or a teacher's checkpoint has it.

use std::path::{Path, PathBuf};

use askd_models::LOGITS;
use askd_runtime::{ElementType, MANIFEST_FILE, Manifest, Model, SessionOptions, sha256_hex};
use candle_core::{DType, Device};

use super::Role;
use crate::data::{DataSpec, ImageSet, Part, split_validation};
use crate::distill::{ProjectorCost, Teacher};
use crate::evaluate::{Predictions, predict, predict_bundle};
use crate::export::{ExportOptions, Source};
use crate::train::{BEST_WEIGHTS, EpochRecord, RECIPE_FILE, RESULT_FILE, Recipe, RunResult, epoch_records};
use crate::{Error, Result, files};

/// What a path on the command line is.
pub(super) enum Argument {
    /// A run directory.
    Run(PathBuf, Recipe),
    /// A bundle, whose provenance may hold its recipe.
    Bundle(PathBuf, Box<Manifest>, Option<Recipe>),
}

impl Argument {
    /// Looks what is at `path`.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if it is neither run nor bundle, and what reading its description gives.
    pub(super) fn open(path: &Path) -> Result<Self> {
        if path.join(RECIPE_FILE).is_file() {
            if !path.join(RESULT_FILE).is_file() {
                let got = format!("none of its {RESULT_FILE}: resume it first");
                return Err(Error::malformed(path, "a finished run", got));
            }
            return Ok(Self::Run(path.to_owned(), Recipe::load(path)?));
        }
        if path.join(MANIFEST_FILE).is_file() {
            let manifest = Model::open(path)?.manifest().clone();
            let recipe = manifest.provenance.get("recipe").and_then(|recipe| recipe.as_str());
            let recipe = recipe.map(|text| Recipe::from_toml(text, &path.join(MANIFEST_FILE)));
            return Ok(Self::Bundle(path.to_owned(), Box::new(manifest), recipe.transpose()?));
        }
        let expected = format!("a run directory ({RECIPE_FILE}) or a bundle ({MANIFEST_FILE})");
        Err(Error::invalid(path.display().to_string(), expected, "neither"))
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Run(path, _) | Self::Bundle(path, ..) => path,
        }
    }

    pub(super) fn recipe(&self) -> Option<&Recipe> {
        match self {
            Self::Run(_, recipe) => Some(recipe),
            Self::Bundle(_, _, recipe) => recipe.as_ref(),
        }
    }
}

/// A network that was measured.
pub(super) struct Subject {
    /// Run directory, bundle or checkpoint.
    pub(super) path: PathBuf,
    pub(super) role: Role,
    /// Variant of the bundle; none of a run or checkpoint.
    pub(super) variant: Option<String>,
    /// Its arithmetic.
    pub(super) precision: Option<String>,
    /// How it was trained; none of a teacher's checkpoint, and of a bundle that does not say.
    pub(super) recipe: Option<Recipe>,
    pub(super) network: String,
    pub(super) weights_sha256: Option<String>,
    /// Logits of the test images.
    pub(super) predictions: Predictions,
    /// Divisor of the logits, fitted on validation images; none where none are held out.
    pub(super) temperature: Option<f32>,
    /// What runs on a device.
    pub(super) onnx: Vec<u8>,
    /// Trained parameters; of a bundle without recipe those that ship.
    pub(super) parameters: usize,
    pub(super) macs: usize,
    pub(super) projector: Option<ProjectorCost>,
    pub(super) result: Option<RunResult>,
    pub(super) epochs: Vec<EpochRecord>,
}

impl Subject {
    /// A run's best weights, in the trainer.
    pub(super) fn of_run(path: &Path, recipe: &Recipe, images: &ImageSet, device: &Device) -> Result<Self> {
        recipe.check_images(images)?;
        let source = Source::run(path)?;
        let result: RunResult = files::read_json(&path.join(RESULT_FILE))?;
        let temperature = result.validation.map(|_| result.temperature);
        let weights = path.join(BEST_WEIGHTS);
        Ok(Self {
            role: Role::of(Some(recipe)),
            recipe: Some(recipe.clone()),
            projector: recipe.projector_cost()?,
            epochs: epoch_records(path)?,
            result: Some(result),
            ..Self::in_trainer(&source, &weights, path, temperature, images, device)?
        })
    }

    /// A teacher's checkpoint in the trainer, which was given images as `student` was; `data` has the validation images that
    /// its temperature is fitted on.
    pub(super) fn of_teacher(
        teacher: &Teacher,
        student: &Recipe,
        data: &DataSpec,
        images: &ImageSet,
        device: &Device,
    ) -> Result<Self> {
        let (mean, std) = (student.mean.clone(), student.std.clone());
        let recipe = Recipe {
            input: student.input,
            corrupt_files: student.corrupt_files,
            ..Recipe::for_checkpoint(&teacher.network, data, images, mean, std)
        };
        let source = Source::checkpoint(recipe, &teacher.weights)?;
        let mut subject = Self::in_trainer(&source, &teacher.weights, &teacher.weights, None, images, device)?;
        if student.validation > 0.0 {
            let all = data.load(Part::Train)?.with_corrupt_files(student.corrupt_files);
            let (_, validation) = split_validation(&all, student.validation)?;
            subject.temperature = Some(in_trainer(&source, &validation, device)?.fit_temperature());
        }
        Ok(subject)
    }

    fn in_trainer(
        source: &Source,
        weights: &Path,
        path: &Path,
        temperature: Option<f32>,
        images: &ImageSet,
        device: &Device,
    ) -> Result<Self> {
        let graph = source.recipe().graph()?.keep_outputs(&[LOGITS])?;
        let bytes = std::fs::read(weights).map_err(Error::io(weights))?;
        Ok(Self {
            path: path.to_owned(),
            role: Role::Teacher,
            variant: None,
            precision: None,
            recipe: None,
            network: graph.name().to_owned(),
            weights_sha256: Some(sha256_hex(&bytes)),
            predictions: in_trainer(source, images, device)?,
            temperature,
            onnx: source.onnx(&ExportOptions::default(), &images.classes)?,
            parameters: graph.parameter_count(),
            macs: graph.macs(),
            projector: None,
            result: None,
            epochs: Vec::new(),
        })
    }

    /// Each variant of a bundle, through the runtime.
    pub(super) fn of_bundle(
        path: &Path,
        manifest: &Manifest,
        recipe: Option<&Recipe>,
        images: &ImageSet,
    ) -> Result<Vec<Self>> {
        let graph = recipe.map(|recipe| recipe.graph()?.keep_outputs(&[LOGITS]).map_err(Error::from));
        let graph = graph.transpose()?;
        let projector = recipe.map(Recipe::projector_cost).transpose()?.flatten();
        let fitted = recipe.is_none_or(|recipe| recipe.validation > 0.0);
        let each = manifest.variants.iter().map(|variant| {
            let model = Model::open_variant(path, &variant.name)?;
            let costs = graph.as_ref().map(|graph| (graph.parameter_count(), graph.macs()));
            let (parameters, macs) = costs.unwrap_or((variant.parameters as usize, variant.macs as usize));
            let name = graph.as_ref().map(|graph| graph.name().to_owned());
            let digest = manifest.provenance.get("weights_sha256");
            Ok(Self {
                path: path.to_owned(),
                role: Role::of(recipe),
                variant: Some(variant.name.clone()),
                precision: Some(variant.precision.clone()),
                recipe: recipe.cloned(),
                network: name.unwrap_or_else(|| "unknown network".to_owned()),
                weights_sha256: digest.and_then(|digest| digest.as_str()).map(str::to_owned),
                predictions: predict_bundle(&model, &mut model.session(&SessionOptions::default())?, images)?,
                temperature: fitted.then_some(manifest.temperature),
                onnx: model.onnx().to_vec(),
                parameters,
                macs,
                projector,
                result: None,
                epochs: Vec::new(),
            })
        });
        each.collect()
    }

    /// Top-1 on the test images, percent.
    pub(super) fn top1(&self) -> f64 {
        self.predictions.evaluation().top1
    }

    /// The seed it was trained with.
    pub(super) fn seed(&self) -> Option<u64> {
        self.recipe.as_ref().map(|recipe| recipe.seed)
    }

    /// The teachers that its recipe names.
    pub(super) fn teachers(&self) -> &[Teacher] {
        let distillation = self.recipe.as_ref().and_then(|recipe| recipe.distillation.as_ref());
        distillation.map_or(&[], |distillation| &distillation.teachers)
    }
}

fn in_trainer(source: &Source, images: &ImageSet, device: &Device) -> Result<Predictions> {
    let loader = source.recipe().loader(images.clone(), ElementType::F32)?;
    predict(&mut source.network(DType::F32, device)?, &loader)
}
