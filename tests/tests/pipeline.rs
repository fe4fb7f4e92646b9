//! The whole way by the command line on real images: train, distil, export, verify, inspect, evaluate.
//!
//! Runs of a few steps: what is checked is that the parts agree, not that anything is learnt.

use std::path::{Path, PathBuf};

use askd_tests::{Workspace, fashion_mnist};
use serde_json::{Value, json};

/// Flags of a short run.
const SHORT: &str = "--epochs 1 --max-steps 12 --batch 16 --lr 0.02";
/// The images in the compiler, and a few of them in files, so that passes over the test images are short.
const EMBEDDED: Data = Data {
    spec: "fashion-mnist",
    validation: 1000,
    test: 2000,
};
const CUT: Data = Data {
    spec: "fashion-mnist:fashion",
    validation: 30,
    test: 400,
};

const RUN_FILES: [&str; 9] = [
    "best",
    "best/weights.safetensors",
    "checkpoints",
    "checkpoints/step-000000012.safetensors",
    "metrics.jsonl",
    "recipe.toml",
    "result.json",
    "tensorboard",
    "tensorboard/events.out.tfevents.TIME.askd",
];
const BUNDLE_FILES: [&str; 3] = ["askd.json", "golden.safetensors", "model.fp32.onnx"];

struct Data {
    spec: &'static str,
    validation: usize,
    test: usize,
}

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    fashion_mnist(&workspace.path("fashion"), 300, CUT.test);
    workspace
}

/// Everything below a directory.
fn entries(workspace: &Workspace, dir: &str) -> Vec<PathBuf> {
    let root = workspace.path(dir);
    let all = workspace.entries().into_iter();
    all.filter_map(|path| Some(path.strip_prefix(&root).ok()?.to_owned()))
        .filter(|path| path != Path::new(""))
        .collect()
}

/// Trains, and holds what is printed and written against each other and the contract.
fn check_run(workspace: &Workspace, run: &str, data: &Data, arguments: &str) -> Value {
    let arguments = format!("{arguments} --data {} {SHORT} --json --out {run}", data.spec);
    let printed = workspace.run(&arguments).json();
    let mut files = entries(workspace, run);
    // the name has the time in it
    if let Some(events) = files.last_mut().filter(|path| path.starts_with("tensorboard")) {
        let name = events.display().to_string().replace(|c: char| c.is_ascii_digit(), "");
        *events = PathBuf::from(name.replace("..askd", ".TIME.askd"));
    }
    assert_eq!(files, RUN_FILES.map(PathBuf::from));
    assert_eq!(printed, workspace.read_json(format!("{run}/result.json")));
    let epoch = workspace.read_json(format!("{run}/metrics.jsonl"));
    assert_eq!((&epoch["epoch"], &epoch["step"]), (&json!(1), &json!(12)));
    assert_eq!(epoch["validation"], printed["validation"]);
    assert!(epoch["loss"].as_f64().unwrap() > 0.0);
    let waited = epoch["data_wait_share"].as_f64().unwrap();
    assert!((0.0..=100.0).contains(&waited), "{epoch}");
    assert_eq!(printed["test"]["images"], data.test);
    assert_eq!(printed["validation"]["images"], data.validation);
    printed
}

/// Exports a run and holds the bundle, as every command sees it, against what the trainer reported.
fn check_bundle(workspace: &Workspace, run: &str, data: &Data, batch: &str, result: &Value) {
    let bundle = format!("{run}-{batch}.askd");
    let exported = workspace
        .run(&format!(
            "export {run} --batch-dim {batch} --sequence 7 --json --out {bundle}"
        ))
        .json();
    assert_eq!(entries(workspace, &bundle), BUNDLE_FILES.map(PathBuf::from));

    assert_eq!(exported["parity"]["images"], data.test);
    assert_eq!(exported["parity"]["top1_agreement"], 100.0);
    assert!(
        exported["parity"]["max_abs_diff"].as_f64().unwrap() <= 1e-4,
        "{exported}"
    );
    let evaluated = workspace
        .run(&format!("eval {bundle} --data {} --json", data.spec))
        .json();
    for measured in [&exported["runtime"], &evaluated] {
        assert_eq!(measured["top1"], result["test"]["top1"], "{bundle}");
        assert_eq!(measured["images"], data.test);
        let losses = [measured, &result["test"]].map(|part| part["loss"].as_f64().unwrap());
        assert!((losses[0] - losses[1]).abs() < 1e-4, "{losses:?}");
    }

    let verified = workspace
        .run(&format!("verify {bundle} --data {} --json", data.spec))
        .json();
    assert_eq!(verified["evaluation"], evaluated);
    assert_eq!(verified["recorded"]["top1"], evaluated["top1"]);
    assert_eq!(verified["golden_images"], 8);
    assert!(
        workspace
            .run(&format!("verify {bundle}"))
            .text()
            .contains("golden: 8 images")
    );

    let inspected = workspace.run(&format!("inspect {bundle} --json")).json();
    let manifest = workspace.read_json(format!("{bundle}/askd.json"));
    assert_eq!(inspected["manifest"], manifest);
    assert_eq!(manifest["sequence"], 7);
    assert_eq!(manifest["labels"].as_array().unwrap().len(), 10);
    assert_eq!(manifest["temperature"], result["temperature"]);
    assert_eq!(manifest["provenance"]["seed"], result["seed"]);
    assert_eq!(manifest["provenance"]["data_sha256"], result["data_digest"]);
    assert_eq!(manifest["variants"][0]["accuracy"][0]["top1"], result["test"]["top1"]);
    assert_eq!(manifest["variants"][0]["sha256"], verified["sha256"]);
    let text = workspace.run(&format!("inspect {bundle}")).text();
    assert!(
        text.contains(manifest["variants"][0]["sha256"].as_str().unwrap()),
        "{text}"
    );
}

fn check_inspection(workspace: &Workspace, run: &str, result: &Value) {
    let inspected = workspace.run(&format!("inspect {run} --json")).json();
    assert_eq!(&inspected["result"], result);
    assert_eq!(inspected["recipe"]["max_steps"], 12);
    assert_eq!(inspected["network"]["parameters"], result["parameters"]);
    let text = workspace.run(&format!("inspect {run}")).text();
    assert!(text.contains("recipe:") && text.contains("max_steps = 12"), "{text}");
}

#[test]
fn a_trained_network_becomes_a_bundle() {
    let workspace = workspace();
    let result = check_run(&workspace, "run", &EMBEDDED, "train --model resnet8");
    assert_eq!(result["teachers"], Value::Array(Vec::new()));
    check_inspection(&workspace, "run", &result);
    check_bundle(&workspace, "run", &EMBEDDED, "1", &result);
}

#[test]
fn a_teacher_makes_students_that_become_bundles() {
    let workspace = workspace();
    let teacher = check_run(&workspace, "teacher", &CUT, "train --model resnet8");
    let teacher_flags = "--teacher resnet8 --teacher-weights teacher/best/weights.safetensors --factor 4";
    for (method, batch) in [("alone", "1"), ("simkd", "dynamic"), ("atsc", "1"), ("atsc", "dynamic")] {
        let run = format!("{method}-{batch}");
        let flags = if method == "alone" { "" } else { teacher_flags };
        // the teacher adapts from the first step, so that it does within a run this short
        let flags = if method == "atsc" {
            format!("{flags} --adapt-start 0")
        } else {
            flags.to_owned()
        };
        let arguments = format!("distill --student resnet8 --method {method} {flags}");
        let result = check_run(&workspace, &run, &CUT, &arguments);
        check_inspection(&workspace, &run, &result);
        let evaluated = workspace.run(&format!("eval {run} --data {} --json", CUT.spec)).json();
        assert_eq!(evaluated, result["test"]);
        check_bundle(&workspace, &run, &CUT, batch, &result);
        if method == "alone" {
            // the baseline is plain training
            assert_eq!(result["parameters"], teacher["parameters"]);
            assert_eq!(weights(&workspace, &run), weights(&workspace, "teacher"));
            continue;
        }
        assert!(result["parameters"].as_u64() > teacher["parameters"].as_u64());
        assert_eq!(result["teachers"][0]["before"], teacher["test"]);
        let moved = result["teachers"][0]["after"] != result["teachers"][0]["before"];
        assert_eq!(moved, method == "atsc", "{result}");
        let manifest = workspace.read_json(format!("{run}-{batch}.askd/askd.json"));
        assert_eq!(manifest["provenance"]["teacher"], "resnet8");
    }
}

#[test]
fn methods_with_logits_ship_the_student_as_it_is() {
    let workspace = workspace();
    let teacher = check_run(&workspace, "teacher", &CUT, "train --model resnet8");
    let taught = "--teacher resnet8 --teacher-weights teacher/best/weights.safetensors";
    let mut students = vec![weights(&workspace, "teacher")];
    for (method, flags) in [("kd", taught), ("aver", taught), ("dml", "")] {
        let arguments = format!("distill --student resnet8 --method {method} {flags}");
        let result = check_run(&workspace, method, &CUT, &arguments);
        check_inspection(&workspace, method, &result);
        assert_eq!(result["parameters"], teacher["parameters"]);
        let evaluated = workspace
            .run(&format!("eval {method} --data {} --json", CUT.spec))
            .json();
        assert_eq!(evaluated, result["test"]);
        check_bundle(&workspace, method, &CUT, "1", &result);
        let manifest = workspace.read_json(format!("{method}-1.askd/askd.json"));
        let terms = workspace.read_json(format!("{method}/metrics.jsonl"))["terms"].take();
        let named: Vec<_> = terms.as_object().unwrap().keys().cloned().collect();
        if method == "dml" {
            // the peer is no teacher
            assert_eq!(result["teachers"], json!([]));
            assert_eq!(manifest["provenance"].get("teacher"), None);
            assert_eq!(
                named,
                ["gradient_norm", "peer_ce", "peer_kl", "student_ce", "student_kl"]
            );
        } else {
            assert_eq!(result["teachers"][0]["before"], teacher["test"]);
            assert_eq!(result["teachers"][0]["after"], teacher["test"]);
            assert_eq!(manifest["provenance"]["teacher"], "resnet8");
            assert_eq!(named, ["gradient_norm", "student_ce", "teacher_kl"]);
        }
        students.push(weights(&workspace, method));
    }
    let [alone, kd, aver, dml] = students.try_into().unwrap();
    assert!(alone != kd && alone != dml && kd != dml);
    // one teacher's average
    assert!(kd == aver);
}

fn weights(workspace: &Workspace, run: &str) -> Vec<u8> {
    workspace.read(format!("{run}/best/weights.safetensors"))
}

#[test]
fn seeds_decide_and_threads_do_not() {
    let workspace = Workspace::new();
    fashion_mnist(&workspace.path("fashion"), 100, 50);
    let trained = |run: &str, flags: &str| {
        let flags = format!("--data fashion-mnist:fashion --epochs 2 --batch 16 {flags} --out {run}");
        workspace.run(&format!("train --model resnet8 {flags}")).text();
        weights(&workspace, run)
    };
    let first = trained("first", "--seed 3 --threads 2");
    assert_eq!(trained("again", "--seed 3 --threads 2"), first);
    assert_eq!(trained("alone", "--seed 3 --threads 1"), first);
    assert_eq!(trained("three", "--seed 3 --threads 3"), first);
    assert_ne!(trained("other", "--seed 4 --threads 2"), first);

    let distilled = |run: &str, flags: &str| {
        let flags = format!("--data fashion-mnist:fashion --epochs 2 --batch 16 {flags} --out {run}");
        let teacher = "--teacher resnet8 --teacher-weights first/best/weights.safetensors";
        workspace
            .run(&format!("distill {teacher} --student resnet8 {flags}"))
            .text();
        weights(&workspace, run)
    };
    let first = distilled("atsc", "--threads 2");
    assert_eq!(distilled("atsc-again", "--threads 2"), first);
    assert_eq!(distilled("atsc-alone", "--threads 1"), first);
    assert_ne!(distilled("atsc-other", "--seed 1 --threads 2"), first);
}
