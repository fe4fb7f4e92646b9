//! Ends the teachers' adaptation when it goes wrong.
//!
//! A small feature loss is no success: teacher and student that both output nothing have none. So the guard watches what
//! tells a collapse: loss and gradients that jump, a teacher that loses its labels, features that lose their variance.

mod watch;

use candle_core::Tensor;

use self::watch::Watch;
pub use self::watch::{Incident, Trigger};
use super::{Guard, SharedHead};
use crate::nn::Network;
use crate::train::{Moment, Objective, State, StepReport};
use crate::weights::Weights;
use crate::{Error, Result};

/// Between a kept state's mark and the name of a group in it.
const GOOD: &str = "@good/";

/// The group of what the guard has seen.
const SEEN: &str = "@guard";

/// An objective whose teachers move, and can be told to stay.
pub trait Adaptive: Objective {
    /// Whether the teachers move at this moment.
    fn adapts(&self, at: &Moment) -> bool;

    /// Leaves the teachers as they are for the rest of the run.
    fn freeze(&mut self);
}

/// An objective under guard, [`SharedHead`] as a rule: when a trigger trips, student and teachers go back to the last good
/// state, and the teachers freeze; training goes on as SimKD with the other terms.
#[derive(Debug)]
pub struct Guarded<O = SharedHead> {
    inner: O,
    watch: Watch,
    /// The state before a step at which nothing was wrong, taken every window.
    good: State,
}

impl<O: Adaptive> Guarded<O> {
    /// Watches over `inner`.
    pub fn new(inner: O, settings: Guard) -> Self {
        Self {
            inner,
            watch: Watch::new(settings),
            good: State::new(),
        }
    }

    fn go_back(&mut self, mut report: StepReport, incident: Incident) -> Result<StepReport> {
        self.inner.restore(&self.good)?;
        self.inner.freeze();
        self.good.clear();
        self.watch.incident = Some(incident);
        report.terms.retain(|(_, value)| value.is_finite());
        report.incident = Some(incident);
        Ok(report)
    }
}

impl<O: Adaptive> Objective for Guarded<O> {
    fn step(&mut self, images: &Tensor, labels: &Tensor, at: &Moment) -> Result<StepReport> {
        let watching = self.watch.incident.is_none();
        let adapts = self.inner.adapts(at);
        if watching && self.watch.keeps_state(adapts) {
            self.good = self.inner.state()?;
            self.watch.kept(at.step);
        }
        match self.inner.step(images, labels, at) {
            Ok(report) if watching => match self.watch.look(&report, at.step, adapts) {
                Some(incident) => self.go_back(report, incident),
                None => Ok(report),
            },
            Err(Error::NotFinite { .. }) if watching && adapts => {
                let incident = self.watch.not_finite(at.step);
                self.go_back(StepReport::default(), incident)
            }
            other => other,
        }
    }

    fn meet(&mut self, classes: &[u32]) -> Result<()> {
        self.inner.meet(classes)
    }

    fn expect(&mut self, positions: &[u32]) {
        self.inner.expect(positions);
    }

    fn network(&mut self) -> &mut Network {
        self.inner.network()
    }

    fn teachers(&mut self) -> Vec<&mut Network> {
        self.inner.teachers()
    }

    fn teachers_move(&self) -> bool {
        self.inner.teachers_move()
    }

    fn incident(&self) -> Option<Incident> {
        self.watch.incident
    }

    fn state(&self) -> Result<State> {
        let mut state = self.inner.state()?;
        let kept = self
            .good
            .iter()
            .map(|(name, group)| (format!("{GOOD}{name}"), group.clone()));
        state.extend(kept);
        state.insert(SEEN.to_owned(), self.watch.state());
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.inner.restore(state)?;
        let kept = |(name, group): (&String, &Weights)| Some((name.strip_prefix(GOOD)?.to_owned(), group.clone()));
        self.good = state.iter().filter_map(kept).collect();
        self.watch.restore(crate::train::group(state, SEEN)?)?;
        if self.watch.incident.is_some() {
            self.inner.freeze();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
