//! `askd-compile train`.

use askd_compiler::Result;
use askd_compiler::train::Recipe;

use super::Output;
use super::training_args::{RunArgs, TrainingArgs};

/// Train a network on labels: a teacher, or a student alone
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: askd-compile train --model resnet20 --data fashion-mnist --epochs 10 --out out/teacher"
)]
pub(super) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,
    #[command(flatten)]
    run: RunArgs,
}

/// What is trained.
#[derive(Debug, clap::Args)]
pub(super) struct RecipeArgs {
    /// Registered network (`askd-compile list networks`)
    #[arg(long)]
    model: String,
    #[command(flatten)]
    pub(super) training: TrainingArgs,
}

impl RecipeArgs {
    /// The recipe that the flags describe.
    pub(super) fn recipe(&self) -> Result<Recipe> {
        self.training.recipe(&self.model)
    }
}

pub(super) fn run(args: &Args) -> Result<Output> {
    args.run.train(&args.recipe.recipe()?, &args.recipe.training.machine)
}
