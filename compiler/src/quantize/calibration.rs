//! From what a value was on calibration images to the range that integers cover.
//!
//! One file a method. Covering all that was seen makes steps coarse; covering less cuts off the few largest values.

mod entropy;
mod mean_squared_error;
mod percentile;
mod search;

use std::fmt;

use serde::Serialize;

use super::histogram::Histogram;
use super::target::Activations;

/// From a smallest to a largest number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// Smallest.
    pub low: f32,
    /// Largest.
    pub high: f32,
}

/// How a range is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Calibration {
    /// All that was seen.
    MinMax,
    /// This percentage of all values, what is outside left out at both ends alike.
    Percentile(f64),
    /// The range whose integers tell most of the values' distribution.
    Entropy,
    /// The range with the least mean squared error of rounding and cutting off.
    Mse,
}

impl Calibration {
    /// Name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::MinMax => "min-max",
            Self::Percentile(_) => "percentile",
            Self::Entropy => "entropy",
            Self::Mse => "mse",
        }
    }

    /// The range to cover with `activations`.
    pub fn range(self, values: &Histogram, activations: Activations) -> Range {
        match self {
            Self::MinMax => values.range(),
            Self::Percentile(percent) => percentile::range(values, percent),
            Self::Entropy => entropy::range(values, activations),
            Self::Mse => mean_squared_error::range(values, activations),
        }
    }
}

impl fmt::Display for Calibration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percentile(percent) => write!(f, "percentile {percent}"),
            _ => f.write_str(self.name()),
        }
    }
}

impl Range {
    /// Nothing but zero.
    pub const ZERO: Self = Self { low: 0.0, high: 0.0 };

    /// The smallest range with both this one and `values`.
    pub fn with(self, values: &[f32]) -> Self {
        values.iter().fold(self, |range, value| Self {
            low: range.low.min(*value),
            high: range.high.max(*value),
        })
    }

    fn scaled(self, low: f32, high: f32) -> Self {
        Self {
            low: self.low * low,
            high: self.high * high,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values like a layer's: a bell, and one far out, which costs less to cut off than all others to be coarser.
    pub(super) fn bell(low: f32) -> Histogram {
        let sample = |i: u32| {
            // sum of uniform numbers from a linear congruential generator
            let mut state = i.wrapping_mul(2_654_435_761).wrapping_add(12345);
            let mut sum = 0.0;
            for _ in 0..12 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                sum += (state >> 8) as f32 / (1 << 24) as f32;
            }
            (sum - 6.0).max(low)
        };
        let mut values: Vec<f32> = (0..400_000).map(sample).collect();
        values.push(10.0);
        let mut histogram = Histogram::new(Range::ZERO.with(&values));
        histogram.add(&values);
        histogram
    }

    #[test]
    fn all_but_min_max_leave_out_what_is_rare() {
        for low in [-10.0, 0.0] {
            let values = bell(low);
            for activations in [Activations::Unsigned, Activations::Signed, Activations::Symmetric] {
                assert_eq!(Calibration::MinMax.range(&values, activations).high, 10.0);
                for method in [Calibration::Percentile(99.99), Calibration::Entropy, Calibration::Mse] {
                    let range = method.range(&values, activations);
                    assert!(
                        range.high > 2.5 && range.high < 9.0,
                        "{method} {activations:?} {range:?}"
                    );
                    assert!(range.low >= low.max(-6.0) && range.low <= 0.0, "{method} {range:?}");
                }
            }
        }
    }

    #[test]
    fn a_value_that_is_always_zero_has_a_range() {
        let mut values = Histogram::new(Range::ZERO);
        values.add(&[0.0; 10]);
        for method in [
            Calibration::MinMax,
            Calibration::Percentile(99.9),
            Calibration::Entropy,
            Calibration::Mse,
        ] {
            assert_eq!(method.range(&values, Activations::Unsigned), Range::ZERO);
        }
    }
}
