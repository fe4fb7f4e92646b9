//! Private memory of a process that serves a bundle, beside one that gives the same file to ONNX Runtime with nothing of ours.
//!
//! ```text
//! make size
//! ```

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use askd_runtime::{Engine, Model, SessionOptions};

/// What may come on top of the engine's own memory and of the bundle's size, in KiB.
const ALLOWANCE: i64 = 2048;
/// Processes of each kind.
const PROCESSES: usize = 5;

fn main() -> ExitCode {
    let bundles = env::var("ASKD_BUNDLES").unwrap_or_default();
    match env::var("ASKD_MEMORY_CHILD").as_deref() {
        Ok("ours") => ours(&bundles),
        Ok("bare") => bare(&bundles),
        _ if bundles.is_empty() => println!("memory: skipped, ASKD_BUNDLES is not set (use `make size`)"),
        _ => {
            println!(
                "| bundle | files, KiB | engine alone, KiB | with askd-runtime, KiB | above the engine, KiB | allowed |"
            );
            println!("|---|---|---|---|---|---|");
            if !bundles.split_whitespace().all(compare) {
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

/// Prints one line; whether the difference is allowed.
fn compare(bundle: &str) -> bool {
    let files = fs::read_dir(bundle).expect("a bundle").flatten();
    let size = files.map(|file| file.metadata().expect("a file").len()).sum::<u64>() as i64 / 1024;
    let median = |kind: &str| {
        let mut samples: Vec<i64> = (0..PROCESSES).map(|_| child(kind, bundle)).collect();
        samples.sort_unstable();
        samples[PROCESSES / 2]
    };
    let (bare, ours) = (median("bare"), median("ours"));
    let (above, allowed) = (ours - bare, size + ALLOWANCE);
    let name = PathBuf::from(bundle);
    let name = name.file_name().unwrap_or_default().display();
    println!("| {name} | {size} | {bare} | {ours} | {above} | {allowed} |");
    above <= allowed
}

/// KiB of private memory, as a child process of that kind tells it.
fn child(kind: &str, bundle: &str) -> i64 {
    let this = env::current_exe().expect("this program");
    let library = Engine::load(None).expect("an ONNX Runtime").path();
    let output = Command::new(this)
        .env("ORT_DYLIB_PATH", library)
        .env("ASKD_MEMORY_CHILD", kind)
        .env("ASKD_BUNDLES", bundle)
        .output();
    let output = output.expect("a child process");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .expect("a number")
}

/// Opens, tests and serves a bundle, and keeps all of it.
fn ours(bundle: &str) {
    let model = Model::open(bundle).expect("a bundle");
    let mut session = model.session(&SessionOptions::default()).expect("a session");
    session.self_test().expect("a passed self test");
    println!("{}", private());
    drop((model, session));
}

/// The same file and images with the bare engine.
fn bare(bundle: &str) {
    let (file, golden) = {
        let model = Model::open(bundle).expect("a bundle");
        (
            PathBuf::from(bundle).join(&model.variant().file),
            model.golden().clone(),
        )
    };
    let library = env::var_os("ORT_DYLIB_PATH").expect("the parent's library");
    let environment = ort::init_from(library)
        .expect("an ONNX Runtime")
        .build()
        .expect("an environment");
    let bytes = fs::read(file).expect("a file");
    let mut session = ort::session::Session::builder(&environment)
        .and_then(|builder| {
            builder
                .with_intra_threads(1)?
                .with_intra_op_spinning(false)?
                .commit_from_memory(&bytes)
        })
        .expect("a session");
    drop(bytes);
    let [_, channels, height, width] = golden.shape();
    let image = golden.input()[..channels * height * width].to_vec();
    drop(golden);
    let input = ort::value::Tensor::from_array(([1, channels, height, width], image)).expect("a tensor");
    session.run(ort::inputs![&input]).expect("a run");
    println!("{}", private());
}

/// KiB of this process that no other one shares.
fn private() -> i64 {
    let rollup = fs::read_to_string("/proc/self/smaps_rollup").expect("Linux");
    let fields = rollup.lines().filter(|line| line.starts_with("Private_"));
    fields
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<i64>().ok())
        .sum()
}
