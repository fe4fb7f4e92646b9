use super::super::clock::SystemClock;
use super::super::clock::tests::Spent;
use super::super::report::{Latency, Stages};
use super::super::statistics;
use super::*;

mod streams;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

/// An engine that takes what `time` says of a run, by its number and the moment of its beginning.
struct Synthetic<'a, F> {
    clock: &'a Spent,
    runs: u64,
    time: F,
}

impl<F: FnMut(u64, u64) -> u64> Engine for Synthetic<'_, F> {
    type Error = &'static str;

    fn infer(&mut self) -> Result<(), Self::Error> {
        let time = (self.time)(self.runs, self.clock.now());
        self.clock.spend(time);
        self.runs += 1;
        Ok(())
    }
}

fn plan(arrivals: Arrivals, min_seconds: f64, min_runs: usize) -> Plan {
    Plan {
        arrivals,
        min_seconds,
        min_runs,
        warm_up_seconds: 5.0,
    }
}

fn scheduled(rate: f64, burst: usize) -> Arrivals {
    Arrivals::Scheduled { rate, burst }
}

/// The samples of one stream, without a warm-up.
fn samples(plan: &Plan, time: impl FnMut(u64, u64) -> u64 + Send) -> Vec<Sample> {
    let clock = Spent::default();
    let mut recorder = Recorder::new(plan, &[MS]);
    let engine = Synthetic {
        clock: &clock,
        runs: 0,
        time,
    };
    super::time(plan, &clock, &mut [engine], &mut recorder).unwrap();
    recorder.into_samples()
}

fn latency(samples: &[Sample]) -> Latency {
    statistics::latency(samples)
}

/// Takes 1 ms, and stands still for 100 ms when a second has begun.
fn stalling() -> impl FnMut(u64, u64) -> u64 {
    let mut seconds = 0;
    move |_, now| {
        let begins = now / SECOND > seconds;
        seconds = now / SECOND;
        if begins { 101 * MS } else { MS }
    }
}

#[test]
fn a_fixed_time_is_measured_to_the_nanosecond() {
    for (arrivals, seconds) in [(Arrivals::BackToBack, 2.0), (scheduled(100.0, 1), 20.0)] {
        let found = samples(&plan(arrivals, seconds, 1), |_, _| 1_234_567);
        let Latency {
            p50,
            p90,
            p95,
            p99,
            p999,
            mean,
            stddev,
            min,
            max,
            ..
        } = latency(&found);
        for value in [p50, p90, p95, p99, p999, mean, min, max] {
            assert_eq!(value, 1.234567, "{arrivals:?}");
        }
        assert_eq!(stddev, 0.0);
    }
    let found = samples(&plan(Arrivals::BackToBack, 2.0, 1), |_, _| 1_234_567);
    assert_eq!(found.len(), 2 * SECOND as usize / 1_234_567 + 1);
    let throughput = statistics::throughput(&found);
    assert!(
        (throughput.per_second - 1e9 / 1_234_567.0).abs() < 1e-6,
        "{throughput:?}"
    );
    assert!(throughput.high - throughput.low < 1e-6);
}

#[test]
fn both_modes_are_seen_with_their_shares() {
    // of 100 runs 4 take 7 ms and 1 takes 30 ms
    let time = |run: u64, _| match run % 100 {
        10 | 35 | 60 | 85 => 7 * MS,
        50 => 30 * MS,
        _ => 2 * MS,
    };
    for arrivals in [Arrivals::BackToBack, scheduled(20.0, 1)] {
        let found = latency(&samples(&plan(arrivals, 0.0, 1000), time));
        assert_eq!((found.p50, found.p90, found.p95), (2.0, 2.0, 2.0));
        // 990 of 1000 are no longer than 7 ms, and 999 are not
        assert_eq!((found.p99, found.p999, found.min, found.max), (7.0, 30.0, 2.0, 30.0));
        assert!((found.mean - (0.95 * 2.0 + 0.04 * 7.0 + 0.3)).abs() < 1e-9);
        let variance = (950.0 * 0.48f64.powi(2) + 40.0 * 4.52f64.powi(2) + 10.0 * 27.52f64.powi(2)) / 999.0;
        assert!((found.stddev - variance.sqrt()).abs() < 1e-9, "{found:?}");
    }
}

#[test]
fn back_to_back_a_stall_is_one_slow_run_of_many() {
    let found = samples(&plan(Arrivals::BackToBack, 10.0, 1), stalling());
    // a second has 900 runs of 1 ms, of which the first takes 100 ms longer; the first second has 1000
    let stalls = found.iter().filter(|sample| sample.latency() == 101 * MS).count();
    assert_eq!((found.len(), stalls), (1000 + 9 * 900, 9));
    let found = latency(&found);
    assert_eq!((found.p50, found.p99, found.max), (1.0, 1.0, 101.0));
}

#[test]
fn a_stall_counts_for_every_image_that_arrives_meanwhile() {
    let found = samples(&plan(scheduled(500.0, 1), 11.0, 1), stalling());
    // without the first second, which has no stall: then one waits 101 ms, and each that follows 1 ms less than the one before,
    // since 2 ms pass from image to image, of which 1 ms is worked off
    let found: Vec<_> = found
        .into_iter()
        .filter(|sample| (SECOND..11 * SECOND).contains(&sample.due))
        .collect();
    let mut expected: Vec<u64> = (0..10)
        .flat_map(|_| (2..=101).chain(std::iter::repeat_n(1, 400)))
        .collect();
    let mut times: Vec<_> = found.iter().map(|sample| sample.latency() / MS).collect();
    assert_eq!(times[..3], [101, 100, 99]);
    times.sort_unstable();
    expected.sort_unstable();
    assert_eq!(times, expected);
    let found = latency(&found);
    // ranks 2500, 4500, 4750, 4950 and 4995 of 5000, of which 4000 take 1 ms, and 10 each 2 ms, 3 ms, ...
    assert_eq!((found.p50, found.p90, found.p95), (1.0, 51.0, 76.0));
    assert_eq!((found.p99, found.p999, found.max), (96.0, 101.0, 101.0));
}

#[test]
fn images_of_a_burst_wait_for_each_other() {
    let found = samples(&plan(scheduled(40.0, 4), 0.0, 10), |_, _| 3 * MS);
    // whole bursts, 100 ms apart
    assert_eq!(found.len(), 12);
    let times: Vec<_> = found.iter().map(|sample| sample.latency() / MS).collect();
    assert_eq!(times, [3, 6, 9, 12].repeat(3));
    assert_eq!(found[4].due, 100 * MS);
    let waiting: Vec<_> = found.iter().map(|sample| (sample.begun - sample.due) / MS).collect();
    assert_eq!(waiting[..4], [0, 3, 6, 9]);
}

#[test]
fn steps_are_told_apart() {
    struct Steps<'a>(&'a Spent);
    impl Engine for Steps<'_> {
        type Error = ();
        fn preprocess(&mut self) -> Result<(), ()> {
            self.0.spend(MS);
            Ok(())
        }
        fn infer(&mut self) -> Result<(), ()> {
            self.0.spend(5 * MS);
            Ok(())
        }
        fn postprocess(&mut self) -> Result<(), ()> {
            self.0.spend(2 * MS);
            Ok(())
        }
    }
    let clock = Spent::default();
    let plan = plan(scheduled(250.0, 1), 0.0, 2);
    let mut recorder = Recorder::new(&plan, &[MS]);
    super::time(&plan, &clock, &mut [Steps(&clock)], &mut recorder).unwrap();
    let Stages {
        waiting,
        preprocess,
        inference,
        postprocess,
    } = statistics::stages(&recorder.into_samples(), &plan.arrivals, true);
    let mean = |stage: Option<super::super::report::Stage>| stage.unwrap().mean;
    // the second image arrives after 4 ms, and is begun after 8 ms
    assert_eq!(
        (mean(waiting), mean(preprocess), inference.mean, mean(postprocess)),
        (2.0, 1.0, 5.0, 2.0)
    );
}

#[test]
fn both_minima_hold_and_the_room_suffices_for_a_machine_twice_as_fast() {
    let count =
        |min_seconds, min_runs| samples(&plan(Arrivals::BackToBack, min_seconds, min_runs), |_, _| MS / 2).len();
    assert_eq!((count(1.0, 1), count(0.0, 100), count(0.1, 5000)), (2000, 100, 5000));
    let plan = plan(Arrivals::BackToBack, 1.0, 1);
    let recorder = Recorder::new(&plan, &[MS; 2]);
    assert_eq!(recorder.bytes(), 2 * 2064 * 40);
}

#[test]
fn a_warm_up_ends_when_the_median_has_settled_or_at_the_limit() {
    let warm_up = |time: fn(u64, u64) -> u64| {
        let clock = Spent::default();
        let plan = plan(Arrivals::BackToBack, 1.0, 1);
        super::warm_up(
            &plan,
            &clock,
            &mut [Synthetic {
                clock: &clock,
                runs: 0,
                time,
            }],
        )
        .unwrap()
    };
    // slow for half a second, in which each window is faster by a tenth
    let (found, typical) = warm_up(|_, now| if now < SECOND / 2 { 10 * MS - now / 100 } else { 2 * MS });
    assert!(found.stable && found.seconds > 0.9 && found.seconds < 1.2, "{found:?}");
    assert_eq!(typical, [2 * MS]);
    // slower and slower
    let (found, _) = warm_up(|_, now| MS + now / 50);
    assert!(
        !found.stable && found.seconds >= 5.0 && found.seconds < 5.2,
        "{found:?}"
    );
    // a run that takes longer than the limit is made once
    let (found, typical) = warm_up(|_, _| 7 * SECOND);
    assert_eq!((found.runs, found.stable, typical), (1, false, vec![7 * SECOND]));
}

#[test]
fn bursts_are_whole_however_many_runs_are_demanded() {
    let found = samples(&plan(scheduled(1e6, 10_000), 0.0, 30_001), |_, _| 1);
    assert_eq!(found.len(), 40_000);
    // also where there is no room for all: the bound is that of the bursts that hold as many
    let recorder = Recorder::new(&plan(scheduled(1e6, 10_000), 1e6, 1), &[1; 3]);
    let most = MAX_RUNS.div_ceil(3).next_multiple_of(10_000);
    assert!(recorder.0.iter().all(|samples| samples.capacity() == most));
}
