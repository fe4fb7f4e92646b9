//! `askd-compile export`.

use std::path::PathBuf;

use askd_compiler::Result;
use askd_compiler::data::{DataSpec, Part};
use askd_compiler::export::{ExportOptions, Source, export};
use askd_compiler::train::Recipe;
use askd_runtime::Batch;

use super::Output;
use super::eval::describe;
use super::training_args::{MachineArgs, or_default};

/// Compile a trained network to a bundle: folded ONNX, golden inputs, digests, measured accuracy
///
/// The exported model is run through ONNX Runtime on every test image and compared with the trainer's network; a bundle
/// is written only if they agree.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  askd-compile export out/student --out student.askd\n  \
    askd-compile export --model resnet20 --weights resnet20.pth --data cifar10:cifar-10-binary.tar.gz --out resnet20.askd")]
pub(super) struct Args {
    /// Run directory of `train` or `distill`; its best weights are exported
    #[arg(conflicts_with = "model", required_unless_present = "model")]
    checkpoint_dir: Option<PathBuf>,
    /// Registered network, for a checkpoint trained elsewhere
    #[arg(long, requires = "weights")]
    model: Option<String>,
    /// That network's checkpoint: .safetensors or zip .pth
    #[arg(long, value_name = "FILE", requires = "model")]
    weights: Option<PathBuf>,
    /// Data set whose test images check the export [default: the run's]
    #[arg(long, value_name = "KIND:PATH", required_unless_present = "checkpoint_dir")]
    data: Option<DataSpec>,
    /// Mean of pixels scaled to 0..1, one a channel [default: the data kind's, or the run's]
    #[arg(long, value_delimiter = ',', value_name = "A,B,C", conflicts_with = "checkpoint_dir")]
    mean: Vec<f32>,
    /// Standard deviation of pixels scaled to 0..1, one a channel [default: the data kind's, or the run's]
    #[arg(long, value_delimiter = ',', value_name = "A,B,C", conflicts_with = "checkpoint_dir")]
    std: Vec<f32>,
    /// Images a run of the model takes: exactly 1, or any number
    #[arg(long, default_value = "1", value_name = "1|dynamic", value_parser = batch_dim)]
    batch_dim: Batch,
    /// Number that rises with every bundle for one product
    #[arg(long, default_value_t = 1)]
    sequence: u64,
    #[command(flatten)]
    machine: MachineArgs,
    /// Bundle directory to write
    #[arg(long, value_name = "NAME.askd")]
    out: PathBuf,
}

fn batch_dim(text: &str) -> std::result::Result<Batch, String> {
    match text {
        "1" => Ok(Batch::One),
        "dynamic" => Ok(Batch::Dynamic),
        _ => Err("expected 1 or dynamic".to_owned()),
    }
}

pub(super) fn run(args: Args) -> Result<Output> {
    args.machine
        .apply_on_cpu("the exported model is held against the trainer's network in f64 on the CPU")?;
    let options = ExportOptions {
        batch: args.batch_dim,
        sequence: args.sequence,
        data: args.data.clone(),
    };
    let source = match (&args.checkpoint_dir, &args.model, &args.weights, &args.data) {
        (None, Some(model), Some(weights), Some(data)) => {
            let images = data.load(Part::Test)?;
            let (mean, std) = (
                or_default(&args.mean, data.kind.mean()),
                or_default(&args.std, data.kind.std()),
            );
            Source::checkpoint(Recipe::for_checkpoint(model, data, &images, mean, std), weights)?
        }
        (directory, ..) => Source::run(directory.as_deref().unwrap_or(".".as_ref()))?,
    };
    let exported = export(&source, &options, &args.out)?;
    let projector = exported
        .projector
        .map(|cost| format!("of it, as trained, the {cost}\n"));
    let text = format!(
        "{}: {} parameters, {} MACs, {} bytes\n{}through the runtime: {}\nlargest difference from the trainer's logits: {:.2e} over {} images\n",
        args.out.display(),
        exported.parameters,
        exported.macs,
        exported.bytes,
        projector.unwrap_or_default(),
        describe(&exported.runtime),
        exported.parity.max_abs_diff,
        exported.parity.images,
    );
    Output::new(text, &exported)
}
