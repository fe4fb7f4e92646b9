//! Pretrained networks by the command line: published accuracy in the trainer and through the runtime, and as teachers.
//!
//! Wants the CIFAR-10 archive and the checkpoints in the directory that `ASKD_DATA` names.

#![cfg(unix)]

use std::fs::File;
use std::io::Read;

use askd_tests::{Workspace, data_dir};
use serde_json::Value;

const DATA: &str = "cifar10:data/cifar-10-binary-subset.tar.gz";
/// Normalisation that the checkpoints were trained with: ImageNet's.
const NORMALISATION: &str = "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225";

/// A workspace in which `data` is the data directory.
fn workspace() -> Option<Workspace> {
    let data = std::fs::canonicalize(data_dir()?).unwrap();
    let workspace = Workspace::new();
    std::os::unix::fs::symlink(data, workspace.path("data")).unwrap();
    Some(workspace)
}

fn top1(evaluation: &Value) -> f64 {
    evaluation["top1"].as_f64().unwrap()
}

/// Evaluates checkpoints, exports the last and evaluates the bundle; all must give `published` within 0.1 points.
fn check(network: &str, files: &[&str], published: f64) {
    let Some(workspace) = workspace() else { return };
    let mut command = String::new();
    let mut measured = Vec::new();
    for file in files {
        command = format!("--model {network} --weights data/checkpoints/{file} --data {DATA} {NORMALISATION} --json");
        measured.push(workspace.run(&format!("eval {command}")).json());
    }
    let exported = workspace.run(&format!("export {command} --out x.askd")).json();
    assert_eq!(exported["parity"]["images"], 10_000);
    assert!(
        exported["parity"]["max_abs_diff"].as_f64().unwrap() <= 1e-4,
        "{exported}"
    );
    measured.push(workspace.run(&format!("eval x.askd --data {DATA} --json")).json());
    for evaluation in &measured {
        println!("{network}: {evaluation}");
        assert_eq!(evaluation["images"], 10_000);
        assert!((top1(evaluation) - published).abs() <= 0.1, "{evaluation}");
        assert_eq!(
            top1(evaluation),
            top1(&measured[0]),
            "checkpoint forms and engines agree on every image"
        );
    }
}

/// Source: the checkpoint's authors, github.com/akamaster/pytorch_resnet_cifar10, an error of 8.27 %.
#[test]
fn resnet20_keeps_its_accuracy() {
    check(
        "resnet20",
        &["resnet20_cifar10.pth", "resnet20_cifar10.safetensors"],
        91.7,
    );
}

/// Source: as for ResNet-20, an error of 6.61 %.
#[test]
fn resnet56_keeps_its_accuracy() {
    check("resnet56", &["resnet56_cifar10.safetensors"], 93.4);
}

/// The archive's first 640 training and 500 test images, as batch files: a teacher this large takes a minute for all.
fn cut_data(workspace: &Workspace) {
    std::fs::create_dir(workspace.path("cut")).unwrap();
    let packed = File::open(workspace.path("data/cifar-10-binary-subset.tar.gz")).unwrap();
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(packed));
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry
            .path()
            .unwrap()
            .file_name()
            .map(|name| name.to_str().unwrap().to_owned());
        let images = match name.as_deref() {
            Some("data_batch_1.bin") => 640,
            Some("test_batch.bin") => 500,
            _ => continue,
        };
        let mut records = vec![0; images * 3073];
        entry.read_exact(&mut records).unwrap();
        workspace.write(format!("cut/{}", name.unwrap()), records);
    }
}

#[test]
fn a_pretrained_teacher_gives_a_bundle_that_does_what_was_reported() {
    let Some(workspace) = workspace() else { return };
    cut_data(&workspace);
    let teacher = "--teacher resnet56 --teacher-weights data/checkpoints/resnet56_cifar10.safetensors";
    let run = format!("--student resnet8 --data cifar10:cut {NORMALISATION} --epochs 1 --batch 32 --max-steps 10");
    let result = workspace
        .run(&format!("distill {teacher} {run} --json --out run"))
        .json();
    let before = top1(&result["teachers"][0]["before"]);
    assert!(
        (before - 93.4).abs() < 4.0,
        "the teacher came pretrained, but has {before} %"
    );

    let exported = workspace.run("export run --json --out x.askd").json();
    assert_eq!(exported["parity"]["images"], 500);
    let evaluated = workspace.run("eval x.askd --data cifar10:cut --json").json();
    for measured in [&exported["runtime"], &evaluated] {
        assert_eq!(top1(measured), top1(&result["test"]));
        assert_eq!(measured["images"], 500);
    }
}
