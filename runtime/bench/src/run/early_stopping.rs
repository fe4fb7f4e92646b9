//! MLPerf's early-stopping estimate of a percentile.

/// Confidence that the percentile is not above the estimate.
const CONFIDENCE: f64 = 0.99;

/// An upper bound of the latency that a share of `percentile` of all runs do not exceed, with 99 % confidence, from these
/// runs, `sorted`; `None` if they are too few for one.
///
/// Were the percentile above the bound, so many runs at or above the bound as were seen, or fewer, would come by chance in less
/// than 1 % of measurements. The runs are taken to be independent.
///
/// Source: MLPerf inference rules, "Early Stopping"; LoadGen, `early_stopping.cc` and `results.cc`, where the same bound is
/// found by the incomplete beta function, which is this sum of binomial probabilities.
pub(super) fn estimate(sorted: &[u64], percentile: f64) -> Option<u64> {
    let discarded = allowed_above(sorted.len(), percentile)?;
    sorted.get(sorted.len() - discarded).copied()
}

/// The most runs t, 1 or more, for which P(X <= t) < 1 - confidence, X binomial of `runs` and `1 - percentile`: LoadGen's
/// largest t with `runs >= h(t) + t`. `None` if there is none.
fn allowed_above(runs: usize, percentile: f64) -> Option<usize> {
    // ln P(X = 0), then by the ratio of neighbours: the smallest are below what a float holds, and their logarithms are not
    let mut log_term = runs as f64 * percentile.ln();
    let log_odds = ((1.0 - percentile) / percentile).ln();
    let mut sum = log_term.exp();
    let mut allowed = None;
    for above in 1..=runs {
        log_term += log_odds + ((runs - above + 1) as f64 / above as f64).ln();
        sum += log_term.exp();
        if sum >= 1.0 - CONFIDENCE {
            break;
        }
        allowed = Some(above);
    }
    allowed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by exact rational arithmetic in Python: for n runs, the largest t with
    /// `sum(comb(n, x) * p**(n - x) * (1 - p)**x for x in range(t + 1)) < 1/100`, p a `Fraction`.
    /// LoadGen, too, needs 64 runs for the 90th percentile, and 662 for the 99th.
    const KNOWN: [(usize, f64, Option<usize>); 8] = [
        (63, 0.9, None),
        (64, 0.9, Some(1)),
        (100, 0.9, Some(3)),
        (1024, 0.9, Some(80)),
        (5000, 0.9, Some(450)),
        (661, 0.99, None),
        (662, 0.99, Some(1)),
        (1024, 0.99, Some(3)),
    ];

    #[test]
    fn as_many_are_discarded_as_exact_arithmetic_says() {
        for (runs, percentile, allowed) in KNOWN {
            assert_eq!(allowed_above(runs, percentile), allowed, "{runs} at {percentile}");
        }
    }

    #[test]
    fn the_estimate_is_a_time_that_was_measured() {
        let times: Vec<u64> = (1..=1024).collect();
        assert_eq!(estimate(&times[..63], 0.9), None);
        assert_eq!(estimate(&times[..64], 0.9), Some(64));
        // the 80 highest, of which the lowest is the bound
        assert_eq!(estimate(&times, 0.9), Some(945));
        assert_eq!(estimate(&[], 0.9), None);
    }
}
