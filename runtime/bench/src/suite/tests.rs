use super::*;
use crate::run::Mark;
use crate::run::tests::report;

fn entry(model: &str, threads: u16) -> Entry {
    Entry {
        model: model.into(),
        variant: None,
        threads,
    }
}

#[test]
fn every_run_is_a_row_and_failures_are_told() {
    let mut told = Vec::new();
    let entries = vec![entry("/models/a.askd", 1), entry("b|c.onnx", 2)];
    let command = vec!["askd-bench".to_owned(), "suite".to_owned()];
    let mut runner = |entry: &Entry| match entry.threads {
        1 => {
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
    let suite = run(entries, command, &mut runner, &mut |line| told.push(line.to_owned()));
    assert_eq!(
        told,
        ["1 of 2: /models/a.askd, 1 thread", "2 of 2: b|c.onnx, 2 threads"]
    );
    assert_eq!((suite.exit_code, suite.rows.len()), (4, 2));
    let text = suite.to_string();
    for line in [
        "# Inference on an unnamed machine",
        "| Governor | not readable |",
        "| a.askd | fp32 | fp32 | 1 | 2 | 1 | 2.000 (marked) | 2.000 | 2.000 | 2.000 | 500.0 | 12.3 | - | - |",
        "| b\\|c.onnx | - | - | - | - | 2 | - | - | - | - | - | - | - | - |",
        "- /models/a.askd, 1 thread: conditions not met, clock: it fell",
        "- b\\|c.onnx, 2 threads: did not run: it broke",
        "askd-bench suite",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let table: Vec<_> = text.lines().filter(|line| columns(line) > 3).map(columns).collect();
    assert_eq!(table, [15; 4]);
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
    let found = entries(&list, &machine).unwrap();
    assert_eq!(found, [entry("a.onnx", 1), entry("a.onnx", 2), entry("b.onnx", 4)]);
}
