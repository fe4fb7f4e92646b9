//! What a run of `askd-bench run` found, as its JSON holds it. Each field is described in `docs/benchmarking.md`.
//!
//! Times are in milliseconds unless the name says otherwise, sizes in bytes. What could not be read or does not apply is
//! `null`, never zero.

use askd_runtime::Accuracy;
use serde::{Deserialize, Serialize};

use crate::machine::Jetson;
use crate::profile::Profile;
use crate::watch::Record;

/// Layout version of a [`RunReport`]. A field may be added without a new version; none is renamed, removed or given
/// another meaning.
pub const SCHEMA: u32 = 1;

/// One model in one configuration, measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunReport {
    /// Layout version: [`SCHEMA`].
    pub schema: u32,
    /// The program that measured.
    pub tool: Tool,
    /// When the run began, RFC 3339 in UTC.
    pub started: String,
    /// The command line, the program's name first.
    pub command: Vec<String>,
    /// 0, or 4 for a run under `--strict` whose conditions were not met.
    pub exit_code: u8,
    /// What was measured.
    pub model: ModelFacts,
    /// How.
    pub settings: Settings,
    /// ONNX Runtime.
    pub engine: EngineInUse,
    /// How the warm-up went.
    pub warm_up: WarmUp,
    /// The runs that were timed.
    pub runs: RunCount,
    /// Latency: from an image's arrival to its result. Back to back, an image arrives when the one before is done.
    pub latency_ms: Latency,
    /// Images a second.
    pub throughput: Throughput,
    /// The latency's parts.
    pub stages_ms: Stages,
    /// From nothing to the first result, the median of several processes; `null` if it was not measured.
    pub cold_start_ms: Option<f64>,
    /// The parts of `cold_start_ms`.
    pub cold_start: Option<ColdStart>,
    /// Memory of the measuring process.
    pub memory: MemoryUse,
    /// The machine, and its state before, during and after the run.
    pub machine: MachineState,
    /// What makes the run's figures doubtful; none is best.
    pub marks: Vec<Mark>,
    /// All latencies.
    pub histogram: Histogram,
    /// The runs in the order in which they were made, in blocks of consecutive ones: what intervals are made of.
    pub blocks: Vec<Block>,
    /// Latency over time, at most 2,000 points.
    pub timeline: Vec<Point>,
    /// What measuring itself adds to a run, in nanoseconds: the median of runs of nothing.
    pub overhead_ns: f64,
    /// Time of each node of the graph; `null` without `--profile`.
    pub profile: Option<Profile>,
}

/// The program that measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// `askd-bench`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// What was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelFacts {
    /// The bundle's directory or the ONNX file, as given.
    pub path: String,
    /// The network's name in the bundle's provenance; `null` for a plain ONNX file.
    pub network: Option<String>,
    /// The bundle's variant; `null` for a plain ONNX file.
    pub variant: Option<String>,
    /// The variant's arithmetic; `null` for a plain ONNX file.
    pub precision: Option<String>,
    /// Learned numbers; `null` for a plain ONNX file.
    pub parameters: Option<u64>,
    /// Multiply-accumulates for one image; `null` for a plain ONNX file.
    pub macs: Option<u64>,
    /// Accuracies that the bundle records of the variant; none for a plain ONNX file.
    pub accuracy: Vec<Accuracy>,
    /// SHA-256 of the ONNX bytes.
    pub sha256: String,
    /// Bytes of the ONNX file.
    pub bytes: u64,
    /// The model's input.
    pub input: InputFacts,
    /// Logits of one image.
    pub classes: usize,
    /// The images it was run on.
    pub images: ImageFacts,
}

/// A model's input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFacts {
    /// Its name in the ONNX graph.
    pub name: String,
    /// `f32` (normalised images) or `u8` (pixels).
    pub data_type: String,
    /// Channels, height, width of one image.
    pub shape: [usize; 3],
}

/// The images a model was run on, in turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageFacts {
    /// Where they come from: `golden`, `file` or `synthetic`.
    pub source: String,
    /// How many different ones.
    pub count: usize,
    /// Height, in pixels, before preprocessing.
    pub height: usize,
    /// Width, in pixels, before preprocessing.
    pub width: usize,
    /// What is to be known of them, in a sentence.
    pub note: String,
}

/// How it was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// How images arrive.
    pub scenario: Scenario,
    /// Images a second that arrive at each stream; `null` back to back.
    pub rate: Option<f64>,
    /// Images that arrive together; 1 but in bursts.
    pub burst: usize,
    /// Sessions at work at once, each in a thread of its own.
    pub streams: usize,
    /// Threads within one operator, the caller's included.
    pub threads: u16,
    /// The processors that the process was confined to, as the kernel lists them; `null` where it was not.
    pub cores: Option<String>,
    /// The process's niceness; `null` where it was not set.
    pub priority: Option<i32>,
    /// The provider that was demanded.
    pub provider: String,
    /// The provider that ran.
    pub provider_used: String,
    /// The rules that were followed, such as `mlperf-single-stream`; `null` for none by name.
    pub preset: Option<String>,
    /// Least time of timed runs, in seconds.
    pub min_seconds: f64,
    /// Fewest timed runs.
    pub min_runs: usize,
    /// Longest warm-up, in seconds.
    pub warm_up_limit_seconds: f64,
    /// Whether a run whose conditions were not met ends with exit code 4.
    pub strict: bool,
}

/// How images arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Scenario {
    /// Each when the one before is done (closed loop).
    BackToBack,
    /// By the clock, whether the one before is done or not (open loop); latency counts from there.
    OpenLoop,
    /// Several together, by the clock.
    Bursts,
}

impl Scenario {
    /// Its name, as in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::BackToBack => "back-to-back",
            Self::OpenLoop => "open-loop",
            Self::Bursts => "bursts",
        }
    }
}

/// The ONNX Runtime that ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineInUse {
    /// Its library.
    pub library: String,
    /// Its version; `null` if the library does not tell.
    pub version: Option<String>,
}

/// The warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WarmUp {
    /// Runs of all streams.
    pub runs: usize,
    /// Its length, in seconds.
    pub seconds: f64,
    /// Whether the medians of consecutive windows had come within 2 % of each other; if not, the limit ended it.
    pub stable: bool,
}

/// How many runs were timed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RunCount {
    /// How many.
    pub count: usize,
    /// From the first arrival to the last result, in seconds.
    pub seconds: f64,
}

/// Latency. Percentiles are nearest ranks: times that were really measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 95th percentile.
    pub p95: f64,
    /// 99th percentile.
    pub p99: f64,
    /// 99.9th percentile.
    pub p999: f64,
    /// Mean.
    pub mean: f64,
    /// Standard deviation of the runs (of a sample: n - 1).
    pub stddev: f64,
    /// Least.
    pub min: f64,
    /// Most.
    pub max: f64,
    /// MLPerf's early-stopping estimate of the 90th percentile: an upper bound of it with 99 % confidence; `null` for fewer
    /// runs than allow one.
    pub p90_early_stopping: Option<f64>,
}

/// Images a second of all streams together, with an interval of 99 % confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Throughput {
    /// Runs divided by the time they took.
    pub per_second: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The parts of a latency.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stages {
    /// From an image's arrival to the begin of work on it; `null` back to back, where it is nothing.
    pub waiting: Option<Stage>,
    /// From pixels to the model's input; `null` for a plain ONNX file.
    pub preprocess: Option<Stage>,
    /// The model.
    pub inference: Stage,
    /// From logits to named classes; `null` for a plain ONNX file.
    pub postprocess: Option<Stage>,
}

impl Stages {
    /// Those that there are, with their names for people.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&'static str, Stage)> {
        let all = [
            ("waiting", self.waiting),
            ("preprocessing", self.preprocess),
            ("inference", Some(self.inference)),
            ("postprocessing", self.postprocess),
        ];
        all.into_iter().filter_map(|(name, stage)| Some((name, stage?)))
    }
}

/// One part of a latency.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Median.
    pub p50: f64,
    /// 90th percentile.
    pub p90: f64,
    /// 99th percentile.
    pub p99: f64,
    /// Mean: those of all stages add up to the latency's.
    pub mean: f64,
}

/// From nothing to the first result, in processes of their own: medians of several, in milliseconds. Files are in the
/// system's cache, as they are after the first process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ColdStart {
    /// Processes.
    pub starts: usize,
    /// Loading the ONNX Runtime library.
    pub library_load: f64,
    /// Reading the model's files, without `verify`.
    pub open: f64,
    /// Checking their SHA-256; `null` for a plain ONNX file, which nothing vouches for.
    pub verify: Option<f64>,
    /// Making the session.
    pub session: f64,
    /// The first run.
    pub first_run: f64,
    /// All of it.
    pub total: f64,
}

/// Memory of the measuring process; `null` where the system does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryUse {
    /// Resident after the run (`VmRSS`).
    pub rss_bytes: Option<u64>,
    /// Most that was ever resident (`VmHWM`).
    pub peak_bytes: Option<u64>,
    /// By how much the resident memory grew from the end of the warm-up to the end of the run; negative if it shrank.
    pub growth_bytes: Option<i64>,
    /// Of these, what the tool itself holds for its samples.
    pub samples_bytes: u64,
}

/// The machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MachineState {
    /// What chooses the processors' frequency, such as `performance`, each name once; `null` where it is not readable.
    pub governor: Option<String>,
    /// The board.
    pub board: Option<String>,
    /// The processor.
    pub cpu: Option<String>,
    /// Processors that are switched on, as the kernel lists them.
    pub cores_online: Option<String>,
    /// Those that the process might use.
    pub cores_allowed: Option<String>,
    /// All memory.
    pub memory_bytes: Option<u64>,
    /// The operating system.
    pub os: Option<String>,
    /// The kernel.
    pub kernel: Option<String>,
    /// Releases of Jetson Linux and JetPack and the power mode; `null` where it is no Jetson.
    pub jetson: Option<Jetson>,
    /// Clock, temperature, throttling, load before, during and after the run; `null` if nothing watched.
    pub record: Option<Record>,
}

/// Something that makes the run's figures doubtful.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// What it is about, such as `clock`, `temperature` or `warm-up`.
    pub kind: String,
    /// Whether `--strict` refuses such a run.
    pub strict: bool,
    /// What was seen, and how to mend it, in a sentence.
    pub text: String,
}

/// Latencies as an HDR histogram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// `HdrHistogram V2` of nanoseconds with 3 significant digits, in base64: any HDR tool reads it.
    pub hdr_v2_base64: String,
    /// Its buckets that are not empty, in rising order.
    pub buckets: Vec<Bucket>,
}

/// Latencies that are nearly equal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// Least latency that falls into it.
    pub from_ms: f64,
    /// Least latency that is beyond it.
    pub to_ms: f64,
    /// Runs.
    pub count: u64,
}

/// Consecutive runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Runs.
    pub runs: usize,
    /// Time from the end of the block before to the end of this one, in seconds.
    pub seconds: f64,
    /// Their latencies, as in [`Histogram::hdr_v2_base64`].
    pub hdr_v2_base64: String,
}

/// A moment of the run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Seconds since the first arrival.
    pub seconds: f64,
    /// Median latency of the runs from the point before to this one.
    pub p50_ms: f64,
    /// Their longest.
    pub max_ms: f64,
}
