//! `askd-compile report`.

use std::path::PathBuf;

use askd_compiler::data::DataSpec;
use askd_compiler::report::{ReportOptions, report};
use askd_compiler::{Result, files};

use super::Output;
use super::corruption_args::CorruptionArgs;
use super::training_args::MachineArgs;

/// What runs and bundles are worth beside each other: a page with accuracy, cost, calibration and curves
///
/// Runs every network, the teachers that recipes name among them, over the same test images, and times them in turn. Runs that
/// differ in their seed alone are one row.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  askd-compile report out/pilot/seed-0/* out/pilot/student.askd --out pilot.html\n  \
    askd-compile report out/kd out/atsc student.askd --data fashion-mnist --json\n  \
    askd-compile report student.askd --corrupt --images-per-class 100"
)]
pub(super) struct Args {
    /// Run directories of `train` and `distill`, and bundles (NAME.askd), of one data set
    #[arg(required = true, value_name = "RUN|BUNDLE")]
    paths: Vec<PathBuf>,
    /// Data set, KIND:PATH; its test images are used [default: the recipes']
    #[arg(long, value_name = "KIND:PATH")]
    data: Option<DataSpec>,
    /// Page to write: one file that needs no network
    #[arg(long, default_value = "report.html", value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    corruption: CorruptionArgs,
    #[command(flatten)]
    machine: MachineArgs,
}

pub(super) fn run(args: Args) -> Result<Output> {
    let device = args.machine.apply()?;
    let report = report(&ReportOptions {
        paths: args.paths,
        data: args.data,
        corruption: args.corruption.options(),
        device,
    })?;
    files::write_atomically(&args.out, report.html().as_bytes())?;
    let text = format!("{report}\nwritten to {}", args.out.display());
    Output::new(text, &report)
}
