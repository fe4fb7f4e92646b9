//! `askd-compile pilot`.

use std::path::PathBuf;

use askd_compiler::Result;
use askd_compiler::pilot::{PAGE_FILE, PilotOptions, pilot};

use super::Output;
use super::training_args::MachineArgs;

/// The whole way on real images: teacher, student alone, the same student by ATSC, export, check, run, measure
///
/// Trains on the embedded part of Fashion-MNIST and ends within ten minutes on two cores. Writes report.json,
/// report.html and student.askd into the output directory.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: askd-compile pilot --seeds 5 --out out/pilot")]
pub(super) struct Args {
    /// First seed
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Number of seeds; the report then has means and standard deviations
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Output directory
    #[arg(long, default_value = "out/pilot", value_name = "DIR")]
    out: PathBuf,
    /// End each training after this many steps: tries the way out in a minute, its figures mean nothing
    #[arg(long, value_name = "STEPS")]
    max_steps: Option<usize>,
    /// Go on where an interrupted pilot stopped
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    machine: MachineArgs,
}

pub(super) fn run(args: Args) -> Result<Output> {
    let device = args.machine.apply()?;
    let options = PilotOptions {
        seed: args.seed,
        seeds: args.seeds,
        out: args.out,
        max_steps: args.max_steps,
        resume: args.resume,
        device,
    };
    let report = pilot(&options)?;
    let page = options.out.join(PAGE_FILE);
    Output::new(format!("{report}\nas a page: {}", page.display()), &report)
}
