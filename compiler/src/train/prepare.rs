//! A run before its first step: its data read, its networks built.

use askd_models::build;
use candle_core::{DType, Device, Tensor};

use super::{Objective, Recipe, Supervised};
use crate::data::{Batch, Loader, Part, split_validation, subset, with_label_noise};
use crate::distill::{
    Distillation, Guarded, KnowledgeDistillation, Method, Mode, MutualLearning, OfficialCode, SharedHead,
    SharedHeadSettings,
};
use crate::evaluate::EVALUATION_BATCH;
use crate::nn::{Network, initialise};
use crate::weights::import;
use crate::{Error, Result};

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
        let images = recipe.images(Part::Train)?;
        let (training, validation) = split_validation(&images, recipe.validation)?;
        let training = subset(&training, recipe.subset, recipe.seed)?;
        let training = with_label_noise(&training, recipe.label_noise, recipe.seed)?;
        let test = recipe.images(Part::Test)?;
        let preprocess = recipe.preprocess()?;
        let plain = |set| Loader::plain(set, preprocess.clone(), EVALUATION_BATCH);
        let mut objective = objective(recipe, DType::F32, device)?;
        let classes: Vec<u32> = (0..training.len()).map(|position| training.label(position)).collect();
        objective.meet(&classes)?;
        Ok(Self {
            objective,
            validation: (!validation.is_empty()).then(|| plain(validation)),
            test: plain(test),
            training: Loader {
                set: training,
                preprocess: recipe.training_preprocess()?,
                rounded: None,
                augmentation: Some(recipe.augmentation),
                batch: recipe.batch,
                seed: Some(recipe.seed),
            },
        })
    }
}

/// The objective that a recipe describes, with fresh weights of student and peer, and the teachers' loaded.
///
/// # Errors
/// [`Error::WeightsMismatch`] if a teacher's checkpoint does not fit, [`Error::Malformed`] if it is not the one whose digest
/// the recipe has, [`Error::InvalidValue`] for settings that [`Distillation::check`](crate::distill::Distillation::check)
/// refuses, [`Error::Network`], [`Error::Tensor`].
pub fn objective(recipe: &Recipe, dtype: DType, device: &Device) -> Result<Box<dyn Objective>> {
    let graph = recipe.graph()?;
    let weights = initialise(&graph, recipe.seed);
    let network = Network::new(graph, &weights, dtype, device)?;
    let Some(distillation) = &recipe.distillation else {
        return Ok(Box::new(Supervised::new(network, recipe.optimizer)));
    };
    distillation.check()?;
    let mut teachers = Vec::new();
    for teacher in &distillation.teachers {
        teacher.check_digest()?;
        let graph = build(&teacher.network, &recipe.network_config())?;
        let weights = import(&graph, &teacher.weights)?;
        teachers.push(Network::new(graph, &weights, dtype, device)?);
    }
    match &distillation.method {
        Method::Simkd(settings) | Method::Atsc(settings) => {
            shared_head(recipe, distillation, settings, network, teachers)
        }
        Method::Dml(settings) => {
            let name = settings.peer.as_ref().unwrap_or(&recipe.network);
            let graph = build(name, &recipe.network_config())?;
            let weights = initialise(&graph, recipe.seed ^ PEER_SEED);
            let peer = Network::new(graph, &weights, dtype, device)?;
            Ok(Box::new(MutualLearning::new(
                settings.clone(),
                recipe.optimizer,
                network,
                peer,
            )))
        }
        method => {
            let criterion = method.criterion(recipe.batch).ok_or_else(|| {
                let expected = "a method with a step of its own or a criterion";
                Error::invalid("distillation.method.name", expected, method.name())
            })?;
            let (optimizer, seed) = (recipe.optimizer, recipe.seed ^ CRITERION_SEED);
            Ok(Box::new(KnowledgeDistillation::new(
                criterion, optimizer, network, teachers, seed,
            )?))
        }
    }
}

/// Sets a peer's first weights apart from those of a student of the same network.
const PEER_SEED: u64 = 0x9ee2;

/// Sets the first weights of what a criterion trains apart from the student's.
const CRITERION_SEED: u64 = 0xc417_0000;

fn shared_head(
    recipe: &Recipe,
    distillation: &Distillation,
    settings: &SharedHeadSettings,
    student: Network,
    mut teachers: Vec<Network>,
) -> Result<Box<dyn Objective>> {
    let (settings, optimizer) = (settings.clone(), recipe.optimizer);
    if settings.mode == Mode::OfficialCode {
        // one, by Distillation::check
        let teacher = teachers.pop();
        let teacher = teacher.ok_or_else(|| Error::invalid("distillation.teachers", "a teacher", "none"))?;
        return Ok(Box::new(OfficialCode::new(settings, optimizer, student, teacher)?));
    }
    let guard = settings.guard;
    let guarded = settings.adaptation.rate > 0.0 && !guard.is_off();
    let shared = SharedHead::new(settings, distillation.weighting, optimizer, student, teachers)?;
    Ok(if guarded {
        Box::new(Guarded::new(shared, guard))
    } else {
        Box::new(shared)
    })
}

/// A batch as a step takes it.
///
/// # Shapes
/// - `shape`: `(C, H, W)`
/// - returns: images `(N, C, H, W)`, labels `(N)`
///
/// # Errors
/// [`Error::Tensor`] if the images are of another shape.
pub(crate) fn tensors(batch: Batch, shape: [usize; 3], device: &Device) -> Result<(Tensor, Tensor)> {
    let count = batch.len();
    let [channels, height, width] = shape;
    let images = Tensor::from_vec(batch.images, (count, channels, height, width), device)?;
    Ok((images, Tensor::from_vec(batch.labels, count, device)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::DataSpec;
    use crate::distill::{Dml, Weighting};
    use crate::train::State;

    fn state(seed: u64, peer: Option<&str>) -> Result<State> {
        let data = DataSpec::embedded();
        let images = data.load(Part::Test)?;
        let (mean, std) = (data.kind.mean(), data.kind.std());
        let settings = Dml {
            peer: peer.map(str::to_owned),
            ..Dml::default()
        };
        let recipe = Recipe {
            seed,
            distillation: Some(Distillation {
                method: Method::Dml(settings),
                weighting: Weighting::Uniform,
                teachers: Vec::new(),
            }),
            ..Recipe::for_checkpoint("resnet8", &data, &images, mean, std)
        };
        objective(&recipe, DType::F32, &Device::Cpu)?.state()
    }

    #[test]
    fn a_peer_starts_from_weights_of_its_own() {
        let first = state(0, None).unwrap();
        assert_eq!(state(0, None).unwrap(), first);
        assert!(first["peer"].keys().eq(first["student"].keys()));
        assert_ne!(first["peer"], first["student"]);
        let second = state(1, None).unwrap();
        assert!(second["peer"] != first["peer"] && second["student"] != first["peer"]);
        // another network, and a student that does not depend on it
        let other = state(0, Some("resnet14")).unwrap();
        assert_eq!(other["student"], first["student"]);
        assert!(other["peer"].len() > first["peer"].len());
        let error = state(0, Some("resnet9")).unwrap_err().to_string();
        assert!(error.contains("resnet9"), "{error}");
    }
}
