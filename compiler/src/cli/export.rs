//! `askd-compile export`.

use std::path::PathBuf;
use std::str::FromStr;

use askd_compiler::data::{DataSpec, Part};
use askd_compiler::export::{ExportOptions, Source, export};
use askd_compiler::passes::{PASSES, Pass, Pipeline};
use askd_compiler::train::Recipe;
use askd_compiler::{Error, Result};
use askd_runtime::{Batch, ElementType};
use serde_json::{Value, json};

use super::Output;
use super::eval::describe;
use super::image_files::ImageFileArgs;
use super::training_args::{MachineArgs, or_default};

/// Compile a trained network to a bundle: folded ONNX, golden inputs, digests, measured accuracy
///
/// The exported model is run through ONNX Runtime on every test image and compared with the trainer's network; a bundle
/// is written only if they agree.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  askd-compile export out/student --out student.askd\n  \
    askd-compile export --model resnet20 --weights resnet20.pth --data cifar10:cifar-10-binary.tar.gz --out resnet20.askd\n  \
    askd-compile export --passes list")]
pub(super) struct Args {
    /// Run directory of `train` or `distill`; its best weights are exported
    #[arg(conflicts_with = "model", required_unless_present_any = ["model", "passes"])]
    checkpoint_dir: Option<PathBuf>,
    /// Registered network, for a checkpoint trained elsewhere
    #[arg(long, requires = "weights")]
    model: Option<String>,
    /// That network's checkpoint: .safetensors or .pth
    #[arg(long, value_name = "FILE", requires = "model")]
    weights: Option<PathBuf>,
    /// Data set whose test images check the export [default: the run's]
    #[arg(long, value_name = "KIND:PATH", required_unless_present_any = ["checkpoint_dir", "passes"])]
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
    /// What the model takes: f32, normalised images (N, C, H, W), or u8, raw pixels (N, H, W, C), which it normalises itself
    #[arg(long, default_value = "f32", value_name = "f32|u8", value_parser = element_type)]
    input: ElementType,
    /// Number that rises with every bundle for one product
    #[arg(long, default_value_t = 1)]
    sequence: u64,
    /// Graph passes to run: all, or all,-NAME,-NAME for all but some; or list, to show what there is and nothing else
    #[arg(
        long,
        default_value = "all",
        value_name = "all[,-NAME...]|list",
        allow_hyphen_values = true
    )]
    passes: Passes,
    /// Test images that the bundle carries with their outputs, for the device to test itself
    #[arg(long, default_value_t = 8, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    golden_images: u16,
    #[command(flatten)]
    files: ImageFileArgs,
    #[command(flatten)]
    machine: MachineArgs,
    /// Bundle directory to write
    #[arg(long, value_name = "NAME.askd", required_unless_present = "passes")]
    out: Option<PathBuf>,
}

/// What `--passes` asks for.
#[derive(Debug, Clone)]
enum Passes {
    List,
    Run(Pipeline),
}

impl FromStr for Passes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "list" => Ok(Self::List),
            _ => text.parse().map(Self::Run),
        }
    }
}

fn batch_dim(text: &str) -> std::result::Result<Batch, String> {
    match text {
        "1" => Ok(Batch::One),
        "dynamic" => Ok(Batch::Dynamic),
        _ => Err("expected 1 or dynamic".to_owned()),
    }
}

fn element_type(text: &str) -> std::result::Result<ElementType, String> {
    match text {
        "f32" => Ok(ElementType::F32),
        "u8" => Ok(ElementType::U8),
        _ => Err("expected f32 or u8".to_owned()),
    }
}

pub(super) fn run(args: Args) -> Result<Output> {
    args.machine
        .apply_on_cpu("the exported model is held against the trainer's network in f64 on the CPU")?;
    let Passes::Run(passes) = args.passes else {
        return list_passes();
    };
    let out = args
        .out
        .ok_or_else(|| Error::invalid("--out", "the bundle directory to write", "none"))?;
    let options = ExportOptions {
        batch: args.batch_dim,
        sequence: args.sequence,
        data: args.data.clone(),
        passes,
        input: args.input,
        golden_images: usize::from(args.golden_images),
    };
    let source = match (&args.checkpoint_dir, &args.model, &args.weights, &args.data) {
        (None, Some(model), Some(weights), Some(data)) => {
            let images = data.load(Part::Test)?;
            let (mean, std) = (
                or_default(&args.mean, data.kind.mean()),
                or_default(&args.std, data.kind.std()),
            );
            let recipe = Recipe::for_checkpoint(model, data, &images, mean, std);
            Source::checkpoint(args.files.apply(recipe)?, weights)?
        }
        (Some(directory), ..) => {
            args.files.of_run()?;
            Source::run(directory)?
        }
        (None, ..) => {
            let expected = "a run directory, or --model with --weights and --data";
            return Err(Error::invalid("export", expected, "less"));
        }
    };
    let exported = export(&source, &options, &out)?;
    let projector = exported
        .projector
        .map(|cost| format!("of it, as trained, the {cost}\n"));
    let text = format!(
        "{}: {} parameters, {} MACs, {} bytes\n{}through the runtime: {}\nlargest difference from the trainer's logits: {:.2e} over {} images\n",
        out.display(),
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

/// The passes in the order in which they run.
fn list_passes() -> Result<Output> {
    let row = |pass: &Pass| json!({ "name": pass.name, "description": pass.description, "required": pass.required });
    let rows: Vec<Value> = PASSES.iter().map(row).collect();
    let width = PASSES.iter().map(|pass| pass.name.len()).max().unwrap_or_default();
    let line = |pass: &Pass| {
        let required = pass.required.map(|reason| format!("; always runs: {reason}"));
        format!(
            "{:width$}  {}{}\n",
            pass.name,
            pass.description,
            required.unwrap_or_default()
        )
    };
    Output::new(PASSES.iter().map(line).collect::<String>(), &rows)
}
