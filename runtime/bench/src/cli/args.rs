//! Flags that several commands share.

use std::ffi::OsString;
use std::path::PathBuf;

use askd_bench::run::{Cores, MAX_RUNS};
use askd_runtime::Provider;
use clap::ValueEnum;

use super::{not_negative, provider};

/// Longest warm-up, in seconds: enough for a clock to rise and a cache to fill.
const WARM_UP_SECONDS: f64 = 20.0;
/// Processes that are started cold.
const STARTS: usize = 5;

/// How long to measure.
#[derive(Debug, clap::Args)]
pub(super) struct RulesArgs {
    /// Time for at least this long, in seconds; 10 without it
    #[arg(long, value_name = "SECONDS", value_parser = not_negative)]
    pub(super) min_seconds: Option<f64>,
    /// Time at least so many runs, 1 to 4194304; 1024 without it
    #[arg(long, value_name = "RUNS", value_parser = clap::value_parser!(u32).range(1..=MAX_RUNS as i64))]
    pub(super) min_runs: Option<u32>,
    /// Warm up for at most this long, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = WARM_UP_SECONDS, value_parser = not_negative)]
    pub(super) warm_up: f64,
    /// Follow the rules of another benchmark
    #[arg(long, value_name = "NAME", conflicts_with_all = ["min_seconds", "min_runs", "quick"])]
    pub(super) preset: Option<Preset>,
    /// Be done in seconds: 1 s, 100 runs, a warm-up of 3 s, one cold start; for a look, not for a figure
    #[arg(long, conflicts_with_all = ["min_seconds", "min_runs", "warm_up"])]
    pub(super) quick: bool,
    /// End with exit code 4 if the conditions of the measurement were not met
    #[arg(long)]
    pub(super) strict: bool,
}

/// Where a model runs.
#[derive(Debug, clap::Args)]
pub(super) struct PlaceArgs {
    /// Processors to run on: big, little, or numbers such as 0-3,6; all that are allowed without it
    #[arg(long, value_name = "LIST")]
    pub(super) cores: Option<Cores>,
    /// Niceness, -20 (first) to 19 (last); below 0 needs root
    #[arg(long, value_name = "NICENESS", allow_negative_numbers = true,
          value_parser = clap::value_parser!(i32).range(-20..=19))]
    pub(super) priority: Option<i32>,
    /// Where it must run
    #[arg(long, value_name = "NAME", default_value_t, value_parser = provider())]
    pub(super) provider: Provider,
    /// ONNX Runtime library; without it, the one that programs on the runtime would find (ORT_DYLIB_PATH first)
    #[arg(long, value_name = "PATH")]
    pub(super) library: Option<PathBuf>,
}

/// Rules of other benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Preset {
    /// MLPerf inference, SingleStream: back to back, 60 s and 1024 runs, 90th percentile by early stopping
    MlperfSingleStream,
}

/// What the flags come to.
pub(super) struct Rules {
    pub(super) min_seconds: f64,
    pub(super) min_runs: usize,
    pub(super) warm_up_seconds: f64,
    pub(super) starts: usize,
    pub(super) preset: Option<String>,
}

impl RulesArgs {
    pub(super) fn to_rules(&self) -> Rules {
        let (seconds, runs, warm_up_seconds, starts) = match (self.preset, self.quick) {
            (Some(Preset::MlperfSingleStream), _) => (60.0, 1024, self.warm_up, STARTS),
            (None, true) => (1.0, 100, 3.0, 1),
            (None, false) => (10.0, 1024, self.warm_up, STARTS),
        };
        Rules {
            min_seconds: self.min_seconds.unwrap_or(seconds),
            min_runs: self.min_runs.map_or(runs, |runs| runs as usize),
            warm_up_seconds,
            starts,
            preset: self.preset.and_then(Preset::name),
        }
    }

    /// The same as arguments of another process.
    pub(super) fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        push(
            &mut arguments,
            "--min-seconds",
            self.min_seconds.map(|seconds| seconds.to_string()),
        );
        push(&mut arguments, "--min-runs", self.min_runs.map(|runs| runs.to_string()));
        push(&mut arguments, "--preset", self.preset.and_then(Preset::name));
        if self.quick {
            arguments.push("--quick".into());
        } else {
            push(&mut arguments, "--warm-up", Some(self.warm_up.to_string()));
        }
        if self.strict {
            arguments.push("--strict".into());
        }
        arguments
    }
}

impl Preset {
    fn name(self) -> Option<String> {
        self.to_possible_value().map(|value| value.get_name().to_owned())
    }
}

impl PlaceArgs {
    /// The same as arguments of another process.
    pub(super) fn to_arguments(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        push(&mut arguments, "--cores", self.cores.as_ref().map(Cores::to_string));
        push(
            &mut arguments,
            "--priority",
            self.priority.map(|niceness| niceness.to_string()),
        );
        push(&mut arguments, "--provider", Some(self.provider.name()));
        push(&mut arguments, "--library", self.library.as_ref());
        arguments
    }
}

/// Adds a flag with its value, if there is one.
pub(super) fn push(arguments: &mut Vec<OsString>, name: &str, value: Option<impl Into<OsString>>) {
    if let Some(value) = value {
        arguments.extend([name.into(), value.into()]);
    }
}
