//! Everything that decides a run's result, resolved and stored with it.

use std::path::Path;

use askd_models::{Graph, NetworkConfig, build, distilled_student, networks};
use askd_runtime::{ElementType, Input, Preprocess};
use serde::{Deserialize, Serialize};

use super::{Decay, Schedule};
use crate::bundle::{input_of, input_of_files};
use crate::data::{Augmentation, CorruptFiles, DataKind, DataSpec, ImageSet, Loader, Part};
use crate::distill::{Distillation, Overhead, ProjectorCost, SharedHeadSettings, Teacher};
use crate::evaluate::EVALUATION_BATCH;
use crate::nn::SgdConfig;
use crate::{Error, Result, files};

/// File name of the resolved recipe in a run directory.
pub const RECIPE_FILE: &str = "recipe.toml";

/// A training run, described completely: the same recipe and the same data give the same bits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Registered network that is trained; the student, when distilling.
    pub network: String,
    /// Image shape `[C, H, W]`.
    pub input: [usize; 3],
    /// Number of classes K.
    pub classes: usize,
    /// Data set.
    pub data: DataSpec,
    /// Mean of pixels scaled to `0..=1`, per channel.
    pub mean: Vec<f32>,
    /// Standard deviation of pixels scaled to `0..=1`, per channel.
    pub std: Vec<f32>,
    /// Share of each class's training images held out for validation.
    pub validation: f64,
    /// Share of each class's training images used, after validation data is held out.
    #[serde(default = "whole")]
    pub subset: f64,
    /// Share of training labels replaced by wrong ones; validation and test labels stay.
    #[serde(default)]
    pub label_noise: f64,
    /// What becomes of image files that cannot be decoded.
    #[serde(default)]
    pub corrupt_files: CorruptFiles,
    /// Passes over the training images.
    pub epochs: usize,
    /// Images a step.
    pub batch: usize,
    /// Seed of weights, order and augmentation.
    pub seed: u64,
    /// Steps after which the run ends early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<usize>,
    /// Learning rate over the run.
    pub schedule: Schedule,
    /// The optimiser.
    pub optimizer: SgdConfig,
    /// What is done to training images at random.
    pub augmentation: Augmentation,
    /// The teacher and how it teaches; none for plain training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distillation: Option<Distillation>,
}

fn whole() -> f64 {
    1.0
}

/// The RGB input that a network was published for; ImageNet's usual one for a network that is not registered.
pub(super) fn published_input(network: &str) -> [usize; 3] {
    let published = networks().iter().find(|known| known.name == network);
    published.map_or([3, 224, 224], |known| known.published.input)
}

impl Recipe {
    /// A recipe for a checkpoint that was trained elsewhere: only what a finished network needs is meant. For images of any size
    /// its input is the one that the network was published for.
    pub fn for_checkpoint(network: &str, data: &DataSpec, images: &ImageSet, mean: Vec<f32>, std: Vec<f32>) -> Self {
        Self {
            network: network.to_owned(),
            input: images.shape.unwrap_or_else(|| published_input(network)),
            classes: images.classes.len(),
            data: data.clone(),
            mean,
            std,
            validation: 0.0,
            subset: 1.0,
            label_noise: 0.0,
            corrupt_files: CorruptFiles::Refuse,
            epochs: 1,
            batch: 1,
            seed: 0,
            max_steps: None,
            schedule: Schedule {
                learning_rate: 1.0,
                warmup_epochs: 0.0,
                decay: Decay::Constant,
            },
            optimizer: SgdConfig::default(),
            augmentation: Augmentation {
                crop_padding: 0,
                horizontal_flip: false,
                ..Augmentation::default()
            },
            distillation: None,
        }
    }

    /// The graph that is trained and ships: with shared classifiers, student encoder + projectors + those
    /// classifiers.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub fn graph(&self) -> Result<Graph> {
        let student = self.student()?;
        let Some((settings, teachers)) = self.shared_head()? else {
            return Ok(student);
        };
        let teachers: Vec<&Graph> = teachers.iter().collect();
        Ok(distilled_student(&student, &teachers, &settings.graph_options())?)
    }

    /// What the projectors cost in the student that ships; none where it has none.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub fn projector_cost(&self) -> Result<Option<ProjectorCost>> {
        let settings = self.distillation.as_ref().and_then(|d| d.method.shared_head());
        let cost = settings.map(|settings| ProjectorCost::of(&self.student()?, &self.graph()?, settings));
        cost.transpose()
    }

    /// Replaces the projector's budget, if there is one, by the factor that it chooses.
    ///
    /// A measured choice is not made again for a run that has it: `earlier` is a recipe of which this one is the same but
    /// for the factor and the seed.
    ///
    /// # Errors
    /// Those of [`Distillation::check`] and [`MaxOverhead::choose`](crate::distill::MaxOverhead::choose).
    pub(super) fn settle_factor(&mut self, earlier: Option<&Self>) -> Result<()> {
        let Some(budget) = self
            .shared_head_settings()
            .and_then(|settings| settings.max_overhead.take())
        else {
            return Ok(());
        };
        self.distillation.as_ref().map_or(Ok(()), Distillation::check)?;
        let made = earlier.filter(|_| budget.of == Overhead::Latency);
        let factor = match made.and_then(|earlier| self.factor_of(earlier)) {
            Some(factor) => factor,
            None => {
                let Some((settings, teachers)) = self.shared_head()? else {
                    return Ok(());
                };
                budget.choose(&self.student()?, &teachers.iter().collect::<Vec<_>>(), settings)?
            }
        };
        if let Some(settings) = self.shared_head_settings() {
            settings.factor = factor;
        }
        Ok(())
    }

    /// The factor of a recipe that differs from this one in factor and seed at most.
    fn factor_of(&self, earlier: &Self) -> Option<usize> {
        let factor = earlier.distillation.as_ref()?.method.shared_head()?.factor;
        let mut same = self.clone();
        same.seed = earlier.seed;
        same.shared_head_settings()?.factor = factor;
        (same == *earlier).then_some(factor)
    }

    fn shared_head_settings(&mut self) -> Option<&mut SharedHeadSettings> {
        self.distillation.as_mut()?.method.shared_head_mut()
    }

    /// The network that is trained, by itself.
    fn student(&self) -> Result<Graph> {
        Ok(build(&self.network, &self.network_config())?)
    }

    /// Settings and teachers of a method whose student ships with the teachers' classifiers.
    fn shared_head(&self) -> Result<Option<(&SharedHeadSettings, Vec<Graph>)>> {
        let Some(distillation) = &self.distillation else {
            return Ok(None);
        };
        let Some(settings) = distillation.method.shared_head() else {
            return Ok(None);
        };
        let build = |teacher: &Teacher| -> Result<Graph> { Ok(build(&teacher.network, &self.network_config())?) };
        let teachers = distillation.teachers.iter().map(build).collect::<Result<_>>()?;
        Ok(Some((settings, teachers)))
    }

    /// Steps of the run, with so many batches an epoch.
    pub fn steps(&self, batches: usize) -> usize {
        let all = self.epochs * batches;
        self.max_steps.map_or(all, |most| most.min(all))
    }

    /// Input and classes that networks of this run are built for.
    pub fn network_config(&self) -> NetworkConfig {
        NetworkConfig::new(self.input, self.classes)
    }

    /// The input contract of what is trained here.
    pub fn input_contract(&self) -> Input {
        match self.data.kind {
            DataKind::Folder => input_of_files(self.input, &self.mean, &self.std),
            _ => self.whole_input(),
        }
    }

    /// Without a crop: what training takes, which makes crops of its own.
    fn whole_input(&self) -> Input {
        input_of(self.input, &self.mean, &self.std)
    }

    /// Reads one part of the data set.
    ///
    /// # Errors
    /// As [`DataSpec::load`], and as [`Self::check_images`].
    pub fn images(&self, part: Part) -> Result<ImageSet> {
        let images = self.data.load(part)?.with_corrupt_files(self.corrupt_files);
        self.check_images(&images)?;
        Ok(images)
    }

    /// Pixels to the network's floats.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if mean or standard deviation do not fit.
    pub fn preprocess(&self) -> Result<Preprocess> {
        let channels = self.input[0];
        let right = |values: &[f32], wanted: fn(f32) -> bool| {
            values.len() == channels && values.iter().all(|value| wanted(*value))
        };
        if !right(&self.mean, f32::is_finite) {
            let expected = format!("{channels} numbers, one a channel");
            return Err(Error::invalid("mean", expected, format!("{:?}", self.mean)));
        }
        if !right(&self.std, |value| value.is_finite() && value > 0.0) {
            let expected = format!("{channels} positive numbers, one a channel");
            return Err(Error::invalid("std", expected, format!("{:?}", self.std)));
        }
        Ok(Preprocess::new(&self.input_contract())?)
    }

    /// The same for training's own crops, each of which is scaled as a whole.
    ///
    /// # Errors
    /// As [`Self::preprocess`].
    pub fn training_preprocess(&self) -> Result<Preprocess> {
        self.preprocess()?;
        Ok(Preprocess::new(&self.whole_input())?)
    }

    /// Images in their order as a model of that input sees them: those of any size are rounded to pixels for a model of pixels.
    ///
    /// # Errors
    /// As [`Self::preprocess`].
    pub fn loader(&self, images: ImageSet, input: ElementType) -> Result<Loader> {
        let of_any_size = images.shape.is_none();
        let mut loader = Loader::plain(images, self.preprocess()?, EVALUATION_BATCH);
        if of_any_size && input == ElementType::U8 {
            loader.rounded = Some(self.training_preprocess()?);
        }
        Ok(loader)
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::InvalidValue`], [`Error::Network`], [`Error::Runtime`].
    pub fn check(&self) -> Result<()> {
        if self.epochs == 0 || self.epochs > 100_000 {
            return Err(Error::invalid("epochs", "1 to 100000", self.epochs));
        }
        if self.batch == 0 || self.batch > 65_536 {
            return Err(Error::invalid("batch", "1 to 65536", self.batch));
        }
        if self.max_steps == Some(0) {
            return Err(Error::invalid("max_steps", "1 or more", 0));
        }
        if !(0.0..=0.5).contains(&self.validation) {
            return Err(Error::invalid("validation", "a share from 0 to 0.5", self.validation));
        }
        if !(0.0..1.0).contains(&self.optimizer.momentum) {
            return Err(Error::invalid(
                "optimizer.momentum",
                "0 to below 1",
                self.optimizer.momentum,
            ));
        }
        if !(self.optimizer.weight_decay.is_finite() && self.optimizer.weight_decay >= 0.0) {
            return Err(Error::invalid(
                "optimizer.weight_decay",
                "a number, 0 or more",
                self.optimizer.weight_decay,
            ));
        }
        if self.augmentation.crop_padding > self.input[1].min(self.input[2]) {
            return Err(Error::invalid(
                "augmentation.crop_padding",
                "at most the image's side",
                self.augmentation.crop_padding,
            ));
        }
        self.augmentation.check()?;
        self.schedule.check()?;
        self.distillation.as_ref().map_or(Ok(()), Distillation::check)?;
        self.graph()?;
        self.preprocess()?;
        Ok(())
    }

    /// Checks that these images are what networks of this run take.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if their shape or their classes are others.
    pub fn check_images(&self, images: &ImageSet) -> Result<()> {
        let describe = |shape: [usize; 3], classes: usize| format!("{shape:?} images of {classes} classes");
        let expected = describe(self.input, self.classes);
        // of any size: of the one that they are scaled to
        let got = describe(images.shape.unwrap_or(self.input), images.classes.len());
        if expected == got {
            return Ok(());
        }
        Err(Error::invalid("--data", expected, got))
    }

    /// Reads a run directory's recipe.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`].
    pub fn load(run: &Path) -> Result<Self> {
        let path = run.join(RECIPE_FILE);
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        Self::from_toml(&text, &path)
    }

    /// Reads a resolved recipe's TOML; `file` is where it stands.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn from_toml(text: &str, file: &Path) -> Result<Self> {
        let parsed = toml::from_str(text);
        parsed
            .map_err(|error| Error::malformed(file, "a recipe", error.message().lines().collect::<Vec<_>>().join(" ")))
    }

    /// The first setting in which this recipe differs from that of a run, in words.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a value has no TOML form.
    pub(crate) fn difference_from(&self, run: &Self) -> Result<String> {
        let (given, stored) = (self.to_toml()?, run.to_toml()?);
        let [mut given, mut stored] = [&given, &stored].map(|text| text.lines().filter(|line| !line.is_empty()));
        loop {
            match (given.next(), stored.next()) {
                (None, None) => return Ok("another".to_owned()),
                (given, stored) if given == stored => {}
                (given, stored) => {
                    let [given, stored] = [given, stored].map(|line| line.unwrap_or("nothing"));
                    return Ok(format!("`{given}` where the run has `{stored}`"));
                }
            }
        }
    }

    /// The recipe as TOML.
    ///
    /// # Errors
    /// [`Error::Malformed`] if a value has no TOML form.
    pub fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|error| Error::malformed(RECIPE_FILE, "a TOML value", error.to_string()))
    }

    /// Writes the recipe into a run directory.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, run: &Path) -> Result<()> {
        files::write_atomically(&run.join(RECIPE_FILE), self.to_toml()?.as_bytes())
    }
}
