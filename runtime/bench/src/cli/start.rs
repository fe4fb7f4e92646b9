//! `askd-bench start`, hidden: one cold start, for `askd-bench run`, which makes several in processes of their own.

use askd_bench::run;

use super::run::{TargetArgs, failure};
use super::{Failure, Output};

/// Start a model once, and print as JSON how long it took
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    target: TargetArgs,
}

pub(super) fn run(args: &Args) -> Result<Output, Failure> {
    let start = run::start(&args.target.to_target()).map_err(failure)?;
    let json = serde_json::to_string(&start).map_err(Failure::to_print)?;
    Output::new(json, &start, 0)
}
