//! `askd-compile train`.

use askd_compiler::Result;
use askd_compiler::train::{Layers, Recipe};

use super::Output;
use super::training_args::{Flags, RunArgs, TrainingArgs};

/// Train a network on labels: a teacher, or a student alone
///
/// With a recipe file that has a table named distillation it distils: any run can be repeated from its recipe.toml.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  askd-compile train --model resnet20 --data fashion-mnist --epochs 10 --out out/teacher\n  \
    askd-compile train --recipe recipes/fashion-mnist-teacher.toml --seed 1 --out out/teacher"
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
    model: Option<String>,
    #[command(flatten)]
    pub(super) training: TrainingArgs,
}

impl RecipeArgs {
    /// The recipe that the flags describe; `earlier` is that of the run that it goes on.
    pub(super) fn recipe(&self, earlier: Option<&Recipe>) -> Result<Recipe> {
        let layers = self.training.over(Layers::training()?)?;
        let mut flags = Flags::default();
        flags.add("--model", "network", self.model.as_ref())?;
        self.training.resolve(layers, flags, earlier)
    }
}

pub(super) fn run(args: &Args) -> Result<Output> {
    let recipe = args.recipe.recipe(args.run.earlier().as_ref())?;
    args.run.train(&recipe, &args.recipe.training.machine)
}
