//! What the networks bear: accuracy on corrupted images.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::Path;

use candle_core::{DType, Device};

use super::gather::Gathered;
use super::models::Model;
use super::subject::Subject;
use crate::export::Source;
use crate::robustness::{Options, Report, Robustness, measure_bundle, measure_network};
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
    let mut bundles: BTreeMap<&Path, Report> = BTreeMap::new();
    for model in models {
        let subject = &gathered.subjects[model.places[0]];
        model.robustness = match &subject.variant {
            Some(variant) => {
                // all variants at once, on the same pixels
                let report = match bundles.entry(&subject.path) {
                    Entry::Occupied(measured) => measured.into_mut(),
                    Entry::Vacant(empty) => {
                        progress::say(&format!("{}: corrupted images", subject.path.display()));
                        empty.insert(measure_bundle(&subject.path, None, &gathered.images, options)?)
                    }
                };
                report.networks.iter().find(|network| network.name == *variant).cloned()
            }
            None => {
                progress::say(&format!("{}: corrupted images", model.name));
                of_run(gathered, subject, options, device)?
            }
        };
        if model.robustness.is_none() {
            notes.push(format!(
                "{} has no row of corrupted images: of a checkpoint without its run it is not known how its images are made",
                model.name
            ));
        }
    }
    Ok(notes)
}

fn of_run(gathered: &Gathered, subject: &Subject, options: &Options, device: &Device) -> Result<Option<Robustness>> {
    let Some(recipe) = &subject.recipe else {
        return Ok(None);
    };
    let mut network = Source::run(&subject.path)?.network(DType::F32, device)?;
    let report = measure_network(&subject.network, &mut network, recipe, &gathered.images, options)?;
    Ok(report.networks.into_iter().next())
}
