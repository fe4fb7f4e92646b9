//! How sure a figure is: a percentile bootstrap over blocks of runs.
//!
//! Runs of one block share what the machine did meanwhile, so that blocks are drawn where runs would count as independent
//! that are not.
//!
//! Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Share of such intervals that hold the true figure.
pub const CONFIDENCE: f64 = 0.99;

/// Resamples behind an interval: 10 of them lie beyond either end.
pub const RESAMPLES: usize = 2000;

/// A figure, and the interval of confidence around it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    /// Of all blocks as they were measured.
    pub(crate) value: f64,
    /// Lower end of the interval.
    pub(crate) low: f64,
    /// Upper end.
    pub(crate) high: f64,
}

/// Blocks of which a figure is made: those that were measured, or as many drawn from them with replacement.
pub(crate) struct Draw(Option<ChaCha8Rng>);

impl Draw {
    /// How often each of so many blocks is among them. Asked again, as for a second subject, it draws anew.
    pub(crate) fn counts(&mut self, blocks: usize) -> Vec<u64> {
        let Some(random) = &mut self.0 else {
            return vec![1; blocks];
        };
        let mut counts = vec![0; blocks];
        for _ in 0..blocks {
            counts[random.random_range(0..blocks)] += 1;
        }
        counts
    }
}

/// The `figure` of what was measured, with the interval that those of [`RESAMPLES`] resamples make. `seed` decides the draws.
pub(crate) fn bootstrap(seed: u64, figure: impl Fn(&mut Draw) -> f64) -> Estimate {
    let mut drawn = Draw(Some(ChaCha8Rng::seed_from_u64(seed)));
    let mut figures: Vec<f64> = (0..RESAMPLES).map(|_| figure(&mut drawn)).collect();
    figures.sort_unstable_by(f64::total_cmp);
    let beyond = (RESAMPLES as f64 * (1.0 - CONFIDENCE) / 2.0).round() as usize;
    Estimate {
        value: figure(&mut Draw(None)),
        low: figures[beyond],
        high: figures[RESAMPLES - 1 - beyond],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of these figures, one a block.
    fn mean(figures: &[f64], seed: u64) -> Estimate {
        bootstrap(seed, |draw| {
            let counts = draw.counts(figures.len());
            assert_eq!(counts.iter().sum::<u64>(), figures.len() as u64);
            let sum: f64 = figures
                .iter()
                .zip(counts)
                .map(|(figure, count)| figure * count as f64)
                .sum();
            sum / figures.len() as f64
        })
    }

    #[test]
    fn the_interval_of_a_mean_is_that_of_the_normal_distribution() {
        let figures: Vec<f64> = (0..100).map(f64::from).collect();
        let found = mean(&figures, 0);
        assert_eq!(found.value, 49.5);
        // 2.576 times the standard deviation, 28.87, over the root of 100
        let expected = 2.576 * 2.887;
        for distance in [found.value - found.low, found.high - found.value] {
            assert!((distance / expected - 1.0).abs() < 0.1, "{found:?}");
        }
        assert_eq!(mean(&figures, 0), found);
        assert_ne!(mean(&figures, 1), found);
    }

    #[test]
    fn blocks_that_are_alike_leave_no_doubt() {
        let found = mean(&[3.0; 7], 0);
        assert_eq!((found.value, found.low, found.high), (3.0, 3.0, 3.0));
    }
}
