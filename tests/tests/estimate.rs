//! `estimate`: every figure is there and fits the others, nothing is written, and what `train` refuses is refused.

use std::collections::BTreeSet;

use askd_tests::{Workspace, fashion_mnist};
use serde_json::Value;

use crate::refusals::{self, says};

const TRAIN: &str = "train --model resnet8 --data fashion-mnist:fashion --epochs 2 --batch 16 --max-steps 12";
const DISTILL: &str = "distill --teacher resnet8 --teacher-weights run/best/weights.safetensors --student resnet8 \
    --data fashion-mnist:fashion --epochs 2 --batch 16";

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    fashion_mnist(&workspace.path("fashion"), 300, 100);
    workspace
}

/// Runs an estimate that must leave everything as it is, and gives what it prints after a look at each figure.
fn estimated(workspace: &Workspace, arguments: &str) -> Value {
    let before = workspace.entries();
    let printed = workspace.run(&format!("estimate {arguments} --json")).json();
    assert_eq!(workspace.entries(), before, "{arguments}");

    let keys = |value: &Value| -> BTreeSet<String> { value.as_object().unwrap().keys().cloned().collect() };
    let mut expected = vec![
        "epoch_seconds",
        "images_per_second",
        "shares",
        "step_ms",
        "total_seconds",
    ];
    if arguments.contains("--method simkd") || arguments.contains("--method atsc") {
        expected.push("projector");
        assert_eq!(printed["projector"]["factor"], 2);
    }
    if cfg!(target_os = "linux") {
        expected.push("peak_rss_mib");
    }
    assert_eq!(keys(&printed), expected.into_iter().map(str::to_owned).collect());
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{printed}"));
    let figures = printed.as_object().unwrap().iter();
    for (key, value) in figures.filter(|(key, _)| !["shares", "projector"].contains(&key.as_str())) {
        assert!(number(value) > 0.0, "{key}: {printed}");
    }
    let shares = ["forward", "backward", "optimizer", "data"];
    assert_eq!(keys(&printed["shares"]), shares.map(str::to_owned).into());
    let shares = shares.map(|part| number(&printed["shares"][part]));
    assert!(shares.iter().all(|share| *share > 0.0), "{printed}");
    assert!((shares.iter().sum::<f64>() - 100.0).abs() < 1e-6, "{printed}");
    // batches are made beside the steps: a generous bound, for a machine that does other things too
    assert!(shares[3] <= 25.0, "{printed}");
    printed
}

#[test]
fn a_training_is_estimated_and_nothing_is_written() {
    let workspace = workspace();
    let figures = estimated(&workspace, TRAIN);
    let number = |key: &str| figures[key].as_f64().unwrap();
    let step = number("step_ms") / 1e3;
    assert!((number("images_per_second") * step - 16.0).abs() < 1e-6, "{figures}");
    // 270 images are trained on
    assert!(number("epoch_seconds") > 17.0 * step, "{figures}");
    assert!(number("total_seconds") > 12.0 * step, "{figures}");

    let text = workspace.run(&format!("estimate {TRAIN}")).text();
    says(
        &text,
        &[
            "images/s",
            "ms a step",
            "an epoch",
            "the whole recipe",
            "forward",
            "data",
        ],
    );
    // the very flags of `train`, those of what it writes included
    estimated(
        &workspace,
        &format!("{TRAIN} --resume --checkpoint-seconds 9 --out run --threads 1"),
    );
}

#[test]
fn a_distillation_is_estimated_with_and_without_an_adapting_teacher() {
    let workspace = workspace();
    workspace.run(&format!("{TRAIN} --out run")).text();
    for flags in [
        "--method simkd",
        "--method atsc --adapt-start 0",
        "--method atsc --adapt-start 0.5",
        "--method alone --out run",
    ] {
        estimated(&workspace, &format!("{DISTILL} {flags}"));
    }
}

#[test]
fn bad_input_is_refused_as_in_training() {
    let workspace = refusals::workspace();
    let train = "estimate train --model resnet8 --data cifar10:ten --epochs 1 --batch 8";
    let distill = "estimate distill --teacher resnet8 --teacher-weights good.safetensors --student resnet8 \
        --data cifar10:ten";
    for (arguments, words) in [
        (train.replace("resnet8", "resnet9"), ["resnet9", "resnet8"]),
        (train.replace("ten", "nowhere"), ["nowhere", "directory"]),
        (train.replace("--batch 8", "--batch 0"), ["--batch", "1 to 65536"]),
        (format!("{train} --lr 0"), ["--lr", "positive"]),
        (format!("{train} --device cuda:0"), ["--device", "cuda:0"]),
        (format!("{train} --threads 0"), ["--threads", "1 to 1024"]),
        (distill.replace("good", "absent"), ["absent.safetensors", "file"]),
        (
            distill.replace("cifar10:ten", "cifar100:hundred"),
            ["good.safetensors", "misshaped"],
        ),
        (format!("{distill} --adapt-stop 2"), ["--adapt-stop", "to 1"]),
        (
            distill.replace("--teacher-weights good.safetensors", ""),
            ["--teacher-weights", "resnet8"],
        ),
    ] {
        says(&workspace.refused(&arguments), &words);
    }
    for usage in ["estimate", "estimate eval", "estimate train --model resnet8"] {
        let outcome = workspace.run(usage);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(2), ""),
            "{usage}: {outcome:?}"
        );
    }
}
