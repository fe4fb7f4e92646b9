//! A bundle's variants through askd-runtime beside the engines that users would run its ONNX file with, in turn.
//!
//! ```text
//! make bench-inference BUNDLES="resnet8x4.askd vgg8.askd" DATA=cifar100:cifar-100-binary.tar.gz
//! ```
//!
//! Every contender is a process of its own for each number of threads, stopped (SIGSTOP) while it is not its turn, so that
//! no idle thread of one spins in another's time. In each round each of them runs the same image [`RUNS`] times and times
//! every run itself. A peer whose float logits differ from the bundle's golden ones is not timed.
//!
//! `ASKD_OPENVINO_ONNXRUNTIME` names a build of ONNX Runtime with OpenVINO, by which askd's variants are run too.
//! `ASKD_PEER_PYTHON` names a Python with the packages of `peers/inference/requirements.txt`. Arguments that are names of
//! engines (`askd` for all of ours, `askd-spinning`, `askd-openvino`, `onnxruntime`, `openvino`, `ncnn`, `mnn`, `torch`, `tract`) choose among them.

mod contender;
mod files;
mod serve;
mod server;

use std::env;
use std::path::{Path, PathBuf};

use askd_compiler::data::DataSpec;

use contender::{Contender, Spec};
use files::Files;

type Failure = Box<dyn std::error::Error>;

/// Timed runs of a turn.
const RUNS: usize = 50;
/// Runs before them that are not: others have had the caches.
const WARM_UP_RUNS: usize = 5;
/// Turns of each contender, where `ASKD_ROUNDS` says nothing.
const ROUNDS: usize = 60;
/// Numbers of threads that are compared.
const THREADS: [usize; 2] = [1, 2];

/// What is the same for all bundles.
struct Settings {
    data: DataSpec,
    python: PathBuf,
    rounds: usize,
    /// Engines by the beginnings of their names; all where there are none.
    chosen: Vec<String>,
}

impl Settings {
    fn wants(&self, engine: &str) -> bool {
        self.chosen.is_empty() || self.chosen.iter().any(|name| engine.starts_with(name.as_str()))
    }
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let Some(("--serve", task)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) {
        return serve::serve(task);
    }
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let [bundles, data, python, rounds] =
        ["ASKD_BUNDLES", "ASKD_CALIBRATION", "ASKD_PEER_PYTHON", "ASKD_ROUNDS"].map(variable);
    if [&bundles, &data, &python].into_iter().any(String::is_empty) {
        println!(
            "inference: skipped, ASKD_BUNDLES, ASKD_CALIBRATION or ASKD_PEER_PYTHON is not set (use `make bench-inference`)"
        );
        return Ok(());
    }
    let settings = Settings {
        data: data.parse()?,
        python: python.into(),
        rounds: if rounds.is_empty() { ROUNDS } else { rounds.parse()? },
        chosen: arguments,
    };
    println!(
        "milliseconds for one image, {} rounds of {RUNS} runs, in turn",
        settings.rounds
    );
    for bundle in bundles.split_whitespace() {
        compare(Path::new(bundle), &settings)?;
    }
    Ok(())
}

/// Times one bundle everywhere and prints its table.
fn compare(bundle: &Path, settings: &Settings) -> Result<(), Failure> {
    let files = Files::new(bundle, &settings.data)?;
    let (mut contenders, mut absent) = (Vec::new(), Vec::new());
    for spec in Spec::all(&files.manifest) {
        if settings.wants(spec.engine) {
            eprintln!("{}: {} {}", bundle.display(), spec.engine, spec.kind);
            match Contender::enter(&spec, &files, &settings.python) {
                Ok(contender) => contenders.push(contender),
                Err(reason) => absent.push(format!("{} {}: {reason}", spec.engine, spec.kind)),
            }
        }
    }
    for round in 1..=settings.rounds {
        eprint!("\r{}: round {round} of {}", bundle.display(), settings.rounds);
        for contender in &mut contenders {
            contender.turn()?;
        }
    }
    eprintln!();
    println!("\n{}\n", bundle.file_stem().unwrap_or_default().display());
    let threads = THREADS.map(|threads| format!("p50, {threads} thr. | p99"));
    println!(
        "| engine | model | {} | top-1 % | logits differ by |",
        threads.join(" | ")
    );
    println!("|---|---|{}---|---|", "---|---|".repeat(THREADS.len()));
    for contender in &mut contenders {
        println!("{}", contender.row());
    }
    for line in absent {
        println!("\nNot timed: {line}");
    }
    Ok(())
}
