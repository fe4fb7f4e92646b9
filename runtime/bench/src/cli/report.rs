//! `askd-bench report`.

use std::path::PathBuf;

use askd_bench::compare::read_report;
use askd_bench::report::html;
use askd_bench::store;

use super::{Failure, Output};

/// Show a report of `askd-bench run` again: as its table, and as a page
///
/// Exit code 0, or 2 for a report that cannot be read or a page that cannot be written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: askd-bench report run.json --html run.html")]
pub(super) struct Args {
    /// Report, as `askd-bench run --out` wrote it
    report: PathBuf,
    /// Write it to this file, as a page that needs no network
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> Result<Output, Failure> {
    let report = read_report(&args.report).map_err(Failure::bad_input)?;
    if let Some(path) = &args.html {
        store::write(path, &html(&report)).map_err(|error| Failure::of_runtime(&error))?;
    }
    Output::new(report.to_string(), &report, 0)
}
