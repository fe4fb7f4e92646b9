//! What the bundle records of a variant's accuracy, beside the reference's.

use askd_runtime::{Accuracy, Variant};
use serde::Serialize;

/// Rounding of percentages in decimals; far below one image in any data set.
const ROUNDING: f64 = 1e-9;

/// A variant's recorded accuracy on data for which the reference's is recorded too.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccuracyFacts {
    /// Name of the data set.
    pub data: String,
    /// Its part.
    pub split: String,
    /// Images in that part.
    pub images: u64,
    /// Percent of them whose most likely class is right.
    pub top1: f64,
    /// The reference's.
    pub reference_top1: f64,
    /// Points by which the variant is below the reference; negative if it is above.
    pub drop: f64,
}

impl AccuracyFacts {
    /// The accuracies of `variant` and `reference` on the same images; where there are several, those with the largest drop,
    /// since every one must be above the floor. `None` if there are none.
    pub(super) fn of(variant: &Variant, reference: &Variant) -> Option<Self> {
        let shared = variant.accuracy.iter().filter_map(|ours| {
            let theirs = reference.accuracy.iter().find(|theirs| same_images(ours, theirs))?;
            Some(Self {
                data: ours.data.clone(),
                split: ours.split.clone(),
                images: ours.images,
                top1: ours.top1,
                reference_top1: theirs.top1,
                drop: theirs.top1 - ours.top1,
            })
        });
        shared.reduce(|worst, other| if other.drop > worst.drop { other } else { worst })
    }

    /// Whether the variant is at most `max_drop` points below the reference.
    pub(super) fn is_within(&self, max_drop: f64) -> bool {
        self.drop <= max_drop + ROUNDING
    }
}

fn same_images(a: &Accuracy, b: &Accuracy) -> bool {
    (&a.data, &a.split, a.images) == (&b.data, &b.split, b.images)
}

#[cfg(test)]
mod tests {
    use super::super::contest::tests::{recorded, variant};
    use super::*;

    #[test]
    fn the_largest_drop_on_shared_images_counts() {
        let reference = variant(
            "fp32",
            vec![recorded("validation", 5000, 70.0), recorded("test", 10_000, 71.0)],
        );
        let of = |accuracy| AccuracyFacts::of(&variant("int8", accuracy), &reference);
        let found = of(vec![recorded("test", 10_000, 70.9), recorded("validation", 5000, 69.5)]).unwrap();
        assert_eq!(
            (found.split.as_str(), found.top1, found.reference_top1),
            ("validation", 69.5, 70.0)
        );
        assert!(found.is_within(0.5) && !found.is_within(0.49) && !found.is_within(f64::NAN));
        assert!(of(vec![recorded("validation", 5000, 72.0)]).unwrap().is_within(0.0));
        assert_eq!(
            of(vec![recorded("validation", 500, 70.0), recorded("other", 5000, 70.0)]),
            None
        );
        assert_eq!(of(Vec::new()), None);
    }

    #[test]
    fn a_drop_of_just_the_limit_passes_in_decimals_too() {
        let reference = variant("fp32", vec![recorded("validation", 1000, 91.3)]);
        let drop = AccuracyFacts::of(&variant("int8", vec![recorded("validation", 1000, 91.2)]), &reference).unwrap();
        assert!(drop.drop > 0.1 - 1e-12 && drop.is_within(0.1), "{}", drop.drop);
    }
}
