//! Whether a model is right as often as it says.

use serde::Serialize;

use crate::evaluate::Predictions;

/// Bins of equal width from 0 to 1.
///
/// Source: Guo et al. 2017, arXiv:1706.04599, section 5.
const BINS: usize = 15;

/// How confidence and accuracy go together over a set of images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reliability {
    /// Divisor of the logits before softmax.
    pub temperature: f32,
    /// Expected calibration error, percent: the mean over images of the distance between accuracy and mean confidence in their bin.
    ///
    /// Source: Guo et al. 2017, arXiv:1706.04599, section 2.
    pub ece: f64,
    /// The bins, by confidence.
    pub bins: Vec<Bin>,
}

/// Images whose largest probability lies in one part of 0 to 100 %, its upper end included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Number of images.
    pub images: usize,
    /// Mean of their largest probabilities, percent; 0 of none.
    pub confidence: f64,
    /// Percent of them classified right; 0 of none.
    pub accuracy: f64,
}

impl Reliability {
    /// Of these logits, divided by `temperature`.
    pub fn of(predictions: &Predictions, temperature: f32) -> Self {
        let mut sums = [(0_usize, 0.0, 0_usize); BINS];
        let decided = predictions.decisions().zip(predictions.rows());
        for (decision, (logits, label)) in decided {
            let confidence = confidence(logits, temperature);
            let bin = (confidence * BINS as f64).ceil() as usize;
            let (images, sum, right) = &mut sums[bin.clamp(1, BINS) - 1];
            *images += 1;
            *sum += confidence;
            *right += usize::from(decision == Some(label));
        }
        let bins = sums.map(|(images, sum, right)| {
            let percent = |part: f64| 100.0 * part / images.max(1) as f64;
            Bin {
                images,
                confidence: percent(sum),
                accuracy: percent(right as f64),
            }
        });
        let all = predictions.labels.len().max(1) as f64;
        let distances = bins.map(|bin| (bin.accuracy - bin.confidence).abs() * bin.images as f64);
        Self {
            temperature,
            ece: distances.iter().sum::<f64>() / all,
            bins: bins.to_vec(),
        }
    }
}

/// The largest probability, from 0 to 1; 0 where logits are no numbers.
fn confidence(logits: &[f32], temperature: f32) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = logits
        .iter()
        .map(|logit| ((f64::from(*logit) - f64::from(largest)) / f64::from(temperature)).exp());
    let confidence = 1.0 / powers.sum::<f64>();
    if confidence.is_nan() { 0.0 } else { confidence }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two classes: the logit that gives the first one this probability, and 0.
    fn rows(probabilities: &[(f64, u32)]) -> Predictions {
        let logit = |p: f64| (p / (1.0 - p)).ln() as f32;
        Predictions {
            logits: probabilities.iter().flat_map(|(p, _)| [logit(*p), 0.0]).collect(),
            labels: probabilities.iter().map(|(_, label)| *label).collect(),
        }
    }

    #[test]
    fn the_error_is_the_weighted_distance() {
        // bin 12 of 15 is (0.733, 0.8]: right in 1 of 2 at 75 %; bin 15 is (0.933, 1]: right in 2 of 2 at 97.5 %
        let reliability = Reliability::of(&rows(&[(0.74, 0), (0.76, 1), (0.96, 0), (0.99, 0)]), 1.0);
        assert!(
            (reliability.ece - (25.0 * 2.0 + 2.5 * 2.0) / 4.0).abs() < 1e-4,
            "{reliability:?}"
        );
        let filled = reliability.bins.iter().enumerate().filter(|(_, bin)| bin.images > 0);
        assert!(
            filled.map(|(at, bin)| (at, bin.images)).eq([(11, 2), (14, 2)]),
            "{reliability:?}"
        );
        assert!((reliability.bins[11].confidence - 75.0).abs() < 1e-4);
        assert_eq!(reliability.bins[11].accuracy, 50.0);
    }

    #[test]
    fn temperature_divides_logits() {
        // 0.9 is a logit of ln 9; over 2 it is ln 3: 0.75
        let reliability = Reliability::of(&rows(&[(0.9, 0)]), 2.0);
        assert!((reliability.ece - 25.0).abs() < 1e-4, "{reliability:?}");
        let nan = Predictions {
            logits: vec![f32::NAN, f32::NAN],
            labels: vec![0],
        };
        assert_eq!(Reliability::of(&nan, 1.0).ece, 0.0);
    }
}
