//! A whole run: start, warm-up, timing, report.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::SystemTime;

use askd_runtime::{Engine as OnnxRuntime, Provider, Session, SessionOptions};

use super::clock::{Clock, SystemClock};
use super::confine::{self, Cores};
use super::engine::Engine;
use super::error::Error;
use super::memory::Held;
use super::report::{
    EngineInUse, MachineState, Mark, MemoryUse, ModelFacts, RunReport, SCHEMA, Settings, Tool, WarmUp,
};
use super::start::{self, Starter};
use super::statistics;
use super::subject::{Feed, Running, Subject};
use super::timing::{self, Plan, Recorder, Sample};
use crate::machine::{self, CpuSet, Machine, Root};
use crate::measure::median;
use crate::watch::{self, Record, Watch};

/// Where this machine's files lie.
const ROOT: &str = "/";
/// Runs of nothing that tell what measuring itself takes.
const EMPTY_RUNS: usize = 20_000;

/// A model, and where and how it is to run.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// A bundle's directory or an ONNX file.
    pub model: PathBuf,
    /// A variant of the bundle; `None` for its first.
    pub variant: Option<String>,
    /// The ONNX Runtime library; `None` to look for it, see [`askd_runtime::Engine::load`].
    pub library: Option<PathBuf>,
    /// Where it must run.
    pub provider: Provider,
    /// Threads within one operator, 1 or more.
    pub threads: u16,
    /// The processors to run on; `None` for all that are allowed.
    pub cores: Option<Cores>,
    /// Niceness, -20 to 19; `None` to leave it.
    pub priority: Option<i32>,
    /// Where the images come from.
    pub feed: Feed,
}

impl Target {
    pub(super) fn options(&self) -> SessionOptions {
        SessionOptions {
            library: self.library.clone(),
            provider: self.provider,
            intra_op_threads: self.threads,
            ..SessionOptions::default()
        }
    }
}

/// What is to be measured, and by which rules.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    /// The model.
    pub target: Target,
    /// Sessions at work at once, 1 or more.
    pub streams: usize,
    /// How long to measure, and how images arrive.
    pub plan: Plan,
    /// The rules' name.
    pub preset: Option<String>,
    /// Whether to time each node of the graph as well, after the run.
    pub profile: bool,
    /// Whether marks of the conditions end the run with exit code 4.
    pub strict: bool,
    /// How to measure cold starts; `None` not to.
    pub starter: Option<Starter>,
    /// The command line, for the report.
    pub command: Vec<OsString>,
}

/// A report, and the runs behind it.
#[derive(Debug)]
pub struct Outcome {
    /// The report.
    pub report: RunReport,
    /// All runs, in the order in which their results came.
    pub samples: Vec<Sample>,
}

/// Measures a model on this machine.
///
/// `progress` is told in a line what goes on. This process is confined as the demand says from here on.
///
/// # Errors
/// [`Error::Runtime`] for a model that cannot be opened or run, or fails its self test; [`Error::Demand`] for what does not go
/// with this model or machine; [`Error::Confine`].
pub fn run(demand: &Demand, progress: &mut dyn FnMut(&str)) -> Result<Outcome, Error> {
    let target = &demand.target;
    let started = SystemTime::now();
    let mut marks = Vec::new();
    // opened once before anything takes long, so that a wrong demand is told at once
    let subject = Subject::open(&target.model, target.variant.as_deref())?;
    let allowed = allowed_cores();
    let cores = confine::apply(target)?;
    let machine = Machine::read(ROOT.as_ref());
    let cold_start = demand.starter.as_ref().and_then(|starter| {
        progress("starting in processes of their own");
        let missing = |reason| {
            marks.push(Mark::noted(
                "cold-start",
                format!("cold starts were not measured: {reason}"),
            ))
        };
        start::measure(starter).map_err(missing).ok()
    });
    let onnx_runtime = OnnxRuntime::load(target.library.as_deref())?;
    let (mut engines, model, provider_used) = make_engines(demand, &subject)?;

    let clock = SystemClock::start();
    let overhead_ns = overhead(&clock);
    progress("warming up");
    let (warm_up, typical) = timing::warm_up(&demand.plan, &clock, &mut engines)?;
    let mut recorder = Recorder::new(&demand.plan, &typical);
    let samples_bytes = recorder.bytes();
    progress(&format!(
        "timing for {} s or longer, {} runs or more",
        demand.plan.min_seconds, demand.plan.min_runs
    ));
    let watch = watch(&allowed, &mut marks);
    let before = Held::now();
    timing::time(&demand.plan, &clock, &mut engines, &mut recorder)?;
    let after = Held::now();
    let record = watch.map(Watch::stop);
    let samples = recorder.into_samples();

    marks.extend(marks_of(&warm_up, &demand.plan, &samples));
    marks.extend(record.iter().flat_map(watch::marks).map(Mark::from));
    let mut profile = None;
    if demand.profile {
        progress("profiling the nodes");
        match subject.profile(&target.options(), &engines) {
            Ok(found) => profile = Some(found),
            // what was measured does not hang on it
            Err(error) => marks.push(Mark::noted("profile", format!("the nodes were not timed: {error}"))),
        }
    }
    let exit_code = if demand.strict && marks.iter().any(|mark| mark.strict) {
        4
    } else {
        0
    };
    let report = RunReport {
        schema: SCHEMA,
        tool: Tool {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        started: humantime::format_rfc3339_seconds(started).to_string(),
        command: demand
            .command
            .iter()
            .map(|word| word.to_string_lossy().into_owned())
            .collect(),
        exit_code,
        model,
        settings: settings(demand, cores, provider_used),
        engine: EngineInUse {
            library: onnx_runtime.path().display().to_string(),
            version: onnx_runtime.version().map(str::to_owned),
        },
        warm_up,
        runs: statistics::count(&samples),
        latency_ms: statistics::latency(&samples),
        throughput: statistics::throughput(&samples),
        stages_ms: statistics::stages(&samples, &demand.plan.arrivals, subject.is_bundle()),
        cold_start_ms: cold_start.map(|start| start.total),
        cold_start,
        memory: MemoryUse {
            rss_bytes: after.resident,
            peak_bytes: after.peak,
            growth_bytes: before
                .resident
                .zip(after.resident)
                .map(|(before, after)| after as i64 - before as i64),
            samples_bytes,
        },
        machine: MachineState::of(&machine, record),
        marks,
        histogram: statistics::histogram(&samples),
        blocks: statistics::blocks(&samples),
        timeline: statistics::timeline(&samples),
        overhead_ns,
        profile,
    };
    Ok(Outcome { report, samples })
}

/// A session for each stream, the first of which has tested itself; the model's facts, and where it runs.
fn make_engines(demand: &Demand, subject: &Subject) -> Result<(Vec<Running>, ModelFacts, Provider), Error> {
    let target = &demand.target;
    let session = || subject.session(&target.options());
    let mut sessions: Vec<Session> = (0..demand.streams).map(|_| session()).collect::<Result<_, _>>()?;
    let mut provider = target.provider;
    if let Some(first) = sessions.first_mut() {
        provider = first.provider();
        if subject.is_bundle() {
            first.self_test()?;
        }
    }
    let (engines, facts) = subject.engines(sessions, &target.model, &target.feed)?;
    Ok((engines, facts, provider))
}

fn settings(demand: &Demand, cores: Option<String>, provider_used: Provider) -> Settings {
    let Demand { target, plan, .. } = demand;
    Settings {
        scenario: plan.arrivals.scenario(),
        rate: plan.arrivals.rate(),
        burst: plan.arrivals.burst(),
        streams: demand.streams,
        threads: target.threads,
        cores,
        priority: target.priority,
        provider: target.provider.name().to_owned(),
        provider_used: provider_used.name().to_owned(),
        preset: demand.preset.clone(),
        min_seconds: plan.min_seconds,
        min_runs: plan.min_runs,
        warm_up_limit_seconds: plan.warm_up_seconds,
        strict: demand.strict,
    }
}

/// What measuring adds to a run, in nanoseconds: the median time from one run of nothing to the next.
pub fn overhead(clock: &impl Clock) -> f64 {
    struct Nothing;
    impl Engine for Nothing {
        type Error = std::convert::Infallible;
        fn infer(&mut self) -> Result<(), Self::Error> {
            Ok(())
        }
    }
    let plan = Plan {
        arrivals: super::Arrivals::BackToBack,
        min_seconds: 0.0,
        min_runs: EMPTY_RUNS,
        warm_up_seconds: 0.0,
    };
    let mut recorder = Recorder::new(&plan, &[1]);
    let Ok(()) = timing::time(&plan, clock, &mut [Nothing], &mut recorder);
    let samples = recorder.into_samples();
    let times: Vec<u64> = samples.windows(2).map(|pair| pair[1].begun - pair[0].begun).collect();
    median(&times) as f64
}

/// Those that this process may run on; none where it is not told.
fn allowed_cores() -> Vec<u32> {
    let cores = machine::Cores::read(&Root::new(ROOT.as_ref()));
    cores.allowed.as_ref().map(CpuSet::numbers).unwrap_or_default()
}

/// Watches the cores that this process is confined to, from another one of those that were `allowed` before.
fn watch(allowed: &[u32], marks: &mut Vec<Mark>) -> Option<Watch> {
    let missing = |error| marks.push(Mark::noted("watch", format!("the machine was not watched: {error}")));
    Watch::start(ROOT.as_ref(), &[], allowed).map_err(missing).ok()
}

/// What the run itself shows of its conditions.
fn marks_of(warm_up: &WarmUp, plan: &Plan, samples: &[Sample]) -> Vec<Mark> {
    let mut marks = Vec::new();
    if !warm_up.stable {
        let text = format!(
            "the median had not settled within 2 % when the warm-up ended after {:.1} s: let nothing else run, fix the clock, or \
             give a longer limit",
            warm_up.seconds
        );
        marks.push(Mark::refused("warm-up", text));
    }
    let counted = statistics::count(samples);
    if counted.count < plan.min_runs || counted.seconds < plan.min_seconds {
        let text = format!(
            "{} runs in {:.1} s are all there was room for: measure for a shorter time",
            counted.count, counted.seconds
        );
        marks.push(Mark::refused("samples", text));
    }
    marks
}

impl Mark {
    fn refused(kind: &str, text: String) -> Self {
        Self {
            kind: kind.to_owned(),
            strict: true,
            text,
        }
    }

    fn noted(kind: &str, text: String) -> Self {
        Self {
            strict: false,
            ..Self::refused(kind, text)
        }
    }
}

impl From<watch::Mark> for Mark {
    fn from(mark: watch::Mark) -> Self {
        Self {
            kind: mark.kind.name().to_owned(),
            strict: mark.kind.fails_strict(),
            text: format!("{}: {}", mark.text, mark.mend),
        }
    }
}

impl MachineState {
    fn of(machine: &Machine, record: Option<Record>) -> Self {
        let policies = machine.frequency.iter().flatten();
        let mut governors: Vec<_> = policies.filter_map(|policy| policy.governor.as_deref()).collect();
        governors.sort_unstable();
        governors.dedup();
        Self {
            governor: (!governors.is_empty()).then(|| governors.join(", ")),
            board: machine.system.board.clone(),
            cpu: machine.cpu.model.clone(),
            cores_online: machine.cores.online.as_ref().map(|set| set.list.clone()),
            cores_allowed: machine.cores.allowed.as_ref().map(|set| set.list.clone()),
            memory_bytes: machine.memory.total_bytes,
            os: machine.system.os.clone(),
            kernel: machine.system.kernel.clone(),
            jetson: machine.jetson.clone(),
            record,
        }
    }
}
