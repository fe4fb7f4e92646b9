//! Rounds on a clock that only the subjects move, so that every time is known to the nanosecond.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::*;

const PLAN: Plan = Plan {
    min_time: Duration::ZERO,
    min_runs: 80,
    max_runs: 4000,
    warm_up_limit: Duration::from_secs(10),
};

/// Time that passes only when a subject runs.
#[derive(Clone, Default)]
struct Time(Rc<Cell<Duration>>);

impl Time {
    fn pass(&self, time: Duration) {
        self.0.set(self.0.get() + time);
    }

    /// A subject whose runs take what `nanoseconds` says of the `n`th one.
    fn subject(&self, nanoseconds: impl Fn(u64) -> u64 + 'static) -> Box<dyn Subject<Error = String>> {
        let (time, mut runs) = (self.clone(), 0);
        Box::new(move || {
            time.pass(Duration::from_nanos(nanoseconds(runs)));
            runs += 1;
            Ok(())
        })
    }

    fn measure(&self, plan: &Plan, subjects: Vec<Box<dyn Subject<Error = String> + '_>>) -> Measurement<String> {
        measure(plan, &mut || self.0.get(), subjects)
    }
}

#[test]
fn steady_subjects_are_timed_exactly() {
    let time = Time::default();
    let measured = time.measure(&PLAN, vec![time.subject(|_| 1_000_000), time.subject(|_| 250_000)]);
    assert!(measured.warm_up.stable);
    // 20 rounds of 5 runs each
    assert!(
        (measured.warm_up.seconds - 0.125).abs() < 1e-12,
        "{:?}",
        measured.warm_up
    );
    let times: Vec<_> = measured.results.into_iter().map(|result| result.unwrap()).collect();
    assert_eq!(times[0].nanoseconds(), [1_000_000; 80]);
    assert_eq!(times[1].nanoseconds(), [250_000; 80]);
}

#[test]
fn every_time_is_kept_tails_included() {
    let time = Time::default();
    let stalls = |run: u64| run % 50 == 49;
    let stalling = time.subject(move |run| if stalls(run) { 100_000_000 } else { 1_000_000 });
    let plan = Plan { min_runs: 1000, ..PLAN };
    let measured = time.measure(&plan, vec![stalling]);
    let samples = measured.results[0].as_ref().unwrap();
    // after 20 rounds of warm-up 250, with one run more before each sitting of 12 but the first; a turn's first is not timed
    let timed = (0..250).flat_map(|round| (1..5).map(move |run| 100 + 5 * round + round / 12 + run));
    let expected = timed.filter(|&run| stalls(run)).count();
    let found = samples.nanoseconds().iter().filter(|&&time| time == 100_000_000);
    assert!(expected > 10);
    assert_eq!(found.count(), expected);
    let summary = samples.summary();
    assert_eq!(
        (summary.runs, summary.p50_ms, summary.p90_ms, summary.p99_ms),
        (1000, 1.0, 1.0, 100.0)
    );
}

#[test]
fn turns_come_in_drawn_orders_and_begin_with_a_run_that_is_not_timed() {
    let (time, order) = (Time::default(), Rc::new(RefCell::new(String::new())));
    let named = |name: char| -> Box<dyn Subject<Error = String>> {
        let (time, order) = (time.clone(), Rc::clone(&order));
        Box::new(move || {
            let mut order = order.borrow_mut();
            // what others displaced makes the first run of a turn slow
            let slow = !order.ends_with(name);
            order.push(name);
            time.pass(Duration::from_nanos(if slow { 900 } else { 100 }));
            Ok(())
        })
    };
    let plan = Plan { min_runs: 320, ..PLAN };
    let measured = time.measure(&plan, vec![named('a'), named('b'), named('c')]);
    for result in measured.results {
        assert_eq!(result.unwrap().nanoseconds(), [100; 320]);
    }
    // the 20 rounds of the warm-up, before any subject is started anew
    let order = order.borrow();
    let rounds: Vec<&str> = (0..20).map(|round| &order[15 * round..][..15]).collect();
    for round in &rounds {
        assert!(
            ["aaaaa", "bbbbb", "ccccc"].iter().all(|turn| round.contains(turn)),
            "{round}"
        );
    }
    for first in ["a", "b", "c"] {
        assert!(rounds.iter().any(|round| round.starts_with(first)), "{rounds:?}");
        assert!(rounds.iter().any(|round| round.ends_with(first)), "{rounds:?}");
    }
}

#[test]
fn both_minima_hold_for_every_subject_and_the_maximum_over_them() {
    let runs = |plan: &Plan| -> Vec<usize> {
        let time = Time::default();
        let measured = time.measure(plan, vec![time.subject(|_| 1_000_000), time.subject(|_| 4_000_000)]);
        let results = measured.results.into_iter();
        results.map(|result| result.unwrap().nanoseconds().len()).collect()
    };
    assert_eq!(runs(&Plan { min_runs: 0, ..PLAN }), [80, 80]);
    assert_eq!(runs(&Plan { min_runs: 101, ..PLAN }), [104, 104]);
    let second = Duration::from_secs(1);
    assert_eq!(
        runs(&Plan {
            min_time: second,
            ..PLAN
        }),
        [1000, 1000]
    );
    assert_eq!(
        runs(&Plan {
            min_time: second,
            max_runs: 500,
            ..PLAN
        }),
        [500, 500]
    );
    assert_eq!(
        runs(&Plan {
            min_runs: usize::MAX,
            min_time: Duration::MAX,
            ..PLAN
        }),
        [4000, 4000]
    );
}

#[test]
fn the_warm_up_lasts_until_the_medians_have_settled() {
    let time = Time::default();
    // each run of the first 400 is a little faster than the one before
    let warming = time.subject(|run| 1_000_000 + 5_000 * 400u64.saturating_sub(run));
    let measured = time.measure(&PLAN, vec![warming, time.subject(|_| 1_000_000)]);
    assert!(measured.warm_up.stable);
    assert_eq!(measured.results[0].as_ref().unwrap().nanoseconds(), [1_000_000; 80]);
}

#[test]
fn a_warm_up_that_does_not_settle_ends_at_its_limit() {
    let time = Time::default();
    let growing = time.subject(|run| 1_000_000 + 20_000 * run);
    let limit = Duration::from_millis(500);
    let measured = time.measure(
        &Plan {
            warm_up_limit: limit,
            ..PLAN
        },
        vec![growing],
    );
    assert!(!measured.warm_up.stable);
    assert!(
        (0.5..0.55).contains(&measured.warm_up.seconds),
        "{:?}",
        measured.warm_up
    );
    assert_eq!(measured.results[0].as_ref().unwrap().nanoseconds().len(), 80);
}

#[test]
fn a_subject_that_fails_is_left_out_and_the_others_go_on() {
    for failing_run in [0, 50, 120] {
        let time = Time::default();
        let mut left = failing_run;
        let failing: Box<dyn Subject<Error = String>> = Box::new(move || match left {
            0 => Err("out of order".to_owned()),
            _ => {
                left -= 1;
                Ok(())
            }
        });
        let measured = time.measure(&PLAN, vec![failing, time.subject(|_| 1_000)]);
        assert_eq!(measured.results[0].as_ref().unwrap_err(), "out of order");
        assert_eq!(measured.results[1].as_ref().unwrap().nanoseconds(), [1_000; 80]);
    }
    let time = Time::default();
    let measured = time.measure(&PLAN, vec![Box::new(|| Err("all of them".to_owned()))]);
    assert!(measured.results[0].is_err());
}

/// A subject that is as slow as its start has made it, and notes what it is told to do.
struct Restarted {
    time: Time,
    starts: Vec<u64>,
    fails_at: usize,
}

impl Subject for Restarted {
    type Error = String;

    fn run(&mut self) -> Result<(), String> {
        if let Some(runs) = self.starts.last_mut() {
            *runs += 1;
        }
        self.time.pass(Duration::from_nanos(1_000 + self.starts.len() as u64));
        Ok(())
    }

    fn start_anew(&mut self) -> Result<(), String> {
        self.starts.push(0);
        match self.starts.len() == self.fails_at {
            true => Err("no more starts".to_owned()),
            false => Ok(()),
        }
    }
}

#[test]
fn subjects_are_started_anew_before_each_sitting_but_the_first() {
    let restarted = |fails_at| -> Measurement<String> {
        let time = Time::default();
        let subject = Restarted {
            time: time.clone(),
            starts: Vec::new(),
            fails_at,
        };
        let plan = Plan { min_runs: 200, ..PLAN };
        time.measure(&plan, vec![Box::new(subject), time.subject(|_| 1_000)])
    };
    let measured = restarted(usize::MAX);
    let samples = measured.results[0].as_ref().unwrap();
    // 50 rounds: 25 sittings of 2 rounds, 8 timed runs
    assert_eq!((samples.nanoseconds().len(), samples.runs_per_sitting()), (200, 8));
    for (start, times) in (0..).zip(samples.nanoseconds().chunks(8)) {
        assert_eq!(times, [1_000 + start; 8]);
    }
    let measured = restarted(7);
    assert_eq!(measured.results[0].as_ref().unwrap_err(), "no more starts");
    assert_eq!(measured.results[1].as_ref().unwrap().nanoseconds().len(), 200);
}
