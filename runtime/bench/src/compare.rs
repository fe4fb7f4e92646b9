//! Is one run faster than another? Two reports of `askd-bench run`, by their medians and their tails.

mod error;
mod read;
mod table;

use std::path::PathBuf;

use serde::Serialize;

use crate::measure::{CONFIDENCE, Ratio, Shown};
use crate::run::RunReport;
use crate::text::{number, printable};
pub use error::Error;
use read::Run;
pub use read::read_report;

/// Layout version of a [`Comparison`] as JSON.
pub const SCHEMA: u32 = 1;
/// Decides the draws.
const SEED: u64 = 0;

/// What is to be compared, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    /// The report to compare with.
    pub before: PathBuf,
    /// The report in question.
    pub after: PathBuf,
    /// Differences below so many percent are put down to the luck of a start.
    pub margin: f64,
    /// Whether the reports may be of different models.
    pub other_model: bool,
}

/// What [`compare`] found. As JSON it is described in `docs/benchmarking.md`; its `Display` is a table for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Layout version: [`SCHEMA`].
    pub schema: u32,
    /// 0, or 3 if the run in question is slower.
    pub exit_code: u8,
    /// The report that was compared with.
    pub before: String,
    /// The report in question.
    pub after: String,
    /// Medians.
    pub p50: Compared,
    /// 99th percentiles.
    pub p99: Compared,
    /// Slower if the median or the tail is; else faster if the median is.
    pub verdict: Verdict,
    /// Differences below so many percent are put down to the luck of a start.
    pub margin: f64,
    /// Share of intervals that hold the true ratio.
    pub confidence: f64,
    /// In what else the runs differ, and what is doubtful in them; none is best.
    pub notes: Vec<String>,
}

/// One percentile of both runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Compared {
    /// Of the report compared with, in milliseconds.
    pub before_ms: f64,
    /// Of the report in question, in milliseconds.
    pub after_ms: f64,
    /// After divided by before: below 1 is faster.
    pub ratio: Ratio,
    /// What the interval shows beyond the margin.
    pub verdict: Verdict,
}

/// What is shown of the run in question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// It is faster.
    Faster,
    /// It is slower.
    Slower,
    /// It may be either.
    NoDifference,
}

/// Compares two runs.
///
/// # Errors
/// [`Error`]: a file that cannot be read or is no report, or reports of different models.
pub fn compare(demand: &Demand) -> Result<Comparison, Error> {
    let (before, after) = (Run::read(&demand.before)?, Run::read(&demand.after)?);
    let models = [&before, &after].map(|run| run.report.model.sha256.clone());
    if models[0] != models[1] && !demand.other_model {
        let [before, after] = models;
        return Err(Error::Models { before, after });
    }
    let at = |share, of: fn(&RunReport) -> f64| {
        let ratio = Ratio::of_percentiles(&after.blocks, &before.blocks, share, SEED);
        let no_runs = || Error::Format {
            path: demand.after.clone(),
            reason: "blocks: expected runs in both reports, got none".to_owned(),
        };
        let ratio = ratio.ok_or_else(no_runs)?;
        Ok(Compared {
            before_ms: of(&before.report),
            after_ms: of(&after.report),
            ratio,
            verdict: Verdict::of(ratio, demand.margin),
        })
    };
    let p50 = at(0.5, |report| report.latency_ms.p50)?;
    let p99 = at(0.99, |report| report.latency_ms.p99)?;
    let verdict = match (p50.verdict, p99.verdict) {
        (Verdict::Slower, _) | (_, Verdict::Slower) => Verdict::Slower,
        (of_median, _) => of_median,
    };
    Ok(Comparison {
        schema: SCHEMA,
        exit_code: if verdict == Verdict::Slower { 3 } else { 0 },
        before: demand.before.display().to_string(),
        after: demand.after.display().to_string(),
        p50,
        p99,
        verdict,
        margin: demand.margin,
        confidence: CONFIDENCE,
        notes: notes(&before.report, &after.report),
    })
}

impl Verdict {
    fn of(ratio: Ratio, margin: f64) -> Self {
        let margin = margin / 100.0;
        let beyond = Ratio {
            low: ratio.low - margin,
            high: ratio.high + margin,
            ..ratio
        };
        match beyond.shows() {
            Shown::Faster => Self::Faster,
            Shown::Slower => Self::Slower,
            Shown::Nothing => Self::NoDifference,
        }
    }

    /// In words.
    fn words(self) -> &'static str {
        match self {
            Self::Faster => "faster",
            Self::Slower => "slower",
            Self::NoDifference => "no difference shown",
        }
    }
}

/// In what the runs differ, and what is doubtful in them.
fn notes(before: &RunReport, after: &RunReport) -> Vec<String> {
    let told = |value: &Option<String>| value.clone().unwrap_or_else(|| "not told".to_owned());
    let facts = |report: &RunReport| {
        let settings = &report.settings;
        [
            ("model", report.model.sha256.clone()),
            ("board", told(&report.machine.board)),
            ("processor", told(&report.machine.cpu)),
            ("cores", told(&report.machine.cores_allowed)),
            ("governor", told(&report.machine.governor)),
            ("power mode", told(&power_mode(report))),
            ("kernel", told(&report.machine.kernel)),
            ("ONNX Runtime", told(&report.engine.version)),
            ("provider", settings.provider_used.clone()),
            ("scenario", settings.scenario.name().to_owned()),
            ("rate", number(settings.rate, 3)),
            ("burst", settings.burst.to_string()),
            ("streams", settings.streams.to_string()),
            ("threads", settings.threads.to_string()),
            (
                "priority",
                settings
                    .priority
                    .map_or_else(|| "as it was".to_owned(), |niceness| niceness.to_string()),
            ),
            (
                "images",
                format!(
                    "{}, {}x{}",
                    report.model.images.source, report.model.images.height, report.model.images.width
                ),
            ),
        ]
    };
    let differing = facts(before)
        .into_iter()
        .zip(facts(after))
        .filter(|(before, after)| before != after);
    let mut notes: Vec<_> = differing
        .map(|((name, before), (_, after))| {
            format!("{name}: {} before, {} after", printable(&before), printable(&after))
        })
        .collect();
    for (when, report) in [("before", before), ("after", after)] {
        let doubtful = report.marks.iter().filter(|mark| mark.strict);
        notes.extend(
            doubtful.map(|mark| format!("marked {when}, {}: {}", printable(&mark.kind), printable(&mark.text))),
        );
    }
    notes
}

/// A Jetson's.
fn power_mode(report: &RunReport) -> Option<String> {
    let mode = report.machine.jetson.as_ref()?.power_mode.as_ref()?;
    Some(mode.to_string())
}

#[cfg(test)]
mod tests;
