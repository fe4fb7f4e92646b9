//! The range with the least mean squared error.
//!
//! Within the range a value is rounded by up to half a step, which is `step^2 / 12` in the mean; outside it is moved to the
//! nearer end.
//!
//! Source: Choukroun et al. 2019, "Low-bit Quantization of Neural Networks for Efficient Inference", arXiv:1902.06822.

use super::Range;
use super::search::least_cost;
use crate::quantize::histogram::Histogram;
use crate::quantize::target::Activations;

/// Ends that are tried, as parts of the whole.
const STEPS: u32 = 100;

pub(super) fn range(values: &Histogram, activations: Activations) -> Range {
    least_cost(values.range(), activations, (1, STEPS), |range| {
        error(values, range, activations)
    })
}

/// Sum of squared errors; zeros have none.
fn error(values: &Histogram, range: Range, activations: Activations) -> f64 {
    let affine = activations.affine(range);
    let covered = activations.covered(affine);
    let (low, high) = (f64::from(covered.low), f64::from(covered.high));
    let rounding = f64::from(affine.scale).powi(2) / 12.0;
    let of = |(value, count): (f64, u64)| {
        let outside = (value - high).max(low - value);
        count as f64 * if outside > 0.0 { outside.powi(2) } else { rounding }
    };
    values.bins().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenly_spread_values_are_all_covered() {
        let mut values = Histogram::new(Range { low: -1.0, high: 3.0 });
        values.add(&(1..4000).map(|i| i as f32 / 1000.0 - 1.0).collect::<Vec<_>>());
        let range = range(&values, Activations::Unsigned);
        assert!(range.low < -0.98 && range.high > 2.96, "{range:?}");
    }

    /// The error that is minimised is the one that rounding makes.
    #[test]
    fn the_error_is_that_of_rounding() {
        let numbers: Vec<f32> = (1..50_000).map(|i| ((i as f32 * 0.37).sin() * 2.0).max(-0.5)).collect();
        let mut values = Histogram::new(Range::ZERO.with(&numbers));
        values.add(&numbers);
        let range = Range { low: -0.4, high: 1.5 };
        let affine = Activations::Unsigned.affine(range);
        let rounded = |x: f32| {
            let integer = ((x / affine.scale).round() as i32 + affine.zero_point).clamp(0, 255);
            affine.scale * (integer - affine.zero_point) as f32
        };
        let exact: f64 = numbers.iter().map(|x| f64::from(rounded(*x) - x).powi(2)).sum();
        let estimate = error(&values, range, Activations::Unsigned);
        assert!((estimate / exact - 1.0).abs() < 0.01, "{estimate} {exact}");
    }
}
