//! Networks that are the same but for their seed, together.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use askd_runtime::sha256_hex;
use serde::Serialize;

use super::answers::{Repeated, per_class};
use super::epochs::{EpochsToAlone, best_validation};
use super::gather::Gathered;
use super::subject::Subject;
use super::{Latency, Reliability, Role, Share};
use crate::distill::ProjectorCost;
use crate::evaluate::Evaluation;
use crate::robustness::Robustness;
use crate::spread::Spread;
use crate::train::{EpochRecord, Recipe};

/// A network over its seeds.
#[derive(Debug, Clone, Serialize)]
pub struct ModelReport {
    /// Unique in the report.
    pub name: String,
    /// The same for a plot: unique, and as short as that allows.
    pub short_name: String,
    /// What it is to the others.
    pub role: Role,
    /// Variant of a bundle, run through the runtime; none of a run or checkpoint, run in the trainer.
    pub variant: Option<String>,
    /// The variant's arithmetic, such as `int8`; none of a run or checkpoint, which are in f32.
    pub precision: Option<String>,
    /// Network.
    pub network: String,
    /// Top-1 on test images, percent.
    pub top1: Spread,
    /// Top-1 on validation images of the best epoch, percent; none where none are held out, and of bundles.
    pub validation_top1: Option<Spread>,
    /// Expected calibration error, percent, of the logits as they are.
    pub ece_before: Spread,
    /// The same after temperature; none where no temperature was fitted.
    pub ece_after: Option<Spread>,
    /// Trained parameters of what ships, before batch norm is folded.
    pub parameters: usize,
    /// Multiply-accumulates for one image.
    pub macs: usize,
    /// Size of the ONNX file, bytes.
    pub bytes: usize,
    /// What the projectors are of that; none where there are none.
    pub projector: Option<ProjectorCost>,
    /// Of the first seed's model in ONNX Runtime; none where it does not run.
    pub latency_ms: Option<Latency>,
    /// Accuracy of the first seed on corrupted images; none where that was not asked for, and of a checkpoint without its run.
    pub robustness: Option<Robustness>,
    /// Epochs until it is as good as the student alone; none without that or without records.
    pub epochs_to_alone: Option<EpochsToAlone>,
    /// Each seed's.
    pub measured: Vec<Measured>,
}

/// One seed of a network.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// Run directory, bundle or checkpoint.
    pub path: String,
    /// Seed; none where it is not known.
    pub seed: Option<u64>,
    /// On the test images.
    pub test: Evaluation,
    /// Each class's test images that are classified right; none of a class without images.
    pub per_class: Vec<Option<Share>>,
    /// The logits as they are.
    pub before_temperature: Reliability,
    /// After the temperature that validation images gave; none where none was fitted.
    pub after_temperature: Option<Reliability>,
    /// Beside each teacher, or of a student alone those of the same network when it is distilled.
    pub repeated: Vec<Repeated>,
    /// Epoch of the weights, and all epochs; none but of runs.
    pub best_epoch: Option<usize>,
    /// Training seconds; none but of runs.
    pub seconds: Option<f64>,
    /// SHA-256 of the trained weights; none where it is not known.
    pub weights_sha256: Option<String>,
    /// SHA-256 of the ONNX file.
    pub onnx_sha256: String,
    /// SHA-256 of the teachers' weights.
    pub teachers_sha256: Vec<String>,
    /// SHA-256 of the training images; none but of runs.
    pub data_sha256: Option<String>,
    /// The recipe; none of a checkpoint, and of a bundle that does not hold it.
    pub recipe: Option<Recipe>,
    /// Records of the epochs; none but of runs.
    pub epochs: Vec<EpochRecord>,
}

/// A network with its seeds' places among the subjects.
pub(super) struct Model {
    pub(super) report: ModelReport,
    pub(super) places: Vec<usize>,
}

impl Deref for Model {
    type Target = ModelReport;

    fn deref(&self) -> &ModelReport {
        &self.report
    }
}

impl DerefMut for Model {
    fn deref_mut(&mut self) -> &mut ModelReport {
        &mut self.report
    }
}

/// The networks, in the order of their first seeds.
pub(super) fn of(gathered: &Gathered) -> Vec<Model> {
    let subjects = &gathered.subjects;
    let mut groups: Vec<(Key, Vec<usize>)> = Vec::new();
    for (place, subject) in subjects.iter().enumerate() {
        let key = Key::of(subject);
        // the same seed twice is another model: a bundle that was quantised in another way, or weights trained elsewhere
        let joins = |(other, places): &&mut (Key, Vec<usize>)| {
            *other == key && places.iter().all(|place| subjects[*place].seed() != subject.seed())
        };
        match groups.iter_mut().find(joins) {
            Some((_, places)) => places.push(place),
            None => groups.push((key, vec![place])),
        }
    }
    let firsts: Vec<&Subject> = groups.iter().map(|(_, places)| &subjects[places[0]]).collect();
    let names = unique(
        &firsts,
        [name, |subject: &Subject| {
            format!("{} ({})", name(subject), label(&subject.path))
        }],
    );
    let short_names = unique(&firsts, [short_name, name]);
    let names = names.into_iter().zip(short_names);
    let models = groups.iter().zip(names).map(|((_, places), (name, short_name))| {
        let seeds: Vec<&Subject> = places.iter().map(|place| &subjects[*place]).collect();
        let first = seeds[0];
        let measured: Vec<_> = seeds.iter().map(|subject| measure(gathered, subject)).collect();
        let spread = |value: fn(&Measured) -> f64| Spread::of(measured.iter().map(value).collect());
        let validation = seeds.iter().map(|subject| best_validation(&subject.epochs));
        let after = measured.iter().map(|seed| Some(seed.after_temperature.as_ref()?.ece));
        let report = ModelReport {
            name,
            short_name,
            role: first.role.clone(),
            variant: first.variant.clone(),
            precision: first.precision.clone(),
            network: first.network.clone(),
            top1: spread(|seed| seed.test.top1),
            validation_top1: validation.collect::<Option<Vec<_>>>().map(Spread::of),
            ece_before: spread(|seed| seed.before_temperature.ece),
            ece_after: after.collect::<Option<Vec<_>>>().map(Spread::of),
            parameters: first.parameters,
            macs: first.macs,
            bytes: first.onnx.len(),
            projector: first.projector,
            latency_ms: None,
            robustness: None,
            epochs_to_alone: epochs_to_alone(gathered, &seeds),
            measured,
        };
        Model {
            report,
            places: places.clone(),
        }
    });
    models.collect()
}

/// The ONNX files of the models' first seeds, each once, and each model's place among them.
pub(super) fn distinct_onnx<'a>(gathered: &'a Gathered, models: &[Model]) -> (Vec<&'a [u8]>, Vec<usize>) {
    let mut distinct: Vec<&[u8]> = Vec::new();
    let places = models.iter().map(|model| {
        let onnx = gathered.subjects[model.places[0]].onnx.as_slice();
        distinct.iter().position(|other| *other == onnx).unwrap_or_else(|| {
            distinct.push(onnx);
            distinct.len() - 1
        })
    });
    let places = places.collect();
    (distinct, places)
}

/// What two seeds of a network have in common.
#[derive(PartialEq)]
struct Key {
    role: Role,
    variant: Option<String>,
    network: String,
    /// Without seed and teachers' files; none where it is not known.
    recipe: Option<Recipe>,
    /// Of a bundle without its recipe.
    path: Option<PathBuf>,
}

impl Key {
    fn of(subject: &Subject) -> Self {
        let recipe = subject.recipe.clone().map(|mut recipe| {
            recipe.seed = 0;
            for teacher in recipe
                .distillation
                .iter_mut()
                .flat_map(|distillation| &mut distillation.teachers)
            {
                teacher.weights.clear();
                teacher.digest.clear();
            }
            recipe
        });
        Self {
            role: subject.role.clone(),
            variant: subject.variant.clone(),
            network: subject.network.clone(),
            path: recipe.is_none().then(|| subject.path.clone()),
            recipe,
        }
    }
}

fn measure(gathered: &Gathered, subject: &Subject) -> Measured {
    let Subject {
        predictions, result, ..
    } = subject;
    let teachers = gathered.teachers_of(subject).into_iter();
    let repeated = teachers.map(|teacher| Repeated::of(predictions, &teacher.predictions, &name(teacher)));
    Measured {
        path: subject.path.display().to_string(),
        seed: subject.seed(),
        test: predictions.evaluation(),
        per_class: per_class(predictions, gathered.images.classes.len()),
        before_temperature: Reliability::of(predictions, 1.0),
        after_temperature: subject
            .temperature
            .map(|temperature| Reliability::of(predictions, temperature)),
        repeated: repeated.collect(),
        best_epoch: result.as_ref().map(|result| result.best_epoch),
        seconds: result.as_ref().map(|result| result.seconds),
        weights_sha256: subject.weights_sha256.clone(),
        onnx_sha256: sha256_hex(&subject.onnx),
        teachers_sha256: subject
            .teachers()
            .iter()
            .map(|teacher| teacher.digest.clone())
            .collect(),
        data_sha256: result.as_ref().map(|result| result.data_digest.clone()),
        recipe: subject.recipe.clone(),
        epochs: subject.epochs.clone(),
    }
}

/// Of seeds of one network that have a student alone to be held against.
fn epochs_to_alone(gathered: &Gathered, seeds: &[&Subject]) -> Option<EpochsToAlone> {
    let each = seeds.iter().filter_map(|subject| {
        let alone = gathered.alone_of(subject)?;
        let target = best_validation(&alone.epochs)?;
        (!subject.epochs.is_empty()).then_some((subject.epochs.as_slice(), target))
    });
    EpochsToAlone::of(&each.collect::<Vec<_>>())
}

/// What a subject is called.
fn name(subject: &Subject) -> String {
    let trained = subject
        .recipe
        .as_ref()
        .map_or(&subject.network, |recipe| &recipe.network);
    match (&subject.variant, &subject.role) {
        (Some(variant), _) => format!("{} {variant}", label(&subject.path)),
        (None, Role::Teacher) => format!("teacher {trained}"),
        (None, Role::Alone) => format!("{trained} alone"),
        (None, Role::Distilled(method)) => format!("{trained} by {method}"),
    }
}

fn short_name(subject: &Subject) -> String {
    match (&subject.variant, &subject.role) {
        (Some(variant), _) => variant.clone(),
        (None, Role::Teacher) => "teacher".to_owned(),
        (None, Role::Alone) => "alone".to_owned(),
        (None, Role::Distilled(method)) => method.clone(),
    }
}

/// The last part of a path that tells what it is: a study's seeds are in directories of the run's name.
fn label(path: &Path) -> String {
    let mut parts = path.components().rev().map(|part| part.as_os_str().to_string_lossy());
    let last = parts.next().unwrap_or_default();
    match parts.next() {
        Some(parent) if last.starts_with("seed-") => parent.into_owned(),
        _ => last.into_owned(),
    }
}

/// Names in the first of two forms, in the second where others have the same, numbered where that is not enough.
fn unique(subjects: &[&Subject], forms: [fn(&Subject) -> String; 2]) -> Vec<String> {
    let [mut names, long] = forms.map(|form| subjects.iter().map(|subject| form(subject)).collect::<Vec<_>>());
    let among = |names: &[String], name: &String| names.iter().filter(|other| *other == name).count() > 1;
    let first = names.clone();
    for (name, long) in names.iter_mut().zip(long).filter(|(name, _)| among(&first, name)) {
        *name = long;
    }
    let second = names.clone();
    for (number, name) in names.iter_mut().enumerate().filter(|(_, name)| among(&second, name)) {
        *name = format!("{name} #{}", number + 1);
    }
    names
}
