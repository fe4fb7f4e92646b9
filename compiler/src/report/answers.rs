//! What a model answers image by image: right in which classes, and where it repeats its teacher's errors.

use serde::Serialize;

use super::Share;
use super::share::QUANTILE;
use crate::evaluate::Predictions;

/// How often a student is wrong where its teacher is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Repeated {
    /// The teacher's name in the report.
    pub teacher: String,
    /// Of the teacher's errors, those in which the student names the same wrong class; none of no errors.
    pub same_class: Option<Share>,
    /// Of the teacher's errors, those in which the student is wrong, too.
    pub wrong_too: Option<Share>,
}

impl Repeated {
    /// Of these two on the same images.
    pub(super) fn of(student: &Predictions, teacher: &Predictions, name: &str) -> Self {
        let (mut errors, mut same, mut wrong) = (0, 0, 0);
        let both = student.decisions().zip(teacher.decisions()).zip(&student.labels);
        for ((own, teachers), label) in both.filter(|((_, teachers), label)| *teachers != Some(**label)) {
            errors += 1;
            same += usize::from(own == teachers);
            wrong += usize::from(own != Some(*label));
        }
        Self {
            teacher: name.to_owned(),
            same_class: Share::new(same, errors),
            wrong_too: Share::new(wrong, errors),
        }
    }
}

/// Each class's images that are classified right; none of a class without images.
pub(super) fn per_class(predictions: &Predictions, classes: usize) -> Vec<Option<Share>> {
    let mut counts = vec![(0, 0); classes];
    for (decision, label) in predictions.decisions().zip(&predictions.labels) {
        if let Some((right, images)) = counts.get_mut(*label as usize) {
            *images += 1;
            *right += usize::from(decision == Some(*label));
        }
    }
    counts
        .into_iter()
        .map(|(right, images)| Share::new(right, images))
        .collect()
}

/// By how many points of top-1 `model` is above `other` on the same images, with its 95 % interval: that of a mean of paired
/// differences, each -1, 0 or 1.
pub(super) fn paired_gain(model: &Predictions, other: &Predictions) -> (f64, [f64; 2]) {
    let right = |predictions: &Predictions| -> Vec<bool> {
        let decided = predictions.decisions().zip(&predictions.labels);
        decided.map(|(decision, label)| decision == Some(*label)).collect()
    };
    let (model, other) = (right(model), right(other));
    let count = model.len().max(1) as f64;
    let only = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|(a, b)| **a && !**b).count() as f64;
    let (won, lost) = (only(&model, &other), only(&other, &model));
    let mean = (won - lost) / count;
    let half = QUANTILE * (((won + lost) / count - mean * mean) / count).sqrt();
    (100.0 * mean, [100.0 * (mean - half), 100.0 * (mean + half)])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Images of three classes that are taken for `decisions`.
    fn taken(decisions: &[usize], labels: &[u32]) -> Predictions {
        let row = |class: usize| (0..3).map(move |other| f32::from(u8::from(other == class)));
        Predictions {
            logits: decisions.iter().copied().flat_map(row).collect(),
            labels: labels.to_vec(),
        }
    }

    #[test]
    fn repeated_errors_are_counted_among_the_teachers() {
        let labels = [0, 0, 0, 1, 1, 2];
        let teacher = taken(&[0, 1, 2, 0, 1, 0], &labels); // wrong at 1, 2, 3, 5
        let student = taken(&[1, 1, 1, 1, 1, 0], &labels); // there: same, wrong too, right, same
        let repeated = Repeated::of(&student, &teacher, "t");
        let counts = [repeated.same_class, repeated.wrong_too].map(|share| share.map(|share| (share.count, share.of)));
        assert_eq!(counts, [Some((2, 4)), Some((3, 4))]);
        assert_eq!(
            Repeated::of(&student, &taken(&[0, 0, 0, 1, 1, 2], &labels), "t").same_class,
            None
        );
    }

    #[test]
    fn classes_are_counted_apart() {
        let classes = per_class(&taken(&[0, 1, 1, 1], &[0, 0, 1, 1]), 3);
        let counts: Vec<_> = classes
            .iter()
            .map(|share| share.map(|share| (share.count, share.of)))
            .collect();
        assert_eq!(counts, [Some((1, 2)), Some((2, 2)), None]);
    }

    #[test]
    fn a_gain_is_that_of_pairs() {
        let labels = [0; 10];
        let better = taken(&[0, 0, 0, 0, 0, 0, 0, 0, 1, 1], &labels);
        let worse = taken(&[1, 1, 1, 0, 0, 0, 0, 0, 0, 1], &labels); // 3 won, 1 lost
        let (points, [low, high]) = paired_gain(&better, &worse);
        assert!((points - 20.0).abs() < 1e-9);
        // variance of the differences: 0.4 - 0.04
        let half = 100.0 * 1.959_964 * (0.36_f64 / 10.0).sqrt();
        assert!(
            (high - 20.0 - half).abs() < 1e-9 && (low - 20.0 + half).abs() < 1e-9,
            "{low} {high}"
        );
        assert_eq!(paired_gain(&worse, &worse), (0.0, [0.0, 0.0]));
    }
}
