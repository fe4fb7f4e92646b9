//! Measuring disturbs nothing of what it measures.

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/common/counting.rs"]
mod counting;

use std::cell::Cell;
use std::time::Duration;

use askd_bench::measure::{Plan, Subject, measure};
use askd_bench::run::{self, Arrivals, Clock, Engine, Recorder, Sample, SystemClock};

#[test]
fn taking_times_allocates_nothing() {
    let allocations = |min_runs| {
        let now = Cell::new(Duration::ZERO);
        let subject = || -> Box<dyn Subject<Error = ()> + '_> {
            Box::new(|| {
                now.set(now.get() + Duration::from_micros(50));
                Ok(())
            })
        };
        let plan = Plan {
            min_time: Duration::ZERO,
            min_runs,
            max_runs: 1 << 20,
            warm_up_limit: Duration::from_secs(1),
        };
        let count = counting::allocations(|| {
            let measured = measure(&plan, &mut || now.get(), vec![subject(), subject()]);
            assert!(measured.results.iter().all(Result::is_ok));
        });
        assert!(now.get() > Duration::from_micros(100) * min_runs as u32);
        count
    };
    let few = allocations(80);
    assert!(few > 0);
    assert_eq!(allocations(100_000), few);
}

#[test]
fn timing_runs_allocates_nothing() {
    struct Work;
    impl Engine for Work {
        type Error = ();
        fn infer(&mut self) -> Result<(), ()> {
            Ok(())
        }
    }
    let clock = SystemClock::start();
    for (arrivals, runs) in [
        (Arrivals::BackToBack, 1000),
        (Arrivals::Scheduled { rate: 1e4, burst: 1 }, 1000),
        (Arrivals::Scheduled { rate: 1e4, burst: 10 }, 1000),
        (Arrivals::Scheduled { rate: 1e4, burst: 600 }, 1200),
    ] {
        let plan = plan(arrivals, 0.0, 1000);
        let mut recorder = Recorder::new(&plan, &[100_000]);
        let counted = counting::allocations(|| run::time(&plan, &clock, &mut [Work], &mut recorder).unwrap());
        assert_eq!(counted, 0, "{arrivals:?}");
        assert_eq!(recorder.into_samples().len(), runs);
    }
}

#[test]
fn measuring_adds_less_than_a_microsecond_to_a_run() {
    // the least of several: the machine may be busy with something else
    let clock = SystemClock::start();
    let least = (0..20).map(|_| run::overhead(&clock)).fold(f64::MAX, f64::min);
    assert!(
        least > 0.0 && (least <= 1000.0 || !common::emulator().is_empty()),
        "{least} ns"
    );
}

#[test]
fn a_known_time_is_measured_within_a_per_cent() {
    const TIME: u64 = 2_000_000;
    struct Busy(SystemClock);
    impl Engine for Busy {
        type Error = ();
        fn infer(&mut self) -> Result<(), ()> {
            let end = self.0.now() + TIME;
            while self.0.now() < end {
                std::hint::spin_loop();
            }
            Ok(())
        }
    }
    let clock = SystemClock::start();
    // the best of several tries: whatever else runs on the machine makes runs longer, never shorter
    for arrivals in [Arrivals::BackToBack, Arrivals::Scheduled { rate: 250.0, burst: 1 }] {
        let median = || {
            let plan = plan(arrivals, 0.0, 101);
            let mut recorder = Recorder::new(&plan, &[TIME]);
            run::time(&plan, &clock, &mut [Busy(SystemClock::start())], &mut recorder).unwrap();
            let mut times: Vec<u64> = recorder.into_samples().iter().map(Sample::latency).collect();
            times.sort_unstable();
            times[50]
        };
        let best = (0..20).map(|_| median()).find(|time| *time <= TIME + TIME / 100);
        assert!(best.is_some_and(|time| time >= TIME), "{arrivals:?}: {best:?}");
    }
}

fn plan(arrivals: Arrivals, min_seconds: f64, min_runs: usize) -> run::Plan {
    run::Plan {
        arrivals,
        min_seconds,
        min_runs,
        warm_up_seconds: 0.0,
    }
}
