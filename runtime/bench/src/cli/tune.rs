//! `askd-bench tune`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use askd_bench::machine::Machine;
use askd_bench::measure::Plan;
use askd_bench::tune::{Demand, tune};
use askd_runtime::Provider;

use super::{Failure, Output, not_negative, provider};

/// Longest warm-up of all candidates together: enough for a clock to rise, and for a slow board to make some rounds.
const WARM_UP_LIMIT: Duration = Duration::from_secs(20);
/// Most timed runs kept of a candidate: half a MiB of times. A model that takes 50 microseconds reaches it after 3 s.
const MAX_RUNS: usize = 1 << 16;

/// Measure a bundle's variants on this machine, and store which of them serves it best, where and with how many threads
///
/// Every variant is started by every provider with every number of threads and runs the bundle's golden images. Those that
/// pass, and whose recorded top-1 is close enough to that of the first variant (fp32), are timed in turn. The first
/// variant by the first provider is the reference: another one is preferred only if it is shown to be faster; where no
/// difference is shown, the reference stays. All others are refused, with the figures.
///
/// The choice is written beside the bundle, to NAME.askd.choice.json: it is this machine's. Programs read it by
/// `askd_runtime::Choice::beside`. Progress is on standard error.
///
/// Exit code 0 with a choice; 2 for a bundle that cannot be read or is damaged, for a place that cannot be written, or for a
/// wrong flag; 3 if every candidate is refused: none runs here and passes its self test; 4 if there is no usable engine
/// or provider; 1 if the report cannot be written.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  askd-bench tune student.askd --threads 1,2,4 --json\n  \
    askd-bench tune student.askd --provider cpu,openvino --library openvino/libonnxruntime.so")]
pub(super) struct Args {
    /// Bundle directory, NAME.askd
    bundle: PathBuf,
    /// Numbers of threads to try, 1 to 1024 each; without it 1 and as many as can run at once (by affinity and control group)
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Vec<u16>,
    /// Most points of top-1 that a variant may lie below the first one
    #[arg(long, value_name = "POINTS", default_value_t = 0.5, value_parser = not_negative)]
    max_drop: f64,
    /// Time each candidate for at least this long, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3.0, value_parser = not_negative)]
    min_seconds: f64,
    /// Time at least so many runs of each candidate, 80 to 65536
    #[arg(long, value_name = "RUNS", default_value_t = 200, value_parser = clap::value_parser!(u32).range(80..=65536))]
    min_runs: u32,
    /// Providers to try, commas between; each must be there, and the first is the reference's
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_value = Provider::Cpu.name(), value_parser = provider())]
    provider: Vec<Provider>,
    /// ONNX Runtime library; without it, the one that programs on the runtime would find (ORT_DYLIB_PATH first)
    #[arg(long, value_name = "PATH")]
    library: Option<PathBuf>,
    /// Where to store the choice; without it, beside the bundle
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Each once, in the order in which they were given: the first is the reference's.
fn distinct(given: Vec<Provider>) -> Vec<Provider> {
    let mut providers = Vec::new();
    for provider in given {
        if !providers.contains(&provider) {
            providers.push(provider);
        }
    }
    providers
}

pub(super) fn run(args: Args) -> Result<Output, Failure> {
    let demand = Demand {
        bundle: args.bundle,
        library: args.library,
        providers: distinct(args.provider),
        threads: args.threads,
        max_drop: args.max_drop,
        plan: Plan {
            min_time: Duration::from_secs_f64(args.min_seconds),
            min_runs: args.min_runs as usize,
            max_runs: MAX_RUNS,
            warm_up_limit: WARM_UP_LIMIT,
        },
        out: args.out,
    };
    let machine = Machine::read(Path::new("/"));
    let report =
        tune(machine, &demand, &mut |line| eprintln!("{line}")).map_err(|error| Failure::of_runtime(&error))?;
    Output::new(report.to_string(), &report, report.exit_code)
}
