//! `askd-compile distill`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use askd_compiler::distill::METHODS;
use askd_compiler::train::{Layers, Recipe};
use askd_compiler::{Error, Result};
use clap::builder::PossibleValuesParser;

use super::Output;
use super::training_args::{Flags, RunArgs, TrainingArgs};

/// Distil teachers into a student
///
/// With simkd and atsc the student that ships is student encoder + projector + the teacher's classifier; with all others it
/// is the student as it is. What a method does
/// not have a flag of is refused: `--factor` with kd, `--temperature` with alone.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  askd-compile distill --teacher resnet20 --teacher-weights \
    out/teacher/best/weights.safetensors --student resnet8 --data fashion-mnist --epochs 10 --out out/student\n  \
    askd-compile distill --recipe recipes/fashion-mnist-atsc.toml --student-weight 0.5 --out out/student"
)]
pub(super) struct Args {
    #[command(flatten)]
    recipe: RecipeArgs,
    #[command(flatten)]
    run: RunArgs,
}

/// What is distilled into what, and how.
#[derive(Debug, clap::Args)]
pub(super) struct RecipeArgs {
    /// Registered network of a teacher; repeatable, with its weights; not needed for methods alone and dml
    #[arg(long, value_name = "NETWORK")]
    teacher: Vec<String>,
    /// That teacher's checkpoint: .safetensors or .pth; alone, for the teachers that a recipe names
    #[arg(long, value_name = "FILE")]
    teacher_weights: Vec<PathBuf>,
    /// Registered network of the student
    #[arg(long)]
    student: Option<String>,
    /// Method (`askd-compile list methods`) [default: atsc]
    #[arg(long, value_parser = PossibleValuesParser::new(METHODS.map(|method| method.name)))]
    method: Option<String>,
    /// How several teachers are weighted: uniform or confidence [default: uniform]
    #[arg(long)]
    weighting: Option<String>,
    /// Reading of ATSC's training step: shared-head, or official-code, the authors' code, which can collapse: for comparison
    /// with published figures [default: shared-head]
    #[arg(long)]
    mode: Option<String>,
    /// Projector's reduction factor f: the larger, the smaller the projector [default: 2]
    #[arg(long)]
    factor: Option<usize>,
    /// In place of --factor: the smallest f whose projectors add no more than this to the student without them. KIND: params,
    /// macs, or latency, measured in ONNX Runtime with one thread [default: none]
    #[arg(long, value_name = "KIND:PERCENT%")]
    max_overhead: Option<String>,
    /// Projector's 3x3 convolution: standard, or depthwise, which is several times cheaper [default: standard]
    #[arg(long, value_name = "standard|depthwise")]
    projector: Option<String>,
    /// Several teachers' projectors share their first two convolutions [default: false]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    shared_trunk: Option<bool>,
    /// beta: weight of the feature loss, of the methods that have one [default: 1, for fitnet 100, at 1000, sp 3000, crd 0.8, semckd 400,
    /// ca-mkd 50]
    #[arg(long, value_name = "BETA")]
    feature_weight: Option<f64>,
    /// s: weight of the student's cross-entropy through the shared classifier [default: 1 for atsc, 0 for simkd]
    #[arg(long, value_name = "S")]
    student_weight: Option<f64>,
    /// t: weight of the teacher's cross-entropy while it adapts [default: 1 for atsc, 0 for simkd]
    #[arg(long, value_name = "T")]
    teacher_weight: Option<f64>,
    /// w: weight of the anchor that holds the teacher near its pretrained weights [default: 0.1 for atsc, 0 for simkd]
    #[arg(long, value_name = "W")]
    anchor_weight: Option<f64>,
    /// c: weight of the cross-entropy of the student's own head, which does not ship [default: 0]
    #[arg(long, value_name = "C")]
    own_head_weight: Option<f64>,
    /// d: weight of that head's divergence from the teacher's logits [default: 0]
    #[arg(long, value_name = "D")]
    own_head_distillation_weight: Option<f64>,
    /// Divisor of logits in a divergence [default: 4, for dml 1]
    #[arg(long)]
    temperature: Option<f64>,
    /// Weight of the divergence from the teachers' or peer's logits, of all methods but dkd, simkd and atsc [default: 1]
    #[arg(long, value_name = "WEIGHT")]
    distillation_weight: Option<f64>,
    /// Weight of the cross-entropy on labels, of all methods but simkd and atsc [default: 1]
    #[arg(long, value_name = "WEIGHT")]
    label_weight: Option<f64>,
    /// dml: registered network of the peer [default: the student's]
    #[arg(long, value_name = "NETWORK")]
    peer: Option<String>,
    /// What the feature loss is divided by: none, or the variance of the teacher's features over all elements, or over samples
    /// [default: samples for atsc, none for simkd]
    #[arg(long, value_name = "none|elements|samples")]
    normalise: Option<String>,
    /// Rate of the teacher's encoder over the student's; 0 freezes it [default: 0.1 for atsc, 0 for simkd]
    #[arg(long, value_name = "RATE")]
    teacher_rate: Option<f64>,
    /// Rate of the shared classifier over the student's while the teacher adapts [default: 0.1 for atsc, 0 for simkd]
    #[arg(long, value_name = "RATE")]
    classifier_rate: Option<f64>,
    /// How the teacher's rate falls while it adapts: constant or cosine [default: constant]
    #[arg(long, value_name = "DECAY")]
    adapt_decay: Option<String>,
    /// Share of the run after which the teacher begins to adapt, 0 to 1 [default: 0.5]
    #[arg(long, value_name = "SHARE")]
    adapt_start: Option<f64>,
    /// Share of the run after which the teacher freezes, 0 to 1 [default: 1]
    #[arg(long, value_name = "SHARE")]
    adapt_stop: Option<f64>,
    #[command(flatten)]
    pub(super) training: TrainingArgs,
}

impl RecipeArgs {
    /// The recipe that file and flags describe; `earlier` is that of the run that it goes on.
    pub(super) fn recipe(&self, earlier: Option<&Recipe>) -> Result<Recipe> {
        let layers = self.training.over(Layers::distillation()?)?;
        let mut flags = Flags::default();
        flags.add("--student", "network", self.student.as_ref())?;
        flags.add("--weighting", "distillation.weighting", self.weighting.as_ref())?;
        flags.add("--teacher", "distillation.teachers", self.teachers(&layers)?)?;
        for (flag, key, given) in [
            ("--method", "name", &self.method),
            ("--mode", "mode", &self.mode),
            ("--peer", "peer", &self.peer),
            ("--max-overhead", "max_overhead", &self.max_overhead),
            ("--projector", "projector", &self.projector),
            ("--normalise", "normalise", &self.normalise),
            ("--adapt-decay", "adaptation.decay", &self.adapt_decay),
        ] {
            flags.add(flag, &format!("distillation.method.{key}"), given.as_ref())?;
        }
        flags.add("--factor", "distillation.method.factor", self.factor)?;
        flags.add("--shared-trunk", "distillation.method.shared_trunk", self.shared_trunk)?;
        for (flag, key, given) in [
            ("--feature-weight", "feature_weight", self.feature_weight),
            ("--student-weight", "student_weight", self.student_weight),
            ("--teacher-weight", "teacher_weight", self.teacher_weight),
            ("--anchor-weight", "anchor_weight", self.anchor_weight),
            ("--own-head-weight", "own_head_weight", self.own_head_weight),
            (
                "--own-head-distillation-weight",
                "own_head_distillation_weight",
                self.own_head_distillation_weight,
            ),
            ("--temperature", "temperature", self.temperature),
            ("--distillation-weight", "distillation_weight", self.distillation_weight),
            ("--label-weight", "label_weight", self.label_weight),
            ("--classifier-rate", "classifier_rate", self.classifier_rate),
            ("--teacher-rate", "adaptation.rate", self.teacher_rate),
            ("--adapt-start", "adaptation.start", self.adapt_start),
            ("--adapt-stop", "adaptation.stop", self.adapt_stop),
        ] {
            flags.add(flag, &format!("distillation.method.{key}"), given)?;
        }
        self.training.resolve(layers, flags, earlier)
    }

    /// The teachers where flags say any: each network with its weights, of which either may be the recipe file's.
    fn teachers(&self, layers: &Layers) -> Result<Option<Vec<BTreeMap<&str, String>>>> {
        let none = self.teacher.is_empty() && self.teacher_weights.is_empty();
        if none || self.method.as_deref() == Some("alone") {
            return Ok(None);
        }
        let (mut networks, mut weights) = layers.teachers();
        if !self.teacher.is_empty() {
            networks.clone_from(&self.teacher);
        }
        if !self.teacher_weights.is_empty() {
            let paths = self.teacher_weights.iter().map(|path| path.display().to_string());
            weights = paths.collect();
        }
        if networks.len() != weights.len() {
            let expected = format!("one for each teacher ({})", networks.join(", "));
            let got = format!("{} for {}", weights.len(), networks.len());
            return Err(Error::invalid("--teacher-weights", expected, got));
        }
        let pairs = networks.into_iter().zip(weights);
        let tables = pairs.map(|(network, weights)| BTreeMap::from([("network", network), ("weights", weights)]));
        Ok(Some(tables.collect()))
    }
}

pub(super) fn run(args: &Args) -> Result<Output> {
    let recipe = args.recipe.recipe(args.run.earlier().as_ref())?;
    args.run.train(&recipe, &args.recipe.training.machine)
}
