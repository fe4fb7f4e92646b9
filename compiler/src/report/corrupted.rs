//! What the networks bear: accuracy on corrupted images.

use candle_core::{DType, Device};

use super::gather::Gathered;
use super::models::Model;
use super::subject::Subject;
use crate::export::Source;
use crate::robustness::{Options, Robustness, measure_bundle, measure_network};
use crate::{Result, progress};

/// Measures the first seed of each model: all on the same images. Notes of those for which it cannot be done.
///
/// # Errors
/// What the images, the networks and the bundles give.
pub(super) fn measure(
    gathered: &Gathered,
    models: &mut [Model],
    options: &Options,
    device: &Device,
) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    for model in models {
        let subject = &gathered.subjects[model.places[0]];
        progress::say(&format!("{}: corrupted images", model.name));
        model.robustness = of_subject(gathered, subject, options, device)?;
        if model.robustness.is_none() {
            notes.push(format!(
                "{} has no row of corrupted images: of a checkpoint without its run it is not known how its images are made",
                model.name
            ));
        }
    }
    Ok(notes)
}

fn of_subject(
    gathered: &Gathered,
    subject: &Subject,
    options: &Options,
    device: &Device,
) -> Result<Option<Robustness>> {
    let images = &gathered.images;
    let report = match (&subject.variant, &subject.recipe) {
        (Some(variant), _) => measure_bundle(&subject.path, Some(variant), images, options)?,
        (None, Some(recipe)) => {
            let mut network = Source::run(&subject.path)?.network(DType::F32, device)?;
            measure_network(&subject.network, &mut network, recipe, images, options)?
        }
        (None, None) => return Ok(None),
    };
    Ok(report.networks.into_iter().next())
}
