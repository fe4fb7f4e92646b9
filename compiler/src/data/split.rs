//! Validation data, split off the training images.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::ImageSet;
use crate::{Error, Result};

/// The split does not follow a run's seed, so that runs of different seeds are compared on the same images.
const SPLIT_SEED: u64 = 0x5eed_0f5e_7a11;

/// Splits `fraction` of each class off as validation data; gives (training, validation).
///
/// # Errors
/// [`Error::InvalidValue`] unless `fraction` is within `0..=0.5` and leaves both parts what they need.
pub fn split_validation(set: &ImageSet, fraction: f64) -> Result<(ImageSet, ImageSet)> {
    if !(0.0..=0.5).contains(&fraction) {
        return Err(Error::invalid("validation", "a fraction from 0 to 0.5", fraction));
    }
    let (training, validation) = split_off(set, fraction, SPLIT_SEED);
    if training.is_empty() || (fraction > 0.0 && validation.is_empty()) {
        return Err(Error::invalid(
            "validation",
            "a fraction that leaves images to train on and, above 0, holds out at least one",
            fraction,
        ));
    }
    Ok((training, validation))
}

/// A set without `fraction` of each class's images, rounded, that the seed chooses; and those images, both in their order.
pub(super) fn split_off(set: &ImageSet, fraction: f64, seed: u64) -> (ImageSet, ImageSet) {
    let mut by_class = vec![Vec::new(); set.classes.len()];
    for position in 0..set.len() {
        by_class[set.label(position) as usize].push(position);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut rest, mut chosen) = (Vec::new(), Vec::new());
    for mut positions in by_class {
        positions.shuffle(&mut rng);
        let count = (positions.len() as f64 * fraction).round() as usize;
        chosen.extend(positions.drain(..count));
        rest.extend(positions);
    }
    rest.sort_unstable();
    chosen.sort_unstable();
    (set.select(rest), set.select(chosen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataSpec, Part};

    #[test]
    fn no_part_is_left_empty() {
        let set = DataSpec::embedded().load(Part::Test).unwrap();
        // one image, half of which rounds to the whole
        assert!(split_validation(&set.select([0]), 0.5).is_err());
        assert!(split_validation(&set.select([0]), 0.1).is_err());
        assert_eq!(split_validation(&set.select([0]), 0.0).unwrap().0.len(), 1);
        assert!(split_validation(&set.select([]), 0.0).is_err());
    }

    #[test]
    fn the_split_is_balanced_disjoint_and_stable() {
        let set = DataSpec::embedded().load(Part::Train).unwrap();
        let (training, validation) = split_validation(&set, 0.1).unwrap();
        assert_eq!((training.len(), validation.len()), (9000, 1000));
        let both = training.entries.iter().chain(&*validation.entries);
        let mut all: Vec<u32> = both.map(|entry| entry.record).collect();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..10_000));
        for class in 0..10 {
            assert_eq!((0..1000).filter(|i| validation.label(*i) == class).count(), 100);
        }
        assert_eq!(split_validation(&set, 0.1).unwrap().1.entries, validation.entries);
    }
}
