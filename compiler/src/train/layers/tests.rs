//! What layers add up to, and how they are refused.

use super::*;
use crate::distill::{AdaptationDecay, METHODS, Method, Mode, SharedHeadSettings};
use crate::train::{Decay, Schedule};

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

/// The message with which a recipe file is refused.
fn refusal(text: &str) -> String {
    let mut layers = distillation().0;
    layers.text(FILE, text).unwrap_err().to_string()
}

/// The message with which a recipe is refused whose file can be read.
fn refusal_of_range(text: &str) -> String {
    let (mut layers, _weights) = distillation();
    layers.text(FILE, text).unwrap();
    layers.resolve().unwrap_err().to_string()
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

#[test]
fn a_resolved_recipe_laid_over_any_defaults_is_itself() {
    let (layers, _weights) = distillation();
    for method in &METHODS {
        let mut layers = layers.clone();
        layers
            .settings(vec![flag("--method", METHOD_NAME, method.name)])
            .unwrap();
        let Ok(recipe) = layers.resolve() else {
            assert!(["kd", "aver", "dml"].contains(&method.name), "{}", method.name);
            continue;
        };
        let text = recipe.to_toml().unwrap();
        let mut again = Layers::training().unwrap();
        again.text(FILE, &text).unwrap();
        assert_eq!(again.resolve().unwrap().to_toml().unwrap(), text);
    }
}

#[test]
fn unknown_keys_meet_the_nearest_one() {
    for (text, expected) in [
        (
            "schedule.learnin_rate = 1",
            "`schedule.learnin_rate`, did you mean `schedule.learning_rate`?",
        ),
        (
            "learning_rate = 1",
            "`learning_rate`, did you mean `schedule.learning_rate`?",
        ),
        (
            "sedule.warmup_epochs = 1",
            "`sedule.warmup_epochs`, did you mean `schedule.warmup_epochs`?",
        ),
        ("epoch = 1", "`epoch`, did you mean `epochs`?"),
        (
            "distillation.teachers = [{ netwrk = \"a\" }]",
            "`distillation.teachers.0.netwrk`, did you mean `distillation.teachers.network`?",
        ),
        (
            "distillation.method.adaptation.strat = 1",
            "`distillation.method.adaptation.strat` with distillation.method.name = \"atsc\", \
             did you mean `distillation.method.adaptation.start`?",
        ),
        (
            "distillation.method.label_weight = 1",
            "`distillation.method.label_weight` with distillation.method.name = \"atsc\", \
             did you mean `distillation.method.teacher_weight`?",
        ),
        (
            "schedule.decay.milestones = [1]",
            "`schedule.decay.milestones` with schedule.decay.kind = \"cosine\", did you mean `schedule.decay.kind`?",
        ),
    ] {
        assert_eq!(refusal(text), format!("{FILE}: unknown key {expected}"));
    }
    let mut layers = Layers::training().unwrap();
    let error = layers.settings(vec![set("epoch", 1)]).unwrap_err();
    assert_eq!(error.to_string(), "--set: unknown key `epoch`, did you mean `epochs`?");
    assert_eq!(error.exit_code(), 2);
    let milestones = flag("--milestones", "schedule.decay.milestones", vec![1.0]);
    let line = layers.settings(vec![milestones]).unwrap_err().to_string();
    assert!(
        line.starts_with("--milestones: unknown key `schedule.decay.milestones` with"),
        "{line}"
    );
}

#[test]
fn values_of_another_type_are_named_with_what_is_taken() {
    for (text, expected) in [
        (
            "epochs = \"many\"",
            "epochs: expected an integer, 0 or more, got \"many\"",
        ),
        ("epochs = 1.5", "epochs: expected an integer, 0 or more, got 1.5"),
        ("epochs = -1", "epochs: expected an integer, 0 or more, got -1"),
        ("max_steps = -1", "max_steps: expected an integer, 0 or more, got -1"),
        ("network = 3", "network: expected a string, got 3"),
        ("schedule = 3", "schedule: expected a table, got 3"),
        (
            "schedule.learning_rate = true",
            "schedule.learning_rate: expected a number, got true",
        ),
        (
            "optimizer.nesterov = 1",
            "optimizer.nesterov: expected true or false, got 1",
        ),
        ("mean = 0.5", "mean: expected a list, got 0.5"),
        ("mean = [\"a\"]", "mean: expected a list of numbers, got [\"a\"]"),
        ("input = [3, 32]", "input: expected an array of length 3, got [3, 32]"),
        (
            "schedule.decay.kind = \"linear\"",
            "schedule.decay.kind: expected one of constant, step, cosine, got \"linear\"",
        ),
        (
            "distillation.method.name = \"magic\"",
            "distillation.method.name: expected one of alone, kd, aver, dml, simkd, atsc, got \"magic\"",
        ),
        (
            "distillation.method.mode = \"shared\"",
            "distillation.method.mode: expected one of shared-head, official-code, got \"shared\"",
        ),
        (
            "distillation.method.normalise = \"all\"",
            "distillation.method.normalise: expected one of `none`, `elements`, `samples`, got \"all\"",
        ),
        (
            "distillation.teachers = [{ weights = 1 }]",
            "distillation.teachers.0.weights: expected a string, got 1",
        ),
        (
            "data = \"cifar10\"",
            "data: expected fashion-mnist, fashion-mnist:PATH, cifar10:PATH or cifar100:PATH, got \"cifar10\"",
        ),
        (
            "distillation.method = { name = \"alone\", factor = 2 }",
            "distillation.method.factor: expected no setting of a method with method alone, got 2",
        ),
    ] {
        assert_eq!(refusal(text), format!("{FILE}: {expected}"));
    }
    assert_eq!(
        refusal("epochs = 1\nbatch = \n"),
        "recipes/x.toml: expected TOML, got in line 2: string values must be quoted, expected literal string"
    );
}

#[test]
fn values_out_of_range_are_named_with_who_set_them() {
    for (text, expected) in [
        ("epochs = 0", "epochs: expected 1 to 100000, got 0"),
        (
            "validation = 0.9",
            "validation: expected a share from 0 to 0.5, got 0.9",
        ),
        (
            "schedule.learning_rate = 0",
            "schedule.learning_rate: expected a positive number, got 0",
        ),
        (
            "std = [0.0]",
            "std: expected 1 positive numbers, one a channel, got [0.0]",
        ),
        (
            "distillation.method.adaptation.stop = 0.25",
            "distillation.method.adaptation.stop: expected the start, 0.5, to 1, got 0.25",
        ),
        (
            "distillation.method.guard.window = 0",
            "distillation.method.guard.window: expected 1 or more, got 0",
        ),
        (
            "distillation.method.temperature = 0",
            "distillation.method.temperature: expected a positive number, got 0",
        ),
        (
            "distillation.weighting = \"confidence\"",
            "distillation.weighting: expected uniform for a single teacher, got confidence",
        ),
    ] {
        assert_eq!(refusal_of_range(text), format!("{FILE}: {expected}"));
    }
    let (mut layers, _weights) = distillation();
    layers.text(FILE, "schedule.learning_rate = 0.1").unwrap();
    let refused = |setting| {
        let mut layers = layers.clone();
        layers.settings(vec![setting]).unwrap();
        layers.resolve().unwrap_err().to_string()
    };
    let line = refused(flag("--lr", "schedule.learning_rate", f64::NAN));
    assert_eq!(line, "--lr: expected a positive number, got NaN");
    let line = refused(set("schedule.learning_rate", -1));
    assert_eq!(line, "--set schedule.learning_rate: expected a positive number, got -1");
}

#[test]
fn what_a_recipe_cannot_do_without_is_asked_for() {
    let missing = |settings: Vec<Setting>| {
        let mut layers = Layers::distillation().unwrap();
        layers.settings(settings).unwrap();
        layers.resolve().unwrap_err().to_string()
    };
    let data = || set("data", "fashion-mnist");
    let student = || set("network", "resnet8");
    assert_eq!(
        missing(vec![]),
        "data: expected a data set, by --data or in a recipe, got none"
    );
    assert_eq!(
        missing(vec![data()]),
        "network: expected a registered network, by flag or in a recipe, got none"
    );
    assert_eq!(
        missing(vec![data(), student()]),
        "distillation.teachers: expected a teacher for method atsc, by --teacher and --teacher-weights or in a recipe, got none"
    );
    assert_eq!(
        missing(vec![
            data(),
            student(),
            set("distillation.teachers.0.network", "resnet20")
        ]),
        "distillation.teachers.0.weights: expected a teacher's, by --teacher-weights or in a recipe, got none"
    );
    let mut layers = Layers::distillation().unwrap();
    let line = layers
        .settings(vec![set("distillation.teachers.1.network", "resnet20")])
        .unwrap_err();
    assert_eq!(
        line.to_string(),
        "--set distillation.teachers.1.network: expected the teacher after the last one at most, got \"resnet20\""
    );
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

/// Rows of the page's tables: a key, and its default in each of the variants that the table's head names.
fn documented() -> Vec<(String, Vec<(String, String)>)> {
    let cells = |line: &str| -> Vec<String> {
        let cells = line.trim_matches('|').split('|');
        cells.map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    let (mut head, mut rows) = (Vec::new(), Vec::new());
    let page = include_str!("../../../../docs/recipes.md");
    for row in page.lines().filter(|line| line.starts_with('|')).map(cells) {
        if row[0] == "key" {
            head = row;
        } else if head.len() == row.len() && !row[0].starts_with('-') {
            let named = head[2..row.len() - 1].iter().zip(&row[2..]);
            let each = named.flat_map(|(names, value)| names.split(", ").map(|name| (name.to_owned(), value.clone())));
            rows.push((row[0].clone(), each.collect()));
        }
    }
    rows
}

/// Every key of recipes with these choices; its default where it has one.
fn defaults(variant: &str) -> BTreeMap<String, Option<Value>> {
    let choices = match variant {
        "official-code" => ("cosine", Some("atsc"), Some(variant)),
        "constant" | "step" | "cosine" => (variant, None, None),
        "default" => ("cosine", None, None),
        method => ("cosine", Some(method), None),
    };
    let (decay, method, mode) = choices;
    let known = KnownKeys::of(&Choices { decay, method, mode }).unwrap();
    let defaults = known.defaults();
    let keys = known.leaves().into_iter();
    keys.map(|key| (key.clone(), at(&defaults, &key).cloned())).collect()
}

#[test]
fn the_page_tells_every_key_and_default() {
    let documented = documented();
    let variants = ["default", "step", "kd", "aver", "dml", "simkd", "atsc", "official-code"];
    let mut known: Vec<String> = variants
        .iter()
        .flat_map(|variant| defaults(variant).into_keys())
        .collect();
    let mut told: Vec<String> = documented.iter().map(|(key, _)| key.clone()).collect();
    for keys in [&mut known, &mut told] {
        keys.sort();
        keys.dedup();
    }
    assert_eq!(told, known);
    for (key, values) in documented {
        for (variant, told) in values {
            let defaults = defaults(&variant);
            let default = defaults.get(&key).unwrap_or_else(|| panic!("{variant} has no {key}"));
            let same = match default {
                None => told == "–",
                Some(Value::Float(number)) => told.parse() == Ok(*number),
                Some(Value::String(text)) => told == *text,
                Some(other) => told == other.to_string(),
            };
            assert!(same, "{key} of {variant}: {told} on the page, {default:?} in truth");
        }
    }
}
