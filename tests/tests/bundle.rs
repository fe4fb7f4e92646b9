//! Bundles: what the compiler writes, the runtime opens; what fails its own test never appears.

use std::fs;
use std::path::Path;

use askd_compiler::bundle::{BundleSpec, TOLERANCE, input_of, write_bundle};
use askd_compiler::inspect::inspect_bundle;
use askd_compiler::onnx::{ModelInfo, write_model};
use askd_compiler::weights::Weights;
use askd_compiler::{Error, passes};
use askd_models::{Graph, NetworkConfig, build};
use askd_runtime::{Accuracy, Batch, GoldenData, Model, Session, SessionOptions};
use askd_tests::{Random, random_weights};

const CLASSES: usize = 3;

/// A folded network with weights, and golden data from its unfolded form.
fn parts() -> (Graph, Weights, GoldenData) {
    let trained = build("resnet8", &NetworkConfig::new([1, 8, 10], CLASSES)).unwrap();
    let mut weights = random_weights(&trained, 11);
    let images = Random::new(12).values(2 * 80, -1.0, 1.0);
    let unfolded = write_model(&trained, &weights, &ModelInfo::new(Batch::Dynamic)).unwrap();
    let mut logits = vec![0.0; 2 * CLASSES];
    let mut session = Session::from_onnx(&unfolded, &SessionOptions::default()).unwrap();
    session.run(&images, &mut logits).unwrap();
    let graph = passes::run_all(&trained, &mut weights).unwrap();
    (graph, weights, GoldenData::new([2, 1, 8, 10], images, logits).unwrap())
}

fn spec<'a>(graph: &'a Graph, weights: &'a Weights, golden: &'a GoldenData) -> BundleSpec<'a> {
    BundleSpec {
        graph,
        weights,
        batch: Batch::One,
        input: input_of(graph.input_shape(), &[0.25], &[0.5]),
        labels: ["boot", "coat", "bag \"x\""].map(str::to_owned).to_vec(),
        temperature: 1.25,
        accuracy: vec![Accuracy {
            data: "fashion-mnist".to_owned(),
            split: "test".to_owned(),
            images: 2000,
            top1: 90.5,
            top5: 99.75,
        }],
        golden,
        sequence: 4,
        device_class: "generic".to_owned(),
        provenance: serde_json::Map::from_iter([("seed".to_owned(), 3.into())]),
    }
}

fn entries(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_bundle_opens_and_passes_its_test() {
    let (graph, weights, golden) = parts();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("student.askd");
    for batch in [Batch::One, Batch::Dynamic] {
        let manifest = write_bundle(
            &out,
            &BundleSpec {
                batch,
                ..spec(&graph, &weights, &golden)
            },
        )
        .unwrap();
        assert_eq!(entries(dir.path()), ["student.askd"]);
        assert_eq!(entries(&out), ["askd.json", "golden.safetensors", "model.fp32.onnx"]);

        let model = Model::open(&out).unwrap();
        assert_eq!(model.manifest(), &manifest);
        assert_eq!(model.golden(), &golden);
        let variant = model.variant();
        assert_eq!(
            (variant.parameters, variant.macs),
            (graph.parameter_count() as u64, graph.macs() as u64)
        );
        assert!(variant.peak_memory_bytes > 4 * variant.parameters);
        assert_eq!(manifest.provenance["seed"], 3);
        assert_eq!(manifest.provenance["network"], "resnet8");
        let mut session = model.session(&SessionOptions::default()).unwrap();
        let passed = session.self_test().unwrap();
        println!(
            "bundle, batch {batch:?}: golden logits within {:.1e}",
            passed.max_abs_diff
        );
        assert!(passed.images == 2 && passed.max_abs_diff <= TOLERANCE);
    }
}

#[test]
fn the_same_parts_give_the_same_files() {
    let (graph, weights, golden) = parts();
    let dir = tempfile::tempdir().unwrap();
    let read = |name: &str| {
        let out = dir.path().join(name);
        write_bundle(&out, &spec(&graph, &weights, &golden)).unwrap();
        entries(&out)
            .into_iter()
            .map(|file| fs::read(out.join(file)).unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(read("a.askd"), read("b.askd"));
}

#[test]
fn a_bundle_that_fails_its_test_never_appears() {
    let (graph, weights, golden) = parts();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("student.askd");
    let mut logits = golden.output().to_vec();
    logits[4] += 0.01;
    let wrong = GoldenData::new(golden.shape(), golden.input().to_vec(), logits).unwrap();

    let error = write_bundle(&out, &spec(&graph, &weights, &wrong)).unwrap_err();
    assert!(matches!(error, Error::GateFailed { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("self-test of variant fp32: expected golden logits within 1e-4"),
        "{error}"
    );
    assert!(error.to_string().ends_with("at image 1"), "{error}");
    assert_eq!(entries(dir.path()), [""; 0]);

    // nor does it harm the one that is there
    let manifest = write_bundle(&out, &spec(&graph, &weights, &golden)).unwrap();
    assert!(write_bundle(&out, &spec(&graph, &weights, &wrong)).is_err());
    assert_eq!(Model::open(&out).unwrap().manifest(), &manifest);
    assert_eq!(entries(dir.path()), ["student.askd"]);
}

#[test]
fn parts_that_do_not_fit_are_errors() {
    let (graph, weights, golden) = parts();
    let dir = tempfile::tempdir().unwrap();
    let refused = |change: &dyn Fn(&mut BundleSpec<'_>)| {
        let mut spec = spec(&graph, &weights, &golden);
        change(&mut spec);
        let error = write_bundle(dir.path().join("x.askd"), &spec).unwrap_err().to_string();
        assert_eq!(entries(dir.path()), [""; 0]);
        error
    };
    assert_eq!(
        refused(&|spec| spec.labels.truncate(2)),
        "labels: expected 3, one a class, got 2"
    );
    assert_eq!(
        refused(&|spec| spec.input.shape = [1, 10, 8]),
        "input.shape: expected the network's (1, 8, 10), got (1, 10, 8)"
    );
    assert!(refused(&|spec| spec.input.std[0] = 0.0).contains("input.std"));
    assert!(refused(&|spec| spec.temperature = f32::NAN).contains("temperature"));
    assert!(refused(&|spec| spec.accuracy[0].top1 = 101.0).contains("top1"));
}

#[test]
fn another_directory_is_not_replaced() {
    let (graph, weights, golden) = parts();
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.txt"), "mine").unwrap();
    let error = write_bundle(dir.path(), &spec(&graph, &weights, &golden))
        .unwrap_err()
        .to_string();
    assert!(
        error.ends_with("expected a new path or a bundle to replace, got another directory"),
        "{error}"
    );
    assert_eq!(entries(dir.path()), ["notes.txt"]);
}

#[test]
fn inspection_shows_the_facts_and_finds_a_changed_byte() {
    let (graph, weights, golden) = parts();
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("student.askd");
    let manifest = write_bundle(&out, &spec(&graph, &weights, &golden)).unwrap();
    let report = inspect_bundle(&out).unwrap();
    let text = report.to_string();
    for fact in [
        "labels boot, coat, bag \\\"x\\\"",
        "top-1 90.50 %, top-5 99.75 % of 2,000 images",
        "golden data: 2 images",
        &manifest.variants[0].sha256,
    ] {
        assert!(text.contains(fact), "{fact} is not in {text}");
    }
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["manifest"]["temperature"], 1.25);
    assert_eq!(json["files"][0]["name"], "model.fp32.onnx");

    let path = out.join("model.fp32.onnx");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = inspect_bundle(&out).unwrap_err().to_string();
    assert!(error.contains("model.fp32.onnx"), "{error}");
}
