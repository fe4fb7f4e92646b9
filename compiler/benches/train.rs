//! Training steps and inference against PyTorch, in turn: `make bench-train`.
//!
//! Both sides are child processes that answer the same requests (`peers/train_torch.py` and this program with `--peer`), a few
//! steps at a time, so that whatever else the machine does falls on both. A case has processes of its own, so that peak
//! memory is the case's. `ASKD_PEER_PYTHON` names a Python with the packages of `peers/requirements.txt`; without it only
//! our own figures are printed. Arguments that are names of cases choose among them.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use askd_compiler::distill::{Adaptation, SharedHead, SharedHeadSettings, Weighting};
use askd_compiler::estimate::peak_rss_mib;
use askd_compiler::nn::kernels::memory::keep_freed_memory;
use askd_compiler::nn::{Network, PassMode, SgdConfig, initialise};
use askd_compiler::train::{Moment, Objective, Supervised};
use askd_models::{DistilledOptions, Graph, LOGITS, NetworkConfig, build, distilled_student};
use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const THREADS: usize = 2;
const BATCH: usize = 64;
const INPUT: [usize; 3] = [3, 32, 32];
const CLASSES: usize = 100;
/// Steps of one side before it is the other's turn.
const STEPS_A_TURN: usize = 2;
/// Fewest steps of each side.
const STEPS: usize = 12;

const NETWORKS: [&str; 5] = ["resnet8x4", "resnet32x4", "resnet38", "vgg8", "mobilenetv2_0.5"];
const STUDENT: &str = "resnet8x4";
const TEACHER: &str = "resnet32x4";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if arguments.iter().any(|argument| argument == "--peer") {
        return serve();
    }
    let python = std::env::var_os("ASKD_PEER_PYTHON").map(PathBuf::from);
    println!("batch {BATCH}, 3x32x32, {CLASSES} classes, {THREADS} threads, medians of at least {STEPS} steps");
    if python.is_none() {
        println!("ASKD_PEER_PYTHON names no Python with PyTorch: our own figures alone");
    }
    println!(
        "{:<34} {:>10} {:>10} {:>7} {:>9} {:>9}",
        "", "askd im/s", "torch im/s", "ratio", "askd MiB", "torch MiB"
    );
    let cases = ["train", "inference"].map(|kind| NETWORKS.map(|network| (kind, network)));
    for (kind, network) in cases.into_iter().flatten().chain([("atsc", STUDENT)]) {
        let name = format!("{kind} {network}");
        if arguments.is_empty() || arguments.iter().any(|argument| name.contains(argument.as_str())) {
            compare(kind, network, python.as_deref())?;
        }
    }
    Ok(())
}

/// Runs one case on both sides in turn and prints its line.
fn compare(kind: &str, network: &str, python: Option<&Path>) -> Result<(), Failure> {
    let mut sides = vec![Side::ours()?];
    if let Some(python) = python {
        sides.push(Side::torch(python)?);
    }
    let request = json!({
        "case": kind, "network": network, "teacher": TEACHER, "batch": BATCH, "input": INPUT, "classes": CLASSES,
        "steps": STEPS_A_TURN,
    });
    while sides.iter().any(|side| side.milliseconds.len() < STEPS) {
        for side in &mut sides {
            side.run(&request)?;
        }
    }
    let rates: Vec<f64> = sides.iter().map(|side| BATCH as f64 / side.median() * 1e3).collect();
    let label = if kind == "atsc" {
        format!("atsc {TEACHER} -> {network}")
    } else {
        format!("{kind} {network}")
    };
    match (&sides[..], &rates[..]) {
        ([ours, torch], [our_rate, torch_rate]) => println!(
            "{label:<34} {our_rate:>10.1} {torch_rate:>10.1} {:>7.2} {:>9.0} {:>9.0}",
            our_rate / torch_rate,
            ours.peak_mib,
            torch.peak_mib
        ),
        _ => println!(
            "{label:<34} {:>10.1} {:>10} {:>7} {:>9.0}",
            rates[0], "", "", sides[0].peak_mib
        ),
    }
    Ok(())
}

/// A process that answers requests.
struct Side {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
    milliseconds: Vec<f64>,
    peak_mib: f64,
}

impl Side {
    fn ours() -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("--peer").env("RAYON_NUM_THREADS", THREADS.to_string());
        Self::start(command)
    }

    fn torch(python: &Path) -> Result<Self, Failure> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/train_torch.py");
        let mut command = Command::new(python);
        command.arg("-B").arg(script).args(["--threads", &THREADS.to_string()]);
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self, Failure> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let requests = child.stdin.take().ok_or("a peer without standard input")?;
        let answers = BufReader::new(child.stdout.take().ok_or("a peer without standard output")?);
        let mut side = Self {
            child,
            requests,
            answers,
            milliseconds: Vec::new(),
            peak_mib: 0.0,
        };
        side.answer()?;
        Ok(side)
    }

    fn answer(&mut self) -> Result<Value, Failure> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line)?;
        match answer.get("error") {
            Some(error) => Err(error.to_string().into()),
            None => Ok(answer),
        }
    }

    fn run(&mut self, request: &Value) -> Result<(), Failure> {
        writeln!(self.requests, "{request}")?;
        let answer = self.answer()?;
        let times = answer["step_ms"].as_array().ok_or("an answer without step_ms")?;
        self.milliseconds.extend(times.iter().filter_map(Value::as_f64));
        self.peak_mib = answer["peak_rss_mib"].as_f64().unwrap_or(f64::NAN);
        Ok(())
    }

    fn median(&self) -> f64 {
        let mut sorted = self.milliseconds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // the child is done, or failed and said so: either way there is nothing more to learn from it
        let _ = writeln!(self.requests, "{}", json!({"case": "quit"}));
        let _ = self.child.wait();
    }
}

/// Answers requests on standard input, as `peers/train_torch.py` does.
fn serve() -> Result<(), Failure> {
    keep_freed_memory();
    println!(
        "{}",
        json!({"askd": env!("CARGO_PKG_VERSION"), "threads": rayon::current_num_threads()})
    );
    let mut cases: HashMap<String, Case> = HashMap::new();
    for line in std::io::stdin().lines() {
        let request: Value = serde_json::from_str(&line?)?;
        let text = |key: &str| request[key].as_str().unwrap_or_default().to_owned();
        let kind = text("case");
        if kind == "quit" {
            break;
        }
        let key = format!("{kind} {}", text("network"));
        if !cases.contains_key(&key) {
            let mut case = Case::new(&kind, &text("network"), &text("teacher"))?;
            case.step()?;
            cases.insert(key.clone(), case);
        }
        let case = cases.get_mut(&key).ok_or("a case that was just made")?;
        let mut times = Vec::new();
        for _ in 0..request["steps"].as_u64().unwrap_or(1) {
            let started = Instant::now();
            case.step()?;
            times.push(started.elapsed().as_secs_f64() * 1e3);
        }
        println!("{}", json!({"step_ms": times, "peak_rss_mib": peak_rss_mib()}));
    }
    Ok(())
}

/// A network that takes steps on one fixed batch.
struct Case {
    runner: Runner,
    images: Tensor,
    labels: Tensor,
    step: usize,
}

enum Runner {
    Training(Box<dyn Objective>),
    Inference(Network),
}

impl Case {
    fn new(kind: &str, network: &str, teacher: &str) -> Result<Self, Failure> {
        let config = NetworkConfig::new(INPUT, CLASSES);
        let graph = build(network, &config)?;
        let optimizer = SgdConfig::default();
        let runner = match kind {
            "train" => Runner::Training(Box::new(Supervised::new(fresh(graph)?, optimizer))),
            "inference" => Runner::Inference(fresh(graph)?),
            "atsc" => {
                let teacher_graph = build(teacher, &config)?;
                let student = distilled_student(&graph, &[&teacher_graph], &DistilledOptions::default())?;
                let (student, teacher) = (fresh(student)?, fresh(teacher_graph)?);
                Runner::Training(Box::new(SharedHead::new(
                    adapting(),
                    Weighting::Uniform,
                    optimizer,
                    student,
                    vec![teacher],
                )?))
            }
            other => return Err(format!("case: expected train, inference or atsc, got {other}").into()),
        };
        let [channels, height, width] = INPUT;
        Ok(Self {
            runner,
            images: Tensor::randn(0f32, 1.0, (BATCH, channels, height, width), &Device::Cpu)?,
            labels: Tensor::from_iter((0..BATCH as u32).map(|i| i * 7 % CLASSES as u32), &Device::Cpu)?,
            step: 0,
        })
    }

    fn step(&mut self) -> Result<(), Failure> {
        match &mut self.runner {
            Runner::Training(objective) => {
                let at = Moment {
                    step: self.step,
                    epoch: 0,
                    progress: 0.5,
                    rate: 0.05,
                };
                objective.step(&self.images, &self.labels, &at)?;
                self.step += 1;
            }
            Runner::Inference(network) => drop(network.forward(&self.images, PassMode::Inference, &[LOGITS])?),
        }
        Ok(())
    }
}

fn fresh(graph: Graph) -> Result<Network, Failure> {
    let weights = initialise(&graph, 1);
    Ok(Network::new(graph, &weights, DType::F32, &Device::Cpu)?)
}

/// `shared-head` with every term and a teacher that adapts: its dearest step.
fn adapting() -> SharedHeadSettings {
    SharedHeadSettings {
        adaptation: Adaptation {
            rate: 0.01,
            start: 0.0,
            ..Adaptation::default()
        },
        ..SharedHeadSettings::atsc()
    }
}
