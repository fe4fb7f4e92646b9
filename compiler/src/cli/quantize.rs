//! `askd-compile quantize`.

use std::path::PathBuf;

use askd_compiler::data::DataSpec;
use askd_compiler::quantize::{Calibration, QuantizeOptions, Target, quantize};
use askd_compiler::{Error, Result};
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

use super::Output;

/// Add a variant with 8-bit integers or 16-bit floats to a bundle, if it loses no more accuracy than allowed
///
/// Scales are taken from training images, run through ONNX Runtime. Training images that were held out judge: while more
/// than --max-drop points of their top-1 are lost, the layer that integers hurt most goes back to float. Exit code 3 if that
/// does not help; then nothing is written. Test images are measured at the end and decide nothing.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  askd-compile quantize student.askd --calibration fashion-mnist --target x86-vnni\n  \
    askd-compile quantize student.askd --calibration cifar100:cifar-100-binary.tar.gz --target arm64-dotprod --max-drop 0.3"
)]
pub(super) struct Args {
    /// Bundle directory, NAME.askd
    bundle: PathBuf,
    /// Data set whose training images calibrate and, held out, judge
    #[arg(long, value_name = "KIND:PATH")]
    calibration: DataSpec,
    /// Where the variant is to run
    #[arg(long, value_parser = target_parser())]
    target: Target,
    /// How the range of each value is chosen
    #[arg(long, value_enum, default_value_t = Method::Mse)]
    method: Method,
    /// Percent of values inside the range, for --method percentile [default: 99.99]
    #[arg(long, value_name = "PERCENT")]
    percentile: Option<f64>,
    /// Images that calibrate, at least 500
    #[arg(long, default_value_t = 512, value_name = "COUNT")]
    images: usize,
    /// Most points of top-1 that may be lost on validation images
    #[arg(long, default_value_t = 0.5, value_name = "POINTS", allow_negative_numbers = true)]
    max_drop: f64,
    /// Name of the variant; one of that name is replaced [default: int8-TARGET, or TARGET where that says the precision]
    #[arg(long)]
    name: Option<String>,
    /// Bundle directory to write [default: BUNDLE itself]
    #[arg(long, value_name = "NAME.askd")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Method {
    /// All that was seen
    MinMax,
    /// A percentage of all values
    Percentile,
    /// Least Kullback-Leibler divergence
    Entropy,
    /// Least mean squared error
    Mse,
}

/// One of the library's targets, with its description in the help.
fn target_parser() -> impl TypedValueParser<Value = Target> {
    let value = |target: Target| PossibleValue::new(target.name()).help(target.description());
    PossibleValuesParser::new(Target::ALL.map(value)).try_map(|name| Target::named(&name).ok_or("no such target"))
}

fn calibration(method: Method, percentile: Option<f64>) -> Result<Calibration> {
    match (method, percentile) {
        (Method::Percentile, percentile) => {
            let percent = percentile.unwrap_or(99.99);
            if percent > 50.0 && percent <= 100.0 {
                Ok(Calibration::Percentile(percent))
            } else {
                Err(Error::invalid("--percentile", "above 50 and at most 100", percent))
            }
        }
        (_, Some(percent)) => Err(Error::invalid("--percentile", "--method percentile with it", percent)),
        (Method::MinMax, None) => Ok(Calibration::MinMax),
        (Method::Entropy, None) => Ok(Calibration::Entropy),
        (Method::Mse, None) => Ok(Calibration::Mse),
    }
}

fn default_name(target: Target) -> String {
    match target.activations() {
        Some(_) => format!("{}-{target}", target.precision()),
        None => target.to_string(),
    }
}

pub(super) fn run(args: Args) -> Result<Output> {
    if !args.max_drop.is_finite() {
        return Err(Error::invalid("--max-drop", "a number of points", args.max_drop));
    }
    let target = args.target;
    let options = QuantizeOptions {
        data: args.calibration,
        target,
        calibration: calibration(args.method, args.percentile)?,
        images: args.images,
        max_drop: args.max_drop,
        name: args.name.unwrap_or_else(|| default_name(target)),
        out: args.out.unwrap_or_else(|| args.bundle.clone()),
    };
    let report = quantize(&args.bundle, &options)?;
    Output::new(report.to_string(), &report)
}
