//! `askd-bench doctor` as a program: what it prints, and how it ends.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::ffi::OsStr;
use std::fs;
use std::process::Output;

use askd_runtime::{Batch, GoldenData, Provider, Telemetry};
use common::{FIXED, bundle, edit_manifest, images, reference, require_engine, with_version};
use serde_json::Value;

fn doctor<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    let mut command = common::command(env!("CARGO_BIN_EXE_askd-bench"));
    command.arg("doctor").args(args).output().unwrap()
}

/// The report as JSON, and the exit code, which must be the one that the report tells.
fn report<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> (Value, i32) {
    let mut args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
    args.push("--json".into());
    let output = doctor(args);
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let json: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
    let code = output.status.code().unwrap();
    assert_eq!(json["exit_code"], code, "{text}");
    assert_eq!(json["ready"], code == 0, "{text}");
    (json, code)
}

/// Text of the finding of that severity about `subject`, which must say what to do unless all is well.
fn found<'a>(report: &'a Value, subject: &str, severity: &str) -> &'a str {
    let mut findings = report["findings"].as_array().unwrap().iter();
    let finding = findings.find(|finding| finding["subject"] == subject && finding["severity"] == severity);
    let finding = finding.unwrap_or_else(|| panic!("no {severity} on {subject} in {report:#}"));
    assert_eq!(finding["advice"].is_string(), severity != "ok", "{finding}");
    finding["text"].as_str().unwrap()
}

#[test]
fn telemetry_is_told_of_and_kept_off() {
    let engine = require_engine();
    let home = tempfile::tempdir().unwrap();
    let mut command = common::command(env!("CARGO_BIN_EXE_askd-bench"));
    command.args(["doctor", "--json"]).env("HOME", home.path());
    command.env_remove("XDG_CACHE_HOME").env_remove("ORT_DISABLE_TELEMETRY");
    // An emulated program can't be started again by its own name.
    let emulated = !common::emulator().is_empty();
    if emulated {
        // where ONNX Runtime reports nothing
        command.env("CI", "1");
    } else {
        command.env_remove("CI");
    }
    let output = command.output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    if engine.telemetry() != Telemetry::None {
        found(&report, "telemetry", "note");
    }
    if !emulated {
        assert_eq!(report["engine"]["telemetry"], engine.telemetry().name());
        assert_eq!(report["engine"]["warning"].as_str(), None, "{report:#}");
        let left: Vec<_> = fs::read_dir(home.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn a_good_bundle_is_ready() {
    let engine = require_engine();
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let (report, code) = report([folder.path()]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["schema"], 1);
    assert_eq!(
        (report["provider"].as_str(), report["provider_used"].as_str()),
        (Some("cpu"), Some("cpu"))
    );
    assert_eq!(report["engine"]["version"].as_str(), engine.version());
    assert_eq!(report["engine"]["providers"][0], "cpu");
    let facts = &report["bundle"];
    assert_eq!(facts["variant"], "fp32");
    assert_eq!(facts["variants"][0]["suits"], true);
    assert_eq!(facts["self_test"]["images"], 2);
    // As in the manifest, not with the digits that a wider type would add.
    assert_eq!(facts["self_test"]["tolerance"].as_f64(), Some(1e-5));
    let golden = fs::metadata(folder.path().join("golden.safetensors")).unwrap().len();
    assert_eq!(facts["memory_needed_bytes"], 1000 + FIXED.len() as u64 + golden);
    for subject in ["bundle", "variant", "opset", "fit", "session", "self test"] {
        found(&report, subject, "ok");
    }
}

#[test]
fn the_text_fits_a_terminal_and_ends_with_the_verdict() {
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let output = doctor([folder.path()]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.ends_with("\nready: variant fp32 of the bundle runs on cpu\n"),
        "{text}"
    );
    // A path is one word, of any length.
    let long = text
        .lines()
        .find(|line| line.chars().count() > 80 && !line.contains('/'));
    assert_eq!(long, None, "{text}");
    assert!(text.contains("\nok       self test  2 golden images"), "{text}");
}

#[test]
fn without_a_bundle_the_engine_is_tried() {
    let (report, code) = report(["--provider", "cpu"]);
    assert_eq!(code, 0, "{report:#}");
    assert_eq!(report["bundle"], Value::Null);
    assert_eq!(found(&report, "session", "ok"), "a small network runs on cpu");
}

#[test]
fn a_broken_bundle_is_bad_input() {
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    fs::write(folder.path().join("model.fp32.onnx"), [FIXED, b"x"].concat()).unwrap();
    let (damaged, code) = report([folder.path()]);
    assert_eq!((code, &damaged["bundle"]), (2, &Value::Null));
    assert!(
        found(&damaged, "bundle", "problem").contains("model.fp32.onnx"),
        "{damaged:#}"
    );
    // Engine and provider are told of all the same.
    found(&damaged, "session", "ok");

    fs::write(folder.path().join("askd.json"), "{").unwrap();
    let (damaged, code) = report([folder.path()]);
    assert_eq!(code, 2);
    found(&damaged, "bundle", "problem");

    let (missing, code) = report(["/nowhere/student.askd"]);
    assert_eq!(code, 2);
    assert!(found(&missing, "bundle", "problem").contains("/nowhere/student.askd"));
}

#[test]
fn the_files_of_every_variant_are_checked() {
    let folder = bundle(FIXED, Batch::One, |manifest, _| {
        let mut other = manifest.variants[0].clone();
        other.name = "other".into();
        other.file = "model.other.onnx".into();
        manifest.variants.push(other);
    });
    let (report, code) = report([folder.path()]);
    assert_eq!(code, 2);
    assert!(
        found(&report, "bundle", "problem").contains("model.other.onnx"),
        "{report:#}"
    );
}

#[test]
fn a_model_that_is_not_what_the_manifest_says_is_bad_input() {
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    edit_manifest(folder.path(), |manifest| manifest["input"]["name"] = "picture".into());
    let (report, code) = report([folder.path()]);
    assert_eq!(code, 2, "{report:#}");
    assert!(found(&report, "session", "problem").contains("picture"), "{report:#}");
}

#[test]
fn an_unknown_variant_is_bad_input() {
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let (report, code) = report([folder.path().to_str().unwrap(), "--variant", "int8"]);
    assert_eq!(code, 2);
    assert!(
        found(&report, "bundle", "problem").contains("no variant \"int8\""),
        "{report:#}"
    );
}

#[test]
fn a_device_that_computes_something_else_fails_the_gate() {
    let folder = bundle(FIXED, Batch::One, |_, golden| {
        let input = images(2);
        let mut output = reference(&input);
        output[4] += 1.0;
        *golden = GoldenData::new([2, 3, 4, 4], input, output).unwrap();
    });
    let (report, code) = report([folder.path()]);
    assert_eq!((code, &report["bundle"]["self_test"]), (3, &Value::Null));
    assert!(
        found(&report, "self test", "problem").contains("golden image 1"),
        "{report:#}"
    );
}

#[test]
fn no_usable_library_is_a_condition_not_met() {
    let folder = tempfile::tempdir().unwrap();
    let good = bundle(FIXED, Batch::One, |_, _| {});
    let path = folder.path().join("libonnxruntime.so");
    let library = path.to_str().unwrap();
    let args = [good.path().to_str().unwrap(), "--library", library];
    let (missing, code) = report(args);
    assert_eq!((code, &missing["engine"]), (4, &Value::Null));
    assert!(found(&missing, "engine", "problem").contains(library), "{missing:#}");
    assert_eq!(found(&missing, "session", "note"), "not tried: no engine");
    found(&missing, "bundle", "ok");

    fs::write(&path, with_version("1.16.3")).unwrap();
    let (old, code) = report(args);
    assert_eq!(code, 4);
    assert!(
        found(&old, "engine", "problem").contains("1.17 or later, got 1.16.3"),
        "{old:#}"
    );
    assert_eq!(report(["--library", library]).1, 4);
}

#[test]
fn an_engine_too_old_for_the_model_is_a_condition_not_met() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    fs::write(&path, with_version("1.20.1")).unwrap();
    let (rest, opset) = FIXED.split_at(FIXED.len() - 1);
    assert_eq!(opset, [17], "the file ends with the version of its operator set");
    let later = [rest, &[22]].concat();
    let model = bundle(&later, Batch::One, |manifest, _| manifest.variants[0].opset = 22);
    let (refused, code) = report([model.path().to_str().unwrap(), "--library", path.to_str().unwrap()]);
    assert_eq!(code, 4);
    assert!(found(&refused, "opset", "problem").contains("opset 22"), "{refused:#}");
    assert!(
        found(&refused, "engine", "note").contains("ONNX Runtime 1.20.1 can crash"),
        "{refused:#}"
    );
    assert!(refused["engine"]["warning"].is_string());
}

#[test]
fn a_provider_that_is_not_there_is_a_condition_not_met() {
    let built_with = require_engine().providers();
    assert!(
        !built_with.contains(&Provider::Cuda),
        "this test needs a library without CUDA"
    );
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let path = folder.path().to_str().unwrap();
    for args in [vec!["--provider", "cuda"], vec![path, "--provider", "cuda"]] {
        let (report, code) = report(args);
        assert_eq!((code, &report["provider_used"]), (4, &Value::Null));
        assert_eq!(report["provider"], "cuda");
        assert!(
            found(&report, "session", "problem").contains("provider cuda"),
            "{report:#}"
        );
    }
    let (fallen_back, code) = report([path, "--provider", "cuda-or-cpu"]);
    assert_eq!(code, 0, "{fallen_back:#}");
    assert_eq!(fallen_back["provider_used"], "cpu");
    assert!(
        found(&fallen_back, "session", "note").contains("not on the GPU"),
        "{fallen_back:#}"
    );
}

#[test]
fn wrong_flags_are_bad_input() {
    let output = doctor(["--provider", "gpu"]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("error: ") && text.contains("cuda-or-cpu"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert_eq!(doctor(["--variant", "fp32"]).status.code(), Some(2));
    assert_eq!(doctor(["--nonsense"]).status.code(), Some(2));
}

#[test]
fn the_help_tells_the_exit_codes() {
    let output = doctor(["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("Exit code 0") && text.contains("Example: askd-bench doctor"),
        "{text}"
    );
}
