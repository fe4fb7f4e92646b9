//! `askd-compile distill`.

use std::path::PathBuf;

use askd_compiler::distill::{
    Adaptation, Distillation, METHODS, Method, Mode, Normalise, SharedHeadSettings, Teacher, Weighting,
};
use askd_compiler::train::Recipe;
use askd_compiler::{Error, Result};
use clap::builder::PossibleValuesParser;

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
    #[arg(long, value_parser = PossibleValuesParser::new(METHODS.map(|method| method.name)), default_value = "atsc")]
    method: String,
    /// Reading of ATSC's training step
    #[arg(long, value_parser = PossibleValuesParser::new(["shared-head", "official-code"]), default_value = "shared-head")]
    mode: String,
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
    /// What the feature loss is divided by: nothing, or the variance of the teacher's features over all elements or over
    /// samples [default: elements for atsc, none for simkd]
    #[arg(long, value_parser = PossibleValuesParser::new(["none", "elements", "samples"]))]
    normalise: Option<String>,
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
        if self.method != "alone" {
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
    let missing = |flag| Error::invalid(flag, format!("a teacher for method {}", args.method), "none");
    let mut method = Method::defaults(&args.method).ok_or_else(|| missing("--method"))?;
    if let Method::Simkd(settings) | Method::Atsc(settings) = &mut method {
        set(settings, args);
    }
    let mut teachers = Vec::new();
    if !matches!(method, Method::Dml(_)) {
        let network = args.teacher.as_ref().ok_or_else(|| missing("--teacher"))?;
        let weights = args
            .teacher_weights
            .as_ref()
            .ok_or_else(|| missing("--teacher-weights"))?;
        teachers.push(Teacher::new(network, weights)?);
    }
    Ok(Distillation {
        method,
        weighting: Weighting::Uniform,
        teachers,
    })
}

fn set(settings: &mut SharedHeadSettings, args: &RecipeArgs) {
    if args.mode == "official-code" {
        settings.mode = Mode::OfficialCode;
    }
    settings.factor = args.factor;
    settings.normalise = match args.normalise.as_deref() {
        Some("none") => Normalise::None,
        Some("elements") => Normalise::Elements,
        Some(_) => Normalise::Samples,
        None => settings.normalise,
    };
    let Adaptation { rate, start, stop, .. } = &mut settings.adaptation;
    let overrides = [
        (args.feature_weight, &mut settings.feature_weight),
        (args.student_weight, &mut settings.student_weight),
        (args.teacher_weight, &mut settings.teacher_weight),
        (args.anchor_weight, &mut settings.anchor_weight),
        (args.teacher_rate, rate),
        (args.classifier_rate, &mut settings.classifier_rate),
        (args.adapt_start, start),
        (args.adapt_stop, stop),
    ];
    for (given, field) in overrides {
        *field = given.unwrap_or(*field);
    }
}
