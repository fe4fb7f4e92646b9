//! `askd-bench compare`.

use std::path::PathBuf;

use askd_bench::compare::{Demand, compare};

use super::{Failure, Output};

/// Compare two reports of `askd-bench run`: is the second run faster, slower, or is no difference shown?
///
/// Medians and 99th percentiles are divided, with a 99 % interval from drawing blocks of consecutive runs anew. A run is
/// slower if its median or its tail is, beyond the margin.
///
/// Exit code 0 unless the second run is slower, which is 3; 2 for a report that cannot be read or is of another model.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: askd-bench compare main.json branch.json --margin 3 --json")]
pub(super) struct Args {
    /// Report to compare with
    before: PathBuf,
    /// Report in question
    after: PathBuf,
    /// Put differences up to this many percent down to the luck of a start, 0 to 100
    #[arg(long, value_name = "PERCENT", default_value_t = 2.0, value_parser = percent)]
    margin: f64,
    /// Compare reports of different models, too
    #[arg(long)]
    other_model: bool,
}

pub(super) fn run(args: Args) -> Result<Output, Failure> {
    let demand = Demand {
        before: args.before,
        after: args.after,
        margin: args.margin,
        other_model: args.other_model,
    };
    let comparison = compare(&demand).map_err(Failure::bad_input)?;
    Output::new(comparison.to_string(), &comparison, comparison.exit_code)
}

fn percent(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        _ => Err("expected a number of 0 to 100".to_owned()),
    }
}
