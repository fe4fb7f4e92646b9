//! `askd-bench suite`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use askd_bench::machine::Machine;
use askd_bench::run::RunReport;
use askd_bench::store;
use askd_bench::suite::{Entry, List, Listed, entries, run as run_all};
use askd_runtime::Error;

use super::args::{PlaceArgs, RulesArgs, push};
use super::{Failure, Output};

/// Measure several models with several numbers of threads, and write the board's table in Markdown
///
/// Each run is `askd-bench run` in a process of its own, back to back. Of a bundle, every variant is run that was made for
/// such a machine. Progress is on standard error.
///
/// Exit code 0 if every run has a report; 2 for a list or a bundle that cannot be read, a file that cannot be written, or a
/// wrong flag; 4 if a run has none or, with --strict, if the conditions of one were not met. The table is written all the same.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  askd-bench suite a.askd b.askd --threads 1,4 --out board.md\n  \
                        askd-bench suite suite.toml --cores big --reports runs/"
)]
pub(super) struct Args {
    /// Bundles and ONNX files, or one list of them: NAME.toml
    #[arg(required = true)]
    models: Vec<PathBuf>,
    /// Numbers of threads, 1 to 1024 each; those of the list, or 1, without it
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Vec<u16>,
    /// Variants of each bundle; those of the list, or all that were made for such a machine, without it
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    variants: Vec<String>,
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    rules: RulesArgs,
    /// Write the table to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write every run's report to this directory, which is made if it is missing: 01.json, 02.json, ...
    #[arg(long, value_name = "DIRECTORY")]
    reports: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Result<Output, Failure> {
    let list = args.list()?;
    let machine = Machine::read(Path::new("/"));
    let runtime = |error: Error| Failure::of_runtime(&error);
    let entries = entries(&list, &machine).map_err(runtime)?;
    if let Some(path) = &args.out {
        store::try_out(path).map_err(runtime)?;
    }
    if let Some(path) = &args.reports {
        fs::create_dir_all(path).map_err(|source| {
            let path = path.clone();
            runtime(Error::Write { path, source })
        })?;
    }
    let command = env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut runner = |entry: &Entry| args.run_one(entry);
    let suite = run_all(entries, command, &mut runner, &mut |line| eprintln!("{line}"));
    if let Some(folder) = &args.reports {
        for (row, number) in suite.rows.iter().zip(1..) {
            let Some(report) = &row.report else { continue };
            let text = serde_json::to_string_pretty(report).map_err(Failure::to_print)?;
            store::write(&folder.join(format!("{number:02}.json")), &(text + "\n")).map_err(runtime)?;
        }
    }
    let output = Output::new(suite.to_string(), &suite, suite.exit_code)?;
    if let Some(path) = &args.out {
        store::write(path, &output.text).map_err(runtime)?;
    }
    Ok(output)
}

impl Args {
    fn list(&self) -> Result<List, Failure> {
        let is_list = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "toml");
        let mut list = match self.models.as_slice() {
            [path] if is_list(path) => List::read(path).map_err(|error| Failure {
                text: error.to_string(),
                exit_code: 2,
            })?,
            paths => List {
                threads: vec![1],
                models: paths.iter().cloned().map(Listed::of).collect(),
            },
        };
        for model in &mut list.models {
            if !self.threads.is_empty() {
                model.threads = Some(self.threads.clone());
            }
            if !self.variants.is_empty() {
                model.variants = Some(self.variants.clone());
            }
        }
        Ok(list)
    }

    /// Runs one entry in a process of its own.
    fn run_one(&self, entry: &Entry) -> Result<RunReport, String> {
        let program = env::current_exe().map_err(|error| format!("this program's own file: {error}"))?;
        let mut arguments: Vec<OsString> = vec!["run".into(), entry.model.clone().into(), "--json".into()];
        push(&mut arguments, "--variant", entry.variant.as_ref());
        push(&mut arguments, "--threads", Some(entry.threads.to_string()));
        arguments.extend(self.place.to_arguments());
        arguments.extend(self.rules.to_arguments());
        let output = Command::new(&program).args(arguments).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
        serde_json::from_slice(&output.stdout).map_err(|_| {
            let words = String::from_utf8_lossy(&output.stderr);
            let error = words.lines().find_map(|line| line.strip_prefix("error: "));
            error.map_or_else(
                || format!("it ended without a report, {}", output.status),
                str::to_owned,
            )
        })
    }
}
