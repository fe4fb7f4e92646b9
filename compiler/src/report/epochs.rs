//! How many epochs a method needs to be as good as the student alone.

use serde::Serialize;

use crate::spread::Spread;
use crate::train::{EpochRecord, Recipe};

/// Epochs until the top-1 on validation images is the student alone's best.
#[derive(Debug, Clone, Serialize)]
pub struct EpochsToAlone {
    /// The best validation top-1 of the student alone, percent; of the same seed, where there is one.
    pub target: Spread,
    /// For each seed the first epoch, from 1, at whose end it is reached; none if it never is.
    pub each: Vec<Option<usize>>,
    /// Over the seeds that reach it; none of none.
    pub reached: Option<Spread>,
    /// Epochs of a run.
    pub epochs: usize,
}

impl EpochsToAlone {
    /// Of seeds, each with its target; none of no seeds.
    pub(super) fn of(seeds: &[(&[EpochRecord], f64)]) -> Option<Self> {
        let each: Vec<_> = seeds
            .iter()
            .map(|(records, target)| first_to_reach(records, *target))
            .collect();
        let reached: Vec<f64> = each.iter().flatten().map(|epoch| *epoch as f64).collect();
        Some(Self {
            target: Spread::of(seeds.iter().map(|(_, target)| *target).collect()),
            epochs: seeds.first()?.0.len(),
            reached: (!reached.is_empty()).then(|| Spread::of(reached)),
            each,
        })
    }
}

fn first_to_reach(records: &[EpochRecord], target: f64) -> Option<usize> {
    let reaches = |record: &&EpochRecord| record.validation.is_some_and(|validation| validation.top1 >= target);
    records.iter().find(reaches).map(|record| record.epoch)
}

/// The best validation top-1 of a run, percent; none where no images are held out.
pub(super) fn best_validation(records: &[EpochRecord]) -> Option<f64> {
    let values = records.iter().filter_map(|record| Some(record.validation?.top1));
    values.reduce(f64::max)
}

/// Whether two runs were validated on the same images and trained on as many.
pub(super) fn are_comparable(a: &Recipe, b: &Recipe) -> bool {
    (&a.data, a.validation, a.subset, a.label_noise) == (&b.data, b.validation, b.subset, b.label_noise)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::evaluate::Evaluation;

    /// A run with these validation accuracies.
    pub(in crate::report) fn records(top1: &[f64]) -> Vec<EpochRecord> {
        let record = |(epoch, top1): (usize, &f64)| EpochRecord {
            epoch: epoch + 1,
            step: 10 * (epoch + 1),
            learning_rate: 0.1,
            loss: 1.0 / (epoch + 1) as f64,
            train_top1: *top1,
            terms: [("feature_loss".to_owned(), 0.5)].into(),
            validation: Some(Evaluation {
                top1: *top1,
                top5: 100.0,
                loss: 1.0,
                images: 100,
            }),
            teacher_validation: Vec::new(),
            images_per_second: 1000.0,
            data_wait_share: 0.0,
        };
        top1.iter().enumerate().map(record).collect()
    }

    #[test]
    fn the_first_epoch_that_reaches_counts() {
        let (fast, slow) = (records(&[60.0, 80.0, 79.0, 85.0]), records(&[50.0, 60.0, 70.0, 75.0]));
        let told = EpochsToAlone::of(&[(&fast, 80.0), (&fast, 85.0), (&slow, 80.0)]).unwrap();
        assert_eq!((told.each, told.epochs), (vec![Some(2), Some(4), None], 4));
        let reached = told.reached.unwrap();
        assert_eq!((reached.mean, reached.values.len()), (3.0, 2));
        assert!(EpochsToAlone::of(&[(&slow, 80.0)]).unwrap().reached.is_none());
        assert!(EpochsToAlone::of(&[]).is_none());
        assert_eq!((best_validation(&fast), best_validation(&[])), (Some(85.0), None));
    }
}
