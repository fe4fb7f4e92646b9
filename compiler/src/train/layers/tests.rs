//! What layers add up to, and how they are refused.

mod page;
mod refusals;

use super::*;
use crate::distill::{AdaptationDecay, METHODS, Method, Mode, SharedHeadSettings};
use crate::train::{Decay, Schedule};

/// What messages call a recipe file.
const FILE: &str = "recipes/x.toml";

fn flag(flag: &str, key: &str, value: impl Into<Value>) -> Setting {
    Setting::new(Origin::Flag(flag.to_owned()), key, value)
}

fn set(key: &str, value: impl Into<Value>) -> Setting {
    Setting::new(Origin::KeyFlag("--set".to_owned()), key, value)
}

/// Distillation of a resnet8 on the embedded images by a teacher that is a file of four bytes.
fn distillation() -> (Layers, tempfile::NamedTempFile) {
    let weights = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(weights.path(), b"1234").unwrap();
    let mut layers = Layers::distillation().unwrap();
    let teacher = Table::from_iter([
        ("network".to_owned(), Value::from("resnet20")),
        ("weights".to_owned(), Value::from(weights.path().to_str().unwrap())),
    ]);
    layers
        .settings(vec![
            flag("--student", "network", "resnet8"),
            flag("--data", "data", "fashion-mnist"),
            flag("--teacher", "distillation.teachers", vec![teacher]),
        ])
        .unwrap();
    (layers, weights)
}

fn method(layers: Layers) -> Method {
    layers.resolve().unwrap().distillation.unwrap().method
}

#[test]
fn what_no_layer_says_is_the_default_or_the_data_sets() {
    let mut layers = Layers::training().unwrap();
    layers
        .text(FILE, "network = \"resnet8\"\ndata = \"fashion-mnist\"")
        .unwrap();
    let recipe = layers.resolve().unwrap();
    assert_eq!((recipe.input, recipe.classes), ([1, 28, 28], 10));
    assert_eq!((recipe.mean, recipe.std), (vec![0.2860], vec![0.3530]));
    assert_eq!(
        (recipe.epochs, recipe.batch, recipe.seed, recipe.validation),
        (30, 64, 0, 0.1)
    );
    assert_eq!((recipe.max_steps, recipe.distillation), (None, None));
    let schedule = Schedule {
        learning_rate: 0.05,
        warmup_epochs: 0.0,
        decay: Decay::Cosine,
    };
    assert_eq!(recipe.schedule, schedule);

    let (layers, weights) = distillation();
    let distillation = layers.resolve().unwrap().distillation.unwrap();
    assert_eq!(distillation.method, Method::Atsc(SharedHeadSettings::atsc()));
    assert_eq!(distillation.teachers[0].weights, weights.path());
    // sha256sum of "1234"
    let digest = "03ac674216f3e15c761ee1a5e255f067953623c8b388b4459e13f978d7c846f4";
    assert_eq!(distillation.teachers[0].digest, digest);
}

#[test]
fn later_layers_win_key_by_key() {
    let (mut layers, _weights) = distillation();
    let text = "epochs = 7\nbatch = 32\nschedule.decay = { kind = \"step\", milestones = [3, 5] }\n\
                [distillation.method]\nfactor = 4\nadaptation.start = 0.25\n";
    layers.text(FILE, text).unwrap();
    layers
        .settings(vec![
            flag("--epochs", "epochs", 9),
            set("schedule.decay.factor", 0.5),
            set("distillation.method.adaptation.decay", "cosine"),
            set("distillation.method.adaptation.decay", "constant"),
            set("optimizer.momentum", 0),
        ])
        .unwrap();
    let recipe = layers.resolve().unwrap();
    assert_eq!((recipe.epochs, recipe.batch, recipe.optimizer.momentum), (9, 32, 0.0));
    let decay = Decay::Step {
        milestones: vec![3.0, 5.0],
        factor: 0.5,
    };
    assert_eq!(recipe.schedule.decay, decay);
    let settings = recipe.distillation.unwrap().method.shared_head().unwrap().clone();
    assert_eq!((settings.factor, settings.adaptation.start), (4, 0.25));
    assert_eq!(settings.adaptation.decay, AdaptationDecay::Constant);
}

#[test]
fn another_choice_starts_from_its_own_defaults() {
    let (mut layers, _weights) = distillation();
    let text =
        "schedule.decay = { kind = \"step\", factor = 0.5 }\n[distillation.method]\nname = \"atsc\"\nfactor = 4\n";
    layers.text(FILE, text).unwrap();
    let mut same = layers.clone();
    same.settings(vec![flag("--method", METHOD_NAME, "atsc")]).unwrap();
    assert_eq!(method(same).shared_head().unwrap().factor, 4);

    let mut other = layers.clone();
    other
        .settings(vec![
            flag("--teacher-rate", "distillation.method.adaptation.rate", 0.5),
            flag("--method", METHOD_NAME, "simkd"),
            flag("--schedule", DECAY_KIND, "constant"),
        ])
        .unwrap();
    let recipe = other.resolve().unwrap();
    assert_eq!(recipe.schedule.decay, Decay::Constant);
    let mut expected = SharedHeadSettings::simkd();
    expected.adaptation.rate = 0.5;
    assert_eq!(recipe.distillation.unwrap().method, Method::Simkd(expected));

    let mut official = layers.clone();
    official
        .settings(vec![flag("--mode", METHOD_MODE, "official-code")])
        .unwrap();
    assert_eq!(
        at(&official.table, "distillation.method.anchor_weight"),
        Some(&Value::Float(1.0))
    );
    assert_eq!(text_at(&official.table, METHOD_MODE), Some("official-code"));
    assert_eq!(SharedHeadSettings::official_code().mode, Mode::OfficialCode);

    let mut alone = layers;
    alone.settings(vec![flag("--method", METHOD_NAME, "alone")]).unwrap();
    assert_eq!(alone.resolve().unwrap().distillation, None);
}

/// The projector of resnet8 from resnet20 adds 18.1, 6.1 and 2.3 % of parameters with f = 2, 4, 8.
#[test]
fn a_budget_chooses_the_factor_and_is_no_part_of_the_recipe() {
    let (layers, _weights) = distillation();
    let over = |below: &str, settings: Vec<Setting>| {
        let mut layers = layers.clone();
        layers.text(FILE, &format!("[distillation.method]\n{below}\n")).unwrap();
        layers.settings(settings).unwrap();
        let recipe = layers.resolve().unwrap();
        assert!(!recipe.to_toml().unwrap().contains("max_overhead"));
        recipe.distillation.unwrap().method.shared_head().unwrap().factor
    };
    let budget = |text: &str| flag("--max-overhead", MAX_OVERHEAD, text);
    assert_eq!(over("factor = 16", vec![budget("params:10%")]), 4);
    assert_eq!(over("max_overhead = \"params:10%\"", vec![budget("params:5%")]), 8);
    assert_eq!(over("max_overhead = \"params:5%\"", vec![set("epochs", 3)]), 8);
    // the upper layer's own word, and another method's defaults
    assert_eq!(
        over("max_overhead = \"params:5%\"", vec![flag("--factor", FACTOR, 16)]),
        16
    );
    assert_eq!(
        over(
            "max_overhead = \"params:5%\"",
            vec![flag("--method", METHOD_NAME, "simkd")]
        ),
        2
    );
    let depthwise = set("distillation.method.projector", "depthwise");
    assert_eq!(over("max_overhead = \"params:10%\"", vec![depthwise]), 2);
}

/// Without ONNX Runtime: what an earlier recipe has chosen is not measured again.
#[test]
fn a_measured_choice_is_made_once() {
    let (mut layers, _weights) = distillation();
    layers
        .settings(vec![flag("--factor", FACTOR, 32), set("seed", 1)])
        .unwrap();
    let earlier = layers.clone().resolve().unwrap();
    layers
        .settings(vec![flag("--max-overhead", MAX_OVERHEAD, "latency:5%"), set("seed", 2)])
        .unwrap();
    let later = layers.clone().resolve_after(Some(&earlier)).unwrap();
    assert_eq!(Recipe { seed: 1, ..later }, earlier);
    // what is counted is counted again
    layers
        .settings(vec![flag("--max-overhead", MAX_OVERHEAD, "params:5%")])
        .unwrap();
    let counted = layers.resolve_after(Some(&earlier)).unwrap();
    assert_eq!(counted.distillation.unwrap().method.shared_head().unwrap().factor, 8);
}

#[test]
fn a_resolved_recipe_laid_over_any_defaults_is_itself() {
    let (layers, _weights) = distillation();
    for method in &METHODS {
        let mut layers = layers.clone();
        layers
            .settings(vec![flag("--method", METHOD_NAME, method.name)])
            .unwrap();
        let Ok(recipe) = layers.resolve() else {
            assert!(["dml", "ebkd", "ca-mkd"].contains(&method.name), "{}", method.name);
            continue;
        };
        let text = recipe.to_toml().unwrap();
        let mut again = Layers::training().unwrap();
        again.text(FILE, &text).unwrap();
        assert_eq!(again.resolve().unwrap().to_toml().unwrap(), text);
    }
}

#[test]
fn other_weights_have_another_digest() {
    let (mut layers, _weights) = distillation();
    layers
        .settings(vec![set("distillation.teachers.0.digest", "stale")])
        .unwrap();
    let digest = |layers: Layers| {
        layers.resolve().unwrap().distillation.unwrap().teachers[0]
            .digest
            .clone()
    };
    assert_eq!(digest(layers.clone()), "stale");
    let other = tempfile::NamedTempFile::new().unwrap();
    layers
        .settings(vec![set(
            "distillation.teachers.0.weights",
            other.path().to_str().unwrap(),
        )])
        .unwrap();
    // sha256sum of nothing
    let digest_of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(digest(layers), digest_of_nothing);
}
