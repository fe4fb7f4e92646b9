//! `askd-compile distill`.

use std::path::PathBuf;

use askd_compiler::train::{Distillation, Method, Mode, Recipe};
use askd_compiler::{Error, Result};
use clap::ValueEnum;

use super::Output;
use super::training_args::{RunArgs, TrainingArgs};

/// Distil a teacher into a student
///
/// With simkd and atsc the student that ships is student encoder + projector + the teacher's classifier.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: askd-compile distill --teacher resnet20 --teacher-weights \
    out/teacher/best/weights.safetensors --student resnet8 --data fashion-mnist --epochs 10 --out out/student")]
pub(super) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,
    #[command(flatten)]
    run: RunArgs,
}

/// What is distilled into what, and how.
#[derive(Debug, clap::Args)]
pub(super) struct RecipeArgs {
    /// Registered network of the teacher; not needed for method alone
    #[arg(long)]
    teacher: Option<String>,
    /// The teacher's checkpoint: .safetensors or zip .pth; not needed for method alone
    #[arg(long, value_name = "FILE")]
    teacher_weights: Option<PathBuf>,
    /// Registered network of the student
    #[arg(long)]
    student: String,
    /// Method (`askd-compile list methods`)
    #[arg(long, value_enum, default_value_t = Method::Atsc)]
    method: Method,
    /// Reading of ATSC's training step
    #[arg(long, value_enum, default_value_t = Mode::SharedHead)]
    mode: Mode,
    /// Projector's reduction factor f: the larger, the smaller the projector
    #[arg(long, default_value_t = 2)]
    factor: usize,
    /// beta: weight of the feature loss [default: 1]
    #[arg(long)]
    feature_weight: Option<f64>,
    /// s: weight of the student's cross-entropy through the shared classifier [default: 1 for atsc, 0 for simkd]
    #[arg(long)]
    student_weight: Option<f64>,
    /// t: weight of the teacher's cross-entropy while it adapts [default: 1 for atsc]
    #[arg(long)]
    teacher_weight: Option<f64>,
    /// w: weight of the anchor that holds the teacher near its pretrained weights [default: 0.1 for atsc]
    #[arg(long)]
    anchor_weight: Option<f64>,
    /// Divide the feature loss by the variance of the teacher's features [default: true for atsc]
    #[arg(long, value_name = "true|false")]
    normalise: Option<bool>,
    /// Rate of the teacher's encoder over the student's; 0 freezes it [default: 0.1 for atsc, 0 for simkd]
    #[arg(long)]
    teacher_rate: Option<f64>,
    /// Rate of the shared classifier over the student's while the teacher adapts [default: 0.1 for atsc]
    #[arg(long)]
    classifier_rate: Option<f64>,
    /// Share of the run after which the teacher begins to adapt, 0 to 1 [default: 0.5]
    #[arg(long)]
    adapt_start: Option<f64>,
    /// Share of the run after which the teacher freezes, 0 to 1 [default: 1]
    #[arg(long)]
    adapt_stop: Option<f64>,
    #[command(flatten)]
    pub(super) training: TrainingArgs,
}

impl RecipeArgs {
    /// The recipe that the flags describe.
    pub(super) fn recipe(&self) -> Result<Recipe> {
        let mut recipe = self.training.recipe(&self.student)?;
        if self.method != Method::Alone {
            recipe.distillation = Some(distillation(self)?);
        }
        Ok(recipe)
    }
}

pub(super) fn run(args: &Args) -> Result<Output> {
    args.run.train(&args.recipe.recipe()?, &args.recipe.training.machine)
}

/// The method's defaults with what the flags say.
fn distillation(args: &RecipeArgs) -> Result<Distillation> {
    let missing = |flag| {
        Error::invalid(
            flag,
            format!("a teacher for method {}", method_name(args.method)),
            "none",
        )
    };
    let teacher = args.teacher.as_ref().ok_or_else(|| missing("--teacher"))?;
    let weights = args
        .teacher_weights
        .as_ref()
        .ok_or_else(|| missing("--teacher-weights"))?;
    let mut distillation = Distillation::new(args.method, teacher, weights)?;
    distillation.mode = args.mode;
    distillation.factor = args.factor;
    let overrides = [
        (args.feature_weight, &mut distillation.feature_weight),
        (args.student_weight, &mut distillation.student_weight),
        (args.teacher_weight, &mut distillation.teacher_weight),
        (args.anchor_weight, &mut distillation.anchor_weight),
        (args.teacher_rate, &mut distillation.teacher_rate),
        (args.classifier_rate, &mut distillation.classifier_rate),
        (args.adapt_start, &mut distillation.adapt_start),
        (args.adapt_stop, &mut distillation.adapt_stop),
    ];
    for (given, field) in overrides {
        *field = given.unwrap_or(*field);
    }
    distillation.normalise = args.normalise.unwrap_or(distillation.normalise);
    Ok(distillation)
}

fn method_name(method: Method) -> String {
    method
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}
