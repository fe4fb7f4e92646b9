//! `askd-bench run`.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use askd_bench::report::html;
use askd_bench::run::{Arrivals, Demand, Error, Feed, MAX_SIDE, Plan, Starter, Target, csv, run as measure};
use askd_bench::store;

use super::args::{PlaceArgs, RulesArgs, push};
use super::{Failure, Output};

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
    #[arg(long, value_name = "IMAGES/S", value_parser = rate, conflicts_with = "preset")]
    rate: Option<f64>,
    /// Images that arrive together, at --rate on average; 1 to 10000
    #[arg(long, value_name = "IMAGES", default_value_t = 1, requires = "rate",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    burst: u32,
    /// Sessions at work at once, each in a thread of its own, 1 to 256
    #[arg(long, value_name = "COUNT", default_value_t = 1, conflicts_with = "preset",
          value_parser = clap::value_parser!(u32).range(1..=256))]
    streams: u32,
    #[command(flatten)]
    rules: RulesArgs,
    /// Time each node of the graph too, after the run, beside its work and what this machine computes at most
    #[arg(long)]
    profile: bool,
    /// Leave cold starts out
    #[arg(long)]
    no_cold_start: bool,
    /// Write the report to this file, as JSON
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the report to this file, as a page that needs no network: plots, distribution, nodes
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
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
    #[command(flatten)]
    place: PlaceArgs,
    /// Images for a plain ONNX file: a safetensors file with a tensor `input` as the model takes it, any number of images
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Enlarge a bundle's images to a camera's frame first, so that preprocessing takes what it takes there
    #[arg(long, value_name = "HEIGHTxWIDTH", value_parser = frame)]
    frame: Option<[usize; 2]>,
}

impl TargetArgs {
    pub(super) fn to_target(&self) -> Target {
        Target {
            model: self.model.clone(),
            variant: self.variant.clone(),
            library: self.place.library.clone(),
            provider: self.place.provider,
            threads: self.threads,
            cores: self.place.cores.clone(),
            priority: self.place.priority,
            feed: Feed {
                input: self.input.clone(),
                frame: self.frame,
            },
        }
    }

    /// The same as arguments of another process, which starts once.
    fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments = vec!["start".into(), self.model.clone().into()];
        push(&mut arguments, "--variant", self.variant.as_ref());
        push(&mut arguments, "--threads", Some(self.threads.to_string()));
        push(&mut arguments, "--input", self.input.as_ref());
        let frame = self.frame.map(|[height, width]| format!("{height}x{width}"));
        push(&mut arguments, "--frame", frame);
        arguments.extend(self.place.to_arguments());
        arguments
    }
}

pub(super) fn run(args: Args) -> Result<Output, Failure> {
    for path in [&args.out, &args.html, &args.csv].into_iter().flatten() {
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
    write(&args.html, &|| html(report))?;
    write(&args.csv, &|| csv(&outcome.samples))?;
    Ok(output)
}

impl Args {
    fn demand(&self) -> Demand {
        let rules = self.rules.to_rules();
        let burst = self.burst as usize;
        Demand {
            target: self.target.to_target(),
            streams: self.streams as usize,
            plan: Plan {
                arrivals: self
                    .rate
                    .map_or(Arrivals::BackToBack, |rate| Arrivals::Scheduled { rate, burst }),
                min_seconds: rules.min_seconds,
                min_runs: rules.min_runs,
                warm_up_seconds: rules.warm_up_seconds,
            },
            preset: rules.preset,
            profile: self.profile,
            strict: self.rules.strict,
            starter: self.starter(rules.starts),
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
        error => Failure::bad_input(error),
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
