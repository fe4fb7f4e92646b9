//! `quantize` beside ONNX Runtime's own Python quantiser: the same model, the same calibration images, both results in turn
//! through askd-runtime.
//!
//! ```text
//! make bench-quantize BUNDLES="resnet20.askd" DATA=cifar10:cifar-10-binary.tar.gz BENCH_ARGS="x86-vnni"
//! ```

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use askd_compiler::data::{DataSpec, Loader, Part};
use askd_compiler::evaluate::predict_session;
use askd_compiler::quantize::{Calibration, QuantizeOptions, Target, calibration_images, quantize};
use askd_runtime::{Model, Session, SessionOptions};

/// Times that every session is made anew: where a start happens to put memory makes the same model faster or slower.
const SITTINGS: usize = 10;
/// Turns of each model in a sitting.
const TURNS: usize = 12;
/// Timed runs of a turn, after one that fetches the model's weights back into the caches.
const RUNS: usize = 4;

/// Names of a row's model.
const OURS: [Calibration; 4] = [
    Calibration::Mse,
    Calibration::MinMax,
    Calibration::Percentile(99.99),
    Calibration::Entropy,
];

fn main() -> ExitCode {
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let [bundles, data, python] = ["ASKD_BUNDLES", "ASKD_CALIBRATION", "ASKD_PEER_PYTHON"].map(variable);
    if [&bundles, &data, &python].into_iter().any(String::is_empty) {
        println!(
            "quantize: skipped, ASKD_BUNDLES, ASKD_CALIBRATION or ASKD_PEER_PYTHON is not set (use `make bench-quantize`)"
        );
        return ExitCode::SUCCESS;
    }
    let data: DataSpec = data.parse().expect("KIND:PATH");
    let chosen: Vec<String> = env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    let runs = SITTINGS * TURNS * RUNS;
    println!(
        "top-1 on test images in percent, p50 in milliseconds with 1 thread, medians of {runs} in turn, {SITTINGS} starts"
    );
    println!("| bundle | target | quantiser | top-1 | p50 | of float's | bytes |");
    println!("|---|---|---|---|---|---|---|");
    for bundle in bundles.split_whitespace() {
        for target in Target::ALL.into_iter().filter(|target| target.activations().is_some()) {
            if chosen.is_empty() || chosen.iter().any(|name| name == target.name()) {
                compare(Path::new(bundle), &data, &python, target);
            }
        }
    }
    ExitCode::SUCCESS
}

/// One model of a comparison.
struct Candidate {
    name: String,
    bytes: Vec<u8>,
    samples: Vec<f64>,
}

fn compare(bundle: &Path, data: &DataSpec, python: &str, target: Target) {
    let folder = tempfile::tempdir().expect("a directory");
    let mut candidates = vec![Candidate::new(
        "float",
        Model::open(bundle).expect("a bundle").onnx().to_vec(),
    )];
    for calibration in OURS {
        let options = QuantizeOptions {
            data: data.clone(),
            target,
            calibration,
            images: 512,
            max_drop: 100.0,
            name: "int8".to_owned(),
            out: folder.path().join("ours.askd"),
        };
        quantize(bundle, &options).unwrap_or_else(|error| panic!("{error}"));
        let model = Model::open_variant(&options.out, &options.name).expect("a variant");
        candidates.push(Candidate::new(&format!("askd, {calibration}"), model.onnx().to_vec()));
    }
    candidates.extend(theirs(bundle, data, python, target, folder.path()));

    let model = Model::open(bundle).expect("a bundle");
    let test = data.load(Part::Test).expect("test images");
    let preprocess = askd_runtime::Preprocess::new(&model.manifest().input).expect("a contract");
    let test = Loader::plain(test, preprocess, 250);
    let image = &model.golden().input()[..model.manifest().input.elements()];
    let mut logits = vec![0.0; model.manifest().output.classes];
    for _ in 0..SITTINGS {
        let mut sessions: Vec<Session> = candidates.iter().map(|candidate| session(&candidate.bytes)).collect();
        for _ in 0..TURNS {
            for (session, candidate) in sessions.iter_mut().zip(&mut candidates) {
                session.run(image, &mut logits).expect("a run");
                for _ in 0..RUNS {
                    let clock = Instant::now();
                    session.run(image, &mut logits).expect("a run");
                    candidate.samples.push(clock.elapsed().as_secs_f64() * 1e3);
                }
            }
        }
    }
    let float = candidates[0].median();
    let name = bundle.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    for candidate in &mut candidates {
        let predictions = predict_session(&mut session(&candidate.bytes), &test).expect("predictions");
        let top1 = predictions.evaluation().top1;
        let (p50, bytes) = (candidate.median(), candidate.bytes.len());
        let row = format!(
            "{} | {top1:.2} | {p50:.3} | {:.2} | {bytes}",
            candidate.name,
            p50 / float
        );
        println!("| {name} | {target} | {row} |");
    }
}

/// What ONNX Runtime's quantiser makes of the same model with the same images.
fn theirs(bundle: &Path, data: &DataSpec, python: &str, target: Target, folder: &Path) -> Vec<Candidate> {
    let model = Model::open(bundle).expect("a bundle");
    let loader = calibration_images(bundle, data, 512).expect("calibration images");
    let (mut pixels, mut count) = (Vec::new(), 0);
    for batch in loader.epoch(0, 0).expect("images") {
        let batch = batch.expect("a batch");
        count += batch.len();
        pixels.extend(batch.images.iter().flat_map(|value| value.to_le_bytes()));
    }
    let images = folder.join("images.f32");
    fs::write(&images, pixels).expect("a file");
    let [channels, height, width] = model.manifest().input.shape;
    let output = Command::new(python)
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/quantize_onnxruntime.py"))
        .arg(bundle.join(&model.variant().file))
        .arg(&images)
        .arg(format!("{count},{channels},{height},{width}"))
        .arg(target.name())
        .arg(folder)
        .output()
        .expect("Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = String::from_utf8_lossy(&output.stdout).into_owned();
    // the quantiser itself prints advice
    let files = files.lines().filter(|line| line.ends_with(".onnx")).map(Path::new);
    let candidate = |path: &Path| {
        let method = path.file_stem().unwrap_or_default().to_string_lossy();
        Candidate::new(&format!("onnxruntime, {method}"), fs::read(path).expect("a model"))
    };
    files.map(candidate).collect()
}

fn session(bytes: &[u8]) -> Session {
    Session::from_onnx(bytes, &SessionOptions::default()).unwrap_or_else(|error| panic!("{error}"))
}

impl Candidate {
    fn new(name: &str, bytes: Vec<u8>) -> Self {
        Self {
            name: name.to_owned(),
            bytes,
            samples: Vec::new(),
        }
    }

    fn median(&mut self) -> f64 {
        self.samples.sort_by(f64::total_cmp);
        self.samples[self.samples.len() / 2]
    }
}
