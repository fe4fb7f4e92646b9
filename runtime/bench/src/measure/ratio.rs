//! The ratio of two medians, and how sure it is.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::samples::Samples;

/// Share of such intervals that hold the true ratio.
pub const CONFIDENCE: f64 = 0.99;

/// Resamples behind an interval: 10 of them lie beyond either end.
pub const RESAMPLES: usize = 2000;

/// The ratio of two subjects' medians, with its interval of confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratio {
    /// The ratio of the medians.
    pub value: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// What a [`Ratio`] shows of its first subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// The whole interval is below 1.
    Faster,
    /// The interval holds 1: it may be either.
    Nothing,
    /// The whole interval is above 1.
    Slower,
}

impl Ratio {
    /// Median of `ours` divided by that of `theirs`, which were measured together.
    ///
    /// The interval is a percentile bootstrap: sittings, each with the times of both subjects, are drawn with replacement,
    /// as many as there are, and the ratio of the medians is taken anew, [`RESAMPLES`] times. What slows a sitting down
    /// slows both subjects, and widens the interval less than if each were drawn for itself. Runs of one sitting share
    /// where a start has put things and what else the machine did, so they do not count as independent. `seed` decides the
    /// draws.
    ///
    /// Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapters 8 and 13; why starts must be
    /// repeated: Kalibera and Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013.
    pub fn of_medians(ours: &Samples, theirs: &Samples, seed: u64) -> Self {
        let shared = ours.nanoseconds().len().min(theirs.nanoseconds().len());
        let in_sitting = ours.runs_per_sitting();
        let sittings = shared.div_ceil(in_sitting);
        let [ours, theirs] = [ours, theirs].map(|samples| ByTime::new(&samples.nanoseconds()[..shared], in_sitting));
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut drawn = vec![0u32; sittings];
        let mut resample = || {
            drawn.fill(0);
            for _ in 0..sittings {
                drawn[random.random_range(0..sittings)] += 1;
            }
            ours.median(&drawn) / theirs.median(&drawn)
        };
        let mut ratios: Vec<f64> = (0..RESAMPLES).map(|_| resample()).collect();
        ratios.sort_unstable_by(f64::total_cmp);
        let beyond = (RESAMPLES as f64 * (1.0 - CONFIDENCE) / 2.0).round() as usize;
        let once = vec![1; sittings];
        Self {
            value: ours.median(&once) / theirs.median(&once),
            low: ratios[beyond],
            high: ratios[RESAMPLES - 1 - beyond],
        }
    }

    /// What the interval shows.
    pub fn shows(&self) -> Shown {
        if self.high < 1.0 {
            Shown::Faster
        } else if self.low > 1.0 {
            Shown::Slower
        } else {
            Shown::Nothing
        }
    }
}

/// Times in rising order, each with its sitting: the median of any draw of sittings is then found in one pass.
struct ByTime {
    times: Vec<(u64, u32)>,
    /// Times of each sitting.
    sizes: Vec<u64>,
}

impl ByTime {
    fn new(nanoseconds: &[u64], in_sitting: usize) -> Self {
        let sittings = nanoseconds.chunks(in_sitting).zip(0..);
        let sizes = sittings.clone().map(|(times, _)| times.len() as u64).collect();
        let mut times: Vec<_> = sittings
            .flat_map(|(times, sitting)| times.iter().map(move |&time| (time, sitting)))
            .collect();
        times.sort_unstable();
        Self { times, sizes }
    }

    /// The median of a sample in which sitting `s` comes `drawn[s]` times.
    fn median(&self, drawn: &[u32]) -> f64 {
        let count: u64 = self
            .sizes
            .iter()
            .zip(drawn)
            .map(|(size, &times)| size * u64::from(times))
            .sum();
        let mut reached = 0;
        let middle = self.times.iter().find(|&&(_, sitting)| {
            reached += u64::from(drawn[sitting as usize]);
            reached >= count.div_ceil(2)
        });
        middle.map_or(f64::NAN, |&(time, _)| time as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(times: impl Iterator<Item = u64>) -> Samples {
        Samples::new(times.collect(), 40).unwrap()
    }

    /// Times of 20 sittings of 40 runs around `time`: the machine's state in a sitting, which both subjects meet, doubles
    /// some; where a start has put things is worth up to 4 %; and each run has noise of its own, up to a tenth.
    fn noisy(time: u64, seed: u64) -> Samples {
        let (mut state, mut own) = (ChaCha8Rng::seed_from_u64(99), ChaCha8Rng::seed_from_u64(seed));
        samples((0..20).flat_map(move |_| {
            let slow = if state.random_bool(0.3) { 2 } else { 1 };
            let placed = time + own.random_range(0..time / 25);
            let mut run = || slow * (placed + own.random_range(0..time / 10));
            (0..40).map(|_| run()).collect::<Vec<_>>()
        }))
    }

    #[test]
    fn times_without_noise_have_an_exact_ratio() {
        let of = |ours, theirs| {
            let constant = |time| samples(std::iter::repeat_n(time, 400));
            Ratio::of_medians(&constant(ours), &constant(theirs), 0)
        };
        let exact = |value| Ratio {
            value,
            low: value,
            high: value,
        };
        assert_eq!((of(500, 1000), of(500, 1000).shows()), (exact(0.5), Shown::Faster));
        assert_eq!((of(1200, 1000), of(1200, 1000).shows()), (exact(1.2), Shown::Slower));
        assert_eq!((of(1000, 1000), of(1000, 1000).shows()), (exact(1.0), Shown::Nothing));
    }

    #[test]
    fn medians_are_those_of_the_pooled_times() {
        let ours = Samples::new(vec![1, 9, 5, 3, 8, 2], 4).unwrap();
        let theirs = Samples::new(vec![2; 100], 4).unwrap();
        // nearest rank: the third of six
        assert_eq!(Ratio::of_medians(&ours, &theirs, 0).value, 3.0 / 2.0);
        let drawn = |first, last| ByTime::new(ours.nanoseconds(), 4).median(&[first, last]);
        assert_eq!((drawn(2, 0), drawn(0, 2), drawn(1, 1)), (3.0, 2.0, 3.0));
        // 1, 2, 2, 2, 3, 5, 8, 8, 8, 9
        assert_eq!(drawn(1, 3), 3.0);
    }

    #[test]
    fn a_seed_decides_the_interval() {
        let (ours, theirs) = (noisy(1000, 1), noisy(1000, 2));
        assert_eq!(
            Ratio::of_medians(&ours, &theirs, 5),
            Ratio::of_medians(&ours, &theirs, 5)
        );
        assert_ne!(
            Ratio::of_medians(&ours, &theirs, 5),
            Ratio::of_medians(&ours, &theirs, 6)
        );
    }

    #[test]
    fn noise_and_luck_show_nothing_and_a_difference_below_them_is_shown() {
        let shown = |ours, seed: u64| {
            let ratio = Ratio::of_medians(&noisy(ours, 2 * seed), &noisy(10_000, 2 * seed + 1), 0);
            assert!(ratio.low <= ratio.value && ratio.value <= ratio.high, "{ratio:?}");
            ratio.shows()
        };
        let alike = (0..100).filter(|&seed| shown(10_000, seed) != Shown::Nothing).count();
        // 1 of 100 is what 99 % means
        assert!(alike <= 4, "{alike} of 100 differences that are not there");
        let faster = (0..20).filter(|&seed| shown(9_500, seed) == Shown::Faster).count();
        assert_eq!(faster, 20);
    }
}
