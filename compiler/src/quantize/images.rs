//! Which images calibrate, and which judge.

use std::path::Path;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::FEWEST_IMAGES;
use super::source::Source;
use crate::data::{DataSpec, ImageSet, Loader, Part, split_validation};
use crate::{Error, Result};

/// Share of training images that the gate looks at, where training held none out.
const VALIDATION: f64 = 0.1;

/// Seed of the choice of calibration images.
const SEED: u64 = 0xca11_b4a7;

/// The very images that [`quantize`](super::quantize) calibrates with, for another quantiser to be compared with.
///
/// # Errors
/// Those of [`quantize`](super::quantize) that are about the bundle or the data.
pub fn calibration_images(bundle: &Path, data: &DataSpec, images: usize) -> Result<Loader> {
    Ok(split(&Source::open(bundle)?, data, images)?.0)
}

/// Images that calibrate, and those that judge.
pub(super) fn split(source: &Source, data: &DataSpec, images: usize) -> Result<(Loader, Loader)> {
    let all = data.load(Part::Train)?.with_corrupt_files(source.recipe.corrupt_files);
    source.recipe.check_images(&all)?;
    let held_out = if source.recipe.validation > 0.0 {
        source.recipe.validation
    } else {
        VALIDATION
    };
    let (training, validation) = split_validation(&all, held_out)?;
    if images < FEWEST_IMAGES || training.len() < images {
        let expected = format!("{FEWEST_IMAGES} to {} images", training.len());
        return Err(Error::invalid("calibration", expected, images));
    }
    let mut positions: Vec<usize> = (0..training.len()).collect();
    positions.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
    positions.truncate(images);
    Ok((loader(source, training.select(positions))?, loader(source, validation)?))
}

pub(super) fn loader(source: &Source, images: ImageSet) -> Result<Loader> {
    source.recipe.loader(images, source.model.manifest().input.data_type)
}
