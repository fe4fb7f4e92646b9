//! `askd-bench run` as a program: what it measures, prints and writes, and how it ends.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use askd_bench::run::RunReport;
use askd_runtime::{Batch, sha256_hex};
use common::{DYNAMIC, ELEMENTS, FIXED, PIXELS, bundle, bundle_of_pixels, images, require_engine};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

/// Arguments of the shortest measurement.
const QUICK: [&str; 4] = ["--min-seconds", "0", "--min-runs", "100"];
/// Argument of a warm-up that is over soon.
const WARM_UP: &str = "--warm-up=0.1";

fn run<S: AsRef<OsStr>>(model: &Path, args: impl IntoIterator<Item = S>) -> Output {
    command(model, args).output().unwrap()
}

fn command<S: AsRef<OsStr>>(model: &Path, args: impl IntoIterator<Item = S>) -> Command {
    let mut command = common::command(env!("CARGO_BIN_EXE_askd-bench"));
    let mut args: Vec<_> = args.into_iter().map(|arg| arg.as_ref().to_owned()).collect();
    if args.iter().all(|arg| !arg.to_string_lossy().starts_with("--warm-up")) {
        args.push(WARM_UP.into());
    }
    command.arg("run").arg(model).args(QUICK).args(args);
    command
}

/// The report as JSON, read back as what it is, and the exit code, which must be the one that the report tells.
fn report<'a>(model: &Path, args: impl IntoIterator<Item = &'a str>) -> (Value, RunReport, i32) {
    let output = run(model, args.into_iter().chain(["--json", "--no-cold-start"]));
    let text = String::from_utf8(output.stdout).unwrap();
    let json: Value = serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error} in {text}, {}", String::from_utf8_lossy(&output.stderr)));
    let report: RunReport = serde_json::from_str(&text).unwrap();
    assert_eq!(output.status.code(), Some(i32::from(report.exit_code)));
    (json, report, output.status.code().unwrap())
}

/// The one line that a refused call says, and its exit code.
fn refused<'a>(model: &Path, args: impl IntoIterator<Item = &'a str>) -> (String, i32) {
    let output = run(model, args);
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    let error = text.lines().find(|line| line.starts_with("error: "));
    (
        error.unwrap_or_else(|| panic!("{text}")).to_owned(),
        output.status.code().unwrap(),
    )
}

#[test]
fn a_bundle_is_measured_with_its_golden_images() {
    let engine = require_engine();
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let (json, report, code) = report(folder.path(), ["--threads", "2"]);
    assert_eq!((code, report.schema, report.runs.count), (0, 1, 100));
    for key in ["p50", "p90", "p95", "p99", "p999"] {
        assert!(json["latency_ms"][key].as_f64().unwrap() > 0.0, "{key}");
    }
    for key in ["rss_bytes", "peak_bytes"] {
        assert!(json["memory"][key].as_u64().unwrap() > 1 << 20, "{key}");
    }
    // a machine that does not tell has null there, but it has the key
    let governor = json["machine"].get("governor").unwrap();
    assert!(governor.is_null() || governor.as_str().is_some_and(|name| !name.is_empty()));
    assert_eq!(json.get("cold_start_ms"), Some(&Value::Null));

    let model = &report.model;
    assert_eq!(
        (model.variant.as_deref(), model.sha256.as_str()),
        (Some("fp32"), sha256_hex(FIXED).as_str())
    );
    assert_eq!(
        (model.images.source.as_str(), model.images.count, model.macs),
        ("golden", 2, Some(204))
    );
    assert_eq!(
        (report.settings.threads, report.settings.provider_used.as_str()),
        (2, "cpu")
    );
    assert_eq!(report.engine.version.as_deref(), engine.version());
    assert!(report.started.ends_with('Z') && report.command.iter().any(|word| word == "run"));

    let stages = report.stages_ms;
    let parts = [
        stages.preprocess.unwrap().mean,
        stages.inference.mean,
        stages.postprocess.unwrap().mean,
    ];
    assert!(
        parts.iter().all(|part| *part > 0.0) && stages.waiting.is_none(),
        "{stages:?}"
    );
    assert!((parts.iter().sum::<f64>() - report.latency_ms.mean).abs() < 1e-6);
    assert_eq!(report.blocks.iter().map(|block| block.runs).sum::<usize>(), 100);
    assert_eq!(
        report.histogram.buckets.iter().map(|bucket| bucket.count).sum::<u64>(),
        100
    );
    assert!(report.throughput.low <= report.throughput.per_second && report.overhead_ns > 0.0);
    let estimate = report.latency_ms.p90_early_stopping.unwrap();
    assert!(estimate >= report.latency_ms.p90 && estimate <= report.latency_ms.max);
}

#[test]
fn cold_starts_are_processes_of_their_own() {
    require_engine();
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let output = run(folder.path(), ["--json"]);
    let report: RunReport = serde_json::from_slice(&output.stdout).unwrap();
    let Some(start) = report.cold_start else {
        // an emulated program cannot start itself; then it says so
        assert!(!common::emulator().is_empty(), "{:?}", report.marks);
        assert!(report.marks.iter().any(|mark| mark.kind == "cold-start"));
        return;
    };
    assert_eq!((start.starts, report.cold_start_ms), (5, Some(start.total)));
    for part in [
        start.library_load,
        start.open,
        start.verify.unwrap(),
        start.session,
        start.first_run,
    ] {
        assert!(part > 0.0 && part < start.total, "{start:?}");
    }
}

#[test]
fn images_arrive_by_the_clock_together_and_in_streams() {
    require_engine();
    let folder = bundle(DYNAMIC, Batch::Dynamic, |_, _| {});
    let (json, report, _) = self::report(folder.path(), ["--rate", "1000"]);
    assert_eq!(json["settings"]["scenario"], "open-loop");
    // 100 images a thousandth of a second apart
    assert!(
        report.runs.seconds >= 0.099 && report.throughput.per_second < 1011.0,
        "{:?}",
        report.runs
    );
    assert!(report.stages_ms.waiting.is_some());

    let (json, report, _) = self::report(folder.path(), ["--rate", "2000", "--burst", "8"]);
    assert_eq!(json["settings"]["scenario"], "bursts");
    assert_eq!((report.runs.count, report.settings.burst), (104, 8));

    let (json, report, _) = self::report(folder.path(), ["--streams", "3"]);
    assert_eq!(
        (&json["settings"]["scenario"], report.settings.streams),
        (&"back-to-back".into(), 3)
    );
    assert!(report.runs.count >= 3 * 34);
}

#[test]
fn a_plain_onnx_file_is_measured_too() {
    require_engine();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    fs::write(&path, FIXED).unwrap();
    let (json, report, _) = report(&path, []);
    assert_eq!(
        (&json["model"]["variant"], &json["model"]["precision"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(report.model.images.source, "synthetic");
    assert!(report.model.images.note.starts_with("no pictures"));
    assert!(report.stages_ms.preprocess.is_none() && report.stages_ms.inference.p50 > 0.0);

    let file = folder.path().join("images.safetensors");
    let write = |shape: Vec<usize>, values: &[f32]| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let tensor = TensorView::new(Dtype::F32, shape, &bytes).unwrap();
        fs::write(&file, safetensors::serialize([("input", tensor)], None).unwrap()).unwrap();
    };
    let input = ["--input", file.to_str().unwrap()];
    write(vec![3, 3, 4, 4], &images(3));
    let (_, report, _) = self::report(&path, input);
    assert_eq!(
        (report.model.images.source.as_str(), report.model.images.count),
        ("file", 3)
    );

    write(vec![1, 3, 4, 5], &[0.0; 60]);
    let (error, code) = refused(&path, input);
    assert!(
        error.ends_with("expected F32 of shape [N, 3, 4, 4], got F32 of shape [1, 3, 4, 5]"),
        "{error}"
    );
    assert_eq!(code, 2);
    write(vec![1, 3, 4, 4], &[f32::NAN; ELEMENTS]);
    assert!(
        refused(&path, input)
            .0
            .ends_with("expected finite numbers, got NaN at element 0")
    );
    let (error, code) = refused(&path, ["--variant", "fp32"]);
    assert!(
        error.starts_with("error: --variant fp32: expected a bundle") && code == 2,
        "{error}"
    );
    assert_eq!(refused(&path, ["--frame", "8x8"]).1, 2);
}

#[test]
fn a_model_of_pixels_gets_pixels_and_a_frame_is_scaled_down() {
    require_engine();
    let folder = bundle_of_pixels(PIXELS, Batch::One, |_, _| {});
    let (_, report, _) = report(folder.path(), ["--frame", "48x64"]);
    let images = &report.model.images;
    assert_eq!(
        (images.height, images.width, report.model.input.data_type.as_str()),
        (48, 64, "u8")
    );
    assert!(report.stages_ms.preprocess.unwrap().p50 > 0.0);
}

#[test]
fn files_are_the_run() {
    require_engine();
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let target = tempfile::tempdir().unwrap();
    let [json, csv] = ["run.json", "run.csv"].map(|name| target.path().join(name));
    let args = [
        "--no-cold-start",
        "--out",
        json.to_str().unwrap(),
        "--csv",
        csv.to_str().unwrap(),
    ];
    let output = run(folder.path(), args);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("image to result") && text.contains("images a second"),
        "{text}"
    );
    let report: RunReport = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let csv = fs::read_to_string(csv).unwrap();
    let mut latencies: Vec<u64> = csv
        .lines()
        .skip(1)
        .map(|line| line.rsplit(',').next().unwrap().parse().unwrap())
        .collect();
    latencies.sort_unstable();
    assert_eq!(latencies.len(), 100);
    assert_eq!(
        (latencies[49] as f64 / 1e6, latencies[98] as f64 / 1e6),
        (report.latency_ms.p50, report.latency_ms.p99)
    );
    assert_eq!(fs::read_dir(target.path()).unwrap().count(), 2);
}

#[test]
fn conditions_that_are_not_met_are_marked_and_strict_refuses_them() {
    require_engine();
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    // no time to settle
    let (_, report, code) = report(folder.path(), ["--strict", "--warm-up=0"]);
    assert_eq!((code, report.warm_up.stable), (4, false));
    let mark = report.marks.iter().find(|mark| mark.kind == "warm-up").unwrap();
    assert!(mark.strict && mark.text.contains("had not settled"));
    assert_eq!(self::report(folder.path(), ["--warm-up=0"]).2, 0);
}

#[test]
fn what_cannot_be_measured_is_refused_in_a_line() {
    require_engine();
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let path = folder.path();
    for (args, told) in [
        (vec!["--variant", "int4"], "int4"),
        (
            vec!["--cores", "65535"],
            "error: --cores 65535: the system refuses it: ",
        ),
        (
            vec!["--cores", "0-1023"],
            "error: --cores 0-1023: expected processors that are switched on",
        ),
        (vec!["--cores", "fast"], "expected big, little, or numbers"),
        (vec!["--rate", "0"], "expected a number of 0.001"),
        (vec!["--out", "/nowhere/run.json"], "/nowhere/run.json"),
        (vec!["--frame", "0x5"], "expected HEIGHTxWIDTH"),
        (vec!["--input", "x"], "expected a plain ONNX file"),
    ] {
        let (error, code) = refused(path, args.clone());
        assert!(error.contains(told) && code == 2, "{args:?}: {error}, {code}");
    }
    assert_eq!(refused(Path::new("/nowhere"), []).1, 2);
    assert_eq!(run(path, ["--preset", "mlperf-single-stream"]).status.code(), Some(2));
    assert_eq!(refused(path, ["--library", "/nowhere.so"]).1, 4);
    let wrong = bundle(FIXED, Batch::One, |_, golden| {
        let output: Vec<f32> = golden.output().iter().map(|logit| logit + 1.0).collect();
        *golden = askd_runtime::GoldenData::new(golden.shape(), golden.input().to_vec(), output).unwrap();
    });
    assert_eq!(refused(wrong.path(), []).1, 3);
}

#[test]
fn processors_and_priority_are_set() {
    require_engine();
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let first = fs::read_to_string("/proc/self/status").unwrap();
    let allowed = first
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))
        .unwrap()
        .trim();
    let first: String = allowed.chars().take_while(char::is_ascii_digit).collect();
    let (_, report, _) = report(folder.path(), ["--cores", &first, "--priority", "19"]);
    assert_eq!(report.settings.cores.as_ref(), Some(&first));
    assert_eq!(
        (report.machine.cores_allowed.as_ref(), report.settings.priority),
        (Some(&first), Some(19))
    );
    let record = report.machine.record.unwrap();
    assert_eq!(record.cores, [first.parse::<u32>().unwrap()]);
    // the watcher runs elsewhere, if there is another processor
    assert_eq!(record.watcher.kept_to.is_some(), *allowed != first);
}

#[test]
fn the_machine_is_watched_and_the_nodes_are_profiled() {
    require_engine();
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let page = folder.path().join("run.html");
    let (json, report, _) = report(folder.path(), ["--profile", "--html", page.to_str().unwrap()]);
    let record = report.machine.record.unwrap();
    assert!(record.after.seconds >= record.before.seconds && !record.cores.is_empty());
    assert!(record.before.process.is_some() && record.spin.after > 0.0);
    for missing in ["temperatures", "power"] {
        // null where there is no sensor, and there all the same
        assert!(json["machine"]["record"]["before"].get(missing).is_some(), "{missing}");
    }
    let profile = report.profile.unwrap();
    assert_eq!(Some(profile.macs), report.model.macs);
    let text = fs::read_to_string(page).unwrap();
    assert!(
        text.contains("Nodes of the graph") && text.ends_with("</html>\n"),
        "{text}"
    );
}

#[test]
fn a_profile_that_fails_costs_the_profile_alone() {
    require_engine();
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let mut command = command(folder.path(), ["--profile", "--json", "--no-cold-start"]);
    // where ONNX Runtime is to write its profile
    let output = command.env("TMPDIR", "/nowhere").output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let report: RunReport = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((report.runs.count, report.profile), (100, None));
    let mark = report.marks.iter().find(|mark| mark.kind == "profile").unwrap();
    assert!(
        !mark.strict && mark.text.starts_with("the nodes were not timed: /nowhere"),
        "{}",
        mark.text
    );
}

#[test]
fn a_report_is_shown_again() {
    require_engine();
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let (json, page, again) = (
        folder.path().join("run.json"),
        folder.path().join("1.html"),
        folder.path().join("2.html"),
    );
    let args = [
        "--no-cold-start",
        "--out",
        json.to_str().unwrap(),
        "--html",
        page.to_str().unwrap(),
    ];
    let first = run(folder.path(), args);
    let show = |file: &Path| {
        let mut command = common::command(env!("CARGO_BIN_EXE_askd-bench"));
        command
            .arg("report")
            .arg(file)
            .arg("--html")
            .arg(&again)
            .output()
            .unwrap()
    };
    let second = show(&json);
    assert_eq!((second.status.code(), second.stdout), (Some(0), first.stdout));
    assert_eq!(fs::read(&page).unwrap(), fs::read(&again).unwrap());
    let wrong = show(&page);
    let error = String::from_utf8(wrong.stderr).unwrap();
    assert_eq!((wrong.status.code(), error.lines().count()), (Some(2), 1), "{error}");
}

/// Fields that are described as a whole: their own names are those of sensors, they may be empty, or they are like another.
const OPAQUE: [&str; 10] = [
    "machine.record.temperature_sensors",
    "machine.record.not_readable",
    "machine.record.before.temperatures",
    "machine.record.before.throttle.events",
    "machine.record.before.throttle.held_down",
    "machine.record.before.power",
    "machine.record.during",
    "machine.record.after",
    "machine.record.summary.watts",
    "machine.record.watcher.kept_to",
];

/// The paths of a value's leaves, `[]` for any element of an array.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        _ if OPAQUE.contains(&path) => drop(found.insert(path.to_owned())),
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                paths(value, &format!("{path}{dot}{name}"), found);
            }
        }
        Value::Array(elements) => {
            for element in elements {
                paths(element, &format!("{path}[]"), found);
            }
        }
        _ => drop(found.insert(path.to_owned())),
    }
}

/// The fields in the rows of docs/benchmarking.md.
fn described() -> BTreeSet<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/benchmarking.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page.split("## The report").nth(1).unwrap().lines();
    let mut found = BTreeSet::new();
    for row in rows.filter_map(|line| line.strip_prefix("| `")) {
        let mut parent = "";
        for name in row.split(" |").next().unwrap().split(", ") {
            let name = name.trim_matches('`');
            let path = match name.strip_prefix('.') {
                Some(name) => format!("{parent}.{name}"),
                None => {
                    parent = name.rsplit_once('.').map_or("", |(parent, _)| parent);
                    name.to_owned()
                }
            };
            assert!(found.insert(path), "{name} is described twice");
        }
    }
    found
}

#[test]
fn every_field_is_described_and_every_description_has_its_field() {
    require_engine();
    let folder = bundle(FIXED, Batch::One, |manifest, _| {
        manifest.variants[0].accuracy = vec![askd_runtime::Accuracy {
            data: "letters".into(),
            split: "test".into(),
            images: 100,
            top1: 70.0,
            top5: 90.0,
        }];
    });
    // not settled, for there to be a mark
    let output = run(folder.path(), ["--json", "--profile", "--rate=2000", "--warm-up=0"]);
    let mut found = BTreeSet::new();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    paths(&report, "", &mut found);
    let described = described();
    for path in &found {
        let above = |described: &String| described.starts_with(&format!("{path}."));
        assert!(
            described.contains(path) || described.iter().any(above),
            "{path} is not described"
        );
    }
    for path in &described {
        let is_null = |found: &String| path.starts_with(&format!("{found}."));
        assert!(
            found.contains(path) || found.iter().any(is_null),
            "{path} is described, and not in the report"
        );
    }
}
