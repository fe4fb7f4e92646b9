//! `askd-bench doctor`.

use std::path::{Path, PathBuf};

use askd_bench::doctor::{Demand, examine};
use askd_bench::machine::Machine;
use askd_runtime::Provider;

use super::{Failure, Output, provider};

/// Look over engine and machine, and tell whether a bundle can run here and what to do where it cannot
///
/// Needs no root. Each line is `ok`, a `note` (it runs, but know this) or a `problem` (it does not run as demanded).
/// What cannot be read is said to be missing.
///
/// Exit code 0 only without a problem: the bundle runs as demanded or, where no bundle is given, the engine loads and
/// runs a small network on the provider. 2 for a bundle that cannot be read or is damaged, or for a wrong flag; 3 if the
/// self test fails: this device computes something else; 4 if the machine is not up to it: no usable engine or
/// provider, too little memory, a model too new for the engine; 1 if the report cannot be written. Where several apply,
/// the lowest.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: askd-bench doctor student.askd --provider cpu --json")]
pub(super) struct Args {
    /// Bundle directory, NAME.askd; without one, only engine and machine are looked at
    bundle: Option<PathBuf>,
    /// Variant of the bundle to run; the bundle's first without it
    #[arg(long, value_name = "NAME", requires = "bundle")]
    variant: Option<String>,
    /// ONNX Runtime library; without it, the one that programs on the runtime would find (ORT_DYLIB_PATH first)
    #[arg(long, value_name = "PATH")]
    library: Option<PathBuf>,
    /// Where it must run
    #[arg(long, value_name = "NAME", default_value_t, value_parser = provider())]
    provider: Provider,
}

pub(super) fn run(args: Args) -> Result<Output, Failure> {
    let machine = Machine::read(Path::new("/"));
    let demand = Demand {
        bundle: args.bundle,
        variant: args.variant,
        library: args.library,
        provider: args.provider,
    };
    let report = examine(machine, &demand);
    Output::new(report.to_string(), &report, report.exit_code)
}
