//! One variant by one provider with one number of threads, and what became of it.

use std::fmt::Display;

use askd_runtime::{Provider, Variant};
use serde::{Serialize, Serializer};

use super::accuracy::AccuracyFacts;
use crate::measure::{Ratio, Summary};
use crate::text::{counted, printable};

/// One variant by one provider with one number of threads.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// The variant's name.
    pub variant: String,
    /// Its arithmetic.
    pub precision: String,
    /// What it was made for.
    pub target: String,
    /// Where it was to run.
    pub provider: Provider,
    /// Threads within one operator.
    pub threads: u16,
    /// Its recorded accuracy; `None` if none is recorded on images for which the reference's is.
    pub accuracy: Option<AccuracyFacts>,
    /// Where it ran; `None` if it could not be started.
    pub provider_used: Option<Provider>,
    /// How long it takes to start.
    pub start: Option<Start>,
    /// The self test that it passed.
    pub self_test: Option<GoldenFacts>,
    /// Times of its runs; `None` if it was not timed.
    pub latency: Option<Summary>,
    /// Its median divided by that of the reference with as many threads; `None` if one of the two was not timed.
    pub ratio: Option<Ratio>,
    /// What became of it.
    pub verdict: Verdict,
    /// Why, in one line.
    pub reason: String,
}

/// What it takes from nothing to the first result, with the engine loaded and the files in the system's cache: medians of up
/// to three starts, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Start {
    /// Reading the variant and checking every byte.
    pub open_ms: f64,
    /// Making the session.
    pub session_ms: f64,
    /// The first run.
    pub first_run_ms: f64,
}

/// A self test that passed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GoldenFacts {
    /// Golden images run.
    pub images: usize,
    /// Largest absolute difference of a logit.
    pub max_abs_diff: f32,
}

/// What became of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It serves this machine best.
    Chosen,
    /// It would do, but another serves better.
    Accepted,
    /// Refused: slower than the reference.
    Slower,
    /// Refused: not shown to be faster than the reference.
    NoDifference,
    /// Refused: its top-1 is too far below the reference's.
    BelowFloor,
    /// Refused: no accuracy is recorded that could be compared with the reference's.
    NoAccuracy,
    /// Refused: this device computes something else.
    FailsSelfTest,
    /// Refused: it cannot be opened, loaded or run here.
    CannotRun,
}

impl Verdict {
    /// Its name, such as `no-difference`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chosen => "chosen",
            Self::Accepted => "accepted",
            Self::Slower => "slower",
            Self::NoDifference => "no-difference",
            Self::BelowFloor => "below-floor",
            Self::NoAccuracy => "no-accuracy",
            Self::FailsSelfTest => "fails-self-test",
            Self::CannotRun => "cannot-run",
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Candidate {
    /// Nothing is known of it but what the manifest says.
    pub(super) fn new(variant: &Variant, provider: Provider, threads: u16, reference: &Variant) -> Self {
        Self {
            variant: variant.name.clone(),
            precision: variant.precision.clone(),
            target: variant.target.clone(),
            provider,
            threads,
            accuracy: AccuracyFacts::of(variant, reference),
            provider_used: None,
            start: None,
            self_test: None,
            latency: None,
            ratio: None,
            verdict: Verdict::Accepted,
            reason: String::new(),
        }
    }

    pub(super) fn conclude(&mut self, verdict: Verdict, reason: impl Display) {
        self.verdict = verdict;
        self.reason = reason.to_string();
    }

    /// Whether it is the same variant by the same provider, with any number of threads.
    pub(super) fn runs_as(&self, other: &Self) -> bool {
        (&self.variant, self.provider) == (&other.variant, other.provider)
    }

    /// Its name in sentences, such as `fp32 at 2 threads` or `fp32 by openvino at 1 thread`.
    pub(super) fn label(&self) -> String {
        let threads = counted(self.threads, "thread", "threads");
        format!("{} at {threads}", self.name())
    }

    /// Variant and provider in sentences; the CPU goes without saying.
    pub(super) fn name(&self) -> String {
        let variant = printable(&self.variant);
        match self.provider {
            Provider::Cpu => variant,
            provider => format!("{variant} by {provider}"),
        }
    }
}
