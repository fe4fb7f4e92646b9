//! `askd-bench run`.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use askd_bench::run::{
    Arrivals, Cores, Demand, Error, Feed, MAX_RUNS, MAX_SIDE, Plan, Starter, Target, csv, run as measure,
};
use askd_bench::store;
use askd_runtime::Provider;
use clap::ValueEnum;

use super::{Failure, Output, not_negative};

/// Longest warm-up, in seconds: enough for a clock to rise and a cache to fill.
const WARM_UP_SECONDS: f64 = 20.0;
/// Processes that are started cold.
const STARTS: usize = 5;

/// Measure how long a model takes on this machine: latency and its tail, throughput, cold start, memory
///
/// Images arrive back to back, or by the clock (--rate, --burst): latency then counts from the moment at which an image
/// was to arrive, so that a stall counts for all that arrive meanwhile. Preprocessing, inference and postprocessing are
/// timed apart. The images are the bundle's golden ones. Progress is on standard error.
///
/// Exit code 0 with a report; 2 for a model that cannot be read or is damaged, for a file that cannot be written, or for a
/// wrong flag; 3 if the self test fails: this device computes something else; 4 if there is no usable engine or provider,
/// or, with --strict, if the conditions of the measurement were not met; 1 if the report cannot be printed.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  askd-bench run student.askd --threads 2 --out run.json\n  \
                        askd-bench run student.askd --rate 30 --cores big --strict\n  \
                        askd-bench run student.askd --preset mlperf-single-stream"
)]
pub(super) struct Args {
    #[command(flatten)]
    target: TargetArgs,
    /// Images a second that arrive at each stream, by the clock; without it, each when the one before is done
    #[arg(long, value_name = "IMAGES/S", value_parser = rate)]
    rate: Option<f64>,
    /// Images that arrive together, at --rate on average; 1 to 10000
    #[arg(long, value_name = "IMAGES", default_value_t = 1, requires = "rate",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    burst: u32,
    /// Sessions at work at once, each in a thread of its own, 1 to 256
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    streams: u32,
    /// Time for at least this long, in seconds; 10 without it
    #[arg(long, value_name = "SECONDS", value_parser = not_negative)]
    min_seconds: Option<f64>,
    /// Time at least so many runs, 1 to 4194304; 1024 without it
    #[arg(long, value_name = "RUNS", value_parser = clap::value_parser!(u32).range(1..=MAX_RUNS as i64))]
    min_runs: Option<u32>,
    /// Warm up for at most this long, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = WARM_UP_SECONDS, value_parser = not_negative)]
    warm_up: f64,
    /// Follow the rules of another benchmark
    #[arg(long, value_name = "NAME", conflicts_with_all = ["rate", "streams", "min_seconds", "min_runs", "quick"])]
    preset: Option<Preset>,
    /// Be done in seconds: 1 s, 100 runs, a warm-up of 3 s, one cold start; for a look, not for a figure
    #[arg(long, conflicts_with_all = ["min_seconds", "min_runs", "warm_up"])]
    quick: bool,
    /// End with exit code 4 if the conditions of the measurement were not met
    #[arg(long)]
    strict: bool,
    /// Leave cold starts out
    #[arg(long)]
    no_cold_start: bool,
    /// Write the report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write all runs to this file, as CSV
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
}

/// A model, and where and how it runs.
#[derive(Debug, clap::Args)]
pub(super) struct TargetArgs {
    /// Bundle directory, NAME.askd, or a plain ONNX file of an image classifier that you trust
    model: PathBuf,
    /// Variant of the bundle to run; the bundle's first without it
    #[arg(long, value_name = "NAME")]
    variant: Option<String>,
    /// Threads within one operator, 1 to 1024
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Processors to run on: big, little, or numbers such as 0-3,6; all that are allowed without it
    #[arg(long, value_name = "LIST")]
    cores: Option<Cores>,
    /// Niceness, -20 (first) to 19 (last); below 0 needs root
    #[arg(long, value_name = "NICENESS", allow_negative_numbers = true,
          value_parser = clap::value_parser!(i32).range(-20..=19))]
    priority: Option<i32>,
    /// Where it must run: cpu, xnnpack, acl, cuda, cuda-or-cpu or tensorrt
    #[arg(long, value_name = "NAME", default_value_t)]
    provider: Provider,
    /// ONNX Runtime library; without it, the one that programs on the runtime would find (ORT_DYLIB_PATH first)
    #[arg(long, value_name = "PATH")]
    library: Option<PathBuf>,
    /// Images for a plain ONNX file: a safetensors file with a tensor `input` as the model takes it, any number of images
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Enlarge a bundle's images to a camera's frame first, so that preprocessing takes what it takes there
    #[arg(long, value_name = "HEIGHTxWIDTH", value_parser = frame)]
    frame: Option<[usize; 2]>,
}

/// Rules of other benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// MLPerf inference, SingleStream: back to back, 60 s and 1024 runs, 90th percentile by early stopping
    MlperfSingleStream,
}

impl TargetArgs {
    pub(super) fn to_target(&self) -> Target {
        Target {
            model: self.model.clone(),
            variant: self.variant.clone(),
            library: self.library.clone(),
            provider: self.provider,
            threads: self.threads,
            cores: self.cores.clone(),
            priority: self.priority,
            feed: Feed {
                input: self.input.clone(),
                frame: self.frame,
            },
        }
    }

    /// The same as arguments of another process; the processors and the priority it inherits.
    fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["start".into(), self.model.clone().into()];
        let mut flag = |name: &str, value: Option<OsString>| {
            if let Some(value) = value {
                arguments.extend([OsString::from(name), value]);
            }
        };
        flag("--variant", self.variant.clone().map(Into::into));
        flag("--threads", Some(self.threads.to_string().into()));
        flag("--provider", Some(self.provider.name().into()));
        flag("--library", self.library.clone().map(Into::into));
        flag("--input", self.input.clone().map(Into::into));
        flag(
            "--frame",
            self.frame.map(|[height, width]| format!("{height}x{width}").into()),
        );
        arguments
    }
}

pub(super) fn run(args: Args) -> Result<Output, Failure> {
    for path in [&args.out, &args.csv].into_iter().flatten() {
        store::try_out(path).map_err(|error| Failure::of_runtime(&error))?;
    }
    let outcome = measure(&args.demand(), &mut |line| eprintln!("{line}")).map_err(failure)?;
    let report = &outcome.report;
    let output = Output::new(report.to_string(), report, report.exit_code)?;
    let write = |path: &Option<PathBuf>, text: &dyn Fn() -> String| match path {
        Some(path) => store::write(path, &text()).map_err(|error| Failure::of_runtime(&error)),
        None => Ok(()),
    };
    write(&args.out, &|| output.json.clone() + "\n")?;
    write(&args.csv, &|| csv(&outcome.samples))?;
    Ok(output)
}

impl Args {
    fn demand(&self) -> Demand {
        let (seconds, runs, warm_up, starts) = match (self.preset, self.quick) {
            (Some(Preset::MlperfSingleStream), _) => (60.0, 1024, self.warm_up, STARTS),
            (None, true) => (1.0, 100, 3.0, 1),
            (None, false) => (10.0, 1024, self.warm_up, STARTS),
        };
        let burst = self.burst as usize;
        let name = |preset: Preset| preset.to_possible_value().map(|value| value.get_name().to_owned());
        Demand {
            target: self.target.to_target(),
            streams: self.streams as usize,
            plan: Plan {
                arrivals: self
                    .rate
                    .map_or(Arrivals::BackToBack, |rate| Arrivals::Scheduled { rate, burst }),
                min_seconds: self.min_seconds.unwrap_or(seconds),
                min_runs: self.min_runs.map_or(runs, |runs| runs as usize),
                warm_up_seconds: warm_up,
            },
            preset: self.preset.and_then(name),
            strict: self.strict,
            starter: self.starter(starts),
            command: env::args_os().collect(),
        }
    }

    fn starter(&self, processes: usize) -> Option<Starter> {
        let program = env::current_exe().ok().filter(|_| !self.no_cold_start)?;
        Some(Starter {
            program,
            arguments: self.target.to_arguments(),
            processes,
        })
    }
}

pub(super) fn failure(error: Error) -> Failure {
    match error {
        Error::Runtime(error) => Failure::of_runtime(&error),
        error => Failure {
            text: error.to_string(),
            exit_code: 2,
        },
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (1e-3..=1e6).contains(&value) => Ok(value),
        _ => Err("expected a number of 0.001 to 1000000".to_owned()),
    }
}

fn frame(text: &str) -> Result<[usize; 2], String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
    let sides = text
        .split_once('x')
        .and_then(|(height, width)| Some([side(height)?, side(width)?]));
    sides.ok_or_else(|| format!("expected HEIGHTxWIDTH, each 1 to {MAX_SIDE}, such as 480x640"))
}
