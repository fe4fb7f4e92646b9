//! The range of least cost, both ends searched in turn.

use super::Range;
use crate::quantize::target::Activations;

/// Searches of both ends; the second changes little, a third nothing.
const ROUNDS: usize = 3;

/// Of the ranges whose ends are parts `first/steps` to 1 of the ends of `whole`, the one of least `cost`.
pub(super) fn least_cost(
    whole: Range,
    activations: Activations,
    (first, steps): (u32, u32),
    cost: impl Fn(Range) -> f64,
) -> Range {
    let parts = || (first..=steps).map(|step| step as f32 / steps as f32);
    let least = |candidates: &mut dyn Iterator<Item = (f32, f32)>| {
        let costs = candidates.map(|(low, high)| (cost(whole.scaled(low, high)), low, high));
        costs
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, low, high)| (low, high))
    };
    let (mut low, mut high) = (1.0, 1.0);
    if activations == Activations::Symmetric {
        // one end decides the other
        (low, high) = least(&mut parts().map(|part| (part, part))).unwrap_or((low, high));
        return whole.scaled(low, high);
    }
    for _ in 0..ROUNDS {
        (low, high) = least(&mut parts().map(|part| (low, part))).unwrap_or((low, high));
        (low, high) = least(&mut parts().map(|part| (part, high))).unwrap_or((low, high));
    }
    whole.scaled(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_found() {
        let whole = Range { low: -10.0, high: 10.0 };
        let cost = |range: Range| f64::from((range.low + 3.0).powi(2) + (range.high - 7.0).powi(2));
        let found = least_cost(whole, Activations::Signed, (1, 100), cost);
        assert!(
            (found.low + 3.0).abs() < 1e-5 && (found.high - 7.0).abs() < 1e-5,
            "{found:?}"
        );
        let found = least_cost(whole, Activations::Symmetric, (1, 100), cost);
        assert!(
            (found.low + 5.0).abs() < 1e-5 && (found.high - 5.0).abs() < 1e-5,
            "{found:?}"
        );
        // no end below the first part
        let found = least_cost(whole, Activations::Signed, (50, 100), cost);
        assert!((found.low + 5.0).abs() < 1e-5, "{found:?}");
    }
}
