//! `askd-compile eval`.

use std::path::PathBuf;

use askd_compiler::data::{CorruptFiles, DataSpec, Part};
use askd_compiler::evaluate::{Evaluation, predict, predict_bundle};
use askd_compiler::export::Source;
use askd_compiler::nn::Network;
use askd_compiler::train::{RECIPE_FILE, Recipe};
use askd_compiler::weights::import;
use askd_compiler::{Error, Result};
use askd_runtime::{ElementType, Model};
use candle_core::DType;

use super::Output;
use super::image_files::ImageFileArgs;
use super::training_args::{MachineArgs, or_default};

/// Accuracy of a checkpoint (in the trainer) or of a bundle (through the runtime) on test images
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  askd-compile eval --model resnet20 --weights resnet20.safetensors --data cifar10:cifar-10-binary.tar.gz\n  \
    askd-compile eval student.askd --data fashion-mnist\n  \
    askd-compile eval --model resnet18 --weights resnet18.pth --data folder:imagenet"
)]
pub(super) struct Args {
    /// Bundle (NAME.askd), or run directory of `train` or `distill`
    #[arg(conflicts_with_all = ["model", "weights"], required_unless_present = "model")]
    bundle: Option<PathBuf>,
    /// Variant of the bundle [default: its first]
    #[arg(long, value_name = "NAME", requires = "bundle")]
    variant: Option<String>,
    /// Registered network
    #[arg(long, requires = "weights")]
    model: Option<String>,
    /// The network's checkpoint: .safetensors or .pth
    #[arg(long, value_name = "FILE", requires = "model")]
    weights: Option<PathBuf>,
    /// Data set, KIND:PATH; its test images are used
    #[arg(long, value_name = "KIND:PATH")]
    data: DataSpec,
    /// Mean of pixels scaled to 0..1, one a channel [default: the data kind's; a bundle has its own]
    #[arg(long, value_delimiter = ',', value_name = "A,B,C", conflicts_with = "bundle")]
    mean: Vec<f32>,
    /// Standard deviation of pixels scaled to 0..1, one a channel [default: the data kind's; a bundle has its own]
    #[arg(long, value_delimiter = ',', value_name = "A,B,C", conflicts_with = "bundle")]
    std: Vec<f32>,
    #[command(flatten)]
    files: ImageFileArgs,
    #[command(flatten)]
    machine: MachineArgs,
}

pub(super) fn run(args: Args) -> Result<Output> {
    let is_run = |path: &PathBuf| path.join(RECIPE_FILE).is_file();
    let device = match &args.bundle {
        Some(bundle) if !is_run(bundle) => args.machine.apply_on_cpu("a bundle runs in ONNX Runtime on the CPU")?,
        _ => args.machine.apply()?,
    };
    if args.bundle.is_some() {
        args.files.without_size("a run and a bundle have their own")?;
    }
    let images = args
        .data
        .load(Part::Test)?
        .with_corrupt_files(args.files.corrupt_files(CorruptFiles::Refuse));
    let files = images.clone();
    let evaluation = match (&args.bundle, &args.model, &args.weights) {
        (Some(run), _, _) if is_run(run) => {
            let source = Source::run(run)?;
            source.recipe().check_images(&images)?;
            let images = images.with_corrupt_files(args.files.corrupt_files(source.recipe().corrupt_files));
            let loader = source.recipe().loader(images, ElementType::F32)?;
            predict(&mut source.network(DType::F32, &device)?, &loader)?.evaluation()
        }
        (Some(bundle), _, _) => {
            let model = match &args.variant {
                Some(variant) => Model::open_variant(bundle, variant)?,
                None => Model::open(bundle)?,
            };
            predict_bundle(&model, &images)?.evaluation()
        }
        (None, Some(model), Some(weights)) => {
            let kind = args.data.kind;
            let (mean, std) = (or_default(&args.mean, kind.mean()), or_default(&args.std, kind.std()));
            let recipe = Recipe::for_checkpoint(model, &args.data, &images, mean, std);
            let recipe = args.files.apply(recipe)?;
            recipe.check_images(&images)?;
            let graph = recipe.graph()?;
            let mut network = Network::new(graph.clone(), &import(&graph, weights)?, DType::F32, &device)?;
            predict(&mut network, &recipe.loader(images, ElementType::F32)?)?.evaluation()
        }
        _ => return Err(Error::invalid("eval", "BUNDLE, or --model and --weights", "neither")),
    };
    let mut text = describe(&evaluation);
    if files.skipped_files() > 0 {
        text += &format!(", {} corrupt files skipped", files.skipped_files());
    }
    Output::new(text, &evaluation)
}

pub(super) fn describe(evaluation: &Evaluation) -> String {
    let Evaluation {
        top1,
        top5,
        loss,
        images,
    } = evaluation;
    format!("top-1 {top1:.2} %, top-5 {top5:.2} %, loss {loss:.4} nats, {images} images")
}
