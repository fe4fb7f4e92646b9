//! Graph passes from the command line: listed, skipped, recorded; models of pixels; what `inspect` shows of both.

use askd_compiler::export::compile;
use askd_compiler::inspect::inspect_graph;
use askd_compiler::passes::{PASSES, Pipeline};
use askd_compiler::train::Recipe;
use askd_runtime::ElementType;
use askd_tests::{Workspace, random_weights};
use serde_json::{Value, json};

use crate::refusals::{says, workspace};

const EXPORT: &str = "export --model resnet8 --weights good.safetensors --data cifar10:ten --json";

/// Exports with these flags to `NAME.askd`, whose manifest it gives with what `inspect` says of it.
fn exported(workspace: &Workspace, name: &str, flags: &str) -> (Value, Value) {
    let report = workspace.run(&format!("{EXPORT} {flags} --out {name}.askd")).json();
    assert_eq!(report["parity"]["top1_agreement"], 100.0);
    assert!(
        report["parity"]["max_abs_diff"].as_f64().unwrap() <= 1e-4,
        "{flags}: {report}"
    );
    let inspected = workspace.run(&format!("inspect {name}.askd --json")).json();
    (workspace.read_json(format!("{name}.askd/askd.json")), inspected)
}

/// Operators of the only variant.
fn operators(inspected: &Value) -> Vec<&str> {
    let layers = inspected["models"][0]["layers"].as_array().unwrap();
    layers.iter().map(|layer| layer["op"].as_str().unwrap()).collect()
}

#[test]
fn passes_are_listed_in_the_order_in_which_they_run() {
    let workspace = Workspace::new();
    let listed = workspace.run("export --passes list --json").json();
    let text = workspace.run("export --passes list").text();
    let rows = listed.as_array().unwrap();
    assert_eq!(rows.len(), PASSES.len());
    for ((row, line), pass) in rows.iter().zip(text.lines()).zip(PASSES) {
        assert_eq!(
            (&row["name"], &row["description"]),
            (&json!(pass.name), &json!(pass.description))
        );
        assert!(line.starts_with(pass.name) && line.contains(pass.description), "{line}");
        assert_eq!(row["required"].is_null(), !line.contains("always runs"), "{line}");
    }
}

#[test]
fn a_skipped_pass_changes_the_graph_and_not_the_logits() {
    let workspace = workspace();
    let mut before = Value::Null;
    for (name, flags, norms) in [("all", "", 0), ("kept", "--passes all,-fold-batch-norm", 7)] {
        let (manifest, inspected) = exported(&workspace, name, flags);
        let found = operators(&inspected)
            .iter()
            .filter(|op| **op == "BatchNormalization")
            .count();
        assert_eq!(found, norms, "{flags}");
        let (trained, shipped) = (&inspected["trained"], &inspected["models"][0]);
        assert_eq!(shipped["parameters"], manifest["variants"][0]["parameters"]);
        assert_eq!(shipped["macs"], manifest["variants"][0]["macs"]);
        // the network trained with batch norms, and a batch norm's bias and scale are one bias when it is folded
        let without_shortcuts = |key: &str| shipped[key].as_u64().unwrap() - cost_of_shortcuts(shipped, key);
        assert_eq!(trained["macs"], without_shortcuts("macs"));
        assert_eq!(
            trained["parameters"] == without_shortcuts("parameters"),
            norms > 0,
            "{inspected}"
        );
        // before the passes both are the same
        assert!(before.is_null() || before == *trained);
        before = trained.clone();

        // what the bundle records of recipe and passes gives the shipped network again
        let provenance = &manifest["provenance"];
        let recipe = Recipe::from_toml(provenance["recipe"].as_str().unwrap(), "recipe".as_ref()).unwrap();
        let names = provenance["passes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|name| name.as_str().unwrap());
        let pipeline = Pipeline::named("provenance.passes", names).unwrap();
        assert_eq!(pipeline.names().contains(&"fold-batch-norm"), norms == 0);
        let graph = recipe.graph().unwrap();
        let again = compile(
            &recipe,
            &graph,
            &mut random_weights(&graph, 1),
            ElementType::F32,
            &pipeline,
        )
        .unwrap();
        assert_eq!(json!(inspect_graph(&again).parameters), shipped["parameters"]);
        assert_eq!(json!(inspect_graph(&again).bytes).as_u64(), parameter_bytes(shipped));

        let text = workspace.run(&format!("inspect {name}.askd")).text();
        says(
            &text,
            &["as trained: resnet8", "as shipped, variant fp32", "nodes  parameters"],
        );
    }
}

/// What the convolutions that option-A shortcuts became cost.
fn cost_of_shortcuts(model: &Value, key: &str) -> u64 {
    let layers = model["layers"].as_array().unwrap().iter();
    let shortcuts = layers.filter(|layer| layer["name"].as_str().unwrap().ends_with(".shortcut"));
    shortcuts.map(|layer| layer[key].as_u64().unwrap()).sum()
}

/// Bytes of floats among a model's constants.
fn parameter_bytes(model: &Value) -> Option<u64> {
    let layers = model["layers"].as_array()?.iter();
    let floats = layers.filter(|layer| ["Conv", "Gemm", "BatchNormalization"].contains(&layer["op"].as_str().unwrap()));
    floats.map(|layer| layer["bytes"].as_u64()).sum()
}

#[test]
fn a_model_of_pixels_is_measured_like_any_other() {
    let workspace = workspace();
    let (normalised, _) = exported(&workspace, "normalised", "");
    let evaluated = |name: &str| {
        workspace
            .run(&format!("eval {name}.askd --data cifar10:ten --json"))
            .json()
    };
    let expected = evaluated("normalised");
    for (name, flags, first) in [
        ("folded", "--input u8", &["Transpose", "Cast", "Sub", "Conv"][..]),
        (
            "many",
            "--input u8 --batch-dim dynamic",
            &["Transpose", "Cast", "Sub", "Conv"],
        ),
        (
            "kept",
            "--input u8 --passes all,-fold-preprocessing",
            &["Transpose", "Cast", "Sub", "Div", "Conv"],
        ),
    ] {
        let (manifest, inspected) = exported(&workspace, name, flags);
        assert_eq!(operators(&inspected)[..first.len()], *first);
        assert_eq!(
            (&manifest["input"]["layout"], &manifest["input"]["data_type"]),
            (&json!("NHWC"), &json!("u8"))
        );
        for same in ["shape", "mean", "std", "resize"] {
            assert_eq!(manifest["input"][same], normalised["input"][same]);
        }
        for same in ["parameters", "macs"] {
            assert_eq!(manifest["variants"][0][same], normalised["variants"][0][same]);
        }
        let model = &inspected["models"][0]["inputs"][0];
        assert_eq!((&model["data_type"], &model["shape"][3]), (&json!("u8"), &json!(3)));
        let got = evaluated(name);
        assert_eq!((&got["top1"], &got["top5"]), (&expected["top1"], &expected["top5"]));
        let losses = [&got, &expected].map(|report| report["loss"].as_f64().unwrap());
        assert!((losses[0] - losses[1]).abs() < 1e-4, "{losses:?}");
        workspace.run(&format!("verify {name}.askd --data cifar10:ten")).text();
    }
}

#[test]
fn any_onnx_file_is_inspected() {
    let workspace = workspace();
    let (_, inspected) = exported(&workspace, "x", "--batch-dim dynamic");
    let alone = workspace.run("inspect x.askd/model.fp32.onnx --json").json();
    assert_eq!(alone, inspected["models"][0]);
    assert_eq!(
        (&alone["opset"], &alone["inputs"][0]["shape"]),
        (&json!(17), &json!(["N", 3, 32, 32]))
    );
    let text = workspace.run("inspect x.askd/model.fp32.onnx").text();
    says(
        &text,
        &[
            "input image f32 Nx3x32x32",
            "output logits f32 Nx10",
            "layer1.0.conv1",
            "total",
        ],
    );

    let bytes = workspace.read("x.askd/model.fp32.onnx");
    for (name, damaged) in [
        ("empty", &b""[..]),
        ("text", b"not an onnx file"),
        ("half", &bytes[..bytes.len() / 2]),
    ] {
        workspace.write(name, damaged);
        says(&workspace.refused(&format!("inspect {name}")), &["onnx model"]);
    }
    says(&workspace.refused("inspect nowhere.onnx"), &["nowhere.onnx"]);
}

#[test]
fn what_cannot_be_asked_for_is_refused() {
    let workspace = workspace();
    let refused = |flags: &str| workspace.refused(&format!("{EXPORT} --out x.askd {flags}"));
    says(
        &refused("--passes all,-fold-batchnorm"),
        &["--passes", "did you mean \"fold-batch-norm\"?"],
    );
    says(
        &refused("--passes all,-eliminate-dead"),
        &["eliminate-dead", "counted on this graph"],
    );
    says(&refused("--passes none"), &["all, or all,-NAME"]);
    says(&refused("--input u16"), &["--input", "f32 or u8"]);
    says(&workspace.refused(&format!("{EXPORT} --passes all")), &["--out"]);
    says(
        &workspace.refused("export --passes all --out x.askd"),
        &["run directory"],
    );
}
