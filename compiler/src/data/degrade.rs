//! Less data and wrong labels, on purpose: how a method does where data are few or labels noisy.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::ImageSet;
use crate::{Error, Result};

/// Apart from every other use of a run's seed.
const SUBSET_STREAM: u64 = 0x5b5e7;
const NOISE_STREAM: u64 = 0x4015e;

/// A share of each class's images, at least one of each, chosen by the seed.
///
/// # Errors
/// [`Error::InvalidValue`] unless `share` is above 0 and at most 1.
pub fn subset(set: &ImageSet, share: f64, seed: u64) -> Result<ImageSet> {
    if !(share > 0.0 && share <= 1.0) {
        return Err(Error::invalid("subset", "a share above 0, at most 1", share));
    }
    if share == 1.0 {
        return Ok(set.clone());
    }
    let mut by_class = vec![Vec::new(); set.classes.len()];
    (0..set.len()).for_each(|position| by_class[set.label(position) as usize].push(position));
    let mut rng = stream(seed, SUBSET_STREAM);
    let mut kept = Vec::new();
    for mut positions in by_class.into_iter().filter(|positions| !positions.is_empty()) {
        positions.shuffle(&mut rng);
        let count = (positions.len() as f64 * share).round().max(1.0) as usize;
        kept.extend(positions.into_iter().take(count));
    }
    kept.sort_unstable();
    Ok(set.select(kept))
}

/// The first `count` images of each class, or all that it has, in their order.
pub fn first_of_each_class(set: &ImageSet, count: usize) -> ImageSet {
    let mut taken = vec![0; set.classes.len()];
    let kept = (0..set.len()).filter(|position| {
        let taken = &mut taken[set.label(*position) as usize];
        *taken += 1;
        *taken <= count
    });
    set.select(kept.collect::<Vec<_>>())
}

/// Symmetric label noise: a share of the images, chosen by the seed, gets one of the other classes, each as likely.
///
/// # Errors
/// [`Error::InvalidValue`] unless `share` is within `0..=1` and, above 0, there are two classes.
///
/// Source: van Rooyen, Menon and Williamson 2015, arXiv:1505.07634, section 2.
pub fn with_label_noise(set: &ImageSet, share: f64, seed: u64) -> Result<ImageSet> {
    let classes = set.classes.len();
    if !(0.0..=1.0).contains(&share) || (share > 0.0 && classes < 2) {
        return Err(Error::invalid(
            "label_noise",
            "a share from 0 to 1, of two classes or more",
            share,
        ));
    }
    if share == 0.0 {
        return Ok(set.clone());
    }
    let mut rng = stream(seed, NOISE_STREAM);
    let mut order: Vec<usize> = (0..set.len()).collect();
    order.shuffle(&mut rng);
    let mut entries = set.entries.to_vec();
    for position in order.into_iter().take((set.len() as f64 * share).round() as usize) {
        let away = rng.random_range(1..classes as u32);
        let label = &mut entries[position].label;
        *label = (*label + away) % classes as u32;
    }
    Ok(ImageSet {
        entries: entries.into(),
        ..set.clone()
    })
}

fn stream(seed: u64, stream: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    rng
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DataSpec, Part};

    #[test]
    fn a_subset_is_balanced_and_the_seeds_own() {
        let set = DataSpec::embedded().load(Part::Train).unwrap();
        let tenth = subset(&set, 0.1, 3).unwrap();
        for class in 0..10 {
            assert_eq!((0..tenth.len()).filter(|i| tenth.label(*i) == class).count(), 100);
        }
        assert_eq!(tenth.digest().unwrap(), subset(&set, 0.1, 3).unwrap().digest().unwrap());
        assert_ne!(tenth.digest().unwrap(), subset(&set, 0.1, 4).unwrap().digest().unwrap());
        assert_eq!(subset(&set, 1.0, 3).unwrap().digest().unwrap(), set.digest().unwrap());
        assert_eq!(subset(&set, 1e-9, 3).unwrap().len(), 10, "one of each class");
        for share in [0.0, -1.0, 1.1, f64::NAN] {
            assert!(subset(&set, share, 0).is_err());
        }
    }

    #[test]
    fn the_first_of_each_class_are_taken_in_order() {
        let set = DataSpec::embedded().load(Part::Test).unwrap();
        let first = first_of_each_class(&set, 3);
        assert_eq!(first.len(), 30);
        let positions: Vec<_> = (0..30).map(|position| first.number(position)).collect();
        assert!(positions.is_sorted() && positions[29] < 200, "{positions:?}");
        for class in 0..10 {
            let own = (0..set.len()).filter(|position| set.label(*position) == class);
            let wanted: Vec<_> = own.take(3).map(|position| set.number(position)).collect();
            let got = (0..30).filter(|position| first.label(*position) == class);
            assert_eq!(got.map(|position| first.number(position)).collect::<Vec<_>>(), wanted);
        }
        assert_eq!(first_of_each_class(&set, usize::MAX).len(), set.len());
    }

    #[test]
    fn noise_changes_a_share_of_the_labels_to_every_other_class() {
        let set = DataSpec::embedded().load(Part::Train).unwrap();
        let noisy = with_label_noise(&set, 0.2, 3).unwrap();
        let mut changes = [0; 10];
        for i in 0..set.len() {
            changes[((noisy.label(i) + 10 - set.label(i)) % 10) as usize] += 1;
        }
        assert_eq!(changes[0], 8000, "no image keeps its class by chance");
        // 2000 changes, 9 ways: 222 each, standard deviation 14
        assert!(
            changes[1..].iter().all(|count| (150..300).contains(count)),
            "{changes:?}"
        );
        assert_eq!(
            noisy.digest().unwrap(),
            with_label_noise(&set, 0.2, 3).unwrap().digest().unwrap()
        );
        assert_eq!(
            with_label_noise(&set, 0.0, 3).unwrap().digest().unwrap(),
            set.digest().unwrap()
        );
        for share in [-0.1, 1.1, f64::NAN] {
            assert!(with_label_noise(&set, share, 0).is_err());
        }
    }
}
