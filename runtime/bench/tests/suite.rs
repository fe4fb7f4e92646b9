//! `askd-bench suite` and `askd-bench compare` as programs: tables and verdicts over runs.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use askd_bench::run::RunReport;
use askd_runtime::Batch;
use common::{DYNAMIC, FIXED, bundle, require_engine};
use serde_json::Value;

fn bench<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Output {
    common::command(env!("CARGO_BIN_EXE_askd-bench"))
        .args(args)
        .output()
        .unwrap()
}

/// Flags of the shortest measurement.
const QUICK: [&str; 3] = ["--min-seconds=0", "--min-runs=100", "--warm-up=0.1"];

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Whether the program under test can start itself, as a suite does; says where it cannot.
fn starts_itself() -> bool {
    let native = common::emulator().is_empty();
    if !native {
        eprintln!("skipped: an emulated program cannot start itself");
    }
    native
}

#[test]
fn a_suite_writes_the_boards_table() {
    require_engine();
    if !starts_itself() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let two_variants = bundle(FIXED, Batch::One, |manifest, _| {
        manifest.variants[0].accuracy = vec![askd_runtime::Accuracy {
            data: "letters".into(),
            split: "test".into(),
            images: 100,
            top1: 71.25,
            top5: 90.0,
        }];
        let mut other = manifest.variants[0].clone();
        (other.name, other.target) = ("elsewhere".into(), "jetson-tensorrt".into());
        manifest.variants.push(other);
    });
    fs::rename(two_variants.path(), folder.path().join("a.askd")).unwrap();
    fs::write(folder.path().join("b.onnx"), DYNAMIC).unwrap();
    fs::write(folder.path().join("c.onnx"), "no model").unwrap();
    let list = folder.path().join("suite.toml");
    let models = "threads = [1, 2]\n[[models]]\npath = \"a.askd\"\n[[models]]\npath = \"b.onnx\"\nthreads = [1]\n";
    fs::write(&list, models).unwrap();
    let [table, reports] = ["board.md", "runs"].map(|name| folder.path().join(name));
    let mut args = vec![
        OsStr::new("suite"),
        list.as_os_str(),
        OsStr::new("--out"),
        table.as_os_str(),
    ];
    args.extend([OsStr::new("--reports"), reports.as_os_str()]);
    args.extend(QUICK.map(OsStr::new));
    let output = bench(&args);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let table = fs::read_to_string(table).unwrap();
    assert_eq!(table.trim_end(), text(&output.stdout).trim_end());
    let rows: Vec<_> = table
        .lines()
        .filter(|line| line.starts_with("| a.askd") || line.starts_with("| b.onnx"))
        .collect();
    // the variant for another machine is left out
    assert!(
        rows.len() == 3 && rows[0].starts_with("| a.askd | fp32 | fp32 | 31 | 204 | 1 |"),
        "{table}"
    );
    assert!(
        rows[0].ends_with("| 71.25 |") && rows[2].starts_with("| b.onnx | - | - | - | - | 1 |"),
        "{table}"
    );
    for (number, threads) in [("01", 1), ("02", 2), ("03", 1)] {
        let report = fs::read(reports.join(format!("{number}.json"))).unwrap();
        let report: RunReport = serde_json::from_slice(&report).unwrap();
        assert_eq!(report.settings.threads, threads);
        assert!(report.cold_start_ms.is_some());
    }

    let broken = folder.path().join("c.onnx");
    let output = bench([OsStr::new("suite"), broken.as_os_str(), OsStr::new("--json")]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &json["exit_code"]), (Some(4), &4.into()));
    assert!(
        json["rows"][0]["failure"].as_str().unwrap().starts_with("onnx model: "),
        "{json:#}"
    );

    // a model that has no variant for such a machine is told of, and is no success
    let elsewhere = bundle(FIXED, Batch::One, |manifest, _| {
        manifest.variants[0].target = "jetson-tensorrt".into()
    });
    let suite = |json: &[&str]| {
        let args = [OsStr::new("suite"), elsewhere.path().as_os_str()];
        bench(args.into_iter().chain(json.iter().map(OsStr::new)))
    };
    let output = suite(&["--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &json["exit_code"]), (Some(4), &4.into()));
    let failure = json["rows"][0]["failure"].as_str().unwrap();
    assert!(
        failure.ends_with("got fp32 for jetson-tensorrt; name one with --variants to run it all the same"),
        "{failure}"
    );
    let output = suite(&[]);
    assert!(text(&output.stdout).contains("1 thread: did not run: expected a variant for such a machine"));
    assert!(text(&output.stderr).contains("1 of 1: ") && output.status.code() == Some(4));

    let output = bench([OsStr::new("suite"), OsStr::new("/nowhere.toml")]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    let no_such = [
        "suite",
        folder.path().join("a.askd").to_str().unwrap(),
        "--variants",
        "int4",
    ]
    .map(str::to_owned);
    assert_eq!(bench(no_such).status.code(), Some(2));
}

#[test]
fn an_interrupted_suite_keeps_the_reports_that_it_has() {
    require_engine();
    if !starts_itself() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [model, reports] = ["a.onnx", "runs"].map(|name| folder.path().join(name));
    fs::write(&model, FIXED).unwrap();
    let mut suite = common::command(env!("CARGO_BIN_EXE_askd-bench"))
        .arg("suite")
        .arg(&model)
        .args([
            "--threads=1,2,1",
            "--min-seconds=1",
            "--min-runs=1",
            "--warm-up=0.1",
            "--reports",
        ])
        .arg(&reports)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !reports.join("01.json").exists() && begun.elapsed() < Duration::from_secs(60) {
        thread::sleep(Duration::from_millis(10));
    }
    // two runs of a second or longer are still to come
    assert_eq!(suite.try_wait().unwrap(), None);
    suite.kill().unwrap();
    suite.wait().unwrap();
    let names: Vec<_> = fs::read_dir(&reports)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["01.json"]);
    let report = fs::read(reports.join("01.json")).unwrap();
    assert!(serde_json::from_slice::<RunReport>(&report).is_ok());
}

#[test]
fn a_report_that_cannot_be_kept_costs_no_other() {
    require_engine();
    if !starts_itself() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [model, reports] = ["a.onnx", "runs"].map(|name| folder.path().join(name));
    fs::write(&model, FIXED).unwrap();
    // something else is where the second report is to be
    fs::create_dir_all(reports.join("02.json").join("x")).unwrap();
    let mut args = vec![OsStr::new("suite"), model.as_os_str(), OsStr::new("--threads=1,2,1")];
    args.extend([OsStr::new("--json"), OsStr::new("--reports"), reports.as_os_str()]);
    args.extend(QUICK.map(OsStr::new));
    let output = bench(args);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &json["exit_code"]), (Some(2), &2.into()));
    assert_eq!(json["rows"].as_array().unwrap().len(), 3);
    let stderr = text(&output.stderr);
    let error = stderr.lines().find(|line| line.starts_with("error: ")).unwrap();
    assert!(error.contains("02.json"), "{error}");
    assert!(reports.join("01.json").is_file() && reports.join("03.json").is_file());
}

#[test]
fn a_run_is_compared_with_another() {
    require_engine();
    let folder = tempfile::tempdir().unwrap();
    let made = bundle(FIXED, Batch::One, |_, _| {});
    let report = |name: &str| {
        let path = folder.path().join(name);
        let args = [
            OsStr::new("run"),
            made.path().as_os_str(),
            OsStr::new("--no-cold-start"),
            OsStr::new("--out"),
            path.as_os_str(),
        ];
        let output = bench(args.into_iter().chain(QUICK.map(OsStr::new)));
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        path
    };
    let (before, after) = (report("a.json"), report("b.json"));
    let compare = |after: &Path, args: &[&str]| {
        let paths = [OsStr::new("compare"), before.as_os_str(), after.as_os_str()];
        bench(paths.into_iter().chain(args.iter().map(OsStr::new)))
    };
    // which one is faster is for the machine to say, but not what follows from it
    let output = compare(&after, &["--json"]);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = if json["verdict"] == "slower" { 3 } else { 0 };
    assert_eq!(
        (output.status.code(), &json["exit_code"]),
        (Some(expected), &expected.into())
    );
    // nothing differs from itself
    let output = compare(&before, &[]);
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("verdict: no difference shown"));

    // the same runs, as if of another model
    let mut json: Value = serde_json::from_slice(&fs::read(&after).unwrap()).unwrap();
    json["model"]["sha256"] = "0".repeat(64).into();
    fs::write(&after, json.to_string()).unwrap();
    let output = compare(&after, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).starts_with("error: models: expected the same ONNX bytes"));
    assert_ne!(compare(&after, &["--other-model"]).status.code(), Some(2));
    assert_eq!(compare(Path::new("/nowhere"), &[]).status.code(), Some(2));
}
