//! The projector's cost and budget by the command line: chosen within the budget, chosen once, told in every report.

use askd_compiler::nn::initialise;
use askd_compiler::train::{Layers, Origin, Recipe, Setting};
use askd_compiler::weights::save_safetensors;
use askd_models::{NetworkConfig, build};
use askd_tests::{Outcome, Workspace, fashion_mnist};
use serde_json::Value;

use crate::refusals::says;

const DISTILL: &str = "distill --teacher resnet8x4 --teacher-weights teacher.safetensors --student resnet8 \
    --data fashion-mnist:fashion --epochs 1 --batch 16 --max-steps 2 --lr 0.001";

/// A few images and `teacher.safetensors`, a resnet8x4 for them: its map has 256 channels, four times the student's.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    fashion_mnist(&workspace.path("fashion"), 100, 30);
    let teacher = build("resnet8x4", &NetworkConfig::new([1, 28, 28], 10)).unwrap();
    let weights = initialise(&teacher, 1);
    save_safetensors(&workspace.path("teacher.safetensors"), &weights, None).unwrap();
    workspace
}

fn recipe(workspace: &Workspace, run: &str) -> Recipe {
    Recipe::load(&workspace.path(run)).unwrap()
}

fn factor(recipe: &Recipe) -> usize {
    let distillation = recipe.distillation.as_ref().unwrap();
    distillation.method.shared_head().unwrap().factor
}

/// Percent of parameters and of MACs that the projector of this run would add with another factor.
fn percent_with(workspace: &Workspace, run: &str, factor: usize) -> [f64; 2] {
    let mut layers = Layers::training().unwrap();
    layers.file(&workspace.path(run).join("recipe.toml")).unwrap();
    let origin = Origin::KeyFlag("--set".to_owned());
    let setting = Setting::new(origin, "distillation.method.factor", factor as i64);
    layers.settings(vec![setting]).unwrap();
    let cost = layers.resolve().unwrap().projector_cost().unwrap().unwrap();
    assert_eq!(cost.factor, factor);
    [cost.parameters_percent, cost.macs_percent]
}

#[test]
fn a_budget_gives_the_smallest_factor_within_it() {
    let workspace = workspace();
    for (budget, percent, of) in [("params:30%", 30.0, 0), ("macs:12%", 12.0, 1)] {
        let run = format!("run-{of}");
        let printed = workspace.run(&format!("{DISTILL} --max-overhead {budget} --out {run} --json"));
        let printed = printed.json();
        let chosen = factor(&recipe(&workspace, &run));
        assert!(chosen > 1);
        let [within, beyond] = [chosen, chosen / 2].map(|factor| percent_with(&workspace, &run, factor)[of]);
        assert!(within <= percent && percent < beyond, "{budget}: {within} {beyond}");
        assert_eq!(printed["projector"]["factor"], chosen);
        // the run made again has the factor, not the budget
        let stored = String::from_utf8(workspace.read(format!("{run}/recipe.toml"))).unwrap();
        assert!(!stored.contains("max_overhead"), "{stored}");
        workspace
            .run(&format!("train --recipe {run}/recipe.toml --out again"))
            .text();
        let weights = |run: &str| workspace.read(format!("{run}/best/weights.safetensors"));
        assert!(weights("again") == weights(&run));
    }
    let line = workspace.refused(&format!("{DISTILL} --max-overhead params:0.5% --out no"));
    says(
        &line,
        &["error: --max-overhead: expected at least ", "f = 256, got params:0.5%"],
    );
}

/// With f = 1 the projector has four times the student's multiply-accumulates, so f = 1 is far beyond a budget of half.
#[test]
fn latency_is_measured_once_for_a_run() {
    let workspace = workspace();
    let told = workspace.run(&format!("estimate {DISTILL} --max-overhead latency:100000%"));
    says(&told.stderr, &["latency of the projector", "f = 1 +"]);
    let measured = format!("{DISTILL} --max-overhead latency:50% --out run");
    workspace.run(&measured).text();
    assert!(factor(&recipe(&workspace, "run")) > 1);

    let without_engine = |arguments: &str| {
        let mut command = workspace.command(arguments);
        command.env("ORT_DYLIB_PATH", "absent.so");
        Outcome::of(command)
    };
    let resumed = without_engine(&format!("{measured} --resume"));
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    let anew = without_engine(&measured);
    says(anew.error(2), &["absent.so"]);
}

#[test]
fn every_report_tells_the_cost() {
    let workspace = workspace();
    for (run, flags) in [
        ("standard", "--factor 4"),
        ("depthwise", "--factor 4 --projector depthwise"),
        (
            "trunk",
            "--factor 4 --projector depthwise --shared-trunk --teacher resnet8x4 --teacher-weights teacher.safetensors",
        ),
    ] {
        let text = workspace.run(&format!("{DISTILL} {flags} --out {run}")).text();
        let cost = recipe(&workspace, run).projector_cost().unwrap().unwrap();
        let line = cost.to_string();
        says(&text, &[&line]);
        let json = serde_json::to_value(cost).unwrap();
        assert_eq!(workspace.read_json(format!("{run}/result.json"))["projector"], json);

        let bundle = format!("{run}.askd");
        says(&workspace.run(&format!("export {run} --out {bundle}")).text(), &[&line]);
        let exported = workspace.run(&format!("export {run} --json --out again.askd")).json();
        assert_eq!(exported["projector"], json);
        for path in [run, &bundle] {
            says(&workspace.run(&format!("inspect {path}")).text(), &[&line]);
            assert_eq!(
                workspace.run(&format!("inspect {path} --json")).json()["projector"],
                json
            );
        }
    }
    let [standard, depthwise] =
        ["standard", "depthwise"].map(|run| recipe(&workspace, run).projector_cost().unwrap().unwrap());
    // 64 channels, of which each has 9 weights instead of 64 times 9; the map is 7x7
    let saved = 64 * 63 * 9;
    assert_eq!(standard.parameters - depthwise.parameters, saved);
    assert_eq!(standard.macs - depthwise.macs, saved * 49);
}

#[test]
fn a_student_without_projector_has_none_to_tell_of() {
    let workspace = workspace();
    let result = workspace.run(&format!("{DISTILL} --method kd --out kd --json")).json();
    assert_eq!(result["projector"], Value::Null);
    let exported = workspace.run("export kd --out kd.askd --json").json();
    assert_eq!(exported["projector"], Value::Null);
    for path in ["kd", "kd.askd"] {
        let text = workspace.run(&format!("inspect {path}")).text();
        assert!(!text.contains("of the student without it"), "{text}");
        assert_eq!(
            workspace.run(&format!("inspect {path} --json")).json()["projector"],
            Value::Null
        );
    }
}
