//! `askd-compile eval`.

use std::path::{Path, PathBuf};

use askd_compiler::data::{CorruptFiles, DataSpec, ImageSet, Part};
use askd_compiler::evaluate::{Evaluation, predict, predict_bundle};
use askd_compiler::export::Source;
use askd_compiler::nn::Network;
use askd_compiler::robustness::{Options, Report, measure_bundle, measure_network};
use askd_compiler::train::{RECIPE_FILE, Recipe};
use askd_compiler::weights::import;
use askd_compiler::{Error, Result};
use askd_runtime::{ElementType, Model, Preprocess, SessionOptions};
use candle_core::DType;

use super::Output;
use super::corruption_args::{ContactSheetArgs, CorruptionArgs};
use super::image_files::ImageFileArgs;
use super::training_args::{MachineArgs, or_default};

/// Accuracy of a checkpoint (in the trainer) or of a bundle (through the runtime) on test images
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  askd-compile eval --model resnet20 --weights resnet20.safetensors --data cifar10:cifar-10-binary.tar.gz\n  \
    askd-compile eval student.askd --data fashion-mnist\n  \
    askd-compile eval --model resnet18 --weights resnet18.pth --data folder:imagenet\n  \
    askd-compile eval student.askd --data fashion-mnist --corrupt --images-per-class 50"
)]
pub(super) struct Args {
    /// Bundle (NAME.askd), or run directory of `train` or `distill`
    #[arg(conflicts_with_all = ["model", "weights"], required_unless_present = "model")]
    bundle: Option<PathBuf>,
    /// Variant of the bundle [default: its first; with --corrupt all of them, beside each other]
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
    corruption: CorruptionArgs,
    #[command(flatten)]
    sheet: ContactSheetArgs,
    #[command(flatten)]
    machine: MachineArgs,
}

/// What is evaluated.
enum Subject<'a> {
    /// A bundle, and the variant that is asked for.
    Bundle(&'a Path, Option<&'a str>),
    /// A network in the trainer, and how its images are made.
    Network(Box<Network>, Box<Recipe>),
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
    let mut images = args
        .data
        .load(Part::Test)?
        .with_corrupt_files(args.files.corrupt_files(CorruptFiles::Refuse));
    let mut subject = match (&args.bundle, &args.model, &args.weights) {
        (Some(run), _, _) if is_run(run) => {
            let source = Source::run(run)?;
            source.recipe().check_images(&images)?;
            images = images.with_corrupt_files(args.files.corrupt_files(source.recipe().corrupt_files));
            let network = source.network(DType::F32, &device)?;
            Subject::Network(Box::new(network), Box::new(source.recipe().clone()))
        }
        (Some(bundle), _, _) => Subject::Bundle(bundle, args.variant.as_deref()),
        (None, Some(model), Some(weights)) => {
            let kind = args.data.kind;
            let (mean, std) = (or_default(&args.mean, kind.mean()), or_default(&args.std, kind.std()));
            let recipe = Recipe::for_checkpoint(model, &args.data, &images, mean, std);
            let recipe = args.files.apply(recipe)?;
            recipe.check_images(&images)?;
            let graph = recipe.graph()?;
            let network = Network::new(graph.clone(), &import(&graph, weights)?, DType::F32, &device)?;
            Subject::Network(Box::new(network), Box::new(recipe))
        }
        _ => return Err(Error::invalid("eval", "BUNDLE, or --model and --weights", "neither")),
    };
    let mut output = match args.corruption.options() {
        Some(options) => {
            args.sheet.write(&images, &subject.preprocess()?, &options)?;
            let report = subject.robustness(&images, &options)?;
            Output::new(report.to_string().trim_end(), &report)?
        }
        None => {
            let evaluation = subject.evaluation(&images)?;
            Output::new(describe(&evaluation), &evaluation)?
        }
    };
    if images.skipped_files() > 0 {
        output.text += &format!(", {} corrupt files skipped", images.skipped_files());
    }
    Ok(output)
}

impl Subject<'_> {
    /// What makes an image of the network's size, channels and range.
    fn preprocess(&self) -> Result<Preprocess> {
        match self {
            Self::Bundle(bundle, _) => Ok(Preprocess::new(&Model::open(bundle)?.manifest().input)?),
            Self::Network(_, recipe) => recipe.preprocess(),
        }
    }

    fn evaluation(&mut self, images: &ImageSet) -> Result<Evaluation> {
        let predictions = match self {
            Self::Bundle(bundle, variant) => {
                let model = match variant {
                    Some(variant) => Model::open_variant(bundle, variant)?,
                    None => Model::open(bundle)?,
                };
                predict_bundle(&model, &mut model.session(&SessionOptions::default())?, images)?
            }
            Self::Network(network, recipe) => predict(network, &recipe.loader(images.clone(), ElementType::F32)?)?,
        };
        Ok(predictions.evaluation())
    }

    fn robustness(&mut self, images: &ImageSet, options: &Options) -> Result<Report> {
        match self {
            Self::Bundle(bundle, variant) => measure_bundle(bundle, *variant, images, options),
            Self::Network(network, recipe) => measure_network(&recipe.network, network, recipe, images, options),
        }
    }
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
