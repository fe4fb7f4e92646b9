//! Several streams: how they share room and end.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn streams_share_the_runs_and_end_together() {
    let clock = SystemClock::start();
    let plan = plan(scheduled(200.0, 1), 0.1, 30);
    struct Nothing;
    impl Engine for Nothing {
        type Error = ();
        fn infer(&mut self) -> Result<(), ()> {
            Ok(())
        }
    }
    let mut recorder = Recorder::new(&plan, &[MS; 3]);
    let begun = clock.now();
    time(&plan, &clock, &mut [Nothing, Nothing, Nothing], &mut recorder).unwrap();
    let counts: Vec<_> = recorder.0.iter().map(Vec::len).collect();
    // fewer than the 20 that arrive in that time where the machine is late with the last ones
    assert!(counts.iter().all(|count| *count >= 10), "{counts:?}");
    let firsts: Vec<_> = recorder.0.iter().map(|samples| samples[0].due).collect();
    assert_eq!((firsts[1] - firsts[0], firsts[2] - firsts[1]), (1_666_666, 1_666_666));
    assert!(firsts[0] >= begun);
    let samples = recorder.into_samples();
    assert_eq!(samples.len(), counts.iter().sum::<usize>());
    assert!(samples.is_sorted_by_key(|sample| sample.done));
}

#[test]
fn a_stream_that_fails_ends_all() {
    struct Failing(usize);
    impl Engine for Failing {
        type Error = &'static str;
        fn infer(&mut self) -> Result<(), Self::Error> {
            // long enough for the other stream to be far from the end of its room
            thread::sleep(Duration::from_micros(100));
            self.0 = self.0.checked_sub(1).ok_or("broken")?;
            Ok(())
        }
    }
    let clock = SystemClock::start();
    let plan = plan(Arrivals::BackToBack, 600.0, 1);
    let engines = || [Failing(usize::MAX), Failing(100)];
    let mut recorder = Recorder::new(&plan, &[100 * MS; 2]);
    assert_eq!(time(&plan, &clock, &mut engines(), &mut recorder), Err("broken"));
    let long = Plan {
        warm_up_seconds: 600.0,
        ..plan
    };
    assert_eq!(
        warm_up(&long, &clock, &mut [Failing(1000), Failing(3)]).map(drop),
        Err("broken")
    );
}

#[test]
fn as_many_runs_as_may_be_demanded_have_room_in_any_number_of_streams() {
    for streams in [1, 3, 7] {
        let recorder = Recorder::new(&plan(Arrivals::BackToBack, 0.0, MAX_RUNS), &vec![MS; streams]);
        let room: usize = recorder.0.iter().map(Vec::capacity).sum();
        assert!((MAX_RUNS..MAX_RUNS + streams).contains(&room), "{streams}: {room}");
    }
}

/// What an engine in step with another one does in a run.
type Step<'a> = Box<dyn FnMut() -> Result<(), &'static str> + Send + 'a>;

struct InStep<'a>(Step<'a>);

impl Engine for InStep<'_> {
    type Error = &'static str;

    fn infer(&mut self) -> Result<(), Self::Error> {
        (self.0)()
    }
}

/// Waits until `done`, but not for ever.
fn wait(done: impl Fn() -> bool, error: &'static str) -> Result<(), &'static str> {
    let begun = Instant::now();
    while !done() {
        if begun.elapsed() > Duration::from_secs(20) {
            return Err(error);
        }
        thread::yield_now();
    }
    Ok(())
}

/// A stream of which 20 runs take as long as one of the other stream's keeps the load up until that one, too, has its 50.
#[test]
fn a_fast_stream_has_room_until_the_slow_one_is_done() {
    const EACH: usize = 50;
    let (fast, slow) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let runs = |count: &AtomicUsize| count.load(Ordering::SeqCst);
    let fast_step: Step<'_> = Box::new(|| {
        let next = fast.fetch_add(1, Ordering::SeqCst) + 1;
        let is_level = || runs(&slow) == EACH || next <= 20 * (runs(&slow) + 1);
        wait(is_level, "the slow stream has ended")
    });
    let slow_step: Step<'_> = Box::new(|| {
        let next = runs(&slow) + 1;
        wait(|| runs(&fast) >= 20 * next, "the fast stream has ended")?;
        slow.store(next, Ordering::SeqCst);
        Ok(())
    });
    let plan = plan(Arrivals::BackToBack, 0.0, 2 * EACH);
    let mut recorder = Recorder::new(&plan, &[MS, 20 * MS]);
    let mut engines = [InStep(fast_step), InStep(slow_step)];
    time(&plan, &SystemClock::start(), &mut engines, &mut recorder).unwrap();
    let counts: Vec<_> = recorder.0.iter().map(Vec::len).collect();
    assert!(counts[0] >= 20 * EACH && counts[1] == EACH, "{counts:?}");
}

#[test]
fn a_stream_without_room_ends_all() {
    let fast = AtomicUsize::new(0);
    // both are taken to be much slower than they are
    let plan = plan(Arrivals::BackToBack, 600.0, 1);
    let mut recorder = Recorder::new(&plan, &[600 * SECOND; 2]);
    let room = recorder.0[0].capacity();
    let fast_step: Step<'_> = Box::new(|| {
        fast.fetch_add(1, Ordering::SeqCst);
        Ok(())
    });
    let slow_step: Step<'_> = Box::new(|| {
        wait(|| fast.load(Ordering::SeqCst) >= room, "the fast stream has ended")?;
        thread::sleep(Duration::from_millis(5));
        Ok(())
    });
    let mut engines = [InStep(fast_step), InStep(slow_step)];
    time(&plan, &SystemClock::start(), &mut engines, &mut recorder).unwrap();
    let counts: Vec<_> = recorder.0.iter().map(Vec::len).collect();
    assert_eq!(counts[0], room);
    assert!(counts[1] < room, "{counts:?}");
}
