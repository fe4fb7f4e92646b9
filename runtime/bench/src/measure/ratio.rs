//! The ratio of two percentiles, and how sure it is.

use serde::Serialize;

use super::bootstrap::{Estimate, bootstrap};
use super::samples::{Samples, nearest_rank};

/// The ratio of two subjects' medians, or other percentiles, with its interval of confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Ratio {
    /// The ratio.
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
    /// as many as there are, and the ratio of the medians is taken anew, [`RESAMPLES`](super::RESAMPLES) times. What slows a sitting down
    /// slows both subjects, and widens the interval less than if each were drawn for itself. Runs of one sitting share
    /// where a start has put things and what else the machine did, so they do not count as independent. `seed` decides the
    /// draws.
    ///
    /// Source: why starts must be repeated: Kalibera and Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013.
    pub fn of_medians(ours: &Samples, theirs: &Samples, seed: u64) -> Self {
        let shared = ours.nanoseconds().len().min(theirs.nanoseconds().len());
        let in_sitting = ours.runs_per_sitting();
        let sittings = shared.div_ceil(in_sitting);
        let [ours, theirs] = [ours, theirs].map(|samples| ByTime::of(&samples.nanoseconds()[..shared], in_sitting));
        let ratio = bootstrap(seed, |draw| {
            let counts = draw.counts(sittings);
            ours.percentile(&counts, 0.5) / theirs.percentile(&counts, 0.5)
        });
        ratio.into()
    }

    /// The percentile at `share`, 0 to 1, of `ours` divided by that of `theirs`, which were measured apart.
    ///
    /// Each is given in blocks of consecutive runs, and each block as times with how often they came. The interval is a
    /// percentile bootstrap as that of [`of_medians`](Self::of_medians), in which the blocks of each are drawn for themselves.
    /// What differs from process to process, it cannot know. `None` if either has no runs.
    pub fn of_percentiles(ours: &[Vec<(u64, u64)>], theirs: &[Vec<(u64, u64)>], share: f64, seed: u64) -> Option<Self> {
        let is_empty = |blocks: &[Vec<(u64, u64)>]| blocks.iter().flatten().all(|(_, count)| *count == 0);
        if is_empty(ours) || is_empty(theirs) {
            return None;
        }
        let blocks = [ours.len(), theirs.len()];
        let [ours, theirs] = [ours, theirs].map(ByTime::new);
        let ratio = bootstrap(seed, |draw| {
            let [of_ours, of_theirs] = blocks.map(|blocks| draw.counts(blocks));
            ours.percentile(&of_ours, share) / theirs.percentile(&of_theirs, share)
        });
        Some(ratio.into())
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

impl From<Estimate> for Ratio {
    fn from(Estimate { value, low, high }: Estimate) -> Self {
        Self { value, low, high }
    }
}

/// Times in rising order, each with its block: a percentile of any draw of blocks is then found in one pass.
struct ByTime {
    /// A time, its block, and how often it came there.
    times: Vec<(u64, usize, u64)>,
    /// Runs of each block.
    sizes: Vec<u64>,
}

impl ByTime {
    fn new(blocks: &[Vec<(u64, u64)>]) -> Self {
        let in_block = |(block, times): (usize, &Vec<(u64, u64)>)| {
            let place = move |&(time, count)| (time, block, count);
            times.iter().map(place).collect::<Vec<_>>()
        };
        let mut times: Vec<_> = blocks.iter().enumerate().flat_map(in_block).collect();
        times.sort_unstable();
        let size = |times: &Vec<(u64, u64)>| times.iter().map(|(_, count)| count).sum();
        Self {
            times,
            sizes: blocks.iter().map(size).collect(),
        }
    }

    /// Of single times, so many in each block.
    fn of(nanoseconds: &[u64], in_block: usize) -> Self {
        let blocks = nanoseconds.chunks(in_block);
        let blocks: Vec<Vec<_>> = blocks
            .map(|times| times.iter().map(|&time| (time, 1)).collect())
            .collect();
        Self::new(&blocks)
    }

    /// The percentile at `share` of a sample in which block `b` comes `drawn[b]` times.
    fn percentile(&self, drawn: &[u64], share: f64) -> f64 {
        let count = self.sizes.iter().zip(drawn).map(|(size, times)| size * times).sum();
        let rank = nearest_rank(share, count);
        let mut reached = 0;
        let found = self.times.iter().find(|&&(_, block, count)| {
            reached += drawn[block] * count;
            reached >= rank
        });
        found.map_or(f64::NAN, |&(time, ..)| time as f64)
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

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
        let drawn = |first, last| ByTime::of(ours.nanoseconds(), 4).percentile(&[first, last], 0.5);
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

    /// Blocks of 40 runs, as [`noisy`]; what the machine does meanwhile is another's.
    fn noisy_blocks(time: u64, seed: u64) -> Vec<Vec<(u64, u64)>> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let block = |random: &mut ChaCha8Rng| {
            let slow = if random.random_bool(0.3) { time / 20 } else { 0 };
            let run = |random: &mut ChaCha8Rng| (time + slow + random.random_range(0..time / 10), 1);
            (0..40).map(|_| run(random)).collect()
        };
        (0..50).map(|_| block(&mut random)).collect()
    }

    #[test]
    fn percentiles_measured_apart_are_compared() {
        let constant = |time| vec![vec![(time, 9), (10 * time, 1)]; 5];
        let of = |share| Ratio::of_percentiles(&constant(300), &constant(200), share, 0).unwrap();
        for share in [0.5, 0.99] {
            assert_eq!((of(share).value, of(share).low, of(share).high), (1.5, 1.5, 1.5));
        }
        assert_eq!(Ratio::of_percentiles(&constant(1), &[vec![]], 0.5, 0), None);
        assert_eq!(Ratio::of_percentiles(&[], &constant(1), 0.5, 0), None);

        let shown = |ours, seed: u64, share| {
            let (ours, theirs) = (noisy_blocks(ours, 2 * seed), noisy_blocks(10_000, 2 * seed + 1));
            Ratio::of_percentiles(&ours, &theirs, share, 0).unwrap().shows()
        };
        for share in [0.5, 0.99] {
            let alike = (0..100)
                .filter(|&seed| shown(10_000, seed, share) != Shown::Nothing)
                .count();
            assert!(alike <= 4, "{alike} of 100 differences that are not there");
            assert_eq!(
                (0..20)
                    .filter(|&seed| shown(11_500, seed, share) == Shown::Slower)
                    .count(),
                20
            );
        }
    }
}
