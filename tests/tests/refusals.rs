//! Bad input: one line that names the thing, exit code 2, and nothing left behind.

use askd_compiler::weights::{HostTensor, Weights, save_safetensors};
use askd_models::{NetworkConfig, build};
use askd_tests::{Workspace, cifar10, cifar100, random_weights};

/// A run of a few steps on `ten`, of which every flag is right.
pub(crate) const TRAIN: &str = "train --model resnet8 --data cifar10:ten --epochs 1 --batch 8 --out run";
const DISTILL: &str = "distill --teacher resnet8 --teacher-weights good.safetensors --student resnet8 \
    --data cifar10:ten --epochs 1 --batch 8 --out run";

fn weights() -> Weights {
    random_weights(&build("resnet8", &NetworkConfig::new([3, 32, 32], 10)).unwrap(), 1)
}

/// CIFAR-10 in `ten`, CIFAR-100 in `hundred`, and `good.safetensors`, a resnet8 of 10 classes.
pub(crate) fn workspace() -> Workspace {
    let workspace = Workspace::new();
    cifar10(&workspace.path("ten"), 100, 20);
    cifar100(&workspace.path("hundred"), 500, 100);
    save_safetensors(&workspace.path("good.safetensors"), &weights(), None).unwrap();
    workspace
}

/// Checks that an error says all of this.
pub(crate) fn says(line: &str, words: &[&str]) {
    for word in words {
        assert!(line.contains(word), "\"{word}\" is not in: {line}");
    }
}

#[test]
fn unknown_names_meet_what_there_is() {
    let workspace = workspace();
    for line in [
        workspace.refused(&TRAIN.replace("resnet8", "resnet9")),
        workspace.refused(&DISTILL.replace("--teacher resnet8", "--teacher resnet9")),
        workspace.refused(&DISTILL.replace("--student resnet8", "--student resnet9")),
        workspace.refused("eval --model resnet9 --weights good.safetensors --data cifar10:ten"),
        workspace.refused("export --model resnet9 --weights good.safetensors --data cifar10:ten --out x.askd"),
    ] {
        says(&line, &["\"resnet9\"", "did you mean \"resnet8\""]);
    }
    for data in ["imagenet:ten", "cifar10", "cifar10:", "ten"] {
        let line = workspace.refused(&TRAIN.replace("cifar10:ten", data));
        says(&line, &["--data", "fashion-mnist", "cifar10:PATH", data]);
    }
    says(
        &workspace.refused(&format!("{DISTILL} --method magic")),
        &["--method", "magic", "simkd"],
    );
}

/// These tests run in a build without CUDA, so that no machine has a GPU for them.
#[test]
fn a_device_that_is_not_there_is_never_replaced_by_the_cpu() {
    let workspace = workspace();
    let eval = "eval --model resnet8 --weights good.safetensors --data cifar10:ten";
    for device in ["cuda", "cuda:0", "cuda:7"] {
        for command in [
            TRAIN,
            DISTILL,
            &format!("estimate {TRAIN}"),
            &format!("estimate {DISTILL}"),
            eval,
            "pilot --out pilot",
        ] {
            let line = workspace.refused(&format!("{command} --device {device}"));
            let expected = "--device: expected cpu (built without --features cuda; docs/cuda.md";
            says(&line, &[expected, &format!(", got {device}")]);
        }
        let export = "export --model resnet8 --weights good.safetensors --data cifar10:ten --out x.askd";
        for (command, why) in [
            (export, "in f64 on the CPU"),
            ("eval x.askd --data cifar10:ten", "ONNX Runtime"),
        ] {
            let line = workspace.refused(&format!("{command} --device {device}"));
            says(&line, &["--device: expected cpu (", why, &format!("), got {device}")]);
        }
    }
    for device in ["gpu", "cuda:", "cuda:x", "cuda:-1", "cuda0", "CUDA:0", "cpu:0", ""] {
        for command in [TRAIN, eval] {
            let line = workspace.refused(&format!("{command} --device={device}"));
            let expected = format!("--device: expected cpu, cuda or cuda:N, got {device}");
            assert!(line.ends_with(expected.trim_end()), "{line}");
        }
    }
    // a run directory is evaluated in the trainer, on the device asked for
    assert_eq!(workspace.run(TRAIN).code, Some(0));
    let line = workspace.refused("eval run --data cifar10:ten --device cuda");
    says(&line, &["built without --features cuda", "got cuda"]);
}

#[test]
fn values_out_of_range_are_named() {
    let workspace = workspace();
    for (flag, value) in [
        ("--lr", "0"),
        ("--lr", "-0.1"),
        ("--lr", "NaN"),
        ("--lr", "inf"),
        ("--batch", "0"),
        ("--epochs", "0"),
        ("--max-steps", "0"),
        ("--checkpoint-seconds", "-1"),
        ("--checkpoint-seconds", "NaN"),
        ("--momentum", "1"),
        ("--momentum", "NaN"),
        ("--weight-decay", "-1"),
        ("--lr-factor", "NaN"),
        ("--milestones", "1,NaN"),
        ("--warmup", "-1"),
        ("--validation", "0.9"),
        ("--validation", "NaN"),
        ("--crop-padding", "33"),
        ("--threads", "0"),
        ("--mean", "0.5,0.5"),
        ("--std", "0.5"),
        ("--std", "0.5,0,0.5"),
        ("--mean", "0.5,NaN,0.5"),
    ] {
        let line = workspace.refused(&format!(
            "{} {flag}={value} --schedule step",
            TRAIN.replace("--epochs 1 --batch 8", "")
        ));
        says(&line, &[flag.trim_start_matches("--")]);
    }
    for flags in [
        "--factor=0",
        "--factor=3",
        "--feature-weight=NaN",
        "--student-weight=-1",
        "--teacher-weight=inf",
        "--anchor-weight=-1",
        "--teacher-rate=-1",
        "--classifier-rate=NaN",
        "--adapt-stop=0.5 --adapt-start=0.8",
        "--adapt-stop=2",
    ] {
        let line = workspace.refused(&format!("{DISTILL} {flags}"));
        says(&line, &[flags.trim_start_matches("--").split_once('=').unwrap().0]);
    }
}

#[test]
fn weights_that_do_not_fit_are_listed_tensor_by_tensor() {
    let workspace = workspace();
    let mut wrong = weights();
    let names: Vec<_> = wrong.keys().cloned().collect();
    let (gone, reshaped) = (&names[3], &names[7]);
    wrong.remove(gone);
    wrong.insert(reshaped.clone(), HostTensor::new(vec![3, 1], vec![0.0; 3]));
    wrong.insert("stranger".to_owned(), HostTensor::new(vec![1], vec![0.0]));
    save_safetensors(&workspace.path("wrong.safetensors"), &wrong, None).unwrap();
    for line in [
        workspace.refused("eval --model resnet8 --weights wrong.safetensors --data cifar10:ten"),
        workspace.refused(&DISTILL.replace("good", "wrong")),
        workspace.refused("export --model resnet8 --weights wrong.safetensors --data cifar10:ten --out x.askd"),
    ] {
        says(&line, &["wrong.safetensors", "1 missing", "1 extra", "1 misshaped"]);
        says(&line, &[gone, reshaped, "[3, 1]", "stranger"]);
    }
    // ten classes where the data has a hundred
    for line in [
        workspace.refused("eval --model resnet8 --weights good.safetensors --data cifar100:hundred"),
        workspace.refused(&DISTILL.replace("cifar10:ten", "cifar100:hundred")),
        workspace.refused("export --model resnet8 --weights good.safetensors --data cifar100:hundred --out x.askd"),
    ] {
        says(
            &line,
            &[
                "good.safetensors",
                "2 misshaped",
                "[10, 64]",
                "[100, 64]",
                "[10]",
                "[100]",
            ],
        );
    }
}

#[test]
fn damaged_checkpoints_are_named() {
    let workspace = workspace();
    let whole = workspace.read("good.safetensors");
    let damaged: [(&str, &[u8]); 9] = [
        ("cut.safetensors", &whole[..whole.len() / 2]),
        ("short.safetensors", &whole[..5]),
        ("empty.safetensors", &[]),
        ("text.safetensors", b"weights"),
        ("empty.pth", &[]),
        ("text.pth", b"weights"),
        (
            "zip.pth",
            b"PK\x03\x04\x14\0\0\0\0\0 and nothing that follows from that",
        ),
        ("renamed.pth", &whole),
        ("weights.bin", &whole),
    ];
    for (name, bytes) in damaged {
        workspace.write(name, bytes);
        let eval = format!("eval --model resnet8 --weights {name} --data cifar10:ten");
        says(&workspace.refused(&eval), &[name]);
        says(&workspace.refused(&DISTILL.replace("good.safetensors", name)), &[name]);
    }
    says(
        &workspace.refused(&DISTILL.replace("good", "absent")),
        &["absent.safetensors"],
    );
}

#[test]
fn places_that_cannot_be_written_are_named() {
    let workspace = workspace();
    workspace.write("file", "mine");
    let export = "export --model resnet8 --weights good.safetensors --data cifar10:ten --out";
    for line in [
        workspace.refused(&TRAIN.replace("--out run", "--out file")),
        workspace.refused(&TRAIN.replace("--out run", "--out file/run")),
        workspace.refused(&DISTILL.replace("--out run", "--out file/run")),
        workspace.refused(&format!("{export} file/x.askd")),
        workspace.refused(&format!("{export} file")),
        workspace.refused(&format!("{export} ten")),
    ] {
        assert!(line.contains("file") || line.contains("ten"), "{line}");
    }
    assert_eq!(workspace.read("file"), b"mine");
}

#[test]
fn what_is_no_run_or_bundle_is_refused() {
    let workspace = workspace();
    for arguments in [
        "export ten --out x.askd",
        "export nowhere --out x.askd",
        "verify ten",
        "verify nowhere",
        "verify good.safetensors",
        "eval ten --data cifar10:ten",
        "inspect ten",
        "inspect nowhere",
        "inspect good.safetensors",
    ] {
        let name = arguments.split_whitespace().nth(1).unwrap();
        says(&workspace.refused(arguments), &[name]);
    }
    // a run that has not ended has a recipe, but nothing to export
    std::fs::create_dir(workspace.path("begun")).unwrap();
    assert!(workspace.run(TRAIN).code == Some(0));
    workspace.write("begun/recipe.toml", workspace.read("run/recipe.toml"));
    says(&workspace.refused("export begun --out x.askd"), &["begun"]);
    workspace.write("begun/recipe.toml", "network = 3");
    says(&workspace.refused("inspect begun"), &["recipe.toml"]);
}
