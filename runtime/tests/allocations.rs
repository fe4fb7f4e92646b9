//! The steady path allocates nothing: every allocation of this program is counted, those of the crates it calls too.
//! What ONNX Runtime itself allocates is not seen: it has an allocator of its own.

mod common;
#[path = "common/counting.rs"]
mod counting;

use std::hint::black_box;

use askd_runtime::{Batch, Image, Model, PixelFormat, SessionOptions};
use common::{
    CLASSES, DYNAMIC, FIXED, PIXELS, PIXELS_DYNAMIC, bundle, bundle_of_pixels, images, pixels, require_engine,
};
use counting::allocations;

#[test]
fn counting_counts() {
    assert_eq!(allocations(|| drop(black_box(vec![1u8, 2, 3]))), 1);
}

#[test]
fn a_run_allocates_nothing() {
    require_engine();
    for (onnx, batch, count) in [
        (FIXED, Batch::One, 1),
        (DYNAMIC, Batch::Dynamic, 1),
        (DYNAMIC, Batch::Dynamic, 3),
    ] {
        let folder = bundle(onnx, batch, |_, _| {});
        let model = Model::open(folder.path()).unwrap();
        let mut session = model.session(&SessionOptions::default()).unwrap();
        let (input, mut logits) = (images(count), vec![0.0; count * CLASSES]);
        session.run(&input, &mut logits).unwrap();
        let counted = allocations(|| {
            for _ in 0..100 {
                session.run(&input, &mut logits).unwrap();
            }
        });
        assert_eq!(counted, 0, "{batch:?}, {count} images");
    }
}

#[test]
fn a_run_on_pixels_allocates_nothing() {
    require_engine();
    for (onnx, batch, count) in [(PIXELS, Batch::One, 1), (PIXELS_DYNAMIC, Batch::Dynamic, 3)] {
        let folder = bundle_of_pixels(onnx, batch, |_, _| {});
        let model = Model::open(folder.path()).unwrap();
        let mut session = model.session(&SessionOptions::default()).unwrap();
        let (input, mut logits) = (pixels(count), vec![0.0; count * CLASSES]);
        session.run_u8(&input, &mut logits).unwrap();
        let counted = allocations(|| {
            for _ in 0..100 {
                session.run_u8(&input, &mut logits).unwrap();
            }
        });
        assert_eq!(counted, 0, "{batch:?}, {count} images");
    }
}

#[test]
fn from_pixels_to_labels_allocates_nothing() {
    require_engine();
    let folders = [
        bundle(FIXED, Batch::One, |_, _| {}),
        bundle_of_pixels(PIXELS, Batch::One, |_, _| {}),
    ];
    for folder in folders {
        let model = Model::open(folder.path()).unwrap();
        let mut session = model.session(&SessionOptions::default()).unwrap();
        let pixels = vec![100; 17 * 23 * 3];
        for (height, width) in [(17, 23), (4, 4)] {
            let image = Image::new(&pixels[..height * width * 3], height, width, PixelFormat::Rgb8).unwrap();
            let mut best = 0;
            session.classify(&image, 2).unwrap().for_each(drop);
            let counted = allocations(|| {
                for _ in 0..100 {
                    best = session.classify(&image, 2).unwrap().next().unwrap().class;
                }
            });
            assert_eq!(counted, 0, "{height}x{width}");
            assert!(best < CLASSES);
        }
    }
}
