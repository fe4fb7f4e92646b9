//! Accuracy on corrupted images, of checkpoints, runs and bundles.

use askd_compiler::weights::save_safetensors;
use askd_models::{NetworkConfig, build};
use askd_tests::{Workspace, cifar10, fashion_mnist, image_files, random_weights};
use serde_json::Value;

use crate::refusals::says;

/// Top-1 of every row of a network.
fn top1(network: &Value) -> Vec<f64> {
    let rows = network["rows"].as_array().unwrap();
    rows.iter().map(|row| row["top1"].as_f64().unwrap()).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// A bundle with two variants and the run it came from, side by side: the float variant is as right as the trainer's network.
#[test]
fn variants_stand_beside_each_other_on_the_same_images() {
    let workspace = Workspace::new();
    fashion_mnist(&workspace.path("clothes"), 1000, 100);
    let data = "--data fashion-mnist:clothes";
    workspace
        .run(&format!(
            "train --model resnet8 {data} --epochs 4 --batch 32 --lr 0.05 --out run"
        ))
        .text();
    workspace.run("export run --out student.askd").text();
    workspace
        .run("quantize student.askd --calibration fashion-mnist:clothes --images 500 --target x86-avx2 --max-drop 20")
        .text();

    let flags = format!("{data} --corrupt=gaussian-noise,contrast --severity 1,5 --seed 3 --images-per-class 5");
    let eval = format!("eval student.askd {flags}");
    let report = workspace.run(&format!("{eval} --json")).json();
    assert_eq!((&report["seed"], &report["images"]), (&3.into(), &50.into()));
    let networks = report["networks"].as_array().unwrap();
    let names: Vec<_> = networks
        .iter()
        .map(|network| network["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["fp32", "int8-x86-avx2"]);
    for network in networks {
        let rows = network["rows"].as_array().unwrap();
        let case = |row: &Value| format!("{} {}", row["corruption"].as_str().unwrap(), row["severity"]);
        let cases: Vec<_> = rows.iter().map(case).collect();
        assert_eq!(
            cases,
            ["gaussian-noise 1", "gaussian-noise 5", "contrast 1", "contrast 5"]
        );
        let top1 = top1(network);
        assert!((network["mean_top1"].as_f64().unwrap() - mean(&top1)).abs() < 1e-9);
        assert!((network["means"][1]["top1"].as_f64().unwrap() - mean(&top1[2..])).abs() < 1e-9);
        // something was learnt, and a tenth of the contrast takes it away
        assert!(network["clean"]["top1"].as_f64().unwrap() > 40.0, "{network}");
        assert!(top1[3] < network["clean"]["top1"].as_f64().unwrap(), "{network}");
    }

    // the trainer's network sees the same pixels
    let run = workspace.run(&format!("eval run {flags} --threads 1 --json")).json();
    let run = &run["networks"][0];
    assert_eq!(run["name"], "resnet8");
    assert_eq!(
        (&run["clean"]["top1"], top1(run)),
        (&networks[0]["clean"]["top1"], top1(&networks[0]))
    );

    let one = workspace
        .run(&format!("{eval} --variant int8-x86-avx2 --threads 1 --json"))
        .json();
    assert_eq!(one["networks"].as_array().unwrap().as_slice(), &networks[1..]);

    let text = workspace.run(&eval).text();
    says(
        &text,
        &[
            "50 images, seed 3",
            "gaussian-noise  fp32 ",
            "int8-x86-avx2  clean ",
            "points lost",
        ],
    );
    assert!(text.lines().all(|line| line.len() < 100), "{text}");
}

#[test]
fn all_corruptions_run_on_colours_and_on_files_of_any_size() {
    let workspace = Workspace::new();
    cifar10(&workspace.path("cifar"), 10, 20);
    image_files(&workspace.path("pictures/val"), &["ant", "bee", "cat"], 2);
    for (classes, data) in [(10, "cifar10:cifar"), (3, "folder:pictures --size 32")] {
        let graph = build("resnet8", &NetworkConfig::new([3, 32, 32], classes)).unwrap();
        let file = format!("{classes}.safetensors");
        save_safetensors(&workspace.path(&file), &random_weights(&graph, 1), None).unwrap();
        let eval = format!("eval --model resnet8 --weights {file} --data {data} --corrupt --contact-sheet sheet.png");
        let report = workspace.run(&format!("{eval} --json")).json();
        let network = &report["networks"][0];
        assert_eq!(
            (top1(network).len(), network["means"].as_array().unwrap().len()),
            (75, 15),
            "{report}"
        );
        let sheet = image::load_from_memory(&workspace.read("sheet.png")).unwrap();
        assert_eq!((sheet.width(), sheet.height()), (6 * 34, 15 * 34));
    }
}

#[test]
fn wrong_corruptions_are_refused() {
    let workspace = Workspace::new();
    let graph = build("resnet8", &NetworkConfig::new([1, 28, 28], 10)).unwrap();
    save_safetensors(&workspace.path("w.safetensors"), &random_weights(&graph, 1), None).unwrap();
    let eval = "eval --model resnet8 --weights w.safetensors --data fashion-mnist";
    for (flags, expected) in [
        ("--corrupt=rain", "gaussian-noise, shot-noise"),
        (
            "--corrupt=fog,fog",
            "--corrupt: expected each corruption once, got fog twice",
        ),
        ("--corrupt --severity 6", "expected 1 to 5, got \"6\""),
        (
            "--corrupt --severity 1,1",
            "--severity: expected each severity once, got 1 twice",
        ),
        ("--corrupt --images-per-class 0", "0 is not in 1.."),
    ] {
        says(&workspace.refused(&format!("{eval} {flags}")), &[expected]);
    }
    for flags in [
        "--severity 1",
        "--seed 1",
        "--images-per-class 3",
        "--contact-sheet x.png",
    ] {
        let outcome = workspace.run(&format!("{eval} {flags}"));
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        says(&outcome.stderr, &["--corrupt"]);
    }
}
