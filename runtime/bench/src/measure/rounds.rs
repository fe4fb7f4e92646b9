//! Rounds, in which every subject has its turn.

use std::time::Duration;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use super::samples::{Samples, alike, median};

/// Timed runs in a subject's turn. One more goes before them, untimed: it brings back into the caches what the others' turns
/// have displaced, as it would be in a program that runs nothing else.
pub const RUNS_PER_TURN: usize = 4;

/// Starts of each subject that a measurement is spread over: as many, up to twice as many. Of fewer, resampling could not
/// tell how they spread.
pub const SITTINGS: usize = 20;

/// Decides the orders in which rounds go through the subjects.
const ORDER_SEED: u64 = 0;
/// Rounds whose median is compared with that of as many before them, to tell whether the subjects are warm.
const WINDOW_ROUNDS: usize = 10;

/// Something to be timed. A closure that makes one run is a subject that cannot be started anew.
pub trait Subject {
    /// Why a run or a start fails.
    type Error;

    /// Makes one run.
    ///
    /// # Errors
    /// Whatever fails; the subject is left out from there on.
    fn run(&mut self) -> Result<(), Self::Error>;

    /// Starts anew what runs, as if the program had been: its memory is another, and its threads are.
    ///
    /// # Errors
    /// Whatever fails; the subject is left out from there on.
    fn start_anew(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

impl<E, F: FnMut() -> Result<(), E>> Subject for F {
    type Error = E;

    fn run(&mut self) -> Result<(), E> {
        self()
    }
}

/// How long to measure. Both minima hold for each subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Least sum of the timed runs.
    pub min_time: Duration,
    /// Fewest timed runs, 80 where fewer are given: a turn in each sitting.
    pub min_runs: usize,
    /// Most timed runs of one subject, the minima notwithstanding: bounds the memory, 8 bytes each.
    pub max_runs: usize,
    /// Longest warm-up of all subjects together.
    pub warm_up_limit: Duration,
}

/// How the warm-up ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WarmUp {
    /// Its length, in seconds.
    pub seconds: f64,
    /// Whether every subject's median had settled: that of 10 rounds within 2 % of the 10 rounds before. If not, the limit
    /// ended it.
    pub stable: bool,
}

/// What [`measure`] saw.
#[derive(Debug)]
pub struct Measurement<E> {
    /// The warm-up.
    pub warm_up: WarmUp,
    /// Each subject's times, or the error that ended its part; in the order of the subjects. Rounds and sittings are the same
    /// for all: the `i`th time of each was taken in the same round.
    pub results: Vec<Result<Samples, E>>,
}

/// Warms the subjects up, then times them in turn.
///
/// In each round every subject has a turn of [`RUNS_PER_TURN`] timed runs, in an order that is drawn anew for each round, so
/// that neither a drift nor what a neighbour leaves behind favours one. The rounds are divided into [`SITTINGS`], before
/// each of which all subjects are started anew. A subject that fails is left out from there on. `clock` tells the time
/// since any fixed moment. While times are taken nothing is allocated.
pub fn measure<E>(
    plan: &Plan,
    clock: &mut dyn FnMut() -> Duration,
    subjects: Vec<Box<dyn Subject<Error = E> + '_>>,
) -> Measurement<E> {
    let mut lanes: Vec<_> = subjects.into_iter().map(Lane::new).collect();
    let mut order = Order::new(lanes.len());
    let warm_up = warm_up(plan.warm_up_limit, clock, &mut order, &mut lanes);
    let rounds = Rounds::of(plan, &lanes);
    for lane in &mut lanes {
        lane.nanoseconds = Vec::with_capacity(rounds.most * RUNS_PER_TURN);
    }
    for round in 0..rounds.most {
        let enough = |lane: &Lane<'_, E>| lane.failure.is_some() || lane.total >= plan.min_time;
        if round >= rounds.fewest && lanes.iter().all(enough) {
            break;
        }
        if round > 0 && round.is_multiple_of(rounds.in_sitting) {
            for &place in order.next() {
                lanes[place].start_anew();
            }
        }
        make_round(clock, &mut order, &mut lanes);
    }
    let runs_per_sitting = rounds.in_sitting * RUNS_PER_TURN;
    Measurement {
        warm_up,
        results: lanes.into_iter().map(|lane| lane.finish(runs_per_sitting)).collect(),
    }
}

/// A subject and its times so far.
struct Lane<'a, E> {
    subject: Box<dyn Subject<Error = E> + 'a>,
    nanoseconds: Vec<u64>,
    total: Duration,
    failure: Option<E>,
}

impl<'a, E> Lane<'a, E> {
    fn new(subject: Box<dyn Subject<Error = E> + 'a>) -> Self {
        Self {
            subject,
            nanoseconds: Vec::with_capacity(2 * WINDOW_ROUNDS * RUNS_PER_TURN),
            total: Duration::ZERO,
            failure: None,
        }
    }

    fn turn(&mut self, clock: &mut dyn FnMut() -> Duration) -> Result<(), E> {
        self.subject.run()?;
        for _ in 0..RUNS_PER_TURN {
            let start = clock();
            self.subject.run()?;
            let time = clock().saturating_sub(start);
            self.total += time;
            self.nanoseconds
                .push(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    fn start_anew(&mut self) {
        if self.failure.is_none() {
            let started = self.subject.start_anew();
            // the first run after a start is like no other
            self.failure = started.and_then(|()| self.subject.run()).err();
        }
    }

    /// Whether the medians of the two windows that the lane holds are alike.
    fn has_settled(&self) -> bool {
        let (earlier, later) = self.nanoseconds.split_at(self.nanoseconds.len() / 2);
        self.failure.is_some() || alike(median(earlier), median(later))
    }

    fn drop_earlier_window(&mut self) {
        let length = self.nanoseconds.len().min(WINDOW_ROUNDS * RUNS_PER_TURN);
        self.nanoseconds.drain(..length);
    }

    fn finish(self, runs_per_sitting: usize) -> Result<Samples, E> {
        match (self.failure, Samples::new(self.nanoseconds, runs_per_sitting)) {
            (None, Some(samples)) => Ok(samples),
            (Some(failure), _) => Err(failure),
            (None, None) => unreachable!("there are at least {SITTINGS} rounds"),
        }
    }
}

/// How many rounds to make.
struct Rounds {
    fewest: usize,
    most: usize,
    in_sitting: usize,
}

impl Rounds {
    /// By how long the warm subjects take; twice the rounds that the fastest should need are allowed for.
    fn of<E>(plan: &Plan, lanes: &[Lane<'_, E>]) -> Self {
        let running = lanes.iter().filter(|lane| lane.failure.is_none());
        let fastest = running.map(|lane| median(&lane.nanoseconds)).min();
        let turn = u128::from(fastest.unwrap_or(u64::MAX).max(1)) * RUNS_PER_TURN as u128;
        let for_time = usize::try_from(plan.min_time.as_nanos().div_ceil(turn)).unwrap_or(usize::MAX);
        let limit = (plan.max_runs / RUNS_PER_TURN).max(SITTINGS);
        let fewest = plan.min_runs.div_ceil(RUNS_PER_TURN).clamp(SITTINGS, limit);
        let expected = for_time.clamp(fewest, limit);
        Self {
            fewest,
            most: expected.saturating_mul(2).min(limit),
            in_sitting: expected / SITTINGS,
        }
    }
}

fn warm_up<E>(
    limit: Duration,
    clock: &mut dyn FnMut() -> Duration,
    order: &mut Order,
    lanes: &mut [Lane<'_, E>],
) -> WarmUp {
    let begun = clock();
    let mut stable = false;
    for round in 1.. {
        make_round(clock, order, lanes);
        if round >= 2 * WINDOW_ROUNDS && round.is_multiple_of(WINDOW_ROUNDS) {
            stable = lanes.iter().all(Lane::has_settled);
            lanes.iter_mut().for_each(Lane::drop_earlier_window);
        }
        if stable || clock().saturating_sub(begun) >= limit {
            break;
        }
    }
    for lane in lanes {
        lane.total = Duration::ZERO;
    }
    WarmUp {
        seconds: clock().saturating_sub(begun).as_secs_f64(),
        stable,
    }
}

/// The order of turns, drawn anew for each round.
struct Order {
    random: ChaCha8Rng,
    places: Vec<usize>,
}

impl Order {
    fn new(count: usize) -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(ORDER_SEED),
            places: (0..count).collect(),
        }
    }

    fn next(&mut self) -> &[usize] {
        self.places.shuffle(&mut self.random);
        &self.places
    }
}

fn make_round<E>(clock: &mut dyn FnMut() -> Duration, order: &mut Order, lanes: &mut [Lane<'_, E>]) {
    for &place in order.next() {
        let lane = &mut lanes[place];
        if lane.failure.is_none() {
            lane.failure = lane.turn(clock).err();
        }
    }
}

#[cfg(test)]
mod tests;
