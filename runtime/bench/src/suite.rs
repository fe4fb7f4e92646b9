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
use crate::text::{counted, printable};
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
    /// 0 if every run has a report and none of them ended with another code; else the largest, 4 for a run without a report
    /// and 2 if a report could not be kept.
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
    /// Why it failed, or why it cannot be made.
    pub failure: Option<String>,
}

/// Makes every run of a [`plan`] that can be made by `runner`, which is told its place among all, from 1, and returns a report
/// or says in a line why there is none. `progress` is told what goes on.
pub fn run(
    plan: Vec<Row>,
    command: Vec<String>,
    runner: &mut dyn FnMut(usize, &Entry) -> Result<RunReport, String>,
    progress: &mut dyn FnMut(&str),
) -> Suite {
    let count = plan.len();
    let make = |(number, row): (usize, Row)| {
        let label = row.entry.label();
        if let Some(failure) = &row.failure {
            progress(&format!("{number} of {count}: {label}: not run: {failure}"));
            return row;
        }
        progress(&format!("{number} of {count}: {label}"));
        let (report, failure) = match runner(number, &row.entry) {
            Ok(report) => (Some(report), None),
            Err(failure) => (None, Some(failure)),
        };
        Row { report, failure, ..row }
    };
    let rows: Vec<_> = (1..).zip(plan).map(make).collect();
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

/// The runs of a list on `machine`, before they are made: every model with each of its variants and each number of threads. A
/// model of which no variant was made for such a machine is there, too, with that as its failure.
///
/// # Errors
/// Those of a manifest that cannot be read or has no such variant.
pub fn plan(list: &List, machine: &Machine) -> Result<Vec<Row>, RuntimeError> {
    let mut rows = Vec::new();
    for listed in &list.models {
        let (variants, failure) = variants(listed, machine)?;
        for variant in variants {
            let with = |threads: &u16| Row {
                entry: Entry {
                    model: listed.path.clone(),
                    variant: variant.clone(),
                    threads: *threads,
                },
                report: None,
                failure: failure.clone(),
            };
            rows.extend(listed.threads.as_ref().unwrap_or(&list.threads).iter().map(with));
        }
    }
    Ok(rows)
}

/// Those that are named, or else those that were made for such a machine. Where there is none, it is as if the model had one
/// without a name, and why that cannot be run.
fn variants(listed: &Listed, machine: &Machine) -> Result<(Vec<Option<String>>, Option<String>), RuntimeError> {
    if !Path::is_dir(&listed.path) {
        let names = match &listed.variants {
            Some(names) => names.iter().cloned().map(Some).collect(),
            None => vec![None],
        };
        return Ok((names, None));
    }
    let (manifest, _) = read_manifest(&listed.path)?;
    if let Some(names) = &listed.variants {
        let named = |name: &String| Ok(Some(manifest.variant(name)?.name.clone()));
        return Ok((names.iter().map(named).collect::<Result<_, RuntimeError>>()?, None));
    }
    let suits = |target: &str| target::suits(target, machine) == Some(true);
    let suitable = manifest.variants.iter().filter(|variant| suits(&variant.target));
    let names: Vec<_> = suitable.map(|variant| Some(variant.name.clone())).collect();
    Ok(match names.is_empty() {
        true => (vec![None], Some(unsuitable(&manifest))),
        false => (names, None),
    })
}

fn unsuitable(manifest: &Manifest) -> String {
    let variants = manifest.variants.iter();
    let targets = variants.map(|variant| format!("{} for {}", printable(&variant.name), printable(&variant.target)));
    format!(
        "expected a variant for such a machine, got {}; name one with --variants to run it all the same",
        targets.collect::<Vec<_>>().join(", ")
    )
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
