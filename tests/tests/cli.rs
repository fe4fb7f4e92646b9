//! The command line's surface: what it lists, how it explains itself, how it refuses to be used.

use askd_compiler::weights::save_safetensors;
use askd_models::{NetworkConfig, build};
use askd_tests::{Workspace, random_weights};

const COMMANDS: [&str; 9] = [
    "pilot", "list", "train", "distill", "estimate", "eval", "export", "verify", "inspect",
];

/// Source: the published tables of arXiv:2406.08528's networks, as its code counts them at K=100, 32x32 pixels.
const PUBLISHED: [(&str, u64, u64); 14] = [
    ("resnet8x4", 1_233_540, 177_071_104),
    ("resnet14x4", 2_783_620, 403_563_520),
    ("resnet32x4", 7_433_860, 1_083_040_768),
    ("resnet38x4", 8_983_940, 1_309_533_184),
    ("resnet14x2", 703_732, 101_118_464),
    ("resnet38x2", 2_255_604, 327_610_880),
    ("resnet110x2", 6_911_220, 1_007_088_128),
    ("resnet38", 569_972, 83_286_272),
    ("resnet110", 1_736_564, 253_155_584),
    ("resnet116", 1_833_780, 267_311_360),
    ("vgg8", 3_965_028, 96_192_512),
    ("vgg13", 9_462_180, 284_936_192),
    ("mobilenetv2_0.5", 812_836, 6_523_648),
    ("mobilenetv2_1.0", 2_353_060, 22_381_056),
];

const OPTION_A: [&str; 7] = [
    "resnet8",
    "resnet14",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet110a",
];

#[test]
fn networks_are_listed_with_their_published_counts() {
    let workspace = Workspace::new();
    let listed = workspace.run("list networks --json").json();
    let rows = listed.as_array().unwrap();
    let row = |name: &str| {
        let mut found = rows.iter().filter(|row| row["name"] == name);
        let row = found.next().unwrap_or_else(|| panic!("{name} is not listed"));
        assert!(found.next().is_none(), "{name} is listed twice");
        assert_eq!(row.as_object().unwrap().len(), 3, "{row}");
        (row["parameters"].as_u64().unwrap(), row["macs"].as_u64().unwrap())
    };
    for (name, parameters, macs) in PUBLISHED {
        assert_eq!(row(name), (parameters, macs), "{name}");
    }
    let sizes = OPTION_A.map(row);
    assert!(sizes.is_sorted() && sizes[0].0 > 0, "{sizes:?}");

    let text = workspace.run("list networks").text();
    for name in PUBLISHED.map(|row| row.0).into_iter().chain(OPTION_A) {
        assert!(
            text.lines().any(|line| line.split_whitespace().next() == Some(name)),
            "{name}"
        );
    }
}

#[test]
fn methods_are_listed_with_what_they_are() {
    let workspace = Workspace::new();
    let listed = workspace.run("list methods --json").json();
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|row| &row["name"]).collect();
    let expected = "alone, kd, fitnet, at, sp, vid, crd, srrl, semckd, simkd, dkd, dml, aver, ebkd, ca-mkd, atsc";
    assert_eq!(names, expected.split(", ").collect::<Vec<_>>());
    let text = workspace.run("list methods").text();
    for row in listed.as_array().unwrap() {
        let (name, description) = (row["name"].as_str().unwrap(), row["description"].as_str().unwrap());
        assert!(!description.is_empty(), "{name}");
        assert!(text.contains(name) && text.contains(description), "{text}");
    }
}

#[test]
fn every_command_explains_itself_with_an_example() {
    let workspace = Workspace::new();
    let overview = workspace.run("--help").text();
    for command in COMMANDS {
        assert!(
            overview.lines().any(|line| line.trim_start().starts_with(command)),
            "{command}"
        );
        let help = workspace.run(&format!("{command} --help")).text();
        let (_, example) = help
            .split_once("Example")
            .unwrap_or_else(|| panic!("{command}: {help}"));
        assert!(
            example.contains(&format!("askd-compile {command} ")),
            "{command}: {example}"
        );
        assert!(help.contains("--json"), "{command}");
    }
    for command in ["estimate train", "estimate distill"] {
        let help = workspace.run(&format!("{command} --help")).text();
        assert!(
            help.contains(&format!("Example: askd-compile {command} ")) && help.contains("--epochs"),
            "{command}: {help}"
        );
    }
}

#[test]
fn wrong_usage_ends_with_exit_code_2() {
    let workspace = Workspace::new();
    for arguments in [
        "",
        "compile",
        "list",
        "list cats",
        "train --model resnet8",
        "train --model resnet8 --data fashion-mnist --out run --epochs many",
        "distill --student resnet8 --data fashion-mnist --out run",
        "eval --data fashion-mnist",
        "eval --model resnet8 --data fashion-mnist",
        "eval bundle.askd --model resnet8 --weights x.pth --data fashion-mnist",
        "export run",
        "export run --batch-dim 2 --out x.askd",
        "export --model resnet8 --weights x.pth --out x.askd",
        "verify",
    ] {
        let outcome = workspace.run(arguments);
        assert_eq!(
            (outcome.code, outcome.stdout.as_str()),
            (Some(2), ""),
            "{arguments}: {outcome:?}"
        );
        assert!(!outcome.stderr.is_empty(), "{arguments}");
        assert!(workspace.entries().is_empty(), "{arguments}");
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    use std::io::Read;
    use std::process::Stdio;
    let mut child = Workspace::new()
        .command("list networks")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert!(child.wait().unwrap().success() && errors.is_empty(), "{errors}");
}

/// Training waits for the end of a step to write a checkpoint; nothing else has a reason to wait.
#[cfg(unix)]
#[test]
fn a_signal_ends_an_evaluation_at_once() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    let workspace = Workspace::new();
    let graph = build("resnet110", &NetworkConfig::new([1, 28, 28], 10)).unwrap();
    save_safetensors(&workspace.path("w.safetensors"), &random_weights(&graph, 1), None).unwrap();
    let mut child = workspace
        .command("eval --model resnet110 --weights w.safetensors --data fashion-mnist --threads 1")
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_secs(1));
    assert!(child.try_wait().unwrap().is_none(), "evaluated before the signal");
    let started = Instant::now();
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), None);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
}
