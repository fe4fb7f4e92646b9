//! Reads reports, which may come from anywhere.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::Deserializer;
use serde::Deserialize;

use super::error::Error;
use crate::run::{Block, MAX_RUNS, RunReport, SCHEMA as RUN_SCHEMA};

/// A report, with the latencies of its blocks.
pub(super) struct Run {
    pub(super) report: RunReport,
    pub(super) blocks: Vec<Vec<(u64, u64)>>,
}

/// Reads a report of `askd-bench run` from its JSON.
///
/// # Errors
/// [`Error::Read`], and [`Error::Format`] for what is no such report or one of another schema.
pub fn read_report(path: &Path) -> Result<RunReport, Error> {
    #[derive(Deserialize)]
    struct Head {
        schema: u32,
    }
    let text = fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    let syntax = |error| wrong(path, format!("expected a report of `askd-bench run`, got {error}"));
    // the schema first, alone: a later one should be told as such
    let Head { schema } = serde_json::from_slice(&text).map_err(syntax)?;
    if schema != RUN_SCHEMA {
        return Err(wrong(path, format!("schema: expected {RUN_SCHEMA}, got {schema}")));
    }
    serde_json::from_slice(&text).map_err(syntax)
}

fn wrong(path: &Path, reason: String) -> Error {
    Error::Format {
        path: path.to_owned(),
        reason,
    }
}

impl Run {
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let report = read_report(path)?;
        let blocks = report.blocks.iter().map(latencies).collect::<Result<_, _>>();
        let blocks = blocks.map_err(|found| {
            let reason = format!("blocks: expected an HDR histogram of their runs, got {found}");
            wrong(path, reason)
        })?;
        Ok(Self { report, blocks })
    }
}

/// The latencies of a block, and how often each came; what is wrong with it, if it cannot be read.
pub(super) fn latencies(block: &Block) -> Result<Vec<(u64, u64)>, String> {
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
