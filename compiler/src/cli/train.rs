//! `askd-compile train`.

use askd_compiler::Result;

use super::Output;
use super::training_args::TrainingArgs;

/// Train a network on labels: a teacher, or a student alone
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: askd-compile train --model resnet20 --data fashion-mnist --epochs 10 --out out/teacher"
)]
pub(super) struct Args {
    /// Registered network (`askd-compile list networks`)
    #[arg(long)]
    model: String,
    #[command(flatten)]
    training: TrainingArgs,
}

pub(super) fn run(args: Args) -> Result<Output> {
    let recipe = args.training.recipe(&args.model)?;
    args.training.train(&recipe)
}
