//! `askd-bench suite`.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use askd_bench::child;
use askd_bench::machine::Machine;
use askd_bench::run::RunReport;
use askd_bench::store;
use askd_bench::suite::{Entry, List, Listed, plan, run as run_all};
use askd_runtime::Error;

use super::args::{PlaceArgs, RulesArgs, push};
use super::{Failure, Output};

/// Measure several models with several numbers of threads, and write the board's table in Markdown
///
/// Each run is `askd-bench run` in a process of its own, back to back. Of a bundle, every variant is run that was made for
/// such a machine. Progress is on standard error.
///
/// Exit code 0 if every run has a report; 2 for a list or a bundle that cannot be read, a file that cannot be written, or a
/// wrong flag; 4 if a run has none (whatever its own exit code), if no variant of a model was made for such a machine or, with
/// --strict, if the conditions of a run were not met. The table is written all the same.
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
    /// Write every run's report, as soon as there is one, to this directory, which is made if it is missing: 01.json,
    /// 02.json, ... by the rows of the table
    #[arg(long, value_name = "DIRECTORY")]
    reports: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Result<Output, Failure> {
    let list = args.list()?;
    let machine = Machine::read(Path::new("/"));
    let runtime = |error: Error| Failure::of_runtime(&error);
    let plan = plan(&list, &machine).map_err(runtime)?;
    if let Some(path) = &args.out {
        store::try_out(path).map_err(runtime)?;
    }
    if let Some(path) = &args.reports {
        fs::create_dir_all(path).map_err(|source| {
            let path = path.clone();
            runtime(Error::Write { path, source })
        })?;
        store::try_out(&report_file(path, 1)).map_err(runtime)?;
    }
    let command = env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut lost = false;
    let mut runner = |number, entry: &Entry| {
        let report = args.run_one(entry)?;
        // at once: a suite takes hours, and may be interrupted; what goes wrong here costs one file, not all runs
        if let Err(Failure { text, .. }) = args.keep(number, &report) {
            eprintln!("error: {text}");
            lost = true;
        }
        Ok(report)
    };
    let mut suite = run_all(plan, command, &mut runner, &mut |line| eprintln!("{line}"));
    if lost {
        suite.exit_code = suite.exit_code.max(2);
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
            [path] if is_list(path) => List::read(path).map_err(Failure::bad_input)?,
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
        child::json(&program, &arguments)
    }

    /// Writes a report where `--reports` says, if it does.
    fn keep(&self, number: usize, report: &RunReport) -> Result<(), Failure> {
        let Some(folder) = &self.reports else {
            return Ok(());
        };
        let text = serde_json::to_string_pretty(report).map_err(Failure::to_print)?;
        store::write(&report_file(folder, number), &(text + "\n")).map_err(|error| Failure::of_runtime(&error))
    }
}

fn report_file(folder: &Path, number: usize) -> PathBuf {
    folder.join(format!("{number:02}.json"))
}
