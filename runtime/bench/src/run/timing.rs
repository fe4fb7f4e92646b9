//! Warms engines up, then times their runs.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::arrivals::Arrivals;
use super::clock::Clock;
use super::engine::Engine;
use super::report::WarmUp;
use crate::measure::{alike, median};

/// Most timed runs that are kept, but for what makes bursts whole, 40 bytes each: 2 minutes of runs of 30 microseconds.
pub const MAX_RUNS: usize = 1 << 22;
/// A window of the warm-up has at least so many runs...
const WINDOW_RUNS: usize = 10;
/// ... and lasts for at least so many nanoseconds: long enough for a clock to rise.
const WINDOW_TIME: u64 = 250_000_000;
/// Room is made for so many times the runs that are expected...
const ROOM: f64 = 2.0;
/// ... and for so many more.
const SPARE: usize = 64;

/// How long to measure. Both minima hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// How images arrive at each stream.
    pub arrivals: Arrivals,
    /// Least time from the first arrival to the last result, in seconds.
    pub min_seconds: f64,
    /// Fewest timed runs of all streams together.
    pub min_runs: usize,
    /// Longest warm-up, in seconds.
    pub warm_up_seconds: f64,
}

/// One run. Nanoseconds since the clock's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When the image arrived.
    pub due: u64,
    /// When work on it began.
    pub begun: u64,
    /// When it was preprocessed.
    pub prepared: u64,
    /// When the model had run.
    pub inferred: u64,
    /// When the result was there.
    pub done: u64,
}

impl Sample {
    /// From arrival to result, in nanoseconds.
    pub fn latency(&self) -> u64 {
        self.done - self.due
    }
}

/// Room for the samples of every stream, made before the first run.
#[derive(Debug)]
pub struct Recorder(Vec<Vec<Sample>>);

impl Recorder {
    /// Room for what `plan` asks of streams whose runs take so many nanoseconds, one number a stream: for each stream what
    /// it can do until the slowest is done, in whole bursts. Its memory is touched, so that it does not grow while it is filled.
    pub fn new(plan: &Plan, typical: &[u64]) -> Self {
        let (arrivals, min_runs) = (&plan.arrivals, min_runs_each(plan, typical.len()));
        let slowest = typical.iter().map(|typical| arrivals.seconds_of(min_runs, *typical));
        let seconds = slowest.fold(plan.min_seconds, f64::max);
        let most = MAX_RUNS.div_ceil(typical.len().max(1));
        let room = |typical: &u64| {
            let in_time = (ROOM * arrivals.expected_in(seconds, *typical)) as usize;
            let runs = in_time.max(min_runs).saturating_add(SPARE).min(most);
            let mut samples = vec![UNSEEN; arrivals.whole(runs)];
            samples.clear();
            samples
        };
        Self(typical.iter().map(room).collect())
    }

    /// Bytes of the room.
    pub fn bytes(&self) -> u64 {
        let samples: usize = self.0.iter().map(Vec::capacity).sum();
        (samples * size_of::<Sample>()) as u64
    }

    /// The samples of all streams, in the order in which their results came.
    pub fn into_samples(self) -> Vec<Sample> {
        let mut streams = self.0.into_iter();
        let mut samples = streams.next().unwrap_or_default();
        streams.for_each(|stream| samples.extend(stream));
        samples.sort_by_key(|sample| sample.done);
        samples
    }
}

/// Not of zeros, which would be given as memory that is not there until it is written to.
const UNSEEN: Sample = Sample {
    due: u64::MAX,
    begun: u64::MAX,
    prepared: u64::MAX,
    inferred: u64::MAX,
    done: u64::MAX,
};

/// Runs every engine, each in a thread of its own, back to back, until the median of each has settled or the limit is reached.
/// Tells how it went, and the last median of each.
///
/// # Errors
/// The first engine's that fails.
pub fn warm_up<E>(plan: &Plan, clock: &impl Clock, engines: &mut [E]) -> Result<(WarmUp, Vec<u64>), E::Error>
where
    E: Engine + Send,
    E::Error: Send,
{
    let (begun, limit) = (clock.now(), nanoseconds(plan.warm_up_seconds));
    let together = Together::new(engines.len());
    let streams = for_each(engines.iter_mut(), |engine| {
        let mut window = Vec::new();
        let (mut window_begun, mut earlier) = (begun, None);
        let (mut runs, mut stable) = (0, false);
        loop {
            let sample = together.check(make_run(engine, clock, None))?;
            runs += 1;
            window.push(sample.latency());
            if window.len() >= WINDOW_RUNS && sample.done - window_begun >= WINDOW_TIME {
                let later = median(&window);
                if !stable && earlier.is_some_and(|earlier| alike(earlier, later)) {
                    stable = true;
                    together.one_is_ready();
                }
                earlier = Some(later);
                window.clear();
                window_begun = sample.done;
            }
            if together.are_ready() || sample.done - begun >= limit {
                let typical = earlier.unwrap_or_else(|| median(&window));
                return Ok((runs, stable, typical));
            }
        }
    })?;
    let warm_up = WarmUp {
        runs: streams.iter().map(|(runs, ..)| runs).sum(),
        seconds: (clock.now() - begun) as f64 / 1e9,
        stable: streams.iter().all(|(_, stable, _)| *stable),
    };
    Ok((warm_up, streams.iter().map(|(.., typical)| *typical).collect()))
}

/// Times runs of every engine, each in a thread of its own, until the plan's minima are met or the room of one is full. Where
/// images arrive by the clock, those of several streams arrive at evenly shifted times.
///
/// Nothing is allocated from the first run to the last.
///
/// # Errors
/// The first engine's that fails.
pub fn time<E>(plan: &Plan, clock: &impl Clock, engines: &mut [E], recorder: &mut Recorder) -> Result<(), E::Error>
where
    E: Engine + Send,
    E::Error: Send,
{
    let (min_runs, min_time) = (min_runs_each(plan, engines.len()), nanoseconds(plan.min_seconds));
    let together = Together::new(engines.len());
    let begun = clock.now();
    let shift = plan.arrivals.due(plan.arrivals.burst()).unwrap_or_default() / engines.len().max(1) as u64;
    let streams = engines.iter_mut().zip(&mut recorder.0).enumerate();
    for_each(streams, |(stream, (engine, samples))| {
        let start = begun + stream as u64 * shift;
        let mut is_ready = false;
        while samples.len() < samples.capacity() {
            let due = plan.arrivals.due(samples.len()).map(|after| start + after);
            let sample = together.check(make_run(engine, clock, due))?;
            samples.push(sample);
            if !is_ready && samples.len() >= min_runs && sample.done - start >= min_time {
                is_ready = true;
                together.one_is_ready();
            }
            if plan.arrivals.is_whole(samples.len()) {
                if samples.capacity() - samples.len() < plan.arrivals.burst() {
                    together.end();
                }
                if together.are_ready() {
                    break;
                }
            }
        }
        Ok(())
    })?;
    Ok(())
}

/// Makes one run, of an image that arrives at `due`, or now.
#[inline]
fn make_run<E: Engine>(engine: &mut E, clock: &impl Clock, due: Option<u64>) -> Result<Sample, E::Error> {
    if let Some(due) = due {
        clock.sleep_until(due);
    }
    let begun = clock.now();
    engine.preprocess()?;
    let prepared = clock.now();
    engine.infer()?;
    let inferred = clock.now();
    engine.postprocess()?;
    Ok(Sample {
        due: due.unwrap_or(begun),
        begun,
        prepared,
        inferred,
        done: clock.now(),
    })
}

/// Streams that end together: the load is the same to the end.
struct Together {
    not_ready: AtomicUsize,
    must_end: AtomicBool,
}

impl Together {
    fn new(streams: usize) -> Self {
        Self {
            not_ready: AtomicUsize::new(streams),
            must_end: AtomicBool::new(false),
        }
    }

    fn one_is_ready(&self) {
        self.not_ready.fetch_sub(1, Ordering::Relaxed);
    }

    fn are_ready(&self) -> bool {
        self.not_ready.load(Ordering::Relaxed) == 0 || self.must_end.load(Ordering::Relaxed)
    }

    /// Ends all of them, ready or not.
    fn end(&self) {
        self.must_end.store(true, Ordering::Relaxed);
    }

    /// A failure of one ends the others, too.
    fn check<T, E>(&self, result: Result<T, E>) -> Result<T, E> {
        result.inspect_err(|_| self.end())
    }
}

/// Does `work` for every item, in a thread for each; a lone one stays in this thread.
fn for_each<I: Send, T: Send, E: Send>(
    items: impl ExactSizeIterator<Item = I>,
    work: impl Fn(I) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    if items.len() <= 1 {
        return items.map(work).collect();
    }
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = items.map(|item| scope.spawn(move || work(item))).collect();
        let ends = threads.into_iter().map(|thread| thread.join());
        ends.map(|end| end.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn min_runs_each(plan: &Plan, streams: usize) -> usize {
    plan.min_runs.div_ceil(streams.max(1)).max(1)
}

fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

#[cfg(test)]
mod tests;
