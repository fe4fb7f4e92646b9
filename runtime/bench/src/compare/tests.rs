use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::run::Block;
use crate::run::tests::report;

/// Two reports on disk, of runs that took these times in microseconds, after `change` has been at the second as JSON.
fn reports(before: u64, after: u64, change: impl FnOnce(&mut Value)) -> (TempDir, Demand) {
    let folder = tempfile::tempdir().unwrap();
    let demand = Demand {
        before: folder.path().join("before.json"),
        after: folder.path().join("after.json"),
        margin: 2.0,
        other_model: false,
    };
    let times = |time: u64| (0..1000).map(move |run| 1000 * time * if run % 50 == 49 { 3 } else { 1 });
    fs::write(&demand.before, serde_json::to_string(&report(times(before))).unwrap()).unwrap();
    let mut json = serde_json::to_value(report(times(after))).unwrap();
    change(&mut json);
    fs::write(&demand.after, json.to_string()).unwrap();
    (folder, demand)
}

#[test]
fn verdicts_follow_the_interval_and_the_margin() {
    let compared = |after| {
        let (_folder, demand) = reports(1000, after, |_| {});
        compare(&demand).unwrap()
    };
    let same = compared(1000);
    assert_eq!(
        (same.verdict, same.exit_code, same.notes.len()),
        (Verdict::NoDifference, 0, 0)
    );
    assert_eq!(
        (same.p50.ratio.value, same.p50.before_ms, same.p99.before_ms),
        (1.0, 1.0, 3.0)
    );
    let slower = compared(1100);
    assert_eq!(
        (slower.verdict, slower.exit_code, slower.p50.verdict),
        (Verdict::Slower, 3, Verdict::Slower)
    );
    assert!((slower.p50.ratio.value - 1.1).abs() < 2e-3 && (slower.p99.ratio.value - 1.1).abs() < 2e-3);
    assert_eq!((compared(900).verdict, compared(900).exit_code), (Verdict::Faster, 0));
    // within the margin of 2 %
    assert_eq!(compared(1015).verdict, Verdict::NoDifference);
    let text = slower.to_string();
    assert!(text.contains("verdict: slower") && text.contains("1.100"), "{text}");
}

#[test]
fn a_longer_tail_alone_is_slower() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, stall: u64| {
        let path = folder.path().join(name);
        let times = (0..1000).map(|run| if run % 40 == 39 { stall } else { 1_000_000 });
        fs::write(&path, serde_json::to_string(&report(times)).unwrap()).unwrap();
        path
    };
    let demand = Demand {
        before: write("a", 2_000_000),
        after: write("b", 5_000_000),
        margin: 2.0,
        other_model: false,
    };
    let found = compare(&demand).unwrap();
    assert_eq!(
        (found.p50.verdict, found.p99.verdict),
        (Verdict::NoDifference, Verdict::Slower)
    );
    assert_eq!(found.verdict, Verdict::Slower);
}

#[test]
fn what_else_differs_is_noted_and_other_models_are_refused() {
    let (_folder, mut demand) = reports(1000, 1000, |json| {
        json["model"]["sha256"] = "1".repeat(64).into();
        json["settings"]["threads"] = 4.into();
        json["marks"] = serde_json::json!([{"kind": "warm-up", "strict": true, "text": "it\nhad not settled"}]);
    });
    let error = compare(&demand).unwrap_err().to_string();
    assert!(
        error.starts_with("models: expected the same ONNX bytes") && error.contains("--other-model"),
        "{error}"
    );
    demand.other_model = true;
    let notes = compare(&demand).unwrap().notes;
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert_eq!(notes[1], "threads: 1 before, 4 after");
    assert_eq!(notes[2], "marked after, warm-up: it\\nhad not settled");
}

#[test]
fn what_is_no_report_is_refused_in_a_line() {
    let refused = |change: fn(&mut Value)| {
        let (_folder, demand) = reports(1000, 1000, change);
        let error = compare(&demand).unwrap_err().to_string();
        assert!(!error.contains('\n'), "{error}");
        error
    };
    assert!(refused(|json| json["schema"] = 9.into()).ends_with("schema: expected 1, got 9"));
    assert!(refused(|json| json["latency_ms"] = Value::Null).contains("expected a report of `askd-bench run`"));
    assert!(refused(|json| *json = "x".into()).contains("expected a report"));
    assert!(
        refused(|json| json["blocks"][3]["hdr_v2_base64"] = "AAAA".into())
            .contains("blocks: expected an HDR histogram")
    );
    assert!(refused(|json| json["blocks"][3]["runs"] = 7.into()).ends_with("got Some(20) of 7 runs"));
    assert!(refused(|json| json["blocks"] = Value::Array(vec![])).ends_with("expected runs in both reports, got none"));
    let (_folder, mut demand) = reports(1, 1, |_| {});
    demand.before = "/nowhere.json".into();
    assert!(compare(&demand).unwrap_err().to_string().starts_with("/nowhere.json: "));
}

#[test]
fn a_damaged_histogram_is_refused_and_nothing_worse() {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use hdrhistogram::serialization::{Serializer, V2Serializer};
    use rand::{Rng, SeedableRng};

    let mut histogram = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 50_000_000, 3).unwrap();
    (1..500).for_each(|time| histogram.record(time * 100_000).unwrap());
    let mut whole = Vec::new();
    V2Serializer::new().serialize(&histogram, &mut whole).unwrap();
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(0);
    for _ in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..bytes.len());
            bytes[at] = random.random();
        }
        bytes.truncate(random.random_range(0..=2 * bytes.len()));
        let block = Block {
            runs: 499,
            seconds: 1.0,
            hdr_v2_base64: STANDARD.encode(bytes),
        };
        let _ = super::read::latencies(&block);
    }
}
