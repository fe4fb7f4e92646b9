//! From paths to measured networks: all on the same test images, the teachers that recipes name among them.

use super::epochs::are_comparable;
use super::subject::{Argument, Subject};
use super::{ReportOptions, Role};
use crate::data::{DataSpec, ImageSet, Part};
use crate::distill::Teacher;
use crate::train::{BEST_WEIGHTS, Recipe};
use crate::{Error, Result, progress};

/// What was measured.
pub(super) struct Gathered {
    pub(super) data: DataSpec,
    pub(super) images: ImageSet,
    /// Teachers, students alone, distilled ones, then bundles' variants; otherwise in the order of the arguments.
    pub(super) subjects: Vec<Subject>,
    /// What is missing, and why.
    pub(super) notes: Vec<String>,
}

/// Runs every network over the test images.
///
/// # Errors
/// [`Error::InvalidValue`] for what is neither run nor bundle, and for several data sets; whatever opening them gives.
pub(super) fn gather(options: &ReportOptions) -> Result<Gathered> {
    let arguments = options
        .paths
        .iter()
        .map(|path| Argument::open(path))
        .collect::<Result<Vec<_>>>()?;
    let (data, images) = test_images(&arguments, options.data.as_ref())?;
    let mut gathered = Gathered {
        data,
        images,
        subjects: Vec::new(),
        notes: Vec::new(),
    };
    for argument in &arguments {
        progress::say(&format!("{}: test images", argument.path().display()));
        match argument {
            Argument::Run(path, recipe) => {
                let run = Subject::of_run(path, recipe, &gathered.images, &options.device)?;
                gathered.add(run);
            }
            Argument::Bundle(path, manifest, recipe) => {
                for variant in Subject::of_bundle(path, manifest, recipe.as_ref(), &gathered.images)? {
                    gathered.add(variant);
                }
            }
        }
    }
    gathered.add_teachers(options)?;
    gathered
        .subjects
        .sort_by_key(|subject| match (&subject.variant, &subject.role) {
            (Some(_), _) => 3,
            (None, Role::Teacher) => 0,
            (None, Role::Alone) => 1,
            (None, Role::Distilled(_)) => 2,
        });
    Ok(gathered)
}

/// The images that all are measured on.
fn test_images(arguments: &[Argument], data: Option<&DataSpec>) -> Result<(DataSpec, ImageSet)> {
    let mut recipes = arguments
        .iter()
        .filter_map(|argument| Some((argument, argument.recipe()?)));
    let first = recipes.next();
    let corrupt_files = first.map(|(_, recipe)| recipe.corrupt_files).unwrap_or_default();
    if let Some(data) = data {
        return Ok((data.clone(), data.load(Part::Test)?.with_corrupt_files(corrupt_files)));
    }
    let Some((named, Recipe { data, .. })) = first else {
        return Err(Error::invalid(
            "--data",
            "KIND:PATH for a bundle without its recipe",
            "none",
        ));
    };
    let images = data.load(Part::Test)?.with_corrupt_files(corrupt_files);
    let mut others = recipes.filter(|(_, recipe)| recipe.data != *data).peekable();
    let digest = others.peek().is_some().then(|| images.digest()).transpose()?;
    for (argument, recipe) in others {
        if Some(recipe.data.load(Part::Test)?.digest()?) != digest {
            let expected = "one set of test images (a report for each, or --data KIND:PATH that suits all)";
            let got = format!(
                "{data} of {} and {} of {}",
                named.path().display(),
                recipe.data,
                argument.path().display()
            );
            return Err(Error::invalid("report", expected, got));
        }
    }
    Ok((data.clone(), images))
}

impl Gathered {
    /// Adds what is not there yet.
    fn add(&mut self, subject: Subject) {
        let same = |other: &Subject| {
            other.variant == subject.variant
                && other.weights_sha256 == subject.weights_sha256
                && (subject.variant.is_none() || other.path == subject.path)
        };
        if !self.subjects.iter().any(same) {
            self.subjects.push(subject);
        }
    }

    /// Finds the teachers that recipes name: among the runs, or where the recipes say.
    fn add_teachers(&mut self, options: &ReportOptions) -> Result<()> {
        let students: Vec<Recipe> = self
            .subjects
            .iter()
            .filter_map(|subject| subject.recipe.clone())
            .collect();
        let mut missing = Vec::new();
        for student in &students {
            for teacher in student
                .distillation
                .iter()
                .flat_map(|distillation| &distillation.teachers)
            {
                let is_it = |subject: &&mut Subject| {
                    subject.variant.is_none() && subject.weights_sha256.as_ref() == Some(&teacher.digest)
                };
                if let Some(run) = self.subjects.iter_mut().find(is_it) {
                    if run.role == Role::Alone {
                        run.role = Role::Teacher;
                    }
                    continue;
                }
                if missing.contains(&teacher.digest) {
                    continue;
                }
                if let Err(error) = teacher.check_digest() {
                    self.leave_out(teacher, &error, &mut missing);
                    continue;
                }
                progress::say(&format!("{}: test images", teacher.weights.display()));
                // a run directory tells more than the checkpoint in it
                let run = teacher
                    .weights
                    .ancestors()
                    .nth(2)
                    .filter(|run| run.join(BEST_WEIGHTS) == teacher.weights);
                let recipe = run.and_then(|run| Some((run, Recipe::load(run).ok()?)));
                let found =
                    match recipe.map(|(run, recipe)| Subject::of_run(run, &recipe, &self.images, &options.device)) {
                        Some(Ok(subject)) => Ok(Subject {
                            role: Role::Teacher,
                            ..subject
                        }),
                        _ => Subject::of_teacher(teacher, student, &self.data, &self.images, &options.device),
                    };
                match found {
                    Ok(found) => self.add(found),
                    Err(error) => self.leave_out(teacher, &error, &mut missing),
                }
            }
        }
        Ok(())
    }

    fn leave_out(&mut self, teacher: &Teacher, error: &Error, missing: &mut Vec<String>) {
        missing.push(teacher.digest.clone());
        self.notes
            .push(format!("teacher {} is left out: {error}", teacher.network));
    }

    /// Number of test images that all saw: those that could be decoded.
    pub(super) fn decoded(&self) -> usize {
        self.subjects
            .first()
            .map_or(0, |subject| subject.predictions.labels.len())
    }

    /// The teachers of `subject`; those of a student alone are those of the same network when it is distilled, with its seed if
    /// there is such a run.
    pub(super) fn teachers_of(&self, subject: &Subject) -> Vec<&Subject> {
        let alike = |other: &&Subject| {
            let networks = [subject, *other].map(|subject| subject.recipe.as_ref().map(|recipe| &recipe.network));
            other.role.is_distilled() && networks[0].is_some() && networks[0] == networks[1]
        };
        let pupil = match subject.role {
            Role::Teacher => None,
            Role::Distilled(_) => Some(subject),
            Role::Alone => {
                let pupils = || self.subjects.iter().filter(alike);
                pupils()
                    .find(|other| other.seed() == subject.seed())
                    .or_else(|| pupils().next())
            }
        };
        let named = pupil.map_or(&[][..], Subject::teachers).iter();
        let found = named.filter_map(|teacher| {
            let mut all = self.subjects.iter().filter(|other| other.variant.is_none());
            all.find(|other| other.weights_sha256.as_ref() == Some(&teacher.digest))
        });
        found.collect()
    }

    /// The same student without a teacher, from the same images: with the same seed and as many epochs, as far as there is one.
    pub(super) fn alone_of(&self, subject: &Subject) -> Option<&Subject> {
        let recipe = subject.recipe.as_ref().filter(|_| subject.role.is_distilled())?;
        let same_student = |other: &&Subject| {
            let of = other.recipe.as_ref();
            other.role == Role::Alone
                && of.is_some_and(|other| {
                    other.network == recipe.network && other.input == recipe.input && are_comparable(other, recipe)
                })
        };
        let likeness = |other: &&Subject| {
            let (run, epochs) = (
                other.variant.is_none(),
                other.recipe.as_ref().map(|recipe| recipe.epochs),
            );
            (run, other.seed() == Some(recipe.seed), epochs == Some(recipe.epochs))
        };
        // of equals the first
        self.subjects.iter().rev().filter(same_student).max_by_key(likeness)
    }
}
