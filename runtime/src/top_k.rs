//! From logits to named classes.

use std::slice;

use crate::error::Error;

/// One class that an image may show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction<'a> {
    /// Index of the class, from 0.
    pub class: usize,
    /// Its name.
    pub label: &'a str,
    /// Its probability, `0..=1`.
    pub probability: f32,
}

/// Turns logits into probabilities, in place: `exp(x / temperature)`, normalised.
///
/// # Shapes
/// - `values`: K logits in, K probabilities out; they sum to 1
///
/// # Errors
/// [`Error::Temperature`] unless `temperature` is positive and finite; [`Error::Logit`] if a logit is not finite.
/// `values` is unchanged then.
pub fn softmax(values: &mut [f32], temperature: f32) -> Result<(), Error> {
    if !(temperature.is_finite() && temperature > 0.0) {
        return Err(Error::Temperature { found: temperature });
    }
    if let Some(class) = values.iter().position(|value| !value.is_finite()) {
        return Err(Error::Logit {
            class,
            found: values[class],
        });
    }
    let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in &mut *values {
        // Largest first out, so that nothing overflows; halves, so that not even the difference does.
        *value = ((*value / 2.0 - largest / 2.0) / temperature * 2.0).exp();
        sum += *value;
    }
    // At least 1, the largest logit's own term.
    values.iter_mut().for_each(|value| *value /= sum);
    Ok(())
}

/// The `k` most likely classes, most likely first; of equals, the lower class first. All of them if `k` exceeds K.
///
/// # Shapes
/// - `logits`: K raw logits of one image
/// - `labels`: K names
///
/// # Errors
/// [`Error::LabelCount`] if there are not K labels, and those of [`softmax`].
pub fn top_k<'a>(
    logits: &[f32],
    labels: &'a [String],
    temperature: f32,
    k: usize,
) -> Result<Vec<Prediction<'a>>, Error> {
    let mut ranking = Ranking::default();
    ranking.rank(logits, labels.len(), temperature, k)?;
    let Ranking { classes, probabilities } = ranking;
    let named = classes.into_iter().map(|class| Prediction {
        class,
        label: &labels[class],
        probability: probabilities[class],
    });
    Ok(named.collect())
}

/// The most likely classes of an image, most likely first, as [`Session::classify`](crate::Session::classify) gives them.
#[derive(Debug, Clone)]
pub struct Predictions<'a> {
    ranked: slice::Iter<'a, usize>,
    probabilities: &'a [f32],
    labels: &'a [String],
}

impl<'a> Iterator for Predictions<'a> {
    type Item = Prediction<'a>;

    fn next(&mut self) -> Option<Prediction<'a>> {
        let &class = self.ranked.next()?;
        Some(Prediction {
            class,
            label: self.labels.get(class)?,
            probability: *self.probabilities.get(class)?,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ranked.size_hint()
    }
}

impl ExactSizeIterator for Predictions<'_> {}

/// As [`top_k`], with room that is kept from image to image: no allocation while K stays the same.
#[derive(Debug, Default)]
pub struct Ranking {
    /// The classes asked for, most likely first.
    classes: Vec<usize>,
    /// Of every class.
    probabilities: Vec<f32>,
}

impl Ranking {
    /// As [`top_k`], with the number of labels; [`predictions`](Self::predictions) has the result.
    ///
    /// # Errors
    /// Those of [`top_k`].
    pub fn rank(&mut self, logits: &[f32], labels: usize, temperature: f32, k: usize) -> Result<(), Error> {
        if labels != logits.len() {
            return Err(Error::LabelCount {
                expected: logits.len(),
                found: labels,
            });
        }
        self.classes.clear();
        self.probabilities.clear();
        self.probabilities.extend_from_slice(logits);
        softmax(&mut self.probabilities, temperature)?;
        self.classes.extend(0..logits.len());
        // By logit: probabilities of very unlikely classes are equal, at zero. By class too, since the sort is not stable:
        // a stable one allocates.
        let likelier = |&a: &usize, &b: &usize| logits[b].total_cmp(&logits[a]).then(a.cmp(&b));
        if k < logits.len() {
            self.classes.select_nth_unstable_by(k, likelier);
            self.classes.truncate(k);
        }
        self.classes.sort_unstable_by(likelier);
        Ok(())
    }

    /// The result of the last [`rank`](Self::rank), named by `labels`.
    pub fn predictions<'a>(&'a self, labels: &'a [String]) -> Predictions<'a> {
        Predictions {
            ranked: self.classes.iter(),
            probabilities: &self.probabilities,
            labels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("c{class}")).collect()
    }

    #[test]
    fn softmax_by_hand() {
        // exp(0), exp(ln 2), exp(ln 5), over their sum 8.
        let mut values = [0.0, 2f32.ln(), 5f32.ln()];
        softmax(&mut values, 1.0).unwrap();
        for (got, want) in values.iter().zip([1.0 / 8.0, 2.0 / 8.0, 5.0 / 8.0]) {
            assert!((got - want).abs() < 1e-6, "{got} {want}");
        }
        // Temperature 2 takes the square root of the ratios.
        let mut values = [0.0, 9f32.ln()];
        softmax(&mut values, 2.0).unwrap();
        assert!((values[0] - 0.25).abs() < 1e-6);
    }

    #[test]
    fn extreme_logits_neither_overflow_nor_vanish() {
        let mut values = [f32::MAX, f32::MIN, f32::MAX];
        softmax(&mut values, 1e-30).unwrap();
        assert_eq!(values, [0.5, 0.0, 0.5]);
        let mut values = [3.0, 4.0];
        softmax(&mut values, f32::MAX).unwrap();
        assert_eq!(values, [0.5, 0.5]);
    }

    #[test]
    fn wrong_arguments_are_errors() {
        let mut values = [1.0, f32::NAN];
        assert!(matches!(softmax(&mut values, 1.0), Err(Error::Logit { class: 1, .. })));
        assert_eq!(values[0], 1.0);
        for temperature in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(matches!(
                softmax(&mut [1.0], temperature),
                Err(Error::Temperature { .. })
            ));
        }
        let error = top_k(&[1.0, 2.0], &labels(3), 1.0, 1).unwrap_err();
        assert!(matches!(error, Error::LabelCount { expected: 2, found: 3 }));
        assert!(top_k(&[], &[], 1.0, 5).unwrap().is_empty());
    }

    #[test]
    fn order_and_ties() {
        let labels = labels(5);
        let top = top_k(&[1.0, 3.0, 3.0, -200.0, -100.0], &labels, 1.0, 9).unwrap();
        assert_eq!(top.iter().map(|p| p.class).collect::<Vec<_>>(), [1, 2, 0, 4, 3]);
        assert_eq!(top[0].label, "c1");
        assert!((top.iter().map(|p| p.probability).sum::<f32>() - 1.0).abs() < 1e-6);
        assert_eq!(top_k(&[1.0, 3.0], &labels[..2], 1.0, 1).unwrap().len(), 1);
    }
}
