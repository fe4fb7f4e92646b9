//! From samples to what a report tells of them.

use std::time::Duration;

use hdrhistogram::Histogram as Hdr;
use hdrhistogram::serialization::{Serializer, V2DeflateSerializer};

use super::arrivals::Arrivals;
use super::early_stopping;
use super::report::{Block, Bucket, Histogram, Latency, Point, RunCount, Stage, Stages, Throughput};
use super::timing::Sample;
use crate::measure::{bootstrap, percentile};

/// Blocks of consecutive runs; as many runs where there are fewer. Runs in a block share what the machine does meanwhile, so
/// that blocks are drawn where runs would count as independent that are not.
const BLOCKS: usize = 50;
/// Most points of a timeline.
const POINTS: usize = 2000;
/// Decides which blocks are drawn.
const SEED: u64 = 0;
/// Digits of a latency that a histogram keeps: 0.1 %.
const DIGITS: u8 = 3;
/// Digits of the buckets that are listed, for plots: 1 %.
const BUCKET_DIGITS: u8 = 2;

/// Count and length of the run.
pub(super) fn count(samples: &[Sample]) -> RunCount {
    RunCount {
        count: samples.len(),
        seconds: seconds(begin(samples), end(samples)),
    }
}

/// The distribution of latencies.
pub(super) fn latency(samples: &[Sample]) -> Latency {
    let sorted = sorted(samples, Sample::latency);
    let at = |share| milliseconds(percentile(&sorted, share));
    let n = sorted.len() as f64;
    let mean = mean(&sorted);
    let squares: f64 = sorted.iter().map(|&time| (time as f64 - mean).powi(2)).sum();
    Latency {
        p50: at(0.5),
        p90: at(0.9),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        mean: mean / 1e6,
        stddev: (squares / (n - 1.0).max(1.0)).sqrt() / 1e6,
        min: at(0.0),
        max: at(1.0),
        p90_early_stopping: early_stopping::estimate(&sorted, 0.9).map(milliseconds),
    }
}

/// Runs a second, with an interval over the blocks.
pub(super) fn throughput(samples: &[Sample]) -> Throughput {
    let blocks: Vec<_> = blocks_of(samples)
        .map(|(runs, seconds)| (runs.len() as f64, seconds))
        .collect();
    let rate = bootstrap(SEED, |draw| {
        let counts = draw.counts(blocks.len());
        let (runs, seconds) = blocks.iter().zip(counts).fold((0.0, 0.0), |sum, (block, count)| {
            (sum.0 + block.0 * count as f64, sum.1 + block.1 * count as f64)
        });
        runs / seconds
    });
    Throughput {
        per_second: rate.value,
        low: rate.low,
        high: rate.high,
    }
}

/// The parts of the latencies; those that only a bundle has, if `is_bundle`.
pub(super) fn stages(samples: &[Sample], arrivals: &Arrivals, is_bundle: bool) -> Stages {
    let stage = |part: fn(&Sample) -> u64| {
        let sorted = sorted(samples, part);
        let at = |share| milliseconds(percentile(&sorted, share));
        Stage {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            mean: mean(&sorted) / 1e6,
        }
    };
    Stages {
        waiting: (*arrivals != Arrivals::BackToBack).then(|| stage(|sample| sample.begun - sample.due)),
        preprocess: is_bundle.then(|| stage(|sample| sample.prepared - sample.begun)),
        inference: stage(|sample| sample.inferred - sample.prepared),
        postprocess: is_bundle.then(|| stage(|sample| sample.done - sample.inferred)),
    }
}

/// All latencies, with their buckets.
pub(super) fn histogram(samples: &[Sample]) -> Histogram {
    let coarse = hdr(samples, BUCKET_DIGITS);
    let buckets = coarse.iter_recorded().map(|step| Bucket {
        from_ms: milliseconds(coarse.lowest_equivalent(step.value_iterated_to())),
        to_ms: milliseconds(coarse.next_non_equivalent(step.value_iterated_to())),
        count: step.count_since_last_iteration(),
    });
    Histogram {
        buckets: buckets.collect(),
        hdr_v2_base64: encoded(samples),
    }
}

/// Consecutive runs, [`BLOCKS`] of them.
pub(super) fn blocks(samples: &[Sample]) -> Vec<Block> {
    let block = |(runs, seconds): (&[Sample], f64)| Block {
        runs: runs.len(),
        seconds,
        hdr_v2_base64: encoded(runs),
    };
    blocks_of(samples).map(block).collect()
}

/// Latency over time.
pub(super) fn timeline(samples: &[Sample]) -> Vec<Point> {
    let begin = begin(samples);
    let point = |runs: &[Sample]| {
        let sorted = sorted(runs, Sample::latency);
        Point {
            seconds: seconds(begin, end(runs)),
            p50_ms: milliseconds(percentile(&sorted, 0.5)),
            max_ms: milliseconds(percentile(&sorted, 1.0)),
        }
    };
    samples
        .chunks(samples.len().div_ceil(POINTS).max(1))
        .map(point)
        .collect()
}

/// Blocks of nearly equal length, and the time from the end of the block before, or the first arrival, to the end of each.
fn blocks_of(samples: &[Sample]) -> impl Iterator<Item = (&[Sample], f64)> {
    let count = samples.len().min(BLOCKS);
    let mut before = begin(samples);
    (0..count).map(move |block| {
        let runs = &samples[block * samples.len() / count..(block + 1) * samples.len() / count];
        let time = seconds(before, end(runs));
        before = end(runs);
        (runs, time)
    })
}

fn hdr(samples: &[Sample], digits: u8) -> Hdr<u64> {
    let most = samples.iter().map(Sample::latency).max().unwrap_or_default();
    // both are within the limits that it knows: a range from 1 to 2 or more, and 5 digits or fewer
    let mut histogram = Hdr::new_with_bounds(1, most.max(2), digits).expect("bounds and digits are within its limits");
    for sample in samples {
        histogram.saturating_record(sample.latency());
    }
    histogram
}

fn encoded(samples: &[Sample]) -> String {
    use base64::Engine;
    let mut bytes = Vec::new();
    V2DeflateSerializer::new()
        .serialize(&hdr(samples, DIGITS), &mut bytes)
        .expect("memory takes all that is written");
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn sorted(samples: &[Sample], part: impl Fn(&Sample) -> u64) -> Vec<u64> {
    let mut times: Vec<u64> = samples.iter().map(part).collect();
    times.sort_unstable();
    times
}

fn mean(times: &[u64]) -> f64 {
    // times of streams that fall behind without end overlap: their sum may be longer than 2^64 nanoseconds, 584 years
    let sum: u128 = times.iter().map(|&time| u128::from(time)).sum();
    sum as f64 / times.len().max(1) as f64
}

fn begin(samples: &[Sample]) -> u64 {
    samples.iter().map(|sample| sample.due).min().unwrap_or_default()
}

fn end(samples: &[Sample]) -> u64 {
    samples.last().map_or(0, |sample| sample.done)
}

fn seconds(from: u64, to: u64) -> f64 {
    Duration::from_nanos(to.saturating_sub(from)).as_secs_f64()
}

fn milliseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use hdrhistogram::serialization::Deserializer;

    use super::*;

    /// Runs of these times, back to back, in milliseconds.
    fn runs(times: impl IntoIterator<Item = u64>) -> Vec<Sample> {
        let mut now = 0;
        let run = |time| {
            let begun = now;
            now += time * 1_000_000;
            Sample {
                due: begun,
                begun,
                prepared: begun,
                inferred: now,
                done: now,
            }
        };
        times.into_iter().map(run).collect()
    }

    fn decode(text: &str) -> Hdr<u64> {
        use base64::Engine;
        let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
        Deserializer::new().deserialize(&mut bytes.as_slice()).unwrap()
    }

    #[test]
    fn histograms_hold_every_run() {
        let samples = runs((1..=1000).map(|run| if run % 100 == 0 { 250 } else { 2 }));
        let histogram = histogram(&samples);
        assert!(
            histogram.hdr_v2_base64.starts_with("HISTFAAA"),
            "{}",
            histogram.hdr_v2_base64
        );
        let hdr = decode(&histogram.hdr_v2_base64);
        assert_eq!((hdr.len(), hdr.count_between(249_500_000, 250_500_000)), (1000, 10));
        assert!((hdr.value_at_quantile(0.5) as f64 - 2e6).abs() <= 2e3);
        let counts: Vec<_> = histogram.buckets.iter().map(|bucket| bucket.count).collect();
        assert_eq!(counts, [990, 10]);
        for (bucket, time) in histogram.buckets.iter().zip([2.0, 250.0]) {
            assert!(bucket.from_ms <= time && time < bucket.to_ms && bucket.to_ms / bucket.from_ms < 1.02);
        }
    }

    #[test]
    fn blocks_are_the_whole_run_in_order() {
        for (count, expected) in [(1, 1), (49, 49), (50, 50), (1003, 50)] {
            let samples = runs((0..count).map(|run| 1 + run % 3));
            let blocks = blocks(&samples);
            assert_eq!(blocks.len(), expected);
            assert_eq!(blocks.iter().map(|block| block.runs).sum::<usize>() as u64, count);
            let seconds: f64 = blocks.iter().map(|block| block.seconds).sum();
            assert!((seconds - super::count(&samples).seconds).abs() < 1e-9);
            assert!(
                blocks
                    .iter()
                    .all(|block| decode(&block.hdr_v2_base64).len() == block.runs as u64)
            );
        }
    }

    #[test]
    fn throughput_has_an_interval_that_holds_it() {
        let steady = throughput(&runs(vec![10; 500]));
        assert!(
            [steady.per_second, steady.low, steady.high]
                .iter()
                .all(|rate| (rate - 100.0).abs() < 1e-9)
        );
        // half of the time twice as slow: 1000 runs in 15 s
        let drifting = throughput(&runs((0..1000).map(|run| if run < 500 { 10 } else { 20 })));
        assert!((drifting.per_second - 1000.0 / 15.0).abs() < 1e-9);
        assert!(
            drifting.low < 62.0 && drifting.high > 72.0 && drifting.low > 50.0,
            "{drifting:?}"
        );
    }

    #[test]
    fn a_timeline_has_few_points_and_loses_no_peak() {
        let samples = runs((0..10_001).map(|run| if run == 7777 { 99 } else { 1 }));
        let timeline = timeline(&samples);
        assert!(timeline.len() <= POINTS && timeline.len() > POINTS / 2);
        assert_eq!(timeline.iter().filter(|point| point.max_ms == 99.0).count(), 1);
        assert_eq!(timeline.last().unwrap().seconds, count(&samples).seconds);
    }

    #[test]
    fn times_may_add_up_to_more_than_64_bits_hold() {
        assert_eq!(mean(&[u64::MAX, u64::MAX, 0]), 2f64.powi(65) / 3.0);
        assert_eq!(mean(&[]), 0.0);
    }

    #[test]
    fn one_run_is_enough() {
        let samples = runs([5]);
        let latency = latency(&samples);
        assert_eq!((latency.p50, latency.p999, latency.stddev), (5.0, 5.0, 0.0));
        assert_eq!(latency.p90_early_stopping, None);
        assert_eq!((timeline(&samples).len(), count(&samples).seconds), (1, 0.005));
    }
}
