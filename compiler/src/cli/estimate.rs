//! `askd-compile estimate`.

use std::path::PathBuf;

use askd_compiler::Result;
use askd_compiler::estimate::estimate;
use askd_compiler::train::Recipe;

use super::training_args::MachineArgs;
use super::{Output, distill, train};

/// Measure a few steps of a training on its own data, and tell how long all of it would take
///
/// Put `estimate` before a `train` or `distill` command: it takes the same flags and writes nothing. After a step that warms
/// up, at least 10 steps and 5 s are measured, but not more steps than the recipe has, and none is begun after 10 s. Where
/// a teacher adapts in a part of the run, steps with and without that are measured and weighed. An evaluation pass is
/// measured too. All this takes 5 to 30 s, longer where a single step takes seconds.
///
/// Prints training images a second, milliseconds a step, seconds an epoch (validation included), seconds for the whole recipe
/// (all evaluation included), the largest memory so far in MiB, and the shares of forward, backward, optimiser and data in a
/// step, in percent.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  askd-compile estimate train --model resnet20 --data fashion-mnist --epochs 10\n  \
    askd-compile estimate distill --teacher resnet20 --teacher-weights out/teacher/best/weights.safetensors \
    --student resnet8 --data fashion-mnist --epochs 10"
)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// How long `train` with these flags would take
    #[command(after_help = "Example: askd-compile estimate train --model resnet20 --data fashion-mnist --epochs 10")]
    Train(Box<Planned<train::RecipeArgs>>),
    /// How long `distill` with these flags would take
    #[command(
        after_help = "Example: askd-compile estimate distill --teacher resnet20 --teacher-weights \
    out/teacher/best/weights.safetensors --student resnet8 --data fashion-mnist --epochs 10"
    )]
    Distill(Box<Planned<distill::RecipeArgs>>),
}

/// A command's flags, of which those that say where it writes mean nothing here.
#[derive(Debug, clap::Args)]
struct Planned<R: clap::Args> {
    #[command(flatten)]
    recipe: R,
    /// Means nothing here: no checkpoint is read
    #[arg(long)]
    resume: bool,
    /// Means nothing here: no checkpoint is written
    #[arg(long, value_name = "SECONDS")]
    checkpoint_seconds: Option<f64>,
    /// Means nothing here: nothing is written
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<Output> {
    match &args.what {
        What::Train(planned) => measure(&planned.recipe.recipe(None)?, &planned.recipe.training.machine),
        What::Distill(planned) => measure(&planned.recipe.recipe(None)?, &planned.recipe.training.machine),
    }
}

fn measure(recipe: &Recipe, machine: &MachineArgs) -> Result<Output> {
    let measured = estimate(recipe, &machine.apply()?)?;
    Output::new(measured.to_string(), &measured)
}
