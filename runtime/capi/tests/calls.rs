//! What the functions do when they are called as they should be: the same as the Rust API.

use std::ffi::{CStr, c_char};
use std::fs;
use std::ptr;
use std::thread;

use askd::*;
use askd_runtime::{Batch, Image, Model, PixelFormat, Provider, SessionOptions};

use crate::common::{
    CLASSES, DYNAMIC, ELEMENTS, FIXED, PIXELS_DYNAMIC, assert_close, bundle, images, normalised, pixels, reference,
    require_engine,
};
use crate::support::{NONE, Running, c_path, last_error, ok};

/// The text that `copy` gives, asked for its length first.
fn text(copy: impl Fn(*mut c_char, usize, *mut usize) -> askd_status) -> String {
    let mut length = usize::MAX;
    ok(copy(ptr::null_mut(), 0, &mut length));
    let mut buffer = vec![b'?'; length + 2];
    let mut again = 0;
    ok(copy(buffer.as_mut_ptr().cast(), length + 1, &mut again));
    assert_eq!((again, &buffer[length..]), (length, &b"\0?"[..]));
    ok(copy(buffer.as_mut_ptr().cast(), length + 1, ptr::null_mut()));
    CStr::from_bytes_until_nul(&buffer)
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned()
}

fn logits(session: *mut askd_session, input: &[f32]) -> Vec<f32> {
    let mut output = vec![f32::NAN; input.len() / ELEMENTS * CLASSES];
    // SAFETY: slices with their lengths.
    ok(unsafe { askd_session_run(session, input.as_ptr(), input.len(), output.as_mut_ptr(), output.len()) });
    output
}

#[test]
fn a_model_tells_what_its_manifest_says() {
    let running = Running::new(DYNAMIC, Batch::Dynamic);
    let model = running.model;
    let mut shape = askd_input_shape {
        channels: 0,
        height: 0,
        width: 0,
    };
    let (mut classes, mut is_dynamic, mut sequence, mut temperature) = (0, false, 0, 0.0);
    // SAFETY: outputs are local.
    unsafe {
        ok(askd_model_input_shape(model, &mut shape));
        ok(askd_model_classes(model, &mut classes));
        ok(askd_model_is_batch_dynamic(model, &mut is_dynamic));
        ok(askd_model_sequence(model, &mut sequence));
        ok(askd_model_temperature(model, &mut temperature));
    }
    assert_eq!((shape.channels, shape.height, shape.width), (3, 4, 4));
    assert_eq!((classes, is_dynamic, sequence, temperature), (CLASSES, true, 1, 2.0));
    // SAFETY: `text` passes buffers with their lengths.
    let label = |class| text(|buffer, size, length| unsafe { askd_model_label(model, class, buffer, size, length) });
    assert_eq!([label(0), label(1), label(2)], ["cat", "dog", "eel"]);
    // SAFETY: as above.
    let variant = text(|buffer, size, length| unsafe { askd_model_variant_name(model, buffer, size, length) });
    // SAFETY: as above.
    let device = text(|buffer, size, length| unsafe { askd_model_device_class(model, buffer, size, length) });
    assert_eq!((variant.as_str(), device.as_str()), ("fp32", "generic"));
}

#[test]
fn the_engine_tells_what_it_is() {
    let engine = require_engine();
    // SAFETY: NULL is allowed, outputs are local, `text` passes buffers with their lengths.
    unsafe {
        ok(askd_engine_load(ptr::null()));
        let version = text(|buffer, size, length| askd_engine_version(buffer, size, length));
        assert_eq!(Some(version.as_str()), engine.version());
        let path = text(|buffer, size, length| askd_engine_path(buffer, size, length));
        assert_eq!(path, engine.path().to_string_lossy());
        ok(askd_engine_load(c_path(engine.path()).as_ptr()));
        let warning = text(|buffer, size, length| askd_engine_warning(buffer, size, length));
        assert_eq!(warning, engine.warning().unwrap_or_default());
        for (number, provider) in (0..).zip(Provider::ALL) {
            let mut has = false;
            ok(askd_engine_has_provider(number, &mut has));
            assert_eq!(has, engine.providers().contains(&provider), "{provider}");
        }
    }
}

#[test]
fn every_way_to_open_gives_the_same_logits() {
    let running = Running::new(DYNAMIC, Batch::Dynamic);
    let input = images(3);
    assert_close(&logits(running.session, &input), &reference(&input));
    let dir = c_path(running.folder.path());
    let read = |name: &str| fs::read(running.folder.path().join(name)).unwrap();
    let (manifest, golden, onnx) = (read("askd.json"), read("golden.safetensors"), read("model.fp32.onnx"));
    let file = |name: &'static CStr, bytes: &[u8]| askd_file {
        name: name.as_ptr(),
        data: bytes.as_ptr(),
        size: bytes.len(),
    };
    let files = [file(c"golden.safetensors", &golden), file(c"model.fp32.onnx", &onnx)];
    let mut models = [ptr::null_mut(); 3];
    // SAFETY: all arguments are local and live; nothing changes the files.
    unsafe {
        ok(askd_model_open_variant(dir.as_ptr(), c"fp32".as_ptr(), &mut models[0]));
        ok(askd_model_open_mapped(dir.as_ptr(), &mut models[1]));
        ok(askd_model_from_bytes(
            manifest.as_ptr(),
            manifest.len(),
            files.as_ptr(),
            files.len(),
            &mut models[2],
        ));
    }
    for model in models {
        let mut session = ptr::null_mut();
        // SAFETY: each model and session is freed once, the model first: a session does not need it.
        unsafe {
            ok(askd_session_new(model, ptr::null(), &mut session));
            askd_model_free(model);
            assert_eq!(logits(session, &input), logits(running.session, &input));
            askd_session_free(session);
        }
    }
}

#[test]
fn images_are_classified_as_by_the_rust_api() {
    let running = Running::new(FIXED, Batch::One);
    let mut session = Model::open(running.folder.path())
        .unwrap()
        .session(&SessionOptions::default())
        .unwrap();
    let pixels: Vec<u8> = (0..9 * 7 * 3).map(|at| (at * 31 % 256) as u8).collect();
    for (format, number) in [
        (PixelFormat::Rgb8, ASKD_PIXEL_FORMAT_RGB8),
        (PixelFormat::Gray8, ASKD_PIXEL_FORMAT_GRAY8),
    ] {
        let pixels = &pixels[..9 * 7 * format.channels()];
        let image = askd_image {
            pixels: pixels.as_ptr(),
            size: pixels.len(),
            height: 9,
            width: 7,
            format: number,
        };
        let rust = Image::new(pixels, 9, 7, format).unwrap();
        let (mut got, mut want) = ([0.0; CLASSES], [0.0; CLASSES]);
        // SAFETY: slices with their lengths.
        ok(unsafe { askd_session_run_image(running.session, &image, got.as_mut_ptr(), CLASSES) });
        session.run_image(&rust, &mut want).unwrap();
        assert_eq!(got, want);

        let want: Vec<_> = session
            .classify(&rust, 5)
            .unwrap()
            .map(|p| (p.class as u32, p.probability))
            .collect();
        // Room for some, for all, for more than there are.
        for room in [0, 1, 3, 5] {
            let (mut first, mut second, mut counts) = ([NONE; 5], [NONE; 5], [9; 2]);
            // SAFETY: slices with at least `room` elements.
            unsafe {
                ok(askd_session_classify(
                    running.session,
                    &image,
                    first.as_mut_ptr(),
                    room,
                    &mut counts[0],
                ));
                ok(askd_model_top_k(
                    running.model,
                    got.as_ptr(),
                    CLASSES,
                    second.as_mut_ptr(),
                    room,
                    &mut counts[1],
                ));
            }
            for (predictions, count) in [first, second].iter().zip(counts) {
                assert_eq!(count, room.min(CLASSES));
                let got: Vec<_> = predictions[..count]
                    .iter()
                    .map(|p| (p.class_index, p.probability))
                    .collect();
                assert_eq!(got, want[..count]);
                assert!(
                    predictions[count..].iter().all(|p| p.class_index == u32::MAX),
                    "written past its room"
                );
            }
        }
    }
}

#[test]
fn a_model_of_pixels_gives_the_logits_of_normalised_images() {
    for running in [
        Running::new(DYNAMIC, Batch::Dynamic),
        Running::on_pixels(PIXELS_DYNAMIC, Batch::Dynamic),
    ] {
        let mut takes_pixels = false;
        // SAFETY: the output is local.
        ok(unsafe { askd_model_takes_pixels(running.model, &mut takes_pixels) });
        let (pixels, mut got) = (pixels(2), [f32::NAN; 2 * CLASSES]);
        if takes_pixels {
            // SAFETY: slices with their lengths.
            ok(unsafe {
                askd_session_run_u8(
                    running.session,
                    pixels.as_ptr(),
                    pixels.len(),
                    got.as_mut_ptr(),
                    got.len(),
                )
            });
        } else {
            got.copy_from_slice(&logits(running.session, &normalised(&pixels)));
        }
        assert_close(&got, &reference(&normalised(&pixels)));
    }
}

#[test]
fn the_self_test_tells_what_it_saw_or_that_it_failed() {
    let running = Running::new(FIXED, Batch::One);
    let mut result = askd_self_test {
        images: 0,
        max_abs_diff: -1.0,
    };
    // SAFETY: the output is local.
    ok(unsafe { askd_session_self_test(running.session, &mut result) });
    assert_eq!(result.images, 2);
    assert!((0.0..1e-5).contains(&result.max_abs_diff));

    let wrong = bundle(FIXED, Batch::One, |_, golden| {
        let output = golden.output().iter().map(|logit| logit + 1.0).collect();
        *golden = askd_runtime::GoldenData::new(golden.shape(), golden.input().to_vec(), output).unwrap();
    });
    let (mut model, mut session) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: outputs are local; both objects are freed once.
    unsafe {
        ok(askd_model_open(c_path(wrong.path()).as_ptr(), &mut model));
        ok(askd_session_new(model, ptr::null(), &mut session));
        assert_eq!(askd_session_self_test(session, &mut result), ASKD_STATUS_SELF_TEST);
        askd_session_free(session);
        askd_model_free(model);
    }
    assert_eq!(result.images, 2, "the output is as it was");
    assert!(
        last_error().starts_with("self test: golden image 0: "),
        "{}",
        last_error()
    );
}

#[test]
fn a_model_that_no_engine_should_see_is_refused_when_it_is_opened() {
    // Cut short, and with a function of its own (field 25).
    let with_function = [FIXED, b"\xca\x01\x00"].concat();
    for (onnx, why) in [
        (&FIXED[..FIXED.len() / 2], "onnx model: file: "),
        (&with_function, "onnx model: functions[0]: "),
    ] {
        let folder = bundle(onnx, Batch::One, |_, _| {});
        let mut model = ptr::null_mut();
        // SAFETY: the path ends with a zero, the output is local.
        let status = unsafe { askd_model_open(c_path(folder.path()).as_ptr(), &mut model) };
        assert_eq!(status, ASKD_STATUS_MODEL);
        assert!(model.is_null());
        assert!(last_error().starts_with(why), "{}", last_error());
    }
}

#[test]
fn options_reach_the_session() {
    let running = Running::new(FIXED, Batch::One);
    let engine = require_engine();
    let mut options = ptr::null_mut();
    // SAFETY: each object is made here and freed once.
    unsafe {
        ok(askd_session_options_new(&mut options));
        ok(askd_session_options_set_library(
            options,
            c_path(engine.path()).as_ptr(),
        ));
        ok(askd_session_options_set_threads(options, 2));
        ok(askd_session_options_set_spinning(options, 1));
        ok(askd_session_options_set_memory_arena(options, 0));
        ok(askd_session_options_set_strict(options, 1));
        for level in [
            ASKD_OPTIMISATION_NONE,
            ASKD_OPTIMISATION_BASIC,
            ASKD_OPTIMISATION_EXTENDED,
            ASKD_OPTIMISATION_ALL,
        ] {
            ok(askd_session_options_set_optimisation(options, level));
            let mut session = ptr::null_mut();
            ok(askd_session_new(running.model, options, &mut session));
            assert_close(&logits(session, &images(1)), &reference(&images(1)));
            askd_session_free(session);
        }
        // Each of these is refused for the CPU, so it did reach the session.
        let mut none = ptr::null_mut();
        ok(askd_session_options_set_device_id(options, 1));
        assert_eq!(askd_session_new(running.model, options, &mut none), ASKD_STATUS_OPTION);
        assert!(last_error().starts_with("option device_id: "), "{}", last_error());
        ok(askd_session_options_set_device_id(options, 0));
        ok(askd_session_options_set_cache(options, c"cache".as_ptr()));
        assert_eq!(askd_session_new(running.model, options, &mut none), ASKD_STATUS_OPTION);
        assert!(last_error().starts_with("option cache: "), "{}", last_error());
        ok(askd_session_options_set_cache(options, ptr::null()));
        ok(askd_session_options_set_memory_limit(options, 1 << 20));
        assert_eq!(askd_session_new(running.model, options, &mut none), ASKD_STATUS_OPTION);
        assert!(last_error().starts_with("option memory_limit: "), "{}", last_error());
        assert!(none.is_null());
        askd_session_options_free(options);
    }
}

#[test]
fn a_session_says_where_it_runs_and_why() {
    let running = Running::new(FIXED, Batch::One);
    if require_engine().providers().contains(&Provider::Cuda) {
        eprintln!("SKIPPED: this ONNX Runtime has cuda");
        return;
    }
    let (mut options, mut session, mut provider) = (ptr::null_mut(), ptr::null_mut(), u32::MAX);
    // SAFETY: each object is made here and freed once; `text` passes buffers with their lengths.
    unsafe {
        ok(askd_session_provider(running.session, &mut provider));
        assert_eq!(provider, ASKD_PROVIDER_CPU);
        assert_eq!(
            text(|buffer, size, length| askd_session_fallback(running.session, buffer, size, length)),
            ""
        );
        ok(askd_session_options_new(&mut options));
        ok(askd_session_options_set_provider(options, ASKD_PROVIDER_CUDA_OR_CPU));
        ok(askd_session_new(running.model, options, &mut session));
        ok(askd_session_provider(session, &mut provider));
        assert_eq!(provider, ASKD_PROVIDER_CPU);
        let why = text(|buffer, size, length| askd_session_fallback(session, buffer, size, length));
        assert!(why.starts_with("provider cuda cannot run here: "), "{why}");
        ok(askd_session_options_set_provider(options, ASKD_PROVIDER_CUDA));
        let mut none = ptr::null_mut();
        assert_eq!(
            askd_session_new(running.model, options, &mut none),
            ASKD_STATUS_PROVIDER_UNAVAILABLE
        );
        assert!(none.is_null());
        askd_session_options_free(options);
        askd_session_free(session);
    }
}

#[test]
fn the_last_error_belongs_to_its_thread_and_is_cut_where_it_does_not_fit() {
    let fail = |variant: &CStr| {
        let running = Running::new(FIXED, Batch::One);
        let mut model = ptr::null_mut();
        let dir = c_path(running.folder.path());
        // SAFETY: all arguments are local and live.
        let status = unsafe { askd_model_open_variant(dir.as_ptr(), variant.as_ptr(), &mut model) };
        assert_eq!(status, ASKD_STATUS_NO_SUCH_VARIANT);
    };
    thread::scope(|scope| {
        fail(c"ä1");
        scope.spawn(|| {
            assert_eq!(last_error(), "");
            fail(c"other");
            assert!(last_error().contains("other"));
        });
    });
    let whole = last_error();
    assert_eq!(whole, "no variant \"ä1\" in the bundle, which has fp32");
    // 12 bytes before the two of the first letter of the name.
    for (room, fits) in [
        (1, 0),
        (12, 11),
        (13, 12),
        (14, 12),
        (15, 14),
        (whole.len() + 1, whole.len()),
    ] {
        let (mut buffer, mut length) = (vec![b'?'; room], 0);
        // SAFETY: the buffer has the length given.
        ok(unsafe { askd_last_error_text(buffer.as_mut_ptr().cast(), room, &mut length) });
        assert_eq!(length, whole.len());
        assert_eq!(
            CStr::from_bytes_until_nul(&buffer).unwrap().to_str().unwrap(),
            &whole[..fits]
        );
    }
}
