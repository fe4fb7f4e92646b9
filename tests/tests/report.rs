//! `report`: runs and bundles beside each other, as a user calls it.

use askd_page::fault;
use askd_tests::{Workspace, fashion_mnist};
use serde_json::Value;

/// A teacher, a student alone, one by KD, one by ATSC, and the bundle of the last; of a few steps.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    fashion_mnist(&workspace.path("fashion"), 100, 30);
    let steps = "--data fashion-mnist:fashion --epochs 2 --batch 16 --max-steps 8";
    let taught = "--teacher resnet14 --teacher-weights teacher/best/weights.safetensors --student resnet8";
    for command in [
        format!("train --model resnet14 {steps} --out teacher"),
        format!("train --model resnet8 {steps} --out alone"),
        format!("distill --method kd {taught} {steps} --out kd"),
        format!("distill --method atsc {taught} {steps} --out atsc"),
        "export atsc --out student.askd".to_owned(),
    ] {
        workspace.run(&command).text();
    }
    workspace
}

fn names(report: &Value) -> Vec<&str> {
    let models = report["models"].as_array().unwrap();
    models.iter().map(|model| model["name"].as_str().unwrap()).collect()
}

#[test]
fn runs_and_a_bundle_are_set_beside_each_other() {
    let workspace = workspace();
    let report = workspace
        .run("report kd student.askd alone atsc --out page.html --json")
        .json();
    assert_eq!(
        names(&report),
        [
            "teacher resnet14",
            "resnet8 alone",
            "resnet8 by kd",
            "resnet8 by atsc",
            "student.askd fp32"
        ]
    );
    // what the runs recorded of the same weights and images
    for (model, run) in ["teacher", "alone", "kd", "atsc"].into_iter().enumerate() {
        let result = workspace.read_json(format!("{run}/result.json"));
        let model = &report["models"][model];
        assert_eq!(model["measured"][0]["test"]["top1"], result["test"]["top1"], "{run}");
        assert_eq!(model["macs"], result["macs"], "{run}");
        assert_eq!(model["parameters"], result["parameters"], "{run}");
        assert_eq!(
            model["measured"][0]["after_temperature"]["temperature"], result["temperature"],
            "{run}"
        );
        assert!(model["latency_ms"]["p50"].as_f64().unwrap() > 0.0, "{run}");
    }
    let model = |place: usize| &report["models"][place]["measured"][0];
    // the bundle is the run, compiled
    assert_eq!(model(4)["onnx_sha256"], model(3)["onnx_sha256"]);
    assert_eq!(model(4)["test"]["top1"], model(3)["test"]["top1"]);
    // each class's images together are all of them
    let images = model(3)["per_class"]
        .as_array()
        .unwrap()
        .iter()
        .map(|share| share["of"].as_u64().unwrap());
    assert_eq!(images.sum::<u64>(), 30);
    let errors = 30.0 * (1.0 - model(0)["test"]["top1"].as_f64().unwrap() / 100.0);
    for student in 1..4 {
        assert_eq!(
            model(student)["repeated"][0]["same_class"]["of"],
            errors.round() as u64,
            "{student}"
        );
    }
    assert_eq!(model(0)["repeated"], serde_json::json!([]));

    let page = String::from_utf8(workspace.read("page.html")).unwrap();
    assert_eq!(fault(&page), None);
    let headline = &report["headline"];
    for sentence in headline["sentences"].as_array().unwrap() {
        assert!(
            page.contains(&sentence.as_str().unwrap().replace('\'', "&#39;")),
            "{sentence}"
        );
    }
    for top1 in report["models"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| model["top1"]["mean"].as_f64().unwrap())
    {
        assert!(page.contains(&format!("<td>{top1:.2}</td>")), "{top1}");
    }
    let gain = headline["alone"]["points"]["mean"].as_f64().unwrap();
    assert!(page.contains(&format!("<strong>{gain:+.2}</strong>")), "{gain}");
}

#[test]
fn a_teacher_that_is_gone_is_noted_and_what_is_no_run_refused() {
    let workspace = workspace();
    std::fs::remove_dir_all(workspace.path("teacher")).unwrap();
    let text = workspace.run("report student.askd").text();
    assert!(
        text.contains("teacher resnet14 is left out: teacher/best/weights.safetensors"),
        "{text}"
    );
    assert!(text.contains("written to report.html"), "{text}");

    assert_eq!(
        workspace.refused("report atsc fashion"),
        "error: fashion: expected a run directory (recipe.toml) or a bundle (askd.json), got neither"
    );
    std::fs::remove_file(workspace.path("kd/result.json")).unwrap();
    assert_eq!(
        workspace.refused("report kd"),
        "error: kd: expected a finished run, got none of its result.json: resume it first"
    );
}

#[test]
fn runs_of_several_data_sets_are_refused() {
    let workspace = Workspace::new();
    for (data, images) in [("one", 30), ("two", 40)] {
        fashion_mnist(&workspace.path(data), 100 + images, images);
        let flags = format!("--data fashion-mnist:{data} --epochs 1 --max-steps 2 --seed 1");
        workspace
            .run(&format!("train --model resnet8 {flags} --out run-{data}"))
            .text();
    }
    let line = workspace.refused("report run-one run-two");
    assert!(
        line.contains("fashion-mnist:one of run-one and fashion-mnist:two of run-two"),
        "{line}"
    );
    let report = workspace
        .run("report run-one run-two --data fashion-mnist:two --json")
        .json();
    assert_eq!(names(&report), ["resnet8 alone (run-one)", "resnet8 alone (run-two)"]);
    assert_eq!(
        (&report["images"], &report["headline"]),
        (&serde_json::json!(40), &Value::Null)
    );
}

#[test]
fn seeds_of_a_run_are_one_row() {
    let workspace = Workspace::new();
    fashion_mnist(&workspace.path("fashion"), 100, 30);
    for seed in [1, 2] {
        let flags = format!("--data fashion-mnist:fashion --epochs 1 --max-steps 4 --seed {seed}");
        workspace
            .run(&format!("train --model resnet8 {flags} --out kd/seed-{seed}"))
            .text();
    }
    let report = workspace.run("report kd/seed-1 kd/seed-2 kd/seed-1 --json").json();
    assert_eq!(names(&report), ["resnet8 alone"]);
    let top1 = &report["models"][0]["top1"];
    assert_eq!(top1["values"].as_array().unwrap().len(), 2);
    assert_eq!(report["models"][0]["measured"][1]["seed"], 2);
}

#[test]
fn corrupted_images_are_measured_for_runs_and_variants_alike() {
    let workspace = workspace();
    let report = workspace
        .run("report atsc student.askd --corrupt=fog,jpeg --severity 1,3,5 --images-per-class 2 --out page.html --json")
        .json();
    let bears = |place: usize| &report["models"][place]["robustness"];
    assert_eq!(
        names(&report),
        ["teacher resnet14", "resnet8 by atsc", "student.askd fp32"]
    );
    for place in 0..3 {
        let rows = bears(place)["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 6, "{place}");
    }
    // the bundle is the run, compiled
    assert_eq!(bears(1)["rows"][0]["top1"], bears(2)["rows"][0]["top1"]);
    // as `eval` measures it
    let alone = workspace
        .run("eval student.askd --data fashion-mnist:fashion --corrupt=fog,jpeg --severity 1,3,5 --images-per-class 2 --json")
        .json();
    assert_eq!(bears(2)["rows"], alone["networks"][0]["rows"]);
    for place in 0..3 {
        assert_eq!(bears(place)["clean"]["images"], alone["images"], "{place}");
    }
    let page = String::from_utf8(workspace.read("page.html")).unwrap();
    assert_eq!(fault(&page), None);
    let mean = bears(1)["mean_top1"].as_f64().unwrap();
    assert!(page.contains(&format!("<td>{mean:.2}</td>")), "{mean}");
}

#[test]
fn bundles_of_one_run_are_rows_of_their_own() {
    let workspace = Workspace::new();
    fashion_mnist(&workspace.path("fashion"), 100, 30);
    for command in [
        "train --model resnet8 --data fashion-mnist:fashion --epochs 1 --max-steps 4 --out run",
        "export run --out floats.askd",
        "export run --input u8 --out pixels.askd",
    ] {
        workspace.run(command).text();
    }
    let report = workspace.run("report floats.askd pixels.askd --json").json();
    assert_eq!(names(&report), ["floats.askd fp32", "pixels.askd fp32"]);
    assert_eq!(report["models"][1]["top1"]["values"].as_array().unwrap().len(), 1);
}
