//! Contests among stand-ins for an engine, on a clock that only they move.

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;

use askd_runtime::{Accuracy, Missing, SCHEMA};
use serde_json::json;

use super::*;

pub(in crate::tune) fn recorded(split: &str, images: u64, top1: f64) -> Accuracy {
    Accuracy {
        data: "cifar100".into(),
        split: split.into(),
        images,
        top1,
        top5: 100.0,
    }
}

pub(in crate::tune) fn variant(name: &str, accuracy: Vec<Accuracy>) -> Variant {
    let value = json!({
        "name": name, "precision": name, "target": "any", "file": format!("model.{name}.onnx"), "size": 1,
        "sha256": "0".repeat(64), "opset": 17, "ir_version": 8, "batch": "1", "parameters": 1, "macs": 1,
        "peak_memory_bytes": 1, "accuracy": accuracy,
    });
    serde_json::from_value(value).unwrap()
}

/// A variant with top-1 of 70 % less `drop`.
fn accurate(name: &str, drop: f64) -> Variant {
    variant(name, vec![recorded("validation", 5000, 70.0 - drop)])
}

fn manifest(variants: Vec<Variant>) -> Manifest {
    let value = json!({
        "schema": SCHEMA, "sequence": 1, "device_class": "generic",
        "input": {
            "name": "image", "layout": "NCHW", "shape": [1, 4, 4], "mean": [0.0], "std": [1.0],
            "resize": { "method": "bilinear-antialias", "size": [4, 4] },
        },
        "output": { "name": "logits", "classes": 1 },
        "labels": ["cat"],
        "temperature": 1.0,
        "variants": variants,
        "golden": {
            "file": "golden.safetensors", "size": 1, "sha256": "0".repeat(64), "images": 1, "tolerance": 1e-4,
        },
    });
    Manifest::from_json(value.to_string().as_bytes()).unwrap()
}

/// How long the run takes that begins at a time since the start, both in microseconds.
type Pace = Box<dyn FnMut(u64) -> Result<u64, Error>>;

fn steady(microseconds: u64) -> Result<Pace, Error> {
    Ok(Box::new(move |_| Ok(microseconds)))
}

/// Holds a contest in which `start` gives each candidate its pace.
fn try_hold(
    variants: Vec<Variant>,
    threads: &[u16],
    start: impl Fn(&str, u16) -> Result<Pace, Error>,
) -> Result<Outcome, Error> {
    hold_on(&[Provider::Cpu], variants, threads, |name, _, threads| {
        start(name, threads)
    })
}

/// Holds one by several providers.
fn hold_on(
    providers: &[Provider],
    variants: Vec<Variant>,
    threads: &[u16],
    start: impl Fn(&str, Provider, u16) -> Result<Pace, Error>,
) -> Result<Outcome, Error> {
    let now = Rc::new(Cell::new(Duration::ZERO));
    let contest = Contest {
        manifest: &manifest(variants),
        providers,
        threads,
        max_drop: 0.5,
        plan: &Plan {
            min_time: Duration::from_secs(1),
            min_runs: 40,
            max_runs: 4000,
            warm_up_limit: Duration::from_secs(1),
        },
    };
    let mut started = |variant: &Variant, provider, threads: u16| {
        let (mut pace, now) = (start(&variant.name, provider, threads)?, Rc::clone(&now));
        Ok(Started {
            start: Start {
                open_ms: 1.0,
                session_ms: 2.0,
                first_run_ms: 3.0,
            },
            provider,
            self_test: GoldenFacts {
                images: 1,
                max_abs_diff: 0.0,
            },
            run: Box::new(move || {
                let time = pace(now.get().as_micros() as u64)?;
                now.set(now.get() + Duration::from_micros(time));
                Ok(())
            }),
        })
    };
    contest.hold(&mut started, &mut || now.get(), &mut |_| {})
}

/// The verdict on each candidate by its label, and the label of the one that is chosen.
fn hold(
    variants: Vec<Variant>,
    threads: &[u16],
    start: impl Fn(&str, u16) -> Result<Pace, Error>,
) -> (Vec<Candidate>, Option<String>) {
    let outcome = try_hold(variants, threads, start).unwrap();
    let chosen: Vec<_> = outcome
        .candidates
        .iter()
        .filter(|candidate| candidate.verdict == Verdict::Chosen)
        .map(Candidate::label)
        .collect();
    let named = outcome.chosen.map(|index| outcome.candidates[index].label());
    assert_eq!(named.iter().cloned().collect::<Vec<_>>(), chosen);
    (outcome.candidates, named)
}

fn verdicts(candidates: &[Candidate]) -> Vec<Verdict> {
    candidates.iter().map(|candidate| candidate.verdict).collect()
}

fn two() -> Vec<Variant> {
    vec![accurate("fp32", 0.0), accurate("int8", 0.2)]
}

#[test]
fn a_faster_variant_is_chosen() {
    let (candidates, chosen) = hold(two(), &[1], |name, _| steady(if name == "int8" { 300 } else { 1000 }));
    assert_eq!(chosen.as_deref(), Some("int8 at 1 thread"));
    assert_eq!(verdicts(&candidates), [Verdict::Accepted, Verdict::Chosen]);
    let latency = candidates[1].latency.unwrap();
    assert_eq!((latency.p50_ms, latency.p99_ms), (0.3, 0.3));
    let ratio = candidates[1].ratio.unwrap();
    assert_eq!((ratio.value, ratio.low, ratio.high), (0.3, 0.3, 0.3));
    assert_eq!(candidates[0].reason, "not shown to be faster than int8 at 1 thread");
}

#[test]
fn a_slower_variant_is_refused_with_the_figures() {
    let (candidates, chosen) = hold(two(), &[2], |name, _| steady(if name == "int8" { 1200 } else { 1000 }));
    assert_eq!(chosen.as_deref(), Some("fp32 at 2 threads"));
    assert_eq!(verdicts(&candidates), [Verdict::Chosen, Verdict::Slower]);
    assert_eq!(
        candidates[1].reason,
        "median 1.200 ms, fp32's 1.000 ms with 2 threads: ratio 1.200, 99 % interval 1.200 to 1.200"
    );
    assert_eq!(candidates[1].latency.unwrap().p50_ms, 1.2);
}

#[test]
fn where_no_difference_is_shown_the_reference_stays() {
    let (candidates, chosen) = hold(two(), &[1], |_, _| steady(1000));
    assert_eq!(chosen.as_deref(), Some("fp32 at 1 thread"));
    assert_eq!(verdicts(&candidates), [Verdict::Chosen, Verdict::NoDifference]);
}

#[test]
fn a_variant_may_be_faster_with_one_thread_and_slower_with_two() {
    let paces = |name: &str, threads| match (name, threads) {
        ("fp32", 1) => steady(3400),
        ("fp32", _) => steady(1800),
        (_, 1) => steady(2300),
        (_, _) => steady(1900),
    };
    let (candidates, chosen) = hold(two(), &[1, 2], paces);
    assert_eq!(chosen.as_deref(), Some("fp32 at 2 threads"));
    let expected = [Verdict::Accepted, Verdict::Chosen, Verdict::Accepted, Verdict::Slower];
    assert_eq!(verdicts(&candidates), expected);
}

#[test]
fn more_threads_are_taken_only_for_speed() {
    let (_, chosen) = hold(two(), &[1, 2, 4], |name, threads| match (name, threads) {
        ("fp32", 1) => steady(3000),
        ("fp32", _) => steady(2000),
        (_, 1) => steady(1000),
        (_, _) => steady(900),
    });
    assert_eq!(chosen.as_deref(), Some("int8 at 2 threads"));
    let (_, chosen) = hold(vec![accurate("fp32", 0.0)], &[1, 2], |_, _| steady(500));
    assert_eq!(chosen.as_deref(), Some("fp32 at 1 thread"));
}

#[test]
fn a_machine_that_slows_down_and_stalls_hides_no_difference_and_feigns_none() {
    // twice as slow after some seconds, and every tenth run met by a stall of 20 ms
    let drifting = |microseconds: u64| -> Result<Pace, Error> {
        let mut runs = 0;
        Ok(Box::new(move |now| {
            runs += 1;
            let stall = if runs % 10 == 0 { 20_000 } else { 0 };
            Ok(microseconds + microseconds * now.min(5_000_000) / 5_000_000 + stall)
        }))
    };
    let (candidates, chosen) = hold(two(), &[1], |name, _| drifting(if name == "int8" { 970 } else { 1000 }));
    assert_eq!(chosen.as_deref(), Some("int8 at 1 thread"), "{candidates:?}");
    let (candidates, chosen) = hold(two(), &[1], |_, _| drifting(1000));
    assert_eq!(chosen.as_deref(), Some("fp32 at 1 thread"), "{candidates:?}");
    assert_eq!(candidates[1].verdict, Verdict::NoDifference);
}

#[test]
fn accuracy_is_asked_for_before_speed() {
    let variants = vec![
        accurate("fp32", 0.0),
        accurate("at-the-floor", 0.5),
        accurate("below", 0.51),
        variant("unknown", Vec::new()),
        variant("elsewhere", vec![recorded("validation", 100, 90.0)]),
    ];
    let (candidates, chosen) = hold(variants, &[1], |name, _| {
        steady(if name == "fp32" { 1000 } else { 100 })
    });
    assert_eq!(chosen.as_deref(), Some("at-the-floor at 1 thread"));
    let expected = [
        Verdict::Accepted,
        Verdict::Chosen,
        Verdict::BelowFloor,
        Verdict::NoAccuracy,
        Verdict::NoAccuracy,
    ];
    assert_eq!(verdicts(&candidates), expected);
    assert_eq!(
        candidates[2].reason,
        "top-1 69.49 % on cifar100 validation, 0.51 points below fp32's 70.00 %; at most 0.50 are allowed"
    );
    assert!(candidates[2].latency.is_none() && candidates[2].start.is_some());
}

#[test]
fn what_cannot_run_or_computes_something_else_stops_no_other() {
    let variants = ["fp32", "saturates", "damaged", "breaks", "int8"].map(|name| accurate(name, 0.0));
    let (candidates, chosen) = hold(variants.into(), &[1], |name, _| match name {
        "saturates" => Err(Error::GoldenMismatch {
            image: 3,
            difference: 2.5,
            tolerance: 0.25,
        }),
        "damaged" => Err(Error::FileSize {
            path: "model.damaged.onnx".into(),
            expected: 2,
            found: 1,
        }),
        "breaks" => {
            let mut left = 200;
            Ok(Box::new(move |_| match left {
                0 => Err(Error::Engine {
                    action: "run the model",
                    source: "out of order".into(),
                }),
                _ => {
                    left -= 1;
                    Ok(10)
                }
            }))
        }
        "int8" => steady(500),
        _ => steady(1000),
    });
    assert_eq!(chosen.as_deref(), Some("int8 at 1 thread"));
    let expected = [
        Verdict::Accepted,
        Verdict::FailsSelfTest,
        Verdict::CannotRun,
        Verdict::CannotRun,
        Verdict::Chosen,
    ];
    assert_eq!(verdicts(&candidates), expected);
    assert!(candidates[1].reason.contains("golden image 3") && candidates[1].reason.contains("2.5e0"));
    assert!(candidates[2].reason.contains("model.damaged.onnx"));
    assert!(candidates[3].reason.contains("out of order") && candidates[3].latency.is_none());
}

#[test]
fn without_a_reference_that_runs_nothing_stands_against_the_others() {
    let refused = || {
        Err(Error::GoldenMismatch {
            image: 0,
            difference: 1.0,
            tolerance: 0.1,
        })
    };
    let (candidates, chosen) = hold(
        two(),
        &[1],
        |name, _| if name == "fp32" { refused() } else { steady(900) },
    );
    assert_eq!(chosen.as_deref(), Some("int8 at 1 thread"));
    assert_eq!(candidates[1].ratio, None);
    let (candidates, chosen) = hold(two(), &[1, 2], |_, _| refused());
    assert_eq!((chosen, verdicts(&candidates)), (None, vec![Verdict::FailsSelfTest; 4]));
}

#[test]
fn a_provider_that_is_not_there_is_no_fault_of_a_variant() {
    let result = try_hold(two(), &[1], |_, _| {
        Err(Error::ProviderUnavailable {
            provider: Provider::Cuda,
            missing: Missing::Support {
                library: PathBuf::from("libonnxruntime.so"),
                built_with: vec![Provider::Cpu],
            },
        })
    });
    assert!(matches!(result.map(|_| ()), Err(Error::ProviderUnavailable { .. })));
}

#[test]
fn providers_compete_and_the_first_is_the_reference() {
    let on = |paces: [u64; 4], providers: [Provider; 2]| {
        let outcome = hold_on(&providers, two(), &[1], |name, provider, _| {
            steady(paces[usize::from(name == "int8") + 2 * usize::from(provider == Provider::OpenVino)])
        });
        let outcome = outcome.unwrap();
        let labels: Vec<_> = outcome.candidates.iter().map(Candidate::label).collect();
        (labels, verdicts(&outcome.candidates), outcome.candidates)
    };
    let cpu_first = [Provider::Cpu, Provider::OpenVino];
    // times of fp32 and int8, first those on the CPU
    let (labels, verdicts, candidates) = on([2400, 500, 2100, 400], cpu_first);
    assert_eq!(
        labels,
        [
            "fp32 at 1 thread",
            "fp32 by openvino at 1 thread",
            "int8 at 1 thread",
            "int8 by openvino at 1 thread"
        ]
    );
    let expected = [Verdict::Accepted, Verdict::Accepted, Verdict::Accepted, Verdict::Chosen];
    assert_eq!(verdicts, expected);
    assert_eq!(candidates[1].ratio.unwrap().value, 0.875);

    // the same variant by another provider has to be shown to be faster too
    let (_, verdicts, _) = on([1000, 1500, 1000, 1500], cpu_first);
    let expected = [Verdict::Chosen, Verdict::NoDifference, Verdict::Slower, Verdict::Slower];
    assert_eq!(verdicts, expected);

    let (_, verdicts, candidates) = on([1000, 1500, 2000, 1500], [Provider::OpenVino, Provider::Cpu]);
    let expected = [Verdict::Accepted, Verdict::Chosen, Verdict::Accepted, Verdict::Accepted];
    assert_eq!(verdicts, expected);
    assert_eq!(candidates[1].ratio.unwrap().value, 0.5);

    // held against the first provider with as many threads
    let paces = |provider, threads| match (provider, threads) {
        (Provider::Cpu, 1) => 1000,
        (Provider::Cpu, _) => 500,
        (_, 1) => 800,
        (_, _) => 700,
    };
    let fp32 = || vec![accurate("fp32", 0.0)];
    let outcome = hold_on(&cpu_first, fp32(), &[1, 2], |_, provider, threads| {
        steady(paces(provider, threads))
    })
    .unwrap();
    let expected = [Verdict::Accepted, Verdict::Chosen, Verdict::Accepted, Verdict::Slower];
    assert_eq!(self::verdicts(&outcome.candidates), expected);
    assert!(
        outcome.candidates[3]
            .reason
            .contains("fp32's 0.500 ms with 2 threads: ratio 1.400")
    );

    // where that does not run, nothing stands against the second
    let outcome = hold_on(&cpu_first, fp32(), &[1], |_, provider, _| match provider {
        Provider::Cpu => Err(Error::FileSize {
            path: "model.fp32.onnx".into(),
            expected: 2,
            found: 1,
        }),
        _ => steady(1500),
    });
    let expected = [Verdict::CannotRun, Verdict::Chosen];
    assert_eq!(self::verdicts(&outcome.unwrap().candidates), expected);
}
