//! The pilot: its flags, and its way with trainings of a few steps. With whole trainings it takes minutes: `make pilot`.

use askd_tests::Workspace;
use serde_json::Value;

#[test]
fn its_help_names_seeds_and_output() {
    let help = Workspace::new().run("pilot --help").text();
    for flag in ["--seed <", "--seeds <", "--out <", "--resume", "out/pilot"] {
        assert!(help.contains(flag), "{flag}: {help}");
    }
}

#[test]
fn a_number_of_seeds_it_cannot_do_is_refused_at_once() {
    let workspace = Workspace::new();
    for seeds in ["0", "101"] {
        let line = workspace.refused(&format!("pilot --seeds {seeds}"));
        assert_eq!(line, format!("error: --seeds: expected 1 to 100, got {seeds}"));
    }
    workspace.write("file", "");
    assert!(workspace.refused("pilot --out file/pilot").contains("file/pilot"));
    assert!(workspace.refused("pilot --device cuda:0").contains("cuda:0"));
}

/// A number at a JSON pointer.
fn number(report: &Value, pointer: &str) -> f64 {
    let found = report.pointer(pointer).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("no number at {pointer} in {report}"))
}

#[test]
fn its_report_has_every_figure_and_its_bundle_runs() {
    let workspace = Workspace::new();
    let printed = workspace
        .run("pilot --max-steps 12 --seeds 2 --seed 5 --out p --json")
        .json();
    let report = workspace.read_json("p/report.json");
    assert_eq!(printed, report);

    assert_eq!(report["dataset"]["name"], "fashion-mnist");
    for (part, images) in [("train", 9000), ("validation", 1000), ("test", 2000)] {
        assert_eq!(report["dataset"][format!("{part}_images")], images);
    }
    for model in ["teacher", "student_alone", "student_atsc"] {
        assert!((0.0..=100.0).contains(&number(&report, &format!("/{model}/top1"))));
        for cost in ["parameters", "macs", "bytes"] {
            assert!(number(&report, &format!("/{model}/{cost}")) > 0.0, "{model} {cost}");
        }
    }
    // the student's own head is replaced by the teacher's, of the same size here, so the projector is all that is added
    for cost in ["parameters", "macs"] {
        let [alone, atsc] = ["student_alone", "student_atsc"].map(|model| number(&report, &format!("/{model}/{cost}")));
        assert_eq!(atsc - alone, number(&report, &format!("/projector/{cost}")), "{cost}");
    }
    for cost in ["parameters", "macs"] {
        let alone = number(&report, &format!("/student_alone/{cost}"));
        let share = 100.0 * number(&report, &format!("/projector/{cost}")) / alone;
        let told = number(&report, &format!("/projector/{cost}_percent"));
        assert!((told - share).abs() < 1e-9, "{cost}: {told}");
    }
    assert_eq!(report["parity"]["images"], 2000);
    assert_eq!(report["parity"]["top1_agreement"], 100.0);
    assert!(number(&report, "/parity/max_abs_diff") <= 1e-4, "{report}");
    assert_eq!(report["runtime"]["top1"], report["student_atsc"]["top1"]);
    let latencies = ["p50_ms", "p90_ms", "p99_ms"].map(|name| number(&report, &format!("/runtime/{name}")));
    assert!(latencies.is_sorted() && latencies[0] > 0.0, "{latencies:?}");
    for stage in ["teacher", "student_alone", "student_atsc", "export", "runtime", "total"] {
        assert!(number(&report, &format!("/seconds/{stage}")) > 0.0, "{stage}");
    }

    let spread = &report["over_seeds"];
    assert_eq!(spread["seeds"], serde_json::json!([5, 6]));
    for figure in ["teacher", "student_alone", "student_atsc", "gain"] {
        let values = [0, 1].map(|seed| number(spread, &format!("/{figure}/values/{seed}")));
        let (mean, half) = ((values[0] + values[1]) / 2.0, (values[0] - values[1]).abs() / 2.0);
        assert!((number(spread, &format!("/{figure}/mean")) - mean).abs() < 1e-9);
        // two values lie half their distance from the mean; over n - 1
        assert!((number(spread, &format!("/{figure}/std")) - half * 2f64.sqrt()).abs() < 1e-9);
    }

    let page = String::from_utf8(workspace.read("p/report.html")).unwrap();
    assert_eq!(askd_page::fault(&page), None);
    let alone = number(&report, "/over_seeds/student_alone/mean");
    assert!(page.contains(&format!("over {alone:.2} % alone")), "{alone}");

    let evaluated = workspace.run("eval p/student.askd --data fashion-mnist --json").json();
    assert_eq!(evaluated["top1"], report["runtime"]["top1"]);
}
