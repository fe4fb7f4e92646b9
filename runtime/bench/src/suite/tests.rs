use std::fs;

use super::*;
use crate::run::Mark;
use crate::run::tests::report;

/// A run that is to be made.
fn planned(model: &str, threads: u16) -> Row {
    Row {
        entry: Entry {
            model: model.into(),
            variant: None,
            threads,
        },
        report: None,
        failure: None,
    }
}

#[test]
fn every_run_is_a_row_and_failures_are_told() {
    let mut told = Vec::new();
    let refused = Row {
        failure: Some("no variant".to_owned()),
        ..planned("d.askd", 3)
    };
    let plan = vec![planned("/models/a.askd", 1), planned("b|c.onnx", 2), refused];
    let command = vec!["askd-bench".to_owned(), "suite".to_owned()];
    let mut runner = |number, entry: &Entry| match entry.threads {
        1 => {
            assert_eq!(number, 1);
            let mut report = report((0..100).map(|_| 2_000_000));
            report.cold_start_ms = Some(12.34);
            report.marks.push(Mark {
                kind: "clock".into(),
                strict: true,
                text: "it fell".into(),
            });
            Ok(report)
        }
        _ => Err("it broke".to_owned()),
    };
    let suite = run(plan, command, &mut runner, &mut |line| told.push(line.to_owned()));
    assert_eq!(
        told,
        [
            "1 of 3: /models/a.askd, 1 thread",
            "2 of 3: b|c.onnx, 2 threads",
            "3 of 3: d.askd, 3 threads: not run: no variant"
        ]
    );
    assert_eq!((suite.exit_code, suite.rows.len()), (4, 3));
    let text = suite.to_string();
    for line in [
        "# Inference on an unnamed machine",
        "| Governor | not readable |",
        "| a.askd | fp32 | fp32 | 1 | 2 | 1 | 2.000 (marked) | 2.000 | 2.000 | 2.000 | 500.0 | 12.3 | - | - |",
        "| b\\|c.onnx | - | - | - | - | 2 | - | - | - | - | - | - | - | - |",
        "- /models/a.askd, 1 thread: conditions not met, clock: it fell",
        "- b\\|c.onnx, 2 threads: did not run: it broke",
        "- d.askd, 3 threads: did not run: no variant",
        "askd-bench suite",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let table: Vec<_> = text.lines().filter(|line| columns(line) > 3).map(columns).collect();
    assert_eq!(table, [15; 5]);
}

#[test]
fn a_plain_file_has_no_variants() {
    let machine = Machine::read(Path::new("/nowhere"));
    let model = |path: &str, threads| Listed {
        threads,
        ..Listed::of(path.into())
    };
    let list = List {
        threads: vec![1, 2],
        models: vec![model("a.onnx", None), model("b.onnx", Some(vec![4]))],
    };
    let found = plan(&list, &machine).unwrap();
    assert_eq!(
        found,
        [planned("a.onnx", 1), planned("a.onnx", 2), planned("b.onnx", 4)]
    );
}

#[test]
fn a_model_that_no_variant_suits_stays_in_the_table() {
    let machine = Machine::read(Path::new("/nowhere"));
    let folder = tempfile::tempdir().unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity.askd/askd.json");
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(fixture).unwrap()).unwrap();
    for variant in manifest["variants"].as_array_mut().unwrap() {
        variant["target"] = "jetson-tensorrt".into();
    }
    fs::write(folder.path().join("askd.json"), manifest.to_string()).unwrap();
    let mut list = List {
        threads: vec![1, 2],
        models: vec![Listed::of(folder.path().to_owned())],
    };
    let found = plan(&list, &machine).unwrap();
    assert_eq!((found.len(), &found[0].entry.variant), (2, &None));
    let failure = found[0].failure.as_ref().unwrap();
    assert!(
        failure.starts_with("expected a variant for such a machine, got fp32 for jetson-tensorrt"),
        "{failure}"
    );
    let suite = run(found, Vec::new(), &mut |_, _| unreachable!(), &mut |_| {});
    assert_eq!((suite.exit_code, suite.rows.len()), (4, 2));
    // by name it is run, whatever it was made for
    list.models[0].variants = Some(vec!["fp32".to_owned()]);
    assert!(plan(&list, &machine).unwrap().iter().all(|row| row.failure.is_none()));
}

#[test]
fn what_reports_tell_breaks_neither_table_nor_command() {
    let mut runner = |_, _: &Entry| {
        let mut report = report((0..100).map(|_| 2_000_000));
        report.machine.board = Some("board | of\n# two lines".into());
        report.model.variant = Some("fp32|`x`\n".into());
        report.settings.provider_used = "cpu|\ncuda".into();
        Ok(report)
    };
    let command = ["askd-bench", "suite", "two words.askd", "a\n```\n# b.askd"].map(str::to_owned);
    let text = run(vec![planned("a.askd", 1)], command.to_vec(), &mut runner, &mut |_| {}).to_string();
    for line in [
        "# Inference on board \\| of \\# two lines",
        "| Board | board \\| of \\# two lines |",
        "| Engine | ONNX Runtime of no known version, cpu\\| cuda |",
        "| a.askd | fp32\\|\\`x\\`  | fp32 | 1 | 2 | 1 | 2.000 | 2.000 | 2.000 | 2.000 | 500.0 | - | - | - |",
        "askd-bench suite 'two words.askd' $'a\\u000a```\\u000a# b.askd'",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
}
