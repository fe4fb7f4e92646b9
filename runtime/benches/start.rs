//! From nothing to the first result, beside ONNX Runtime's Python package on the same model file, in turn.
//!
//! ```text
//! make bench-start BUNDLES="out/pilot/student.askd"
//! ```
//!
//! Each sample is a process of its own, since only the first start of a process is one. Ours: open the bundle, check every
//! byte, make a session, run one image. Python's: make a session from the file, run one image; unchecked, and without the
//! import. Loading the library is told apart on our side: Python has done it in its import.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use askd_runtime::{Engine, Model, SessionOptions};

/// Starts of each.
const STARTS: usize = 25;

fn main() -> ExitCode {
    if let Ok(bundle) = env::var("ASKD_START_CHILD") {
        start(Path::new(&bundle), env::var_os("ASKD_START_MAPPED").is_some());
        return ExitCode::SUCCESS;
    }
    let bundles = env::var("ASKD_BUNDLES").unwrap_or_default();
    let python = env::var("ASKD_PEER_PYTHON").unwrap_or_default();
    if bundles.is_empty() || python.is_empty() {
        println!("start: skipped, ASKD_BUNDLES and ASKD_PEER_PYTHON are not set (use `make bench-start`)");
        return ExitCode::SUCCESS;
    }
    println!("milliseconds, medians of {STARTS} processes each, in turn; 1 thread");
    println!(
        "| bundle | open and verify | session | first run | ours | Python session + first run | ratio | library load |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for bundle in bundles.split_whitespace() {
        compare(bundle, &python, false);
        compare(bundle, &python, true);
    }
    ExitCode::SUCCESS
}

/// Our side, in a process of its own: prints the milliseconds of library, opening, session and first run.
fn start(bundle: &Path, mapped: bool) {
    let clock = Instant::now();
    Engine::load(None).expect("an ONNX Runtime");
    let loaded = clock.elapsed();
    let model = if mapped {
        open_mapped(bundle)
    } else {
        Model::open(bundle)
    };
    let model = model.expect("a bundle");
    let opened = clock.elapsed();
    let mut session = model.session(&SessionOptions::default()).expect("a session");
    let made = clock.elapsed();
    let golden = model.golden();
    let mut logits = vec![0.0; golden.classes()];
    let image = &golden.input()[..golden.input().len() / golden.shape()[0]];
    session.run(image, &mut logits).expect("a run");
    let run = clock.elapsed();
    for part in [loaded, opened - loaded, made - opened, run - made] {
        println!("{}", part.as_secs_f64() * 1e3);
    }
}

#[expect(unsafe_code, reason = "a benchmark probe: the function that is measured is unsafe")]
fn open_mapped(bundle: &Path) -> Result<Model, askd_runtime::Error> {
    // SAFETY: nothing writes to the bundle while the benchmark runs.
    unsafe { Model::open_mapped(bundle) }
}

fn compare(bundle: &str, python: &str, mapped: bool) {
    let model = Model::open(bundle).unwrap_or_else(|error| panic!("{error}"));
    let file = PathBuf::from(bundle).join(&model.variant().file);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/start.py");
    let (mut ours, mut theirs) = (vec![Vec::new(); 5], Vec::new());
    for _ in 0..STARTS {
        let this = env::current_exe().expect("this program");
        let mut command = Command::new(this);
        command.env("ASKD_START_CHILD", bundle);
        if mapped {
            command.env("ASKD_START_MAPPED", "1");
        }
        let parts = numbers(&mut command);
        for (samples, part) in ours.iter_mut().zip(&parts) {
            samples.push(*part);
        }
        ours[4].push(parts[1..].iter().sum());
        let peer = numbers(Command::new(python).arg(&script).arg(&file));
        theirs.push(peer.iter().sum());
    }
    let [library, open, session, run, sum] = [0, 1, 2, 3, 4].map(|part| median(&mut ours[part]));
    let peer = median(&mut theirs);
    println!(
        "| {}{} | {open:.2} | {session:.2} | {run:.2} | {sum:.2} | {peer:.2} | {:.2} | {library:.2} |",
        Path::new(bundle).file_name().unwrap_or_default().display(),
        if mapped { ", mapped" } else { "" },
        sum / peer
    );
}

/// The numbers that a command prints, one a line.
fn numbers(command: &mut Command) -> Vec<f64> {
    let output = command.output().expect("a child process");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().map(|line| line.parse().expect("a number")).collect()
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
