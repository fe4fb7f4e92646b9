//! Other processors compute what x86-64 computed: logits within [`TOLERANCE`].
//!
//! `fixtures/parity.askd` was made by `tests/examples/parity_bundle.rs`. `ASKD_PARITY_BUNDLE` names another bundle to hold
//! to the same: one exported on x86-64.

mod common;
#[path = "common/pictures.rs"]
mod pictures;

use std::env;
use std::path::Path;

use askd_runtime::{Image, Model, PixelFormat, Preprocess, Session, SessionOptions};
use common::require_engine;
use pictures::pictures;

/// Largest absolute difference of a logit between two processors.
const TOLERANCE: f32 = 1e-4;
/// Largest absolute difference of a preprocessed value: a few roundings of values up to 2.7.
const PREPROCESSED: f32 = 1e-6;

fn open(bundle: &Path) -> (Model, Session) {
    require_engine();
    let model = Model::open(bundle).unwrap();
    let session = model.session(&SessionOptions::default()).unwrap();
    (model, session)
}

fn largest_difference(got: &[f32], want: &[f32]) -> f32 {
    assert_eq!(got.len(), want.len());
    assert!(got.iter().all(|value| value.is_finite()));
    got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Runs the golden images, all at once or one by one as the model allows, and gives the largest difference.
fn golden_difference(bundle: &Path) -> f32 {
    let (model, mut session) = open(bundle);
    let passed = session.self_test().unwrap();
    println!(
        "{}: {} golden images on {}, largest logit difference from x86-64 {:.1e}",
        bundle.display(),
        passed.images,
        env::consts::ARCH,
        passed.max_abs_diff
    );
    assert_eq!(passed.images, model.golden().shape()[0]);
    passed.max_abs_diff
}

fn fixture() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/parity.askd"))
}

#[test]
fn golden_logits_are_those_of_x86_64() {
    let difference = golden_difference(fixture());
    assert!(difference <= TOLERANCE, "{difference:e}");
}

#[test]
fn pictures_give_the_logits_of_x86_64() {
    let (model, mut session) = open(fixture());
    let (golden, manifest) = (model.golden(), model.manifest());
    let (elements, classes) = (manifest.input.shape.iter().product(), golden.classes());
    let mut preprocess = Preprocess::new(&manifest.input).unwrap();
    let (mut tensor, mut logits) = (vec![0.0; elements], vec![0.0; classes]);
    let pictures = pictures();
    assert_eq!(pictures.len(), golden.shape()[0]);
    for (at, picture) in pictures.iter().enumerate() {
        let image = Image::new(&picture.bytes, picture.height, picture.width, PixelFormat::Rgb8).unwrap();
        preprocess.apply(&image, &mut tensor).unwrap();
        let preprocessed = largest_difference(&tensor, &golden.input()[at * elements..][..elements]);
        session.run_image(&image, &mut logits).unwrap();
        let difference = largest_difference(&logits, &golden.output()[at * classes..][..classes]);
        println!(
            "picture {at}, {}x{}: largest difference from x86-64 {preprocessed:.1e} preprocessed, {difference:.1e} in logits",
            picture.height, picture.width
        );
        assert!(preprocessed <= PREPROCESSED, "picture {at}: {preprocessed:e}");
        assert!(difference <= TOLERANCE, "picture {at}: {difference:e}");
    }
    // pictures that all look alike to the network would show nothing
    let rows: Vec<_> = golden.output().chunks(classes).collect();
    for (at, row) in rows.iter().enumerate() {
        for other in &rows[..at] {
            assert!(largest_difference(row, other) > 0.1, "picture {at}");
        }
    }
}

/// Of a variant with integers, whose kernels round in other places, the classes: of at most every fiftieth image another.
#[test]
fn a_bundle_named_by_the_environment_gives_the_logits_of_x86_64() {
    let Some(bundle) = env::var_os("ASKD_PARITY_BUNDLE").filter(|path| !path.is_empty()) else {
        eprintln!("skipped: ASKD_PARITY_BUNDLE names no bundle");
        return;
    };
    let bundle = Path::new(&bundle);
    let difference = golden_difference(bundle);
    assert!(difference <= TOLERANCE, "{difference:e}");
    for variant in &Model::open(bundle).unwrap().manifest().variants[1..] {
        let model = Model::open_variant(bundle, &variant.name).unwrap();
        let passed = model.session(&SessionOptions::default()).unwrap().self_test().unwrap();
        let (name, images, same) = (&variant.name, passed.images, passed.same_class);
        println!(
            "{name} on {}: class of {same} of {images} golden images as in floats, largest logit difference {:.1e} of {:.1e}",
            env::consts::ARCH,
            passed.max_abs_diff,
            model.manifest().golden_of(variant).tolerance
        );
        assert!((images - same) * 50 <= images, "{name}: {same} of {images}");
    }
}
