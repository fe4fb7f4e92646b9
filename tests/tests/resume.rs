//! Runs that are stopped and go on end with the same bits as runs that are not.

#![cfg(unix)]

mod damaged;
mod full_disk;
mod killed;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use askd_tests::{Outcome, Workspace, fashion_mnist};
use serde_json::Value;

const TRAIN: &str = "train --model resnet8 --data fashion-mnist:fashion --epochs 3 --batch 8";
const DISTILL: &str = "distill --teacher resnet8 --teacher-weights teacher/best/weights.safetensors --student resnet8 \
    --method atsc --data fashion-mnist:fashion --epochs 3 --batch 8";

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    // an epoch long enough that a signal meant for it does not come after it
    fashion_mnist(&workspace.path("fashion"), 800, 50);
    workspace
}

/// A workspace for runs of 9 steps an epoch, which take a moment.
fn small_workspace() -> Workspace {
    let workspace = Workspace::new();
    fashion_mnist(&workspace.path("fashion"), 80, 20);
    workspace
}

/// Temporary files that killed writes have left in a run directory.
fn leftovers(workspace: &Workspace, run: &str) -> usize {
    let run = workspace.path(run);
    let entries = workspace.entries().into_iter().filter(|path| path.starts_with(&run));
    let names = entries.filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
    names.filter(|name| name.starts_with('.')).count()
}

/// Steps of the checkpoints that are there, oldest first.
fn checkpoints(workspace: &Workspace, run: &str) -> Vec<usize> {
    let Ok(entries) = fs::read_dir(workspace.path(run).join("checkpoints")) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let step = |name: String| name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok();
    let mut steps: Vec<usize> = names.filter_map(step).collect();
    steps.sort_unstable();
    steps
}

/// Starts a run and waits until its first epoch has a checkpoint.
fn start(workspace: &Workspace, arguments: &str, run: &str) -> Child {
    let mut command = workspace.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(300);
    while checkpoints(workspace, run).is_empty() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "the run ended before its first checkpoint"
        );
        assert!(Instant::now() < deadline, "no checkpoint after five minutes");
        sleep(Duration::from_millis(2));
    }
    child
}

/// Everything a run leaves that is not a time: best weights, result, records, and how long its one event file is.
fn results(workspace: &Workspace, run: &str) -> (Vec<u8>, Value, Vec<Value>, usize) {
    let without = |mut value: Value, key: &str| {
        value
            .as_object_mut()
            .unwrap()
            .remove(key)
            .unwrap_or_else(|| panic!("no {key}"));
        value
    };
    let events = workspace.path(run).join("tensorboard");
    let mut event_files = workspace.entries();
    event_files.retain(|path| path.starts_with(&events) && *path != events);
    assert_eq!(event_files.len(), 1, "{event_files:?}");
    let metrics = String::from_utf8(workspace.read(format!("{run}/metrics.jsonl"))).unwrap();
    let epochs = metrics.lines().map(|line| serde_json::from_str(line).unwrap());
    (
        workspace.read(format!("{run}/best/weights.safetensors")),
        without(workspace.read_json(format!("{run}/result.json")), "seconds"),
        epochs
            .map(|epoch| without(without(epoch, "images_per_second"), "data_wait_share"))
            .collect(),
        workspace.read(event_files.remove(0)).len(),
    )
}

fn steps_of_first_epoch(metrics: &[Value]) -> usize {
    metrics[0]["step"].as_u64().unwrap() as usize
}

fn terminated_and_resumed(workspace: &Workspace, arguments: &str) {
    workspace.run(&format!("{arguments} --out whole")).text();
    let whole = results(workspace, "whole");
    assert_eq!(whole.2.len(), 3);
    let epoch = steps_of_first_epoch(&whole.2);

    let broken = format!("{arguments} --out broken");
    let child = start(workspace, &broken, "broken");
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(killed.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let outcome = Outcome {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    assert_eq!(
        outcome.error(1),
        "error: interrupted, resume with: --resume --out broken"
    );
    let last = *checkpoints(workspace, "broken").last().unwrap();
    assert!(
        last > epoch && !last.is_multiple_of(epoch),
        "stopped at step {last}, not within an epoch"
    );
    assert!(!workspace.path("broken/result.json").exists());

    workspace.run(&format!("{broken} --resume")).text();
    assert!(results(workspace, "broken") == whole, "stopped at step {last}");
}

fn killed_and_resumed(workspace: &Workspace, arguments: &str) {
    workspace.run(&format!("{arguments} --out whole")).text();
    let broken = format!("{arguments} --out broken");
    let mut child = start(workspace, &broken, "broken");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!workspace.path("broken/result.json").exists());
    workspace.run(&format!("{broken} --resume")).text();
    assert!(results(workspace, "broken") == results(workspace, "whole"));
    // a run that has ended stays as it is
    workspace.run(&format!("{broken} --resume")).text();
    assert!(results(workspace, "broken") == results(workspace, "whole"));
}

fn with_teacher() -> Workspace {
    let workspace = workspace();
    let arguments = TRAIN.replace("--epochs 3", "--epochs 1");
    workspace.run(&format!("{arguments} --out teacher")).text();
    workspace
}

#[test]
fn training_terminated_within_an_epoch_goes_on_to_the_same_bits() {
    terminated_and_resumed(&workspace(), TRAIN);
}

#[test]
fn distillation_terminated_within_an_epoch_goes_on_to_the_same_bits() {
    terminated_and_resumed(&with_teacher(), DISTILL);
}

#[test]
fn training_killed_goes_on_to_the_same_bits() {
    // without validation images the last epoch is the best, and no epoch's accuracy is stored
    killed_and_resumed(&workspace(), &format!("{TRAIN} --validation 0"));
}

#[test]
fn distillation_killed_goes_on_to_the_same_bits() {
    killed_and_resumed(&with_teacher(), DISTILL);
}

#[test]
fn a_run_is_not_resumed_with_another_recipe() {
    let workspace = workspace();
    let arguments = "train --model resnet8 --data fashion-mnist:fashion --epochs 1 --batch 16 --max-steps 2 --out run";
    workspace.run(arguments).text();
    let before = results(&workspace, "run");
    for (from, to, difference) in [
        (
            "--batch 16",
            "--batch 32",
            "`batch = 32` where the run has `batch = 16`",
        ),
        (
            "--max-steps 2",
            "--max-steps 3",
            "`max_steps = 3` where the run has `max_steps = 2`",
        ),
        (
            "resnet8",
            "resnet14",
            "`network = \"resnet14\"` where the run has `network = \"resnet8\"`",
        ),
        (
            "--epochs",
            "--seed 5 --epochs",
            "`seed = 5` where the run has `seed = 0`",
        ),
        (
            "--epochs",
            "--no-flip --epochs",
            "`horizontal_flip = false` where the run has `horizontal_flip = true`",
        ),
    ] {
        let line = workspace.refused(&format!("{} --resume", arguments.replacen(from, to, 1)));
        assert_eq!(
            line,
            format!("error: --resume: expected the recipe of the run in --out, got {difference}")
        );
    }
    // what only one of the two recipes has
    let line = workspace.refused(&format!("{} --resume", arguments.replace("--max-steps 2", "")));
    assert!(line.ends_with("where the run has `max_steps = 2`"), "{line}");
    let distill = arguments.replace(
        "train --model resnet8",
        "distill --method simkd --teacher resnet8 --teacher-weights run/best/weights.safetensors --student resnet8",
    );
    let line = workspace.refused(&format!("{distill} --resume"));
    assert!(line.ends_with("`[distillation]` where the run has `nothing`"), "{line}");
    assert!(results(&workspace, "run") == before);
}

#[test]
fn values_that_are_not_finite_stop_a_run_and_leave_its_last_checkpoint() {
    let workspace = workspace();
    // the second epoch's rate is beyond all reason
    let arguments = "train --model resnet8 --data fashion-mnist:fashion --epochs 3 --batch 8 --lr 0.05 \
        --schedule step --milestones 1 --lr-factor 1e30 --out run";
    let outcome = workspace.run(arguments);
    let line = outcome.error(1).to_owned();
    let (_, after) = line
        .split_once(" is not finite at step ")
        .unwrap_or_else(|| panic!("{line}"));
    let (step, layer) = after.split_once(" in \"").unwrap_or_else(|| panic!("{line}"));
    let (layer, _) = layer.split_once('"').unwrap();
    let step: usize = step.parse().unwrap();
    let metrics: Value = serde_json::from_slice(&workspace.read("run/metrics.jsonl")).unwrap();
    let epoch = steps_of_first_epoch(&[metrics]);
    assert!((epoch..2 * epoch).contains(&step), "{line}");
    let model = askd_models::build("resnet8", &askd_models::NetworkConfig::new([1, 28, 28], 10)).unwrap();
    let layer = layer.trim_end_matches(" of resnet8");
    let known = |name: &str| {
        model
            .nodes()
            .iter()
            .any(|node| name == node.name || name.starts_with(&format!("{}.", node.name)))
    };
    assert!(known(layer), "{line}");

    assert_eq!(checkpoints(&workspace, "run"), [epoch]);
    assert!(!workspace.path("run/result.json").exists());
    // it can be resumed: to the same end, from the first epoch's weights
    let best = workspace.read("run/best/weights.safetensors");
    let again = workspace.run(&format!("{arguments} --resume"));
    assert_eq!(again.error(1), line);
    assert!(!again.stderr.contains("epoch 1 "), "{}", again.stderr);
    assert_eq!(workspace.read("run/best/weights.safetensors"), best);
}
