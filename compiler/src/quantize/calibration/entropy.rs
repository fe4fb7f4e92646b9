//! The range whose integers keep most of what the values' distribution tells: least Kullback-Leibler divergence.
//!
//! Source: Migacz 2017, "8-bit Inference with TensorRT", GPU Technology Conference, there for ranges symmetric about zero.

use super::Range;
use super::search::least_cost;
use crate::quantize::histogram::Histogram;
use crate::quantize::target::Activations;

/// Ends that are tried, as parts of the whole.
const STEPS: u32 = 128;

/// The smallest of them: below, integers are finer than the histogram.
const FIRST: u32 = STEPS / 16;

pub(super) fn range(values: &Histogram, activations: Activations) -> Range {
    least_cost(values.range(), activations, (FIRST, STEPS), |range| {
        divergence(values, range, activations)
    })
}

/// From the distribution that is cut off at the ends of the range, where the rest is piled up, to the one that integers
/// give of what is inside: within an integer's step all values that occur are alike.
fn divergence(values: &Histogram, range: Range, activations: Activations) -> f64 {
    let affine = activations.affine(range);
    let covered = activations.covered(affine);
    let (low, high) = (f64::from(covered.low), f64::from(covered.high));
    let (lowest, highest) = activations.limits();
    let levels = (highest - lowest + 1) as usize;
    let (mut sums, mut bins) = (vec![0.0; levels], vec![0_u32; levels]);
    let level = |value: f64| {
        let integer = (value / f64::from(affine.scale)).round() as i32 + affine.zero_point;
        (integer.clamp(lowest, highest) - lowest) as usize
    };
    let (mut inside, mut below, mut above) = (Vec::new(), 0.0, 0.0);
    for (value, count) in values.bins() {
        let count = count as f64;
        if value < low {
            below += count;
        } else if value > high {
            above += count;
        } else {
            inside.push((value, count));
            sums[level(value)] += count;
            bins[level(value)] += 1;
        }
    }
    let total_inside: f64 = sums.iter().sum();
    let total = total_inside + below + above;
    let last = inside.len().saturating_sub(1);
    let terms = inside.iter().enumerate().map(|(index, (value, count))| {
        let piled = count + if index == 0 { below } else { 0.0 } + if index == last { above } else { 0.0 };
        let at = level(*value);
        let kept = sums[at] / f64::from(bins[at]);
        let (p, q) = (piled / total, kept / total_inside);
        p * (p / q).ln()
    });
    if inside.is_empty() { f64::INFINITY } else { terms.sum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_that_integers_hold_loses_nothing() {
        let mut values = Histogram::new(Range { low: 0.0, high: 255.0 });
        for integer in 1_u16..255 {
            values.add(&vec![f32::from(integer); usize::from(integer)]);
        }
        let range = Range { low: 0.0, high: 255.0 };
        assert!(divergence(&values, range, Activations::Unsigned).abs() < 1e-12);
        let cut = Range { low: 0.0, high: 100.0 };
        assert!(divergence(&values, cut, Activations::Unsigned) > 0.1);
    }
}
