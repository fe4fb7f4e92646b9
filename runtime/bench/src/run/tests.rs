//! A report for tests of what reads reports.

use super::statistics;
use super::*;

/// A report of runs that took so many nanoseconds, back to back.
pub(crate) fn report(nanoseconds: impl IntoIterator<Item = u64>) -> RunReport {
    let mut now = 0;
    let run = |time| {
        let begun = now;
        now += time;
        Sample {
            due: begun,
            begun,
            prepared: begun,
            inferred: now,
            done: now,
        }
    };
    let samples: Vec<_> = nanoseconds.into_iter().map(run).collect();
    RunReport {
        schema: SCHEMA,
        tool: Tool {
            name: "askd-bench".into(),
            version: "0.0.0".into(),
        },
        started: "2026-01-01T00:00:00Z".into(),
        command: vec!["askd-bench".into(), "run".into()],
        exit_code: 0,
        model: ModelFacts {
            path: "student.askd".into(),
            network: Some("resnet8".into()),
            variant: Some("fp32".into()),
            precision: Some("fp32".into()),
            parameters: Some(1),
            macs: Some(2),
            accuracy: Vec::new(),
            sha256: "0".repeat(64),
            bytes: 3,
            input: InputFacts {
                name: "image".into(),
                data_type: "f32".into(),
                shape: [3, 32, 32],
            },
            classes: 10,
            images: ImageFacts {
                source: "golden".into(),
                count: 16,
                height: 32,
                width: 32,
                note: String::new(),
            },
        },
        settings: Settings {
            scenario: Scenario::BackToBack,
            rate: None,
            burst: 1,
            streams: 1,
            threads: 1,
            cores: None,
            priority: None,
            provider: "cpu".into(),
            provider_used: "cpu".into(),
            preset: None,
            min_seconds: 0.0,
            min_runs: 1,
            warm_up_limit_seconds: 1.0,
            strict: false,
        },
        engine: EngineInUse {
            library: "libonnxruntime.so".into(),
            version: None,
        },
        warm_up: WarmUp {
            runs: 1,
            seconds: 0.5,
            stable: true,
        },
        runs: statistics::count(&samples),
        latency_ms: statistics::latency(&samples),
        throughput: statistics::throughput(&samples),
        stages_ms: statistics::stages(&samples, &Arrivals::BackToBack, true),
        cold_start_ms: None,
        cold_start: None,
        memory: MemoryUse {
            rss_bytes: None,
            peak_bytes: None,
            growth_bytes: None,
            samples_bytes: 0,
        },
        machine: MachineState {
            governor: None,
            board: None,
            cpu: None,
            cores_online: None,
            cores_allowed: None,
            memory_bytes: None,
            os: None,
            kernel: None,
            jetson: None,
            record: None,
        },
        marks: Vec::new(),
        histogram: statistics::histogram(&samples),
        blocks: statistics::blocks(&samples),
        timeline: statistics::timeline(&samples),
        overhead_ns: 90.0,
        profile: None,
    }
}

#[test]
fn what_a_report_brings_reaches_no_terminal() {
    let mut report = report((0..100).map(|_| 1_500_000));
    let hostile = || "a\u{1b}[2J\nb".to_owned();
    report.model.path = hostile();
    report.model.variant = Some(hostile());
    report.model.images.source = hostile();
    report.settings.provider_used = hostile();
    report.engine.version = Some(hostile());
    report.machine.cpu = Some(hostile());
    report.machine.cores_allowed = Some(hostile());
    report.machine.governor = Some(hostile());
    report.marks.push(Mark {
        kind: hostile(),
        strict: true,
        text: hostile(),
    });
    let text = report.to_string();
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
    assert_eq!(text.matches("a\\u{1b}[2J\\nb").count(), 10, "{text}");
}

#[test]
fn a_table_says_what_is_not_known() {
    let text = report((0..100).map(|_| 1_500_000)).to_string();
    for told in [
        "student.askd, fp32: back to back, 1 thread, 1 stream, cpu",
        "governor not readable",
        "1.500",
        "666.67 images a second",
    ] {
        assert!(text.contains(told), "{told} in {text}");
    }
    assert!(
        text.contains("memory: not readable resident") && !text.contains("cold start"),
        "{text}"
    );
}
