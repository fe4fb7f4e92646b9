//! `askd-compile study`.

use std::path::PathBuf;

use askd_compiler::Result;
use askd_compiler::study::{StudyOptions, TABLE_FILE, study};

use super::Output;
use super::training_args::{CheckpointArgs, Flags, MachineArgs};

/// Compare methods: the runs of a study's file, each over seeds, with means and standard deviations
///
/// What is finished in --out is taken as it is and an interrupted run goes on, so that the same command resumes a study.
/// Writes study.json and study.md after each run.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: askd-compile study studies/cifar10.toml --out out/study")]
pub(super) struct Args {
    /// The study: a title, a number of seeds, the recipe that all runs share, and the runs
    file: PathBuf,
    /// Set a key of every run's recipe, over what the file says; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Output directory; a run is in OUT/NAME/seed-S
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    checkpoint: CheckpointArgs,
    #[command(flatten)]
    machine: MachineArgs,
}

pub(super) fn run(args: &Args) -> Result<Output> {
    let options = StudyOptions {
        out: args.out.clone(),
        settings: Flags::set_all(&args.set)?,
        device: args.machine.apply()?,
        checkpoint_interval: args.checkpoint.interval()?,
    };
    let report = study(&args.file, &options)?;
    let text = format!("{report}\nwritten to {}", args.out.join(TABLE_FILE).display());
    Output::new(text, &report)
}
