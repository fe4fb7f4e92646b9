//! A study with every method: it runs, goes on where it stopped, and what came out is exported.

use askd_tests::{Workspace, fashion_mnist};
use serde_json::Value;

const STUDY: &str = r#"
title = "Every method"
seeds = 2

[recipe]
network = "resnet8"
data = "fashion-mnist:fashion"
epochs = 1
batch = 16
max_steps = 4

[[run]]
name = "alone"
seeds = 1

[[run]]
name = "kd"
recipe.distillation.method.name = "kd"
recipe.distillation.teachers = [{ network = "resnet8", weights = "teacher/best/weights.safetensors" }]

[[run]]
name = "aver"
seeds = 1
recipe.distillation.method.name = "aver"
recipe.distillation.teachers = [
    { network = "resnet8", weights = "teacher/best/weights.safetensors" },
    { network = "resnet8", weights = "teacher/best/weights.safetensors" },
]

[[run]]
name = "dml"
seeds = 1
recipe.distillation.method.name = "dml"

[[run]]
name = "official-code"
seeds = 1
recipe.distillation.method = { name = "atsc", mode = "official-code" }
recipe.distillation.teachers = [{ network = "resnet8", weights = "teacher/best/weights.safetensors" }]

[[run]]
name = "budget"
seeds = 1
recipe.distillation.method = { name = "atsc", projector = "depthwise", max_overhead = "params:5%" }
recipe.distillation.teachers = [{ network = "resnet8", weights = "teacher/best/weights.safetensors" }]

[[run]]
name = "two-teachers"
seeds = 1
recipe.label_noise = 0.2
recipe.distillation.weighting = "confidence"
recipe.distillation.method.name = "atsc"
recipe.distillation.method.shared_trunk = true
recipe.distillation.method.own_head_weight = 0.5
recipe.distillation.method.adaptation.start = 0.0
recipe.distillation.method.guard = { window = 2, variance_floor = 0.01 }
recipe.distillation.teachers = [
    { network = "resnet8", weights = "teacher/best/weights.safetensors" },
    { network = "resnet8", weights = "teacher/best/weights.safetensors" },
]
"#;

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    fashion_mnist(&workspace.path("fashion"), 100, 30);
    workspace
        .run("train --model resnet8 --data fashion-mnist:fashion --epochs 1 --max-steps 4 --out teacher")
        .text();
    workspace
}

#[test]
fn every_method_runs_over_its_seeds_and_a_study_goes_on() {
    let workspace = workspace();
    std::fs::write(workspace.path("study.toml"), STUDY).unwrap();
    let report = workspace.run("study study.toml --out out --json").json();
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["alone", "kd", "aver", "dml", "official-code", "budget", "two-teachers"]
    );
    for row in rows {
        let seeds = if row["name"] == "kd" { 2 } else { 1 };
        assert_eq!(row["seeds"].as_array().unwrap().len(), seeds, "{row}");
        assert_eq!(row["test_top1"]["values"].as_array().unwrap().len(), seeds, "{row}");
        let taught = !["alone", "dml"].contains(&row["name"].as_str().unwrap());
        assert_eq!(row["teacher_top1"] != Value::Null, taught, "{row}");
        let projects = names.iter().skip(4).any(|name| row["name"] == *name);
        assert_eq!(row["projector"] != Value::Null, projects, "{row}");
    }
    let within = &rows[5]["projector"];
    assert!(within["parameters_percent"].as_f64().unwrap() <= 5.0, "{within}");
    assert_eq!(within["form"], "depthwise");
    let table = String::from_utf8(workspace.read("out/study.md")).unwrap();
    assert!(
        table.contains("| kd | 2 |") && table.contains("| two-teachers | 1 |"),
        "{table}"
    );
    let cell = format!("| {} (", within["parameters"]);
    assert!(
        table.contains(&cell) && table.contains("of it the projector"),
        "{table}"
    );

    // what is there is taken as it is; what is not is made again, to the same bits
    let weights = workspace.read("out/kd/seed-1/best/weights.safetensors");
    std::fs::remove_file(workspace.path("out/kd/seed-1/result.json")).unwrap();
    std::fs::remove_dir_all(workspace.path("out/kd/seed-1/checkpoints")).unwrap();
    let again = workspace.run("study study.toml --out out --json");
    assert!(
        again.stderr.contains("kd seed 1") && !again.stderr.contains("aver seed 0"),
        "{}",
        again.stderr
    );
    assert!(workspace.read("out/kd/seed-1/best/weights.safetensors") == weights);
    assert_eq!(again.json()["rows"][1]["test_top1"], rows[1]["test_top1"]);

    // a run of another recipe is neither taken nor overwritten
    let outcome = workspace.run("study study.toml --out out --set batch=8");
    let error = outcome.error(2);
    assert!(
        error.contains("alone/seed-0") && error.contains("`batch = 8` where the run has `batch = 16`"),
        "{error}"
    );

    // several teachers ship as one network with one classifier
    workspace.run("export out/two-teachers/seed-0 --out two.askd").text();
    let model = workspace.read("two.askd/model.fp32.onnx");
    let linear_layers = model.windows(4).filter(|bytes| bytes == b"Gemm").count();
    assert_eq!(linear_layers, 1);
}

#[test]
fn what_a_study_says_wrong_is_told_before_the_first_step() {
    let workspace = workspace();
    let wrong = STUDY.replace("recipe.label_noise = 0.2", "recipe.label_nois = 0.2");
    std::fs::write(workspace.path("study.toml"), wrong).unwrap();
    let outcome = workspace.run("study study.toml --out out");
    let error = outcome.error(2);
    assert!(
        error.contains("two-teachers") && error.contains("label_noise"),
        "{error}"
    );
    assert!(!workspace.path("out").exists());
}
