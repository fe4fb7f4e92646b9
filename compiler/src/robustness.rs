//! What networks bear: accuracy on corrupted images, several networks beside each other on the same ones.

mod report;
mod subject;

use std::path::Path;

use askd_runtime::{Model, Preprocess};

pub use self::report::{CorruptedAccuracy, Report, Robustness};
pub use self::subject::Subject;
use crate::data::{Corruption, ImageSet, Prepared, Severity, first_of_each_class};
use crate::evaluate::{Evaluation, Tally};
use crate::nn::Network;
use crate::progress::Progress;
use crate::train::Recipe;
use crate::{Error, Result};

/// Images that are corrupted at once, and most bytes that they take together, before they are corrupted; with what is made of them, thrice
/// as many.
const IMAGES_AT_ONCE: usize = 1000;
const BYTES_AT_ONCE: usize = 64 << 20;

/// What is done to the images.
#[derive(Debug, Clone)]
pub struct Options {
    /// Corruptions, in the order in which they are told.
    pub corruptions: Vec<Corruption>,
    /// Severities, in the order in which they are told.
    pub severities: Vec<Severity>,
    /// Decides what the corruptions draw.
    pub seed: u64,
    /// Only the first so many images of each class; none for all.
    pub images_per_class: Option<usize>,
}

impl Options {
    /// Those of the images that are measured on.
    pub fn chosen(&self, images: &ImageSet) -> ImageSet {
        match self.images_per_class {
            Some(count) => first_of_each_class(images, count),
            None => images.clone(),
        }
    }
}

impl Default for Options {
    /// Every corruption at every severity, seed 0, all images.
    fn default() -> Self {
        Self {
            corruptions: Corruption::all().collect(),
            severities: Severity::all().collect(),
            seed: 0,
            images_per_class: None,
        }
    }
}

/// Accuracy of each of `subjects` on the images as they are, and under each corruption at each severity.
///
/// Images are brought to the networks' size and channels by `preprocess`, rounded to pixels and then corrupted, so that a corruption is
/// as strong whatever size a photograph has, and every subject sees the same pixels.
///
/// # Errors
/// [`Error::InvalidValue`] without images, corruptions or severities; what the images meet, and what a subject gives.
pub fn measure(
    images: &ImageSet,
    preprocess: &Preprocess,
    options: &Options,
    subjects: &mut [Subject<'_>],
) -> Result<Report> {
    let Options {
        corruptions,
        severities,
        seed,
        ..
    } = options;
    let images = &options.chosen(images);
    for (what, empty) in [
        ("--data", images.is_empty()),
        ("--corrupt", corruptions.is_empty()),
        ("--severity", severities.is_empty()),
    ] {
        if empty {
            return Err(Error::invalid(what, "at least one", "none"));
        }
    }
    if let Some(twice) = repeated(corruptions) {
        return Err(Error::invalid(
            "--corrupt",
            "each corruption once",
            format!("{twice} twice"),
        ));
    }
    if let Some(twice) = repeated(severities) {
        return Err(Error::invalid(
            "--severity",
            "each severity once",
            format!("{twice} twice"),
        ));
    }
    let pairs = corruptions
        .iter()
        .flat_map(|corruption| severities.iter().map(|severity| (*corruption, *severity)));
    let cases: Vec<_> = std::iter::once(None).chain(pairs.map(Some)).collect();
    let mut progress = Progress::new("corrupted images", 0, cases.len() * images.len());
    let mut tallies = vec![vec![Tally::default(); cases.len()]; subjects.len()];
    let at_once = (BYTES_AT_ONCE / preprocess.elements().max(1)).clamp(1, IMAGES_AT_ONCE);
    let positions: Vec<usize> = (0..images.len()).collect();
    let mut done = 0;
    // all images clean first, so that a damaged file is found before the long part
    let passes = [0..1, 1..cases.len()].into_iter();
    let parts = passes.flat_map(|numbers| positions.chunks(at_once).map(move |part| (numbers.clone(), part)));
    for (numbers, positions) in parts {
        let part = Prepared::new(&images.select(positions.iter().copied()), preprocess)?;
        for number in numbers {
            let part = match cases[number] {
                Some((corruption, severity)) => &part.corrupted(corruption, severity, *seed)?,
                None => part.images(),
            };
            for (subject, tallies) in subjects.iter_mut().zip(&mut tallies) {
                tallies[number].add(&subject.predict(part)?);
            }
            done += positions.len();
            progress.update(done, || match cases[number] {
                Some((corruption, severity)) => format!("{corruption} {severity}"),
                None => "clean".to_owned(),
            });
        }
    }
    let evaluations = |tallies: Vec<Tally>| tallies.into_iter().map(Tally::evaluation).collect();
    let measured: Vec<Vec<Evaluation>> = tallies.into_iter().map(evaluations).collect();
    let decoded = measured.first().and_then(|evaluations| evaluations.first());
    let decoded = decoded.map_or(0, |clean| clean.images);
    if decoded == 0 {
        return Err(Error::invalid("--data", "an image that can be decoded", "none"));
    }
    let networks = subjects.iter().zip(measured);
    Ok(Report {
        seed: *seed,
        images: decoded,
        networks: networks
            .map(|(subject, measured)| Robustness::of(subject.name(), &cases, &measured))
            .collect(),
    })
}

/// The first that stands in a list a second time.
fn repeated<T: PartialEq>(list: &[T]) -> Option<&T> {
    let seen_before = |(index, one): &(usize, &T)| list[..*index].contains(one);
    list.iter().enumerate().find(seen_before).map(|(_, one)| one)
}

/// The accuracy of a bundle's variants beside each other, or of the one called `variant` alone.
///
/// # Errors
/// [`Error::Runtime`] if the bundle cannot be opened or run, [`Error::InvalidValue`] if it has another number of classes; those of
/// [`measure`].
pub fn measure_bundle(bundle: &Path, variant: Option<&str>, images: &ImageSet, options: &Options) -> Result<Report> {
    let manifest = Model::open(bundle)?.manifest().clone();
    let names: Vec<&str> = match variant {
        Some(name) => vec![&manifest.variant(name)?.name],
        None => manifest.variants.iter().map(|variant| variant.name.as_str()).collect(),
    };
    let subject = |name: &&str| Subject::bundle(&Model::open_variant(bundle, name)?, images);
    let mut subjects = names.iter().map(subject).collect::<Result<Vec<_>>>()?;
    measure(images, &Preprocess::new(&manifest.input)?, options, &mut subjects)
}

/// The accuracy of the network of a recipe, which goes by `name`.
///
/// # Errors
/// Those of [`Recipe::check_images`], [`Recipe::preprocess`] and [`measure`].
pub fn measure_network(
    name: &str,
    network: &mut Network,
    recipe: &Recipe,
    images: &ImageSet,
    options: &Options,
) -> Result<Report> {
    recipe.check_images(images)?;
    let subject = Subject::network(name, network, recipe.training_preprocess()?);
    measure(images, &recipe.preprocess()?, options, &mut [subject])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::input_of;
    use crate::data::{DataSpec, Part};
    use crate::evaluate::Predictions;

    fn preprocess() -> Preprocess {
        Preprocess::new(&input_of([1, 28, 28], &[0.0], &[1.0])).unwrap()
    }

    fn options(corruptions: &[&str], severities: &[&str]) -> Options {
        Options {
            corruptions: corruptions.iter().map(|name| name.parse().unwrap()).collect(),
            severities: severities.iter().map(|number| number.parse().unwrap()).collect(),
            seed: 5,
            images_per_class: None,
        }
    }

    /// A classifier that is right unless it sees other pixels than it knows.
    fn by_heart(known: &ImageSet) -> impl FnMut(&ImageSet) -> Result<Predictions> {
        move |images| {
            let mut logits = Vec::new();
            for position in 0..images.len() {
                let [mut seen, mut own] = [Vec::new(), Vec::new()];
                let seen = images.image(position, &mut seen)?.unwrap().pixels().to_vec();
                let same = seen == known.image(position, &mut own)?.unwrap().pixels();
                let wrong = (images.label(position) + 1) % 10;
                let answer = if same { images.label(position) } else { wrong };
                logits.extend((0..10).map(|class| f32::from(u8::from(class == answer))));
            }
            let labels = (0..images.len()).map(|position| images.label(position)).collect();
            Ok(Predictions { logits, labels })
        }
    }

    #[test]
    fn every_subject_is_measured_clean_and_in_every_case() {
        let all = DataSpec::embedded().load(Part::Test).unwrap();
        let images = first_of_each_class(&all, 2);
        let guess = |images: &ImageSet| {
            let labels: Vec<u32> = (0..images.len()).map(|position| images.label(position)).collect();
            Ok(Predictions {
                logits: [1.0, 0.0].repeat(5 * labels.len()),
                labels,
            })
        };
        let mut subjects = [Subject::new("knows", by_heart(&images)), Subject::new("guesses", guess)];
        let options = Options {
            images_per_class: Some(2),
            ..options(&["fog", "gaussian-noise"], &["2", "5"])
        };
        let report = measure(&all, &preprocess(), &options, &mut subjects).unwrap();
        assert_eq!((report.images, report.seed), (20, 5));
        let [knows, guesses] = report.networks.as_slice() else {
            panic!("{report:?}");
        };
        assert_eq!(
            (knows.name.as_str(), knows.clean.top1, knows.mean_top1),
            ("knows", 100.0, 0.0)
        );
        assert_eq!((guesses.clean.top1, guesses.mean_top1), (10.0, 10.0));
        let rows: Vec<_> = knows
            .rows
            .iter()
            .map(|row| format!("{} {}", row.corruption, row.severity))
            .collect();
        assert_eq!(rows, ["fog 2", "fog 5", "gaussian-noise 2", "gaussian-noise 5"]);
    }

    #[test]
    fn nothing_to_measure_is_refused() {
        let images = DataSpec::embedded().load(Part::Test).unwrap();
        for (images, options, flag) in [
            (images.select([]), options(&["fog"], &["1"]), "--data"),
            (images.select([0]), options(&[], &["1"]), "--corrupt"),
            (images.select([0]), options(&["fog"], &[]), "--severity"),
            (
                images.select([0]),
                options(&["fog", "snow", "fog"], &["1"]),
                "--corrupt",
            ),
            (images.select([0]), options(&["fog"], &["1", "1"]), "--severity"),
        ] {
            let error = measure(&images, &preprocess(), &options, &mut []).unwrap_err();
            assert!(error.to_string().starts_with(flag), "{error}");
        }
    }
}
