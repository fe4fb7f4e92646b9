//! What TensorBoard is told is what `metrics.jsonl` says, once a step, however often a run was stopped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use askd_tests::{Outcome, Workspace, fashion_mnist};
use serde_json::Value;

const TRAIN: &str = "train --model resnet8 --data fashion-mnist:fashion --epochs 3 --batch 2";
const DISTILL: &str = "distill --teacher resnet8 --teacher-weights teacher/best/weights.safetensors --student resnet8 \
    --data fashion-mnist:fashion --epochs 3 --batch 2 --adapt-start 0.5";

/// One event with scalars: its step, and the values by tag.
type Event = (u64, BTreeMap<String, f64>);

/// A workspace for runs of 36 steps an epoch.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    fashion_mnist(&workspace.path("fashion"), 80, 20);
    workspace
}

/// The one event file of a run.
fn event_file(workspace: &Workspace, run: &str) -> PathBuf {
    let dir = workspace.path(run).join("tensorboard");
    let mut files = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let file = files.next().unwrap();
    assert_eq!(files.next(), None);
    let name = file.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("events.out.tfevents."), "{name}");
    file
}

/// What a run has told, read by a program that shares no line with the one that wrote it.
fn events(python: &Path, workspace: &Workspace, run: &str) -> Vec<Event> {
    let mut command = Command::new(python);
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_events.py");
    command.arg(reader).arg(event_file(workspace, run));
    let text = Outcome::of(command).text();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events[0]["file_version"], "brain.Event:2");
    // SessionLog.START, at which TensorBoard forgets what it read from an older file
    assert_eq!(
        (&events[1]["session_status"], &events[1]["step"]),
        (&1.into(), &0.into())
    );
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
    let mut last = (now - 600.0, 0);
    let told = events.iter().map(|event| {
        let at = (event["wall_time"].as_f64().unwrap(), event["step"].as_u64().unwrap());
        assert!(
            last.0 <= at.0 && at.0 <= now && last.1 <= at.1,
            "{event} after {last:?}"
        );
        last = at;
        let scalars = event["scalars"].as_object();
        let scalars = scalars.into_iter().flatten();
        (
            at.1,
            scalars
                .map(|(tag, value)| (tag.clone(), value.as_f64().unwrap()))
                .collect(),
        )
    });
    told.skip(2).collect()
}

/// The same without what differs from run to run.
fn without_pace(mut events: Vec<Event>) -> Vec<Event> {
    let pace = ["epoch/images_per_second", "epoch/data_wait_share"];
    let mut removed = 0;
    for (_, scalars) in &mut events {
        removed += pace.iter().filter_map(|tag| scalars.remove(*tag)).count();
    }
    assert_eq!(removed, 2 * 3);
    events
}

/// The event that an epoch's record should have become.
fn expected(record: &Value) -> Event {
    let mut scalars = BTreeMap::new();
    let mut add = |group: &str, key: &str, value: &Value| {
        let value = f64::from(value.as_f64().unwrap() as f32);
        assert_eq!(scalars.insert(format!("{group}/{key}"), value), None);
    };
    for (key, value) in record.as_object().unwrap() {
        match (key.as_str(), value) {
            ("epoch" | "step", _) | (_, Value::Null) => {}
            ("terms", Value::Object(terms)) => terms.iter().for_each(|(key, value)| add("epoch", key, value)),
            (group, Value::Object(evaluation)) => {
                let told = evaluation.iter().filter(|(key, _)| *key != "images");
                told.for_each(|(key, value)| add(group, key, value));
            }
            (key, value) => add("epoch", key, value),
        }
    }
    (record["step"].as_u64().unwrap(), scalars)
}

fn records(workspace: &Workspace, run: &str) -> Vec<Value> {
    let metrics = String::from_utf8(workspace.read(format!("{run}/metrics.jsonl"))).unwrap();
    metrics
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The interpreter that `make test` names.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("ASKD_PYTHON").filter(|python| !python.is_empty());
    if python.is_none() {
        eprintln!("SKIPPED: ASKD_PYTHON names no Python");
    }
    python.map(PathBuf::from)
}

#[test]
fn epochs_and_every_fiftieth_step_are_told() {
    let Some(python) = python() else { return };
    let workspace = workspace();
    workspace.run(&format!("{TRAIN} --out teacher")).text();
    workspace.run(&format!("{DISTILL} --out run")).text();
    for (run, terms) in [
        ("teacher", vec![]),
        (
            "run",
            vec![
                "anchor_distance",
                "feature_loss",
                "student_ce",
                "teacher_ce",
                "teacher_variance",
            ],
        ),
    ] {
        let told = events(&python, &workspace, run);
        let steps: Vec<u64> = told.iter().map(|(step, _)| *step).collect();
        assert_eq!(steps, [0, 36, 50, 72, 100, 108]);
        let records = records(&workspace, run);
        let epochs = [1, 3, 5].map(|index| told[index].clone());
        assert_eq!(epochs.to_vec(), records.iter().map(expected).collect::<Vec<_>>());
        // the last steps adapt the teacher, so every term is there
        let mut tags = vec!["learning_rate", "loss", "train_top1"];
        tags.extend(&terms);
        let mut tags: Vec<String> = tags.into_iter().map(|tag| format!("step/{tag}")).collect();
        tags.sort();
        assert_eq!(told[4].1.keys().cloned().collect::<Vec<_>>(), tags);
        let adapted = told[5].1.contains_key("teacher_validation/top1");
        assert_eq!(adapted, run == "run");
        assert!((told[0].1["step/learning_rate"] - 0.05).abs() < 1e-8, "{told:?}");
    }
}

#[test]
fn a_resumed_run_tells_every_step_once() {
    let Some(python) = python() else { return };
    let workspace = workspace();
    workspace.run(&format!("{TRAIN} --out whole")).text();
    let whole = without_pace(events(&python, &workspace, "whole"));

    let arguments = format!("{TRAIN} --checkpoint-seconds 0 --out broken");
    let mut child = workspace.command(&arguments).spawn().unwrap();
    let newest = || {
        let entries = std::fs::read_dir(workspace.path("broken/checkpoints"));
        let files = entries.into_iter().flatten().map(|entry| entry.unwrap().path());
        files.filter(|path| path.to_str().unwrap().ends_with("tensors")).max()
    };
    // past the second step that is told of, and before the third
    let reached = workspace.path("broken/checkpoints/step-000000060.safetensors");
    while newest() < Some(reached.clone()) {
        assert_eq!(child.try_wait().unwrap(), None, "the run has ended too early");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // it told a step that no checkpoint knows of, and part of another
    let file = event_file(&workspace, "broken");
    let mut bytes = std::fs::read(&file).unwrap();
    let first = bytes[..100].to_vec();
    bytes.extend(first);
    std::fs::write(&file, bytes).unwrap();

    workspace.run(&format!("{arguments} --resume")).text();
    assert_eq!(without_pace(events(&python, &workspace, "broken")), whole);
    // back to the end of the second epoch
    std::fs::write(newest().unwrap(), "garbage").unwrap();
    workspace.run(&format!("{arguments} --resume")).text();
    assert_eq!(without_pace(events(&python, &workspace, "broken")), whole);
    // afresh: nothing of the old run is told
    workspace.run(&format!("{TRAIN} --out broken")).text();
    assert_eq!(without_pace(events(&python, &workspace, "broken")), whole);
}
