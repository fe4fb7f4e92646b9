//! Recipes: those that ship, the flags that change them, and runs made again from the recipe they left.

use std::fs;
use std::path::{Path, PathBuf};

use askd_compiler::train::{Layers, Origin, Setting};
use askd_tests::{Workspace, cifar10, cifar100, fashion_mnist};
use toml::{Table, Value};

use crate::refusals::says;

/// Flags and values that are nobody's default.
const FLAGS: [(&str, &str); 20] = [
    ("--epochs", "3"),
    ("--batch", "16"),
    ("--lr", "0.02"),
    ("--warmup", "0.5"),
    ("--schedule", "step"),
    ("--milestones", "1,2"),
    ("--lr-factor", "0.2"),
    ("--momentum", "0.8"),
    ("--weight-decay", "0.001"),
    ("--validation", "0.2"),
    ("--crop-padding", "1"),
    ("--mean", "0.3"),
    ("--std", "0.4"),
    ("--seed", "5"),
    ("--max-steps", "1"),
    ("--data", "fashion-mnist:fashion"),
    ("--student", "resnet14"),
    ("--teacher", "resnet8"),
    ("--teacher-weights", "run/best/weights.safetensors"),
    ("--weighting", "uniform"),
];
const METHOD_FLAGS: [(&str, &str); 13] = [
    ("--method", "simkd"),
    ("--factor", "4"),
    ("--projector", "depthwise"),
    ("--feature-weight", "2.0"),
    ("--student-weight", "0.5"),
    ("--teacher-weight", "0.25"),
    ("--anchor-weight", "0.125"),
    ("--temperature", "3.0"),
    ("--normalise", "samples"),
    ("--classifier-rate", "0.75"),
    ("--teacher-rate", "0.625"),
    ("--adapt-decay", "cosine"),
    ("--adapt-start", "0.375"),
];

fn recipes() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../recipes");
    let mut files: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// A small run on a few images of which the recipe stays in `run`.
fn trained() -> Workspace {
    let workspace = Workspace::new();
    fashion_mnist(&workspace.path("fashion"), 200, 20);
    let train = "train --model resnet8 --data fashion-mnist:fashion --epochs 1 --batch 16 --max-steps 4 --out run";
    workspace.run(train).text();
    workspace
}

fn same_run(workspace: &Workspace, one: &str, other: &str) {
    for file in ["recipe.toml", "best/weights.safetensors"] {
        let [one, other] = [one, other].map(|run| workspace.read(format!("{run}/{file}")));
        assert!(one == other, "{file}");
    }
}

#[test]
fn every_shipped_recipe_says_what_it_is_and_resolves() {
    let workspace = Workspace::new();
    cifar10(&workspace.path("ten"), 10, 10);
    cifar100(&workspace.path("hundred"), 100, 100);
    workspace.write("teacher.pth", "its digest is all that is asked for");
    let files = recipes();
    assert!(files.len() >= 8, "{files:?}");
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&file).unwrap();
        let head: Vec<_> = text.lines().take_while(|line| line.starts_with('#')).collect();
        says(
            &head.join(" "),
            &["Source: ", "Takes ", &format!("--recipe recipes/{name}")],
        );

        let mut layers = Layers::training().unwrap();
        layers.file(&file).unwrap_or_else(|error| panic!("{error}"));
        let mut changes = Vec::new();
        let mut change = |key: &str, value: PathBuf| {
            let value = value.to_str().unwrap();
            changes.push(Setting::new(Origin::KeyFlag("--set".to_owned()), key, value));
        };
        // a recipe that says input and classes resolves without its images
        for (prefix, kind, directory) in [
            ("cifar10-", "cifar10", "ten"),
            ("cifar100-", "cifar100", "hundred"),
            ("imagenet-", "folder", "thousand"),
        ] {
            if name.starts_with(prefix) {
                let path = workspace.path(directory).display().to_string();
                change("data", format!("{kind}:{path}").into());
            }
        }
        if !layers.teachers().0.is_empty() {
            change("distillation.teachers.0.weights", workspace.path("teacher.pth"));
        }
        layers.settings(changes).unwrap();
        let recipe = layers.resolve().unwrap_or_else(|error| panic!("{name}: {error}"));
        recipe.check().unwrap();
    }
}

#[test]
fn a_run_is_made_again_from_its_recipe() {
    let workspace = trained();
    workspace.run("train --recipe run/recipe.toml --out again").text();
    same_run(&workspace, "run", "again");

    let distill = "distill --recipe run/recipe.toml --student resnet8 --teacher resnet8 \
        --teacher-weights run/best/weights.safetensors --factor 4 --adapt-start 0 --out student";
    workspace.run(distill).text();
    for command in ["train", "distill"] {
        workspace
            .run(&format!("{command} --recipe student/recipe.toml --out {command}"))
            .text();
        same_run(&workspace, "student", command);
    }
    let alone = "distill --recipe student/recipe.toml --method alone --out alone";
    workspace.run(alone).text();
    same_run(&workspace, "run", "alone");
    // the same flags by their keys
    let set = "train --data fashion-mnist:fashion --set network=resnet8 --set epochs=1 --set batch=16 --set max_steps=4 \
        --set distillation.teachers=[{network=\"resnet8\",weights=\"run/best/weights.safetensors\"}] \
        --set distillation.method.factor=4 --set distillation.method.adaptation={start=0} --out set";
    workspace.run(set).text();
    same_run(&workspace, "student", "set");

    // the run has another teacher now
    workspace
        .run("train --recipe run/recipe.toml --seed 1 --out run")
        .text();
    let line = workspace.refused("train --recipe student/recipe.toml --out again");
    let expected = "run/best/weights.safetensors: expected the checkpoint that the recipe was made with, SHA-256 ";
    says(&line, &[expected]);
    let weights = "--teacher-weights run/best/weights.safetensors";
    workspace
        .run(&format!("distill --recipe student/recipe.toml {weights} --out again"))
        .text();
}

#[test]
fn what_a_recipe_says_wrong_is_one_line() {
    let workspace = trained();
    for (text, line) in [
        ("epoch = 1", "x.toml: unknown key `epoch`, did you mean `epochs`?"),
        (
            "[schedule]\nlearnin_rate = 1",
            "x.toml: unknown key `schedule.learnin_rate`, did you mean `schedule.learning_rate`?",
        ),
        (
            "epochs = \"many\"",
            "x.toml: epochs: expected an integer, 0 or more, got \"many\"",
        ),
        ("epochs = 0", "x.toml: epochs: expected 1 to 100000, got 0"),
        (
            "classes = 7",
            "--data: expected [1, 28, 28] images of 7 classes, got [1, 28, 28] images of 10 classes",
        ),
        (
            "network = \"resnet9\"",
            "unknown network \"resnet9\", did you mean \"resnet8\"? (`askd-compile list networks` names all)",
        ),
    ] {
        workspace.write("x.toml", text);
        let model = if text.starts_with("network") {
            ""
        } else {
            "--model resnet8"
        };
        let arguments = format!("train --recipe x.toml {model} --data fashion-mnist:fashion --out new");
        assert_eq!(workspace.refused(&arguments), format!("error: {line}"));
    }
    let run = "--recipe run/recipe.toml --out new";
    for (arguments, line) in [
        (
            format!("train {run} --set epoch=1"),
            "--set: unknown key `epoch`, did you mean `epochs`?",
        ),
        (
            format!("train {run} --set epochs"),
            "--set: expected KEY=VALUE, got \"epochs\"",
        ),
        (
            format!("train {run} --set batch=0"),
            "--set batch: expected 1 to 65536, got 0",
        ),
        (
            format!("train {run} --milestones 1"),
            "--milestones: unknown key `schedule.decay.milestones` with schedule.decay.kind = \"cosine\", \
             did you mean `schedule.decay.kind`?",
        ),
        (
            format!("distill {run} --method alone --factor 2"),
            "--factor: expected no setting of a method with method alone, got 2",
        ),
        (
            format!("distill {run} --method simkd --factor 4 --max-overhead params:5%"),
            "--max-overhead: expected no factor beside it: it chooses one, got \"params:5%\"",
        ),
        (
            format!("distill {run} --method simkd --max-overhead 5%"),
            "--max-overhead: expected params:PERCENT%, macs:PERCENT% or latency:PERCENT%, got \"5%\"",
        ),
        (
            format!("distill {run} --method kd --max-overhead params:5%"),
            "--max-overhead: unknown key `distillation.method.max_overhead` with distillation.method.name = \"kd\", \
             did you mean `distillation.method.name`?",
        ),
        (
            format!("distill {run} --teacher resnet8"),
            "--teacher-weights: expected one for each teacher (resnet8), got 0 for 1",
        ),
        (
            format!("distill {run} --teacher resnet8 --teacher-weights a --teacher-weights b"),
            "--teacher-weights: expected one for each teacher (resnet8), got 2 for 1",
        ),
        (
            "train --recipe absent.toml --out new".to_owned(),
            "absent.toml: No such file or directory (os error 2)",
        ),
        (
            "train --model resnet8 --out new".to_owned(),
            "data: expected a data set, by --data or in a recipe, got none",
        ),
    ] {
        assert_eq!(workspace.refused(&arguments), format!("error: {line}"));
    }
}

/// A key of the page: its name, its flags, and its defaults by variant.
type Documented = (String, Vec<String>, Vec<(String, String)>);

/// The rows of docs/recipes.md that have flags: key, flags, and defaults with the head's names for them.
fn documented() -> Vec<Documented> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/recipes.md");
    let page = fs::read_to_string(page).unwrap();
    let (mut head, mut rows) = (Vec::new(), Vec::new());
    for line in page.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<String> = line
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.replace('`', "").trim().to_owned())
            .collect();
        if cells[0] == "key" {
            head = cells;
        } else if head.len() == cells.len() && cells[1].starts_with("--") && !cells[0].starts_with('-') {
            let flags = cells[1].split(", ").map(str::to_owned).collect();
            let defaults = head.iter().cloned().zip(cells.clone()).take(cells.len() - 1).skip(2);
            rows.push((cells[0].clone(), flags, defaults.collect()));
        }
    }
    rows
}

#[test]
fn help_tells_the_defaults_of_the_page() {
    let workspace = Workspace::new();
    let help = ["train", "distill"]
        .map(|command| workspace.run(&format!("{command} --help")).text())
        .concat();
    let told = |flag: &str| -> String {
        let lines = help.lines().map(str::trim);
        let mut lines = lines
            .skip_while(|line| line.split([' ', '[', '=']).next() != Some(flag))
            .peekable();
        assert!(lines.next().is_some(), "no {flag}");
        lines
            .take_while(|line| !line.starts_with('-'))
            .collect::<Vec<_>>()
            .join(" ")
    };
    let rows = documented();
    assert!(rows.len() > 35, "{rows:?}");
    for (key, flags, defaults) in rows {
        let Some((_, default)) = defaults
            .iter()
            .find(|(variant, default)| variant != "official-code" && default != "–")
        else {
            continue;
        };
        for flag in flags
            .iter()
            .filter(|flag| !["--no-flip", "--milestones"].contains(&flag.as_str()))
        {
            let text = told(flag);
            assert!(
                text.contains(&format!("[default: {default}")),
                "{flag}, {key}: {default} is not in: {text}"
            );
            for (variant, other) in defaults
                .iter()
                .filter(|(variant, other)| variant == "simkd" && other != default)
            {
                assert!(text.contains(&format!("{other} for {variant}")), "{flag}: {text}");
            }
        }
    }
}

#[test]
fn flags_set_the_keys_of_the_page() {
    let workspace = trained();
    let given: Vec<_> = FLAGS.iter().chain(&METHOD_FLAGS).collect();
    let arguments: Vec<_> = given.iter().map(|(flag, value)| format!("{flag}={value}")).collect();
    let arguments = format!("distill {} --nesterov --no-flip --out all", arguments.join(" "));
    workspace.run(&arguments).text();
    let recipe: Table = toml::from_str(&String::from_utf8(workspace.read("all/recipe.toml")).unwrap()).unwrap();
    let at = |key: &str| {
        let mut parts = key.split('.');
        let first = &recipe[parts.next().unwrap()];
        parts.fold(first, |value, part| match value {
            Value::Array(elements) => &elements[0][part],
            value => &value[part],
        })
    };
    let mut seen = Vec::new();
    for (key, flags, defaults) in documented() {
        // of a flag that several methods have, the row of the method that is run here
        let here = defaults
            .iter()
            .any(|(variant, _)| ["default", "step", "atsc", "simkd"].contains(&variant.as_str()));
        for (flag, value) in given
            .iter()
            .filter(|(flag, _)| here && flags.iter().any(|documented| documented == flag))
        {
            let set = at(&key).to_string().replace(['"', '[', ']', ' '], "");
            let numbers = |text: &str| {
                text.split(',')
                    .map(|part| part.parse::<f64>().ok())
                    .collect::<Option<Vec<_>>>()
            };
            assert!(
                set == *value || numbers(&set).is_some_and(|set| Some(set) == numbers(value)),
                "{flag} {value}: {set}"
            );
            seen.push(*flag);
        }
    }
    let unseen: Vec<_> = given.iter().filter(|(flag, _)| !seen.contains(flag)).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
    assert_eq!(
        (at("optimizer.nesterov"), at("augmentation.horizontal_flip")),
        (&true.into(), &false.into())
    );
}
