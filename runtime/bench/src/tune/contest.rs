//! Starts every candidate, times those that may be chosen, and has them judged.

use std::time::Duration;

use askd_runtime::{Error, Manifest, Provider, Variant};

use super::candidate::{Candidate, GoldenFacts, Start, Verdict};
use super::decide::decide;
use crate::measure::{Plan, Samples, Subject, WarmUp, measure};
use crate::text::{counted, printable};

/// Who competes, and by which rules.
pub(super) struct Contest<'a> {
    pub(super) manifest: &'a Manifest,
    pub(super) providers: &'a [Provider],
    pub(super) threads: &'a [u16],
    pub(super) max_drop: f64,
    pub(super) plan: &'a Plan,
}

/// How it ended.
pub(super) struct Outcome {
    pub(super) candidates: Vec<Candidate>,
    /// Index of the candidate that was chosen.
    pub(super) chosen: Option<usize>,
    pub(super) warm_up: Option<WarmUp>,
}

/// A candidate that runs, and has tested itself.
pub(super) struct Started {
    pub(super) start: Start,
    pub(super) provider: Provider,
    pub(super) self_test: GoldenFacts,
    pub(super) run: Box<dyn Subject<Error = Error>>,
}

impl Contest<'_> {
    /// Holds the contest among candidates that `start` starts, timed by `clock`.
    ///
    /// # Errors
    /// [`Error::ProviderUnavailable`] or [`Error::Option`], which would meet every candidate of that provider.
    pub(super) fn hold(
        &self,
        start: &mut dyn FnMut(&Variant, Provider, u16) -> Result<Started, Error>,
        clock: &mut dyn FnMut() -> Duration,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Outcome, Error> {
        let variants = &self.manifest.variants;
        let Some(reference) = variants.first() else {
            return Ok(Outcome {
                candidates: Vec::new(),
                chosen: None,
                warm_up: None,
            });
        };
        let (mut candidates, mut entered, mut subjects) = (Vec::new(), Vec::new(), Vec::new());
        for variant in variants {
            for &provider in self.providers {
                for &threads in self.threads {
                    let mut candidate = Candidate::new(variant, provider, threads, reference);
                    progress(&format!("starting {}", candidate.label()));
                    if let Some(run) = self.enter(&mut candidate, reference, start(variant, provider, threads))? {
                        entered.push(candidates.len());
                        subjects.push(run);
                    }
                    candidates.push(candidate);
                }
            }
        }
        let mut samples: Vec<Option<Samples>> = candidates.iter().map(|_| None).collect();
        let mut warm_up = None;
        if !subjects.is_empty() {
            let count = counted(subjects.len(), "candidate", "candidates");
            let seconds = self.plan.min_time.as_secs_f64();
            progress(&format!("timing {count} in turn, each for {seconds} s or longer"));
            let measured = measure(self.plan, clock, subjects);
            warm_up = Some(measured.warm_up);
            for (&index, result) in entered.iter().zip(measured.results) {
                match result {
                    Ok(times) => samples[index] = Some(times),
                    Err(error) => candidates[index].conclude(Verdict::CannotRun, error),
                }
            }
        }
        let chosen = decide(&mut candidates, &samples);
        Ok(Outcome {
            candidates,
            chosen,
            warm_up,
        })
    }

    /// Notes how a candidate started; what is to be timed, if it may be chosen.
    fn enter(
        &self,
        candidate: &mut Candidate,
        reference: &Variant,
        started: Result<Started, Error>,
    ) -> Result<Option<Box<dyn Subject<Error = Error>>>, Error> {
        let started = match started {
            Ok(started) => started,
            Err(error @ (Error::ProviderUnavailable { .. } | Error::Option { .. })) => return Err(error),
            Err(error @ Error::GoldenMismatch { .. }) => {
                candidate.conclude(Verdict::FailsSelfTest, error);
                return Ok(None);
            }
            Err(error) => {
                candidate.conclude(Verdict::CannotRun, error);
                return Ok(None);
            }
        };
        candidate.start = Some(started.start);
        candidate.provider_used = Some(started.provider);
        candidate.self_test = Some(started.self_test);
        if candidate.variant == reference.name {
            return Ok(Some(started.run));
        }
        let name = printable(&reference.name);
        match &candidate.accuracy {
            None => {
                let reason = format!("no accuracy is recorded on images on which {name}'s is recorded too");
                candidate.conclude(Verdict::NoAccuracy, reason);
                Ok(None)
            }
            Some(found) if !found.is_within(self.max_drop) => {
                let (data, split) = (printable(&found.data), printable(&found.split));
                let reason = format!(
                    "top-1 {:.2} % on {data} {split}, {:.2} points below {name}'s {:.2} %; at most {:.2} are allowed",
                    found.top1, found.drop, found.reference_top1, self.max_drop
                );
                candidate.conclude(Verdict::BelowFloor, reason);
                Ok(None)
            }
            Some(_) => Ok(Some(started.run)),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
