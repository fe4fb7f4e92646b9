//! A percentage of all values.
//!
//! Source: Wu et al. 2020, "Integer Quantization for Deep Learning Inference", arXiv:2004.09602, section 4.

use super::Range;
use crate::quantize::histogram::Histogram;

pub(super) fn range(values: &Histogram, percent: f64) -> Range {
    let outside = 1.0 - percent / 100.0;
    let Range { low, high } = values.range();
    // zero is always covered, and an end that is zero has nothing beyond it
    Range {
        low: if low < 0.0 {
            values.quantile(outside).min(0.0)
        } else {
            low
        },
        high: if high > 0.0 {
            values.quantile(1.0 - outside).max(0.0)
        } else {
            high
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_lose_the_same_share() {
        let mut values = Histogram::new(Range { low: -10.0, high: 10.0 });
        values.add(&(0..=20_000).map(|i| i as f32 / 1000.0 - 10.0).collect::<Vec<_>>());
        let range = range(&values, 90.0);
        assert!(
            (range.low + 8.0).abs() < 0.01 && (range.high - 8.0).abs() < 0.01,
            "{range:?}"
        );
    }
}
