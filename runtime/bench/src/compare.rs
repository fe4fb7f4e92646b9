//! Is one run faster than another? Two reports of `askd-bench run`, by their medians and their tails.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::Deserializer;
use serde::{Deserialize, Serialize};

use crate::measure::{CONFIDENCE, Ratio, Shown};
use crate::run::{Block, MAX_RUNS, RunReport, SCHEMA as RUN_SCHEMA};
use crate::text::{number, printable, write_table, write_wrapped};

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

/// Why two reports are not compared.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A file is no report of a run.
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected there, and what was found.
        reason: String,
    },
    /// The reports are of different models.
    Models {
        /// SHA-256 of the model compared with.
        before: String,
        /// SHA-256 of the model in question.
        after: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Format { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::Models { before, after } => write!(
                f,
                "models: expected the same ONNX bytes, got SHA-256 {} and {}; --other-model compares them all the same",
                printable(before),
                printable(after)
            ),
        }
    }
}

impl std::error::Error for Error {}

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

/// A report, with the latencies of its blocks.
struct Run {
    report: RunReport,
    blocks: Vec<Vec<(u64, u64)>>,
}

impl Run {
    fn read(path: &Path) -> Result<Self, Error> {
        #[derive(Deserialize)]
        struct Head {
            schema: u32,
        }
        let text = fs::read(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        let wrong = |reason: String| Error::Format {
            path: path.to_owned(),
            reason,
        };
        let syntax = |error| wrong(format!("expected a report of `askd-bench run`, got {error}"));
        // the schema first, alone: a later one should be told as such
        let Head { schema } = serde_json::from_slice(&text).map_err(syntax)?;
        if schema != RUN_SCHEMA {
            return Err(wrong(format!("schema: expected {RUN_SCHEMA}, got {schema}")));
        }
        let report: RunReport = serde_json::from_slice(&text).map_err(syntax)?;
        let blocks = report.blocks.iter().map(latencies).collect::<Result<_, _>>();
        let blocks =
            blocks.map_err(|found| wrong(format!("blocks: expected an HDR histogram of their runs, got {found}")))?;
        Ok(Self { report, blocks })
    }
}

/// The latencies of a block, and how often each came; what is wrong with it, if it cannot be read.
fn latencies(block: &Block) -> Result<Vec<(u64, u64)>, String> {
    let bytes = STANDARD
        .decode(&block.hdr_v2_base64)
        .map_err(|error| error.to_string())?;
    let histogram = Deserializer::new().deserialize::<u64, _>(&mut bytes.as_slice());
    let histogram = histogram.map_err(|error| error.to_string())?;
    let recorded = histogram.iter_recorded();
    let latencies: Vec<_> = recorded
        .map(|step| (step.value_iterated_to(), step.count_since_last_iteration()))
        .collect();
    let runs = latencies
        .iter()
        .try_fold(0u64, |sum, (_, count)| sum.checked_add(*count));
    match runs {
        Some(runs) if runs == block.runs as u64 && block.runs <= MAX_RUNS => Ok(latencies),
        found => Err(format!("{found:?} of {} runs", block.runs)),
    }
}

/// In what the runs differ, and what is doubtful in them.
fn notes(before: &RunReport, after: &RunReport) -> Vec<String> {
    let told = |value: &Option<String>| value.clone().unwrap_or_else(|| "not told".to_owned());
    let facts = |report: &RunReport| {
        let settings = &report.settings;
        [
            ("model", report.model.sha256.clone()),
            ("processor", told(&report.machine.cpu)),
            ("cores", told(&report.machine.cores_allowed)),
            ("governor", told(&report.machine.governor)),
            ("ONNX Runtime", told(&report.engine.version)),
            ("provider", settings.provider_used.clone()),
            ("scenario", format!("{:?}", settings.scenario)),
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

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |name: &str, compared: &Compared| {
            let ratio = compared.ratio;
            [
                name.to_owned(),
                number(Some(compared.before_ms), 3),
                number(Some(compared.after_ms), 3),
                number(Some(ratio.value), 3),
                format!("{:.3} to {:.3}", ratio.low, ratio.high),
                compared.verdict.words().to_owned(),
            ]
        };
        let interval = format!("{:.0} % interval", 100.0 * self.confidence);
        let head = ["", "before, ms", "after, ms", "ratio", interval.as_str(), "verdict"];
        write_table(f, head, vec![row("p50", &self.p50), row("p99", &self.p99)])?;
        writeln!(f)?;
        for note in &self.notes {
            write_wrapped(f, "note: ", note)?;
        }
        writeln!(
            f,
            "verdict: {} (differences up to {} % are put down to the luck of a start)",
            self.verdict.words(),
            self.margin
        )
    }
}

#[cfg(test)]
mod tests;
