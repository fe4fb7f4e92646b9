//! From C too, the steady path allocates nothing: of everything on it in this program each allocation is counted.

use askd::*;
use askd_runtime::Batch;

use crate::common::{CLASSES, DYNAMIC, ELEMENTS, FIXED, PIXELS_DYNAMIC, images, pixels};
use crate::counting::allocations;
use crate::support::{NONE, Running, ok};

#[test]
fn run_run_image_and_classify_allocate_nothing() {
    for (onnx, batch, count) in [(FIXED, Batch::One, 1), (DYNAMIC, Batch::Dynamic, 3)] {
        let running = Running::new(onnx, batch);
        let (input, mut logits) = (images(count), vec![0.0; count * CLASSES]);
        let mut run = || {
            // SAFETY: slices with their lengths.
            ok(unsafe {
                let (input, length) = (input.as_ptr(), count * ELEMENTS);
                askd_session_run(running.session, input, length, logits.as_mut_ptr(), count * CLASSES)
            });
        };
        run();
        assert_eq!(
            allocations(|| (0..100).for_each(|_| run())),
            0,
            "{batch:?}, {count} images"
        );
    }
    let running = Running::on_pixels(PIXELS_DYNAMIC, Batch::Dynamic);
    let (input, mut logits) = (pixels(3), vec![0.0; 3 * CLASSES]);
    let mut run = || {
        // SAFETY: slices with their lengths.
        ok(unsafe {
            askd_session_run_u8(
                running.session,
                input.as_ptr(),
                input.len(),
                logits.as_mut_ptr(),
                3 * CLASSES,
            )
        });
    };
    run();
    assert_eq!(allocations(|| (0..100).for_each(|_| run())), 0);
    let running = Running::new(FIXED, Batch::One);
    let pixels = vec![100u8; 17 * 23 * 3];
    for (height, width) in [(17, 23), (4, 4)] {
        let image = askd_image {
            pixels: pixels.as_ptr(),
            size: height * width * 3,
            height,
            width,
            format: ASKD_PIXEL_FORMAT_RGB8,
        };
        let (mut logits, mut found) = ([0.0; CLASSES], 0);
        let mut predictions = [NONE; 2];
        let mut work = || {
            // SAFETY: slices with their lengths.
            ok(unsafe { askd_session_run_image(running.session, &image, logits.as_mut_ptr(), CLASSES) });
            // SAFETY: as above.
            ok(unsafe { askd_session_classify(running.session, &image, predictions.as_mut_ptr(), 2, &mut found) });
        };
        work();
        assert_eq!(allocations(|| (0..100).for_each(|_| work())), 0, "{height}x{width}");
        assert_eq!(found, 2);
    }
}

#[test]
fn a_refused_call_does_allocate_so_counting_counts() {
    // SAFETY: the pointer is refused.
    let counted = allocations(|| unsafe {
        askd_engine_has_provider(0, std::ptr::null_mut());
    });
    assert!(counted > 0);
}
