//! `askd-compile verify`.

use std::path::PathBuf;

use askd_compiler::Result;
use askd_compiler::data::{CorruptFiles, DataSpec};
use askd_compiler::verify::verify;
use askd_runtime::Provider;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::Output;

/// Check a bundle: digests, input and output, golden outputs, and on demand its recorded accuracy
///
/// Exit code 2 if a file is not the one the manifest vouches for, 3 if the model does not give the golden outputs or the
/// recorded accuracy, 4 if the provider cannot run here.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: askd-compile verify student.askd --data fashion-mnist")]
pub(super) struct Args {
    /// Bundle directory, NAME.askd
    bundle: PathBuf,
    /// Only this variant, as on a processor that another one is not for [default: all]
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Where it must run
    #[arg(long, value_name = "NAME", default_value_t, value_parser = provider())]
    provider: Provider,
    /// Data set whose test images must give the accuracy that the bundle records, KIND:PATH
    #[arg(long, value_name = "KIND:PATH")]
    data: Option<DataSpec>,
    /// What becomes of image files that cannot be decoded: refuse, or skip
    #[arg(long, value_name = "refuse|skip", default_value = "refuse", requires = "data")]
    corrupt_files: CorruptFiles,
}

/// A provider of the runtime by its name; the help lists them all.
fn provider() -> impl TypedValueParser<Value = Provider> {
    PossibleValuesParser::new(Provider::ALL.map(Provider::name)).try_map(|name| name.parse::<Provider>())
}

pub(super) fn run(args: Args) -> Result<Output> {
    let report = verify(
        &args.bundle,
        args.variant.as_deref(),
        args.provider,
        args.data.as_ref(),
        args.corrupt_files,
    )?;
    Output::new(report.to_string(), &report)
}
