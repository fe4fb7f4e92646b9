//! A run before its first step: its data read, its networks built.

use askd_models::build;
use candle_core::{DType, Device, Tensor};

use super::{Objective, Recipe, Supervised};
use crate::Result;
use crate::data::{Batch, Loader, Part, split_validation};
use crate::distill::SharedHead;
use crate::evaluate::EVALUATION_BATCH;
use crate::nn::{Network, initialise};
use crate::weights::import;

/// What a recipe describes, ready for the first step.
pub(crate) struct Prepared {
    /// The method with its networks.
    pub(crate) objective: Box<dyn Objective>,
    /// Training images, shuffled and augmented.
    pub(crate) training: Loader,
    /// The images held out of them, if any are.
    pub(crate) validation: Option<Loader>,
    /// Test images.
    pub(crate) test: Loader,
}

impl Prepared {
    /// Checks the recipe, reads its data and builds its objective.
    ///
    /// # Errors
    /// Those of [`Recipe::check`], [`objective`] and the data.
    pub(crate) fn new(recipe: &Recipe, device: &Device) -> Result<Self> {
        recipe.check()?;
        let (training, validation) = split_validation(&recipe.data.load(Part::Train)?, recipe.validation)?;
        let test = recipe.data.load(Part::Test)?;
        let preprocess = recipe.preprocess()?;
        let plain = |set| Loader::plain(set, preprocess.clone(), EVALUATION_BATCH);
        Ok(Self {
            objective: objective(recipe, DType::F32, device)?,
            validation: (!validation.is_empty()).then(|| plain(validation)),
            test: plain(test),
            training: Loader {
                set: training,
                preprocess: preprocess.clone(),
                augmentation: Some(recipe.augmentation),
                batch: recipe.batch,
                seed: Some(recipe.seed),
            },
        })
    }
}

/// The objective that a recipe describes, with fresh student weights and the teacher's loaded.
///
/// # Errors
/// [`Error::WeightsMismatch`](crate::Error::WeightsMismatch) if the teacher's checkpoint does not fit,
/// [`Error::Network`](crate::Error::Network), [`Error::Tensor`](crate::Error::Tensor).
pub fn objective(recipe: &Recipe, dtype: DType, device: &Device) -> Result<Box<dyn Objective>> {
    let graph = recipe.graph()?;
    let weights = initialise(&graph, recipe.seed);
    let network = Network::new(graph, &weights, dtype, device)?;
    match &recipe.distillation {
        Some(distillation) => {
            let graph = build(&distillation.teacher, &recipe.network_config())?;
            let weights = import(&graph, &distillation.teacher_weights)?;
            let teacher = Network::new(graph, &weights, dtype, device)?;
            Ok(Box::new(SharedHead::new(
                distillation.clone(),
                recipe.optimizer,
                network,
                teacher,
            )?))
        }
        None => Ok(Box::new(Supervised::new(network, recipe.optimizer))),
    }
}

/// A batch as a step takes it.
///
/// # Shapes
/// - `shape`: `(C, H, W)`
/// - returns: images `(N, C, H, W)`, labels `(N)`
///
/// # Errors
/// [`Error::Tensor`](crate::Error::Tensor) if the images are of another shape.
pub(crate) fn tensors(batch: Batch, shape: [usize; 3], device: &Device) -> Result<(Tensor, Tensor)> {
    let count = batch.len();
    let [channels, height, width] = shape;
    let images = Tensor::from_vec(batch.images, (count, channels, height, width), device)?;
    Ok((images, Tensor::from_vec(batch.labels, count, device)?))
}
