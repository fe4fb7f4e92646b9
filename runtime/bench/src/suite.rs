//! A board's table: several models, variants and numbers of threads, one run each.
//!
//! Every run is a process of its own, so that its memory and its starts are its own, too.

mod list;
mod markdown;

use std::path::{Path, PathBuf};

use askd_runtime::{Error as RuntimeError, Manifest};
use serde::Serialize;

use crate::doctor::target;
use crate::machine::Machine;
use crate::run::RunReport;
use crate::text::counted;
use crate::tune::read_manifest;
pub use list::{Error, List, Listed};

/// Layout version of a [`Suite`] as JSON.
pub const SCHEMA: u32 = 1;

/// One run of a suite.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// A bundle's directory or an ONNX file.
    pub model: PathBuf,
    /// The bundle's variant; `None` for a plain ONNX file.
    pub variant: Option<String>,
    /// Threads within one operator.
    pub threads: u16,
}

/// What [`run`] found. Its `Display` is Markdown.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suite {
    /// Layout version: [`SCHEMA`].
    pub schema: u32,
    /// 0 if every run has a report and none of them ended with another code; else the largest, 4 for a run without a report.
    pub exit_code: u8,
    /// The command line, the program's name first.
    pub command: Vec<String>,
    /// The runs, in order.
    pub rows: Vec<Row>,
}

/// One run, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What was run.
    pub entry: Entry,
    /// Its report; `None` if it failed.
    pub report: Option<RunReport>,
    /// Why it failed.
    pub failure: Option<String>,
}

/// Makes every run by `runner`, which returns a report or says in a line why there is none. `progress` is told what goes on.
pub fn run(
    entries: Vec<Entry>,
    command: Vec<String>,
    runner: &mut dyn FnMut(&Entry) -> Result<RunReport, String>,
    progress: &mut dyn FnMut(&str),
) -> Suite {
    let count = entries.len();
    let row = |(index, entry): (usize, Entry)| {
        progress(&format!("{} of {count}: {}", index + 1, entry.label()));
        let (report, failure) = match runner(&entry) {
            Ok(report) => (Some(report), None),
            Err(failure) => (None, Some(failure)),
        };
        Row { entry, report, failure }
    };
    let rows: Vec<_> = entries.into_iter().enumerate().map(row).collect();
    let codes = rows
        .iter()
        .map(|row| row.report.as_ref().map_or(4, |report| report.exit_code));
    Suite {
        schema: SCHEMA,
        exit_code: codes.max().unwrap_or_default(),
        command,
        rows,
    }
}

/// The runs of a list on `machine`: every model with each of its variants and each number of threads.
///
/// # Errors
/// Those of a manifest that cannot be read or has no such variant.
pub fn entries(list: &List, machine: &Machine) -> Result<Vec<Entry>, RuntimeError> {
    let mut entries = Vec::new();
    for listed in &list.models {
        let variants = variants(listed, machine)?;
        for variant in variants {
            let with = |threads: &u16| Entry {
                model: listed.path.clone(),
                variant: variant.clone(),
                threads: *threads,
            };
            entries.extend(listed.threads.as_ref().unwrap_or(&list.threads).iter().map(with));
        }
    }
    Ok(entries)
}

/// Those that are named, or else those that were made for such a machine.
fn variants(listed: &Listed, machine: &Machine) -> Result<Vec<Option<String>>, RuntimeError> {
    if !Path::is_dir(&listed.path) {
        return Ok(match &listed.variants {
            Some(names) => names.iter().cloned().map(Some).collect(),
            None => vec![None],
        });
    }
    let (manifest, _) = read_manifest(&listed.path)?;
    let names = match &listed.variants {
        Some(names) => named(&manifest, names)?,
        None => {
            let suits = |target: &str| target::suits(target, machine) == Some(true);
            let suitable = manifest.variants.iter().filter(|variant| suits(&variant.target));
            suitable.map(|variant| variant.name.clone()).collect()
        }
    };
    Ok(names.into_iter().map(Some).collect())
}

fn named(manifest: &Manifest, names: &[String]) -> Result<Vec<String>, RuntimeError> {
    names
        .iter()
        .map(|name| Ok(manifest.variant(name)?.name.clone()))
        .collect()
}

impl Entry {
    fn label(&self) -> String {
        let variant = self
            .variant
            .as_ref()
            .map_or_else(String::new, |name| format!(", {name}"));
        let threads = counted(self.threads, "thread", "threads");
        format!("{}{variant}, {threads}", self.model.display())
    }
}

#[cfg(test)]
mod tests;
