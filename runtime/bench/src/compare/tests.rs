use std::fs;
use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::{Rng, SeedableRng};
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
fn another_state_of_the_machine_is_noted() {
    let jetson = |id, name| serde_json::json!({"l4t": "36.4.3", "jetpack": null, "power_mode": {"id": id, "name": name}, "gpu_clock_fixed": true});
    let (_folder, demand) = reports(1000, 1000, |json| {
        json["machine"]["board"] = "Jetson Orin Nano".into();
        json["machine"]["kernel"] = "5.15.148-tegra".into();
        json["machine"]["jetson"] = jetson(2, "MAXN");
        json["settings"]["scenario"] = "open-loop".into();
    });
    let expected = [
        "board: not told before, Jetson Orin Nano after",
        "power mode: not told before, 2 (MAXN) after",
        "kernel: not told before, 5.15.148-tegra after",
        "scenario: back-to-back before, open-loop after",
    ];
    assert_eq!(compare(&demand).unwrap().notes, expected);
    // of one machine in two modes, the mode is all that is told
    fs::copy(&demand.after, &demand.before).unwrap();
    let mut json: Value = serde_json::from_slice(&fs::read(&demand.after).unwrap()).unwrap();
    json["machine"]["jetson"] = jetson(1, "15W");
    fs::write(&demand.after, json.to_string()).unwrap();
    assert_eq!(
        compare(&demand).unwrap().notes,
        ["power mode: 2 (MAXN) before, 1 (15W) after"]
    );
}

/// A histogram as a report holds it, packed by hand: `change` has been at its 40 bytes of head and its counts.
fn packed(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    use flate2::Compression;
    use flate2::write::ZlibEncoder;
    use hdrhistogram::serialization::{Serializer, V2Serializer};

    let mut histogram = hdrhistogram::Histogram::<u64>::new_with_bounds(1, 50_000_000, 3).unwrap();
    (1..500).for_each(|time| histogram.record(time * 100_000).unwrap());
    let mut whole = Vec::new();
    V2Serializer::new().serialize(&histogram, &mut whole).unwrap();
    change(&mut whole);
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&whole).unwrap();
    let bytes = encoder.finish().unwrap();
    // the mark of a packed histogram, and the length
    let mut packed = 0x1c84_9314u32.to_be_bytes().to_vec();
    packed.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
    packed.extend(bytes);
    packed
}

/// What is read of a block of 499 runs.
fn latencies(histogram: &[u8]) -> Result<Vec<(u64, u64)>, String> {
    super::read::latencies(&Block {
        runs: 499,
        seconds: 1.0,
        hdr_v2_base64: STANDARD.encode(histogram),
    })
}

#[test]
fn a_histogram_is_read_as_it_was_recorded() {
    let found = latencies(&packed(|_| {})).unwrap();
    assert_eq!(
        (found.len(), found.iter().map(|(_, count)| count).sum::<u64>()),
        (499, 499)
    );
    for ((time, _), recorded) in found.iter().zip((1..500).map(|time| time * 100_000)) {
        assert!(time.abs_diff(recorded) * 1000 <= recorded, "{time} for {recorded}");
    }
}

#[test]
fn a_histogram_that_takes_more_memory_than_it_may_is_refused_at_once() {
    let length = |length: u32| packed(|bytes| bytes[4..8].copy_from_slice(&length.to_be_bytes()));
    let error = latencies(&length(u32::MAX)).unwrap_err();
    assert!(
        error.ends_with("bytes of counts where it tells of 4294967295"),
        "{error}"
    );
    // 64 MiB of nothing, in 64 KiB
    let error = latencies(&packed(|bytes| bytes.resize(64 << 20, 0))).unwrap_err();
    assert!(error.starts_with("1048536 bytes of counts where"), "{error}");
}

#[test]
fn a_damaged_histogram_is_refused_or_has_as_many_runs_as_its_block() {
    let whole = packed(|_| {});
    for length in 0..whole.len() {
        assert!(
            latencies(&whole[..length]).is_err(),
            "{length} of {} bytes",
            whole.len()
        );
    }
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(0);
    let (mut refused, mut read) = (0, 0);
    for case in 0..2000 {
        // half of them inside, where the checksum of the packed bytes is right
        let is_inside = case % 2 == 0;
        let mut damage = |bytes: &mut Vec<u8>| {
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..bytes.len());
                bytes[at] = random.random();
            }
        };
        let bytes = match is_inside {
            true => packed(damage),
            false => {
                let mut bytes = whole.clone();
                damage(&mut bytes);
                bytes
            }
        };
        match latencies(&bytes) {
            Err(error) => {
                assert!(!error.is_empty() && !error.contains('\n'), "{error}");
                refused += 1;
            }
            Ok(found) => {
                assert_eq!(found.iter().map(|(_, count)| count).sum::<u64>(), 499);
                assert!(found.iter().all(|(_, count)| *count > 0) && found.is_sorted());
                read += 1;
            }
        }
    }
    // a count of zeros that is another one moves times, which nothing can tell
    assert!(refused > 1500 && read > 0, "{refused} refused, {read} read");
}
