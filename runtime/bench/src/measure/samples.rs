//! Times of one subject's runs.

use serde::Serialize;

/// Medians of consecutive windows of runs may differ by this share of the earlier one where a subject is warm.
const STABLE_WITHIN: f64 = 0.02;

/// Times of a subject's runs, in the order in which they were made; never none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Samples {
    nanoseconds: Vec<u64>,
    runs_per_sitting: usize,
}

/// What is told of [`Samples`]; percentiles are nearest ranks, times that were really measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// Timed runs.
    pub runs: usize,
    /// Median, in milliseconds.
    pub p50_ms: f64,
    /// 90th percentile, in milliseconds.
    pub p90_ms: f64,
    /// 99th percentile, in milliseconds.
    pub p99_ms: f64,
}

impl Samples {
    /// Samples of these times, of which so many each (1 or more; the last may be fewer) come from one sitting: from one start
    /// of the subject. `None` if there are none.
    pub fn new(nanoseconds: Vec<u64>, runs_per_sitting: usize) -> Option<Self> {
        (!nanoseconds.is_empty() && runs_per_sitting > 0).then_some(Self {
            nanoseconds,
            runs_per_sitting,
        })
    }

    /// The times, in nanoseconds.
    pub fn nanoseconds(&self) -> &[u64] {
        &self.nanoseconds
    }

    /// How many of them come from one sitting.
    pub fn runs_per_sitting(&self) -> usize {
        self.runs_per_sitting
    }

    /// Count and percentiles.
    pub fn summary(&self) -> Summary {
        let mut sorted = self.nanoseconds.clone();
        sorted.sort_unstable();
        let milliseconds = |share| percentile(&sorted, share) as f64 / 1e6;
        Summary {
            runs: sorted.len(),
            p50_ms: milliseconds(0.5),
            p90_ms: milliseconds(0.9),
            p99_ms: milliseconds(0.99),
        }
    }
}

/// The least of the `sorted` times that at least `share` of them do not exceed: nearest rank; 0 of none.
pub(crate) fn percentile(sorted: &[u64], share: f64) -> u64 {
    let rank = nearest_rank(share, sorted.len() as u64) as usize;
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// The place of that time, counted from 1, among `count`.
pub(super) fn nearest_rank(share: f64, count: u64) -> u64 {
    // a whole number that rounding has put a little above itself is that number
    ((share * count as f64 - 1e-6).ceil() as u64).max(1)
}

/// The median of times in any order; 0 of none.
pub(crate) fn median(nanoseconds: &[u64]) -> u64 {
    let mut sorted = nanoseconds.to_vec();
    sorted.sort_unstable();
    percentile(&sorted, 0.5)
}

/// The median of figures in any order, itself one of them; 0 of none.
pub(crate) fn median_figure(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.into_iter().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let rank = nearest_rank(0.5, sorted.len() as u64) as usize;
    sorted.get(rank - 1).copied().unwrap_or_default()
}

/// Whether medians of consecutive windows are so close that the subject is warm.
pub(crate) fn alike(earlier: u64, later: u64) -> bool {
    earlier.abs_diff(later) as f64 <= STABLE_WITHIN * earlier as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut times: Vec<u64> = (1..=100).rev().map(|time| time * 1_000_000).collect();
        let summary = Samples::new(times.clone(), 100).unwrap().summary();
        let expected = Summary {
            runs: 100,
            p50_ms: 50.0,
            p90_ms: 90.0,
            p99_ms: 99.0,
        };
        assert_eq!(summary, expected);
        times.push(1_000_000_000);
        assert_eq!(Samples::new(times, 100).unwrap().summary().p50_ms, 51.0);
        let one = Samples::new(vec![7], 1).unwrap().summary();
        assert_eq!((one.p50_ms, one.p99_ms), (7e-6, 7e-6));
        assert_eq!((Samples::new(Vec::new(), 1), Samples::new(vec![7], 0)), (None, None));
    }

    #[test]
    fn a_median_is_one_of_the_figures_the_lower_of_two() {
        assert_eq!((median(&[9, 1, 5]), median(&[4, 2]), median(&[])), (5, 2, 0));
        assert_eq!(median_figure([9.0, 1.0, 5.0]), 5.0);
        assert_eq!((median_figure([4.0, 2.0]), median_figure([])), (2.0, 0.0));
    }
}
