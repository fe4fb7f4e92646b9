//! Profiles of small models by ONNX Runtime itself.

#[path = "../../tests/common/mod.rs"]
mod common;

use std::path::Path;

use askd_bench::profile::{Profile, Subject, profile};
use askd_runtime::{Batch, Model, Session, SessionOptions};
use common::{CLASSES, FIXED, bundle, images, require_engine};

/// 3 x 4 weights on maps of 4x4, and 4 x 3 of the linear layer.
const MACS: [u64; 2] = [192, 12];

fn check(profile: &Profile) {
    assert_eq!(profile.macs, MACS.iter().sum::<u64>());
    let macs: Vec<_> = profile.nodes.iter().filter_map(|node| node.macs).collect();
    // The file's nodes have no names. Where ONNX Runtime fuses the convolution by the name of its output, it is known all
    // the same; on Arm it fuses without any.
    let known = macs == MACS || cfg!(target_arch = "aarch64") && macs == MACS[1..];
    assert!(known, "{profile:#?}");
    assert!(profile.runs >= 10 && profile.run_ms > 0.0, "{profile:#?}");
    let shares: f64 = profile.nodes.iter().map(|node| node.share).sum();
    // all times of so small a network may be less than the engine's microsecond
    assert!((shares - 1.0).abs() < 1e-9 || profile.nodes_ms == 0.0, "{profile:#?}");
    assert!(profile.peak.gflops > 0.0 && profile.peak.threads == 1, "{profile:#?}");
}

#[test]
fn a_bundle_and_its_file_have_the_same_layers() {
    require_engine();
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let model = Model::open(folder.path()).unwrap();
    let options = SessionOptions::default();
    let image = images(1);
    let run = |session: &mut Session| session.run(&image, &mut [0.0; CLASSES]);
    check(&profile(Subject::Bundle(&model), &options, run).unwrap());
    check(&profile(Subject::Onnx(FIXED), &options, run).unwrap());
}

/// The manifest's count is the compiler's, made of the graph of layers before ONNX was written.
#[test]
fn work_is_what_the_compiler_counted() {
    require_engine();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/parity.askd");
    for variant in &Model::open(&folder).unwrap().manifest().variants {
        let model = Model::open_variant(&folder, &variant.name).unwrap();
        let golden = model.golden();
        let image = &golden.input()[..golden.input().len() / golden.shape()[0]];
        let mut logits = vec![0.0; golden.classes()];
        let run = |session: &mut Session| session.run(image, &mut logits);
        let profile = profile(Subject::Bundle(&model), &SessionOptions::default(), run).unwrap();
        let found: u64 = profile.nodes.iter().filter_map(|node| node.macs).sum();
        assert_eq!((profile.macs, found), (variant.macs, variant.macs), "{profile:#?}");
    }
}

#[test]
fn a_run_that_fails_is_an_error() {
    require_engine();
    let run = |session: &mut Session| session.run(&[0.0], &mut [0.0]);
    profile(Subject::Onnx(FIXED), &SessionOptions::default(), run).unwrap_err();
}
