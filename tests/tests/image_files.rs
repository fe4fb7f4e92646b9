//! Data sets of image files, from the files to a bundle.

use std::fs;

use askd_tests::{Workspace, image_files};
use serde_json::Value;

use crate::refusals::says;

/// Classes with images for training and for testing.
fn pictures(train: u32, val: u32) -> Workspace {
    let workspace = Workspace::new();
    for (part, count) in [("train", train), ("val", val)] {
        image_files(&workspace.path("pictures").join(part), &["ant", "bee", "cat"], count);
    }
    workspace
}

/// ImageNet's own networks, at a size that a test has time for.
#[test]
fn resnet34_teaches_resnet18_from_files_to_a_bundle() {
    let workspace = pictures(9, 3);
    // few steps from random weights: a rate that even these bear
    let data = "--data folder:pictures --size 64 --batch 4 --lr 0.001";
    workspace
        .run(&format!("train --model resnet34 {data} --max-steps 1 --out teacher"))
        .text();
    let teacher = "--teacher resnet34 --teacher-weights teacher/best/weights.safetensors";
    let distill = format!("distill {teacher} --student resnet18 {data} --epochs 2 --adapt-start 0.5");
    // 24 images are trained on, in 6 steps an epoch
    let estimate = workspace.run(&format!("estimate {distill} --json")).json();
    assert!(
        estimate["total_seconds"].as_f64() > estimate["epoch_seconds"].as_f64(),
        "{estimate}"
    );
    workspace.run(&format!("{distill} --max-steps 8 --out student")).text();
    let result = workspace.read_json("student/result.json");
    assert_eq!(
        (&result["steps"], &result["test"]["images"]),
        (&Value::from(8), &Value::from(9))
    );

    for (input, bundle) in [("f32", "student.askd"), ("u8", "pixels.askd")] {
        let export = format!("export student --input {input} --out {bundle} --json");
        let exported = workspace.run(&export).json();
        assert_eq!(exported["parity"]["images"], 9, "{exported}");
        let manifest = workspace.read_json(format!("{bundle}/askd.json"));
        assert_eq!(manifest["input"]["shape"], serde_json::json!([3, 64, 64]));
        // 256 to 224 as 74 to 64, rounded up
        let resize = &manifest["input"]["resize"];
        assert_eq!(
            (&resize["size"], &resize["crop"]),
            (&74.into(), &serde_json::json!([64, 64]))
        );
        assert_eq!(manifest["labels"], serde_json::json!(["ant", "bee", "cat"]));

        let verified = workspace
            .run(&format!("verify {bundle} --data folder:pictures --json"))
            .json();
        let evaluated = workspace
            .run(&format!("eval {bundle} --data folder:pictures --json"))
            .json();
        assert_eq!(evaluated["images"], 9);
        for other in [&verified["evaluation"], &exported["runtime"]] {
            assert_eq!(other["top1"], evaluated["top1"]);
        }
        if input == "f32" {
            assert_eq!(evaluated["top1"], result["test"]["top1"]);
        }
    }
}

#[test]
fn threads_change_no_bits() {
    let workspace = pictures(5, 2);
    let train = "train --model resnet8 --data folder:pictures --size 32 --batch 4 --epochs 2";
    for (threads, out) in [(1, "one"), (2, "two")] {
        workspace
            .run(&format!("{train} --threads {threads} --out {out}"))
            .text();
    }
    let weights = "best/weights.safetensors";
    assert!(workspace.read(format!("one/{weights}")) == workspace.read(format!("two/{weights}")));
    // without --size at the side that the network was published for
    workspace
        .run("train --model resnet8 --data folder:pictures --batch 4 --max-steps 1 --out published")
        .text();
    let recipe = String::from_utf8(workspace.read("published/recipe.toml")).unwrap();
    says(&recipe, &["input = [3, 32, 32]", "data = \"folder:pictures\""]);
}

/// Steps are counted by batches, so an epoch whose last batches hold nothing but damaged files ends where it should.
#[test]
fn an_epoch_may_end_in_damaged_files() {
    let workspace = pictures(3, 1);
    // one image is left of nine: whatever the order, it is unlikely to be the last
    for class in ["ant", "bee", "cat"] {
        for name in ["000.png", "001.jpg", "002.png"] {
            if (class, name) != ("bee", "001.jpg") {
                fs::write(workspace.path(format!("pictures/train/{class}/{name}")), "damaged").unwrap();
            }
        }
    }
    let train = "train --model resnet8 --data folder:pictures --size 32 --batch 1 --validation 0 --corrupt-files skip";
    for (flags, epochs) in [("--epochs 2 --max-steps 9", 1), ("--epochs 2", 2)] {
        workspace.run(&format!("{train} {flags} --out run")).text();
        let result = workspace.read_json("run/result.json");
        assert_eq!(result["steps"], 9 * epochs, "{flags}");
        let metrics = String::from_utf8(workspace.read("run/metrics.jsonl")).unwrap();
        assert_eq!(metrics.lines().count(), epochs, "{flags}: {metrics}");
    }
}

#[test]
fn damaged_files_are_refused_or_skipped_by_name() {
    let workspace = pictures(6, 3);
    let train = "train --model resnet8 --data folder:pictures --size 32 --batch 4 --epochs 1 --validation 0";
    workspace.run(&format!("{train} --out run")).text();
    let path = workspace.path("pictures/val/bee/001.jpg");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let eval = "eval --model resnet8 --weights run/best/weights.safetensors --data folder:pictures --size 32";
    let line = workspace.refused(eval);
    says(
        &line,
        &[
            "pictures/val/bee/001.jpg: expected a whole JPEG or PNG image, got ",
            "--corrupt-files skip",
        ],
    );
    let skipped = workspace.run(&format!("{eval} --corrupt-files skip"));
    says(
        &skipped.stderr,
        &["warning: pictures/val/bee/001.jpg: expected a whole"],
    );
    says(&skipped.text(), &["8 images", "1 corrupt files skipped"]);

    let trained = workspace.run(&format!("{train} --corrupt-files skip --out skipping"));
    says(&trained.stderr, &["001.jpg", "1 corrupt files were skipped"]);
    let result = workspace.read_json("skipping/result.json");
    assert_eq!(
        (&result["skipped_files"], &result["test"]["images"]),
        (&1.into(), &8.into())
    );

    // a run's own choice, which a flag can change
    let run = "eval skipping --data folder:pictures";
    says(&workspace.run(run).text(), &["8 images", "1 corrupt files skipped"]);
    says(
        &workspace.refused(&format!("{run} --corrupt-files refuse")),
        &["001.jpg"],
    );

    for (arguments, expected) in [
        (
            format!("{eval} --corrupt-files keep"),
            "expected refuse or skip, got \"keep\"",
        ),
        (
            eval.replace("folder:pictures", "folder:nowhere"),
            "nowhere: No such file",
        ),
        (eval.replace("folder:pictures", "folder"), "folder:PATH"),
        (
            "eval --model resnet8 --weights run/best/weights.safetensors --data fashion-mnist --size 32".to_owned(),
            "--size: expected none: images of one size have their own, got 32",
        ),
        (
            format!("{train} --set augmentation.crop_scale=[0.5,0.1] --out new"),
            "--set augmentation.crop_scale: expected two shares above 0 to 1, rising, got [0.5, 0.1]",
        ),
    ] {
        let outcome = workspace.run(&arguments);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        says(&outcome.stderr, &[expected]);
    }
}
