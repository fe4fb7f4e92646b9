//! `askd-bench tune` as a program: what it prints and stores, and how it ends.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use askd_runtime::{
    Accuracy, Batch, Choice, Error, GoldenData, Manifest, Model, Provider, SessionOptions, Variant, sha256_hex,
};
use common::{FIXED, edit_manifest, images, reference, require_engine};
use serde_json::Value;
use tempfile::TempDir;

/// The fixture network with quantised weights: its logits are others than the golden ones.
const QUANTISED: &[u8] = include_bytes!("../../tests/fixtures/tiny_qdq.onnx");

/// A bundle `student.askd` in a directory of its own, after `change` has been at its manifest and golden data.
fn bundle(change: impl FnOnce(&mut Manifest, &mut GoldenData)) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("student.askd");
    fs::rename(common::bundle(FIXED, Batch::One, change).keep(), &path).unwrap();
    (folder, path)
}

fn accuracy(top1: f64) -> Vec<Accuracy> {
    vec![Accuracy {
        data: "letters".into(),
        split: "validation".into(),
        images: 1000,
        top1,
        top5: 100.0,
    }]
}

/// A variant with the first one's file.
fn twin(manifest: &Manifest, name: &str, accuracy: Vec<Accuracy>) -> Variant {
    Variant {
        name: name.into(),
        accuracy,
        ..manifest.variants[0].clone()
    }
}

fn tune<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    let mut command = common::command(env!("CARGO_BIN_EXE_askd-bench"));
    command.arg("tune").args(args).output().unwrap()
}

/// Arguments of the shortest measurement.
const QUICK: [&str; 4] = ["--min-seconds", "0", "--min-runs", "80"];

/// The report as JSON, and the exit code, which must be the one that the report tells.
fn report<'a>(bundle: &'a Path, args: impl IntoIterator<Item = &'a str>) -> (Value, i32) {
    let mut all: Vec<&OsStr> = vec![bundle.as_os_str(), OsStr::new("--json")];
    all.extend(args.into_iter().chain(QUICK).map(OsStr::new));
    let output = tune(all);
    let text = String::from_utf8(output.stdout).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
    let code = output.status.code().unwrap();
    assert_eq!(
        (json["exit_code"].as_i64(), json["schema"].as_i64()),
        (Some(i64::from(code)), Some(1))
    );
    (json, code)
}

fn candidate<'a>(report: &'a Value, variant: &str, threads: u64) -> &'a Value {
    let mut candidates = report["candidates"].as_array().unwrap().iter();
    candidates
        .find(|candidate| candidate["variant"] == variant && candidate["threads"] == threads)
        .unwrap_or_else(|| panic!("no {variant} with {threads} threads in {report:#}"))
}

#[test]
fn the_choice_is_one_that_firmware_can_follow() {
    let engine = require_engine();
    let (folder, path) = bundle(|manifest, _| {
        manifest.variants[0].accuracy = accuracy(70.0);
        let twin = twin(manifest, "twin", accuracy(70.2));
        manifest.variants.push(twin);
    });
    let (report, code) = report(&path, ["--threads", "2,1,1"]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["candidates"].as_array().unwrap().len(), 4);
    for (variant, threads) in [("fp32", 1), ("fp32", 2), ("twin", 1), ("twin", 2)] {
        let found = candidate(&report, variant, threads);
        assert_eq!(
            (&found["provider_used"], &found["self_test"]["images"]),
            (&"cpu".into(), &2.into())
        );
        let time = |part: &str, name: &str| found[part][name].as_f64().unwrap_or_else(|| panic!("{found:#}"));
        assert!(time("latency", "p50_ms") > 0.0 && time("latency", "p50_ms") <= time("latency", "p99_ms"));
        assert!(found["latency"]["runs"].as_u64().unwrap() >= 80);
        for part in ["open_ms", "session_ms", "first_run_ms"] {
            assert!(time("start", part) > 0.0);
        }
        // which one is faster is for the machine to say, but not what follows from it
        let (low, value, high) = (time("ratio", "low"), time("ratio", "value"), time("ratio", "high"));
        assert!(low <= high && value > 0.0);
        let expected: &[&str] = match (variant, high < 1.0, low > 1.0) {
            ("fp32", ..) | (_, true, _) => &["chosen", "accepted"],
            (_, _, true) => &["slower"],
            _ => &["no-difference"],
        };
        assert!(expected.contains(&found["verdict"].as_str().unwrap()), "{found:#}");
        assert!(!found["reason"].as_str().unwrap().is_empty());
    }
    assert_eq!(candidate(&report, "twin", 1)["accuracy"]["reference_top1"], 70.0);

    let stored = folder.path().join("student.askd.choice.json");
    assert_eq!(report["choice_file"].as_str(), stored.to_str());
    let text = fs::read(&stored).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), report["choice"]);
    let choice = Choice::beside(&path).unwrap().unwrap();
    assert_eq!(
        choice.bundle_sha256,
        sha256_hex(&fs::read(path.join("askd.json")).unwrap())
    );
    assert_eq!(choice.onnxruntime.as_deref(), engine.version());
    let chosen = candidate(&report, &choice.variant, choice.threads.into());
    assert_eq!(
        (&chosen["verdict"], chosen["latency"]["p50_ms"].as_f64()),
        (&"chosen".into(), Some(choice.p50_ms))
    );
    let options = SessionOptions {
        intra_op_threads: choice.threads,
        provider: choice.provider,
        ..SessionOptions::default()
    };
    let model = Model::open_variant(&path, &choice.variant).unwrap();
    model.session(&options).unwrap().self_test().unwrap();
    // nothing else is left beside the bundle, or in it
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 3);
}

#[test]
fn what_may_not_be_chosen_is_refused_and_stops_nothing() {
    let (_folder, path) = bundle(|manifest, _| {
        manifest.variants[0].accuracy = accuracy(70.0);
        let others = [
            twin(manifest, "unknown", Vec::new()),
            twin(manifest, "inaccurate", accuracy(69.0)),
            Variant {
                file: "model.missing.onnx".into(),
                ..twin(manifest, "missing", accuracy(70.0))
            },
            Variant {
                file: "model.int8.onnx".into(),
                size: QUANTISED.len() as u64,
                sha256: sha256_hex(QUANTISED),
                ..twin(manifest, "int8", accuracy(70.0))
            },
        ];
        manifest.variants.extend(others);
    });
    fs::write(path.join("model.int8.onnx"), QUANTISED).unwrap();
    let (report, code) = report(&path, ["--threads", "1"]);
    assert_eq!(code, 0, "{report:#}");
    for (variant, verdict, reason) in [
        ("unknown", "no-accuracy", "no accuracy is recorded"),
        ("inaccurate", "below-floor", "1.00 points below fp32's 70.00 %"),
        ("missing", "cannot-run", "model.missing.onnx"),
        ("int8", "fails-self-test", "golden image"),
    ] {
        let found = candidate(&report, variant, 1);
        assert_eq!(
            (&found["verdict"], &found["latency"]),
            (&verdict.into(), &Value::Null),
            "{found:#}"
        );
        assert!(found["reason"].as_str().unwrap().contains(reason), "{found:#}");
    }
    assert_eq!(candidate(&report, "fp32", 1)["verdict"], "chosen");
    let (report, _) = self::report(&path, ["--threads", "1", "--max-drop", "1"]);
    assert!(candidate(&report, "inaccurate", 1)["latency"].is_object(), "{report:#}");
}

#[test]
fn the_text_has_the_figures_and_ends_with_the_choice() {
    let (folder, path) = bundle(|_, _| {});
    let output = tune([path.to_str().unwrap(), "--threads", "1"].into_iter().chain(QUICK));
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let stored = folder.path().join("student.askd.choice.json");
    assert!(
        text.ends_with(&format!("\nchoice: fp32 at 1 thread, stored in {}\n", stored.display())),
        "{text}"
    );
    assert!(text.starts_with("variant  provider  threads  p50 ms"), "{text}");
    assert!(text.contains("fp32 at 1 thread: the fastest"), "{text}");
    assert!(text.contains("open and verify ms"), "{text}");
    let progress = String::from_utf8(output.stderr).unwrap();
    assert!(
        progress.contains("starting fp32 at 1 thread") && progress.contains("timing 1 candidate"),
        "{progress}"
    );
}

#[test]
fn where_nothing_may_run_there_is_no_choice() {
    let (folder, path) = bundle(|_, golden| {
        let input = images(2);
        let mut output = reference(&input);
        output[4] += 1.0;
        *golden = GoldenData::new([2, 3, 4, 4], input, output).unwrap();
    });
    let (report, code) = report(&path, []);
    assert_eq!(
        (code, &report["choice"], &report["choice_file"]),
        (3, &Value::Null, &Value::Null)
    );
    assert_eq!(candidate(&report, "fp32", 1)["verdict"], "fails-self-test");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_choice_can_lie_elsewhere_and_ends_with_its_bundle() {
    let (folder, path) = bundle(|_, _| {});
    let out = folder.path().join("choice.json");
    fs::write(&out, "an old one").unwrap();
    let (report, code) = report(&path, ["--threads", "1", "--out", out.to_str().unwrap()]);
    assert_eq!((code, report["choice_file"].as_str()), (0, out.to_str()));
    assert_eq!(Choice::read(&out, &path).unwrap().variant, "fp32");
    assert_eq!(Choice::beside(&path).unwrap(), None);
    edit_manifest(&path, |manifest| manifest["sequence"] = 2.into());
    assert!(matches!(Choice::read(&out, &path), Err(Error::ChoiceStale { .. })));
}

/// Exit code and last line of an attempt that prints nothing.
fn refusal<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> (Option<i32>, String) {
    let output = tune(args);
    assert!(output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stdout));
    let text = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), text.lines().last().unwrap_or_default().to_owned())
}

#[test]
fn bad_input_is_told_before_anything_is_measured() {
    let (folder, path) = bundle(|_, _| {});
    let bundle = path.to_str().unwrap();
    let elsewhere = folder.path().join("missing/choice.json");
    for (args, named) in [
        (vec![folder.path().to_str().unwrap()], "askd.json"),
        (vec![bundle, "--threads", "0"], "--threads"),
        (vec![bundle, "--threads", "1025"], "--threads"),
        (vec![bundle, "--max-drop", "NaN"], "--max-drop"),
        (vec![bundle, "--max-drop=-1"], "--max-drop"),
        (vec![bundle, "--min-runs", "79"], "--min-runs"),
        (vec![bundle, "--provider", "gpu"], "gpu"),
        (
            vec![bundle, "--out", elsewhere.to_str().unwrap()],
            "missing/choice.json",
        ),
        (vec![bundle, "--out", bundle], "student.askd: cannot write"),
    ] {
        let (code, line) = refusal(&args);
        assert!(
            code == Some(2) && line.starts_with("error: ") && line.contains(named),
            "{args:?}: {code:?} {line}"
        );
    }
    fs::write(path.join("askd.json"), "{").unwrap();
    assert_eq!(refusal([bundle]).0, Some(2));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn no_engine_or_provider_is_a_condition_not_met() {
    let (folder, path) = bundle(|_, _| {});
    let bundle = path.to_str().unwrap();
    let library = folder.path().join("libonnxruntime.so");
    let (code, line) = refusal([bundle, "--library", library.to_str().unwrap()]);
    assert!(code == Some(4) && line.contains("libonnxruntime.so"), "{code:?} {line}");
    let (code, line) = refusal([bundle, "--provider", "cuda"]);
    assert!(
        code == Some(4) && line.contains("provider cuda cannot run here"),
        "{code:?} {line}"
    );
}

#[test]
fn providers_compete_each_once() {
    let engine = require_engine();
    let (_folder, path) = bundle(|_, _| {});
    let (report, code) = report(&path, ["--threads", "1,2", "--provider", "cpu,cuda-or-cpu,cpu"]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["provider"], "cpu");
    let place = |candidate: &Value| (candidate["provider"].clone(), candidate["threads"].clone());
    let places: Vec<_> = report["candidates"].as_array().unwrap().iter().map(place).collect();
    let expected = [("cpu", 1), ("cpu", 2), ("cuda-or-cpu", 1), ("cuda-or-cpu", 2)];
    assert_eq!(places, expected.map(|(name, threads)| (name.into(), threads.into())));
    if engine.providers().contains(&Provider::Cuda) {
        return;
    }
    // both are the CPU, and what is stored is where it ran
    assert!(
        report["candidates"]
            .as_array()
            .unwrap()
            .iter()
            .all(|found| found["provider_used"] == "cpu")
    );
    assert_eq!(Choice::beside(&path).unwrap().unwrap().provider, Provider::Cpu);
    let (code, line) = refusal([path.to_str().unwrap(), "--threads", "1", "--provider", "cpu,cuda"]);
    assert!(
        code == Some(4) && line.contains("provider cuda cannot run here"),
        "{code:?} {line}"
    );
}

#[test]
fn the_help_tells_the_exit_codes() {
    let output = tune(["--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        text.contains("Exit code 0") && text.contains("Examples:\n  askd-bench tune"),
        "{text}"
    );
}
