//! Reads reports, which may come from anywhere.

use std::fs;
use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::ZlibDecoder;
use hdrhistogram::serialization::Deserializer;
use serde::Deserialize;

use super::error::Error;
use crate::run::{Block, MAX_RUNS, RunReport, SCHEMA as RUN_SCHEMA};

/// Most bytes of a histogram that is unpacked: one of nanoseconds in 64 bits with 3 digits has 56,320 counts, each of 9 bytes
/// or fewer.
const MAX_UNPACKED: u64 = 1 << 20;
/// What a packed histogram has before the packed bytes: a mark of the format, and their number.
const PACKED_HEAD: usize = 8;
/// What an unpacked one has before its counts: mark, bytes of the counts, normalizing offset, digits (4 bytes each), lowest and
/// highest value, ratio of integers to floats (8 bytes each).
const HEAD: usize = 40;

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
    let packed = STANDARD
        .decode(&block.hdr_v2_base64)
        .map_err(|error| error.to_string())?;
    let bytes = unpack(&packed)?;
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

/// Unpacks a histogram as far as one can be long, and sees to it that its counts are all there: the crate that reads it takes as
/// much memory as the histogram says it needs.
///
/// Source: HdrHistogram, `AbstractHistogram.java`, "V2 encoding".
fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    let packed = packed.get(PACKED_HEAD..).unwrap_or_default();
    let mut bytes = Vec::new();
    let unpacked = ZlibDecoder::new(packed).take(MAX_UNPACKED).read_to_end(&mut bytes);
    unpacked.map_err(|error| error.to_string())?;
    let counts = bytes
        .get(4..8)
        .and_then(|length| length.try_into().ok())
        .map(u32::from_be_bytes);
    let there = bytes.len().saturating_sub(HEAD);
    match counts {
        Some(counts) if counts as usize == there => Ok(bytes),
        counts => Err(format!(
            "{there} bytes of counts where it tells of {}",
            counts.unwrap_or_default()
        )),
    }
}
