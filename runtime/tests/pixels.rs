//! Models of pixels: raw u8 images in, normalised by the model itself.

mod common;

use askd_runtime::{Batch, ElementType, Error, GoldenData, Image, Model, PixelFormat, Session, SessionOptions};
use common::{
    CLASSES, ELEMENTS, FIXED, PIXELS, PIXELS_DYNAMIC, assert_close, bundle, bundle_of_pixels, images, normalised,
    pixels, reference, require_engine,
};

fn open(folder: &tempfile::TempDir) -> (Model, Session) {
    let model = Model::open(folder.path()).unwrap();
    let session = model.session(&SessionOptions::default()).unwrap();
    (model, session)
}

#[test]
fn pixels_give_the_logits_of_their_normalised_images() {
    require_engine();
    for (onnx, batch, count) in [
        (PIXELS, Batch::One, 1),
        (PIXELS_DYNAMIC, Batch::Dynamic, 1),
        (PIXELS_DYNAMIC, Batch::Dynamic, 4),
    ] {
        let (_, mut session) = open(&bundle_of_pixels(onnx, batch, |_, _| {}));
        assert_eq!(
            (session.interface().data_type, session.interface().shape),
            (ElementType::U8, [3, 4, 4])
        );
        let mut logits = vec![f32::NAN; count * CLASSES];
        session.run_u8(&pixels(count), &mut logits).unwrap();
        assert_close(&logits, &reference(&normalised(&pixels(count))));
        assert_eq!(session.self_test().unwrap().images, 2);
    }
}

#[test]
fn images_are_those_of_a_model_of_normalised_ones() {
    require_engine();
    let (_, mut of_pixels) = open(&bundle_of_pixels(PIXELS, Batch::One, |_, _| {}));
    let (_, mut normalised) = open(&bundle(FIXED, Batch::One, |_, _| {}));
    let bytes: Vec<u8> = (0..9 * 11 * 3).map(|at| (at * 31 % 256) as u8).collect();
    for (format, height, width, tolerance) in [
        // of the model's own size the two see the same, otherwise one of them rounds
        (PixelFormat::Rgb8, 4, 4, 1e-5),
        (PixelFormat::Gray8, 4, 4, 1e-5),
        (PixelFormat::Rgb8, 9, 11, 0.05),
        (PixelFormat::Gray8, 27, 11, 0.05),
    ] {
        let image = Image::new(&bytes[..height * width * format.channels()], height, width, format).unwrap();
        let mut logits = [[0.0; CLASSES]; 2];
        of_pixels.run_image(&image, &mut logits[0]).unwrap();
        normalised.run_image(&image, &mut logits[1]).unwrap();
        for (got, want) in logits[0].iter().zip(logits[1]) {
            assert!(
                (got - want).abs() <= tolerance,
                "{height}x{width}: {got}, expected {want}"
            );
        }
        let best = |session: &mut Session| session.classify(&image, 1).unwrap().next().unwrap().class;
        assert_eq!(best(&mut of_pixels), best(&mut normalised));
    }
}

#[test]
fn elements_of_the_other_type_are_errors_that_name_the_right_call() {
    require_engine();
    let (_, mut of_pixels) = open(&bundle_of_pixels(PIXELS, Batch::One, |_, _| {}));
    let (_, mut normalised) = open(&bundle(FIXED, Batch::One, |_, _| {}));
    let mut logits = [7.0; CLASSES];
    let error = of_pixels.run(&images(1), &mut logits).unwrap_err();
    assert_eq!(
        error.to_string(),
        "input: expected u8, got f32 (the model normalises pixels itself: call run_u8 or run_image)"
    );
    let error = normalised.run_u8(&pixels(1), &mut logits).unwrap_err();
    assert_eq!(
        error.to_string(),
        "input: expected f32, got u8 (the model takes normalised images: call run or run_image)"
    );
    for length in [0, ELEMENTS - 1, 2 * ELEMENTS] {
        let error = of_pixels.run_u8(&vec![0; length], &mut logits).unwrap_err();
        assert!(matches!(error, Error::InputLength { per_image: ELEMENTS, found, .. } if found == length));
    }
    assert_eq!(logits, [7.0; CLASSES], "outputs are written on success only");
    of_pixels.run_u8(&pixels(1), &mut logits).unwrap();
}

#[test]
fn a_model_and_a_manifest_of_different_types_do_not_go_together() {
    require_engine();
    let refusal = |folder: tempfile::TempDir| {
        let model = Model::open(folder.path()).unwrap();
        model
            .session(&SessionOptions::default())
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refusal(bundle(PIXELS, Batch::One, |_, _| {})),
        "model: input: expected f32, got u8"
    );
    assert_eq!(
        refusal(bundle_of_pixels(FIXED, Batch::One, |_, _| {})),
        "model: input: expected u8, got f32"
    );
    // golden pixels that are none
    let folder = bundle_of_pixels(PIXELS, Batch::One, |_, golden| {
        let halves = golden.input().iter().map(|pixel| pixel / 2.0).collect();
        *golden = GoldenData::new(golden.shape(), halves, golden.output().to_vec()).unwrap();
    });
    assert!(matches!(
        Model::open(folder.path()),
        Err(Error::GoldenFormat { item: "input", .. })
    ));
}

#[test]
fn a_pixel_model_tells_where_its_nodes_run() {
    require_engine();
    let (model, _) = open(&bundle_of_pixels(PIXELS, Batch::One, |_, _| {}));
    let placement = model.placement(&SessionOptions::default()).unwrap();
    assert!(
        placement.iter().any(|node| node.operator.contains("Conv")),
        "{placement:?}"
    );
}
