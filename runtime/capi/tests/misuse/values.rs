//! Wrong numbers, lengths and texts.

use std::ffi::{CStr, c_char};
use std::fs;
use std::ptr;

use askd::*;

use super::Bench;
use crate::common::{CLASSES, ELEMENTS, images};
use crate::support::c_path;

/// Calls a function in which `argument` is wrong, and judges the answer.
macro_rules! refuse {
    ($bench:ident, $argument:expr, $expected:expr, $function:ident($($value:expr),* $(,)?)) => {
        // SAFETY: but for what is tested, the arguments are right; and that is refused before it is followed.
        let status = unsafe { $function($($value),*) };
        $bench.judge(stringify!($function), $argument, status, $expected);
    };
}

pub(super) fn refused(bench: &mut Bench) {
    texts(bench);
    models(bench);
    options(bench);
    runs(bench);
    runs_on_pixels(bench);
    images_of_pixels(bench);
    constants(bench);
}

/// A text that does not fit, and room that no memory has.
fn texts(bench: &mut Bench) {
    let (buffer, length) = (bench.output::<c_char>(0), bench.output::<usize>(1));
    let (model, session) = (bench.running.model, bench.running.session);
    refuse!(
        bench,
        "buffer",
        ASKD_STATUS_BUFFER_TOO_SMALL,
        askd_last_error_text(buffer, 0, length)
    );
    refuse!(
        bench,
        "capacity",
        ASKD_STATUS_WRONG_LENGTH,
        askd_last_error_text(buffer, usize::MAX, length)
    );
    refuse!(
        bench,
        "capacity",
        ASKD_STATUS_BUFFER_TOO_SMALL,
        askd_engine_version(buffer, 3, length)
    );
    refuse!(
        bench,
        "capacity",
        ASKD_STATUS_BUFFER_TOO_SMALL,
        askd_engine_path(buffer, 3, length)
    );
    refuse!(
        bench,
        "capacity",
        ASKD_STATUS_BUFFER_TOO_SMALL,
        askd_engine_warning(buffer, 0, length)
    );
    refuse!(
        bench,
        "capacity",
        ASKD_STATUS_BUFFER_TOO_SMALL,
        askd_model_label(model, 0, buffer, 3, length)
    );
    refuse!(
        bench,
        "class_index",
        ASKD_STATUS_NO_SUCH_CLASS,
        askd_model_label(model, 3, buffer, 16, length)
    );
    refuse!(
        bench,
        "class_index",
        ASKD_STATUS_NO_SUCH_CLASS,
        askd_model_label(model, u32::MAX, buffer, 16, length)
    );
    refuse!(
        bench,
        "capacity",
        ASKD_STATUS_BUFFER_TOO_SMALL,
        askd_model_variant_name(model, buffer, 4, length)
    );
    refuse!(
        bench,
        "capacity",
        ASKD_STATUS_BUFFER_TOO_SMALL,
        askd_model_device_class(model, buffer, 7, length)
    );
    refuse!(
        bench,
        "capacity",
        ASKD_STATUS_BUFFER_TOO_SMALL,
        askd_session_fallback(session, buffer, 0, length)
    );
}

fn models(bench: &mut Bench) {
    let opened = bench.output::<*mut askd_model>(0);
    let empty = tempfile::tempdir().unwrap();
    let empty = c_path(empty.path());
    let path = bench.running.folder.path().to_owned();
    let dir = c_path(&path);
    let not_utf8: &CStr = c"fp\xFF";
    refuse!(
        bench,
        "path",
        ASKD_STATUS_LIBRARY,
        askd_engine_load(c"/nowhere/libonnxruntime.so".as_ptr())
    );
    refuse!(
        bench,
        "provider",
        ASKD_STATUS_UNKNOWN_VALUE,
        askd_engine_has_provider(99, bench.output(0))
    );
    refuse!(
        bench,
        "dir",
        ASKD_STATUS_FILE,
        askd_model_open(c"/nowhere\xFF".as_ptr(), opened)
    );
    refuse!(
        bench,
        "dir",
        ASKD_STATUS_NOT_A_BUNDLE,
        askd_model_open(empty.as_ptr(), opened)
    );
    refuse!(
        bench,
        "dir",
        ASKD_STATUS_NOT_A_BUNDLE,
        askd_model_open_mapped(empty.as_ptr(), opened)
    );
    refuse!(
        bench,
        "dir",
        ASKD_STATUS_NOT_A_BUNDLE,
        askd_model_open_variant(empty.as_ptr(), c"fp32".as_ptr(), opened)
    );
    refuse!(
        bench,
        "variant",
        ASKD_STATUS_NO_SUCH_VARIANT,
        askd_model_open_variant(dir.as_ptr(), c"".as_ptr(), opened)
    );
    refuse!(
        bench,
        "variant",
        ASKD_STATUS_NOT_UTF8,
        askd_model_open_variant(dir.as_ptr(), not_utf8.as_ptr(), opened)
    );

    let read = |name: &str| fs::read(path.join(name)).unwrap();
    let (manifest, golden) = (read("askd.json"), read("golden.safetensors"));
    let size = manifest.len();
    let file = |name: &'static CStr, data: *const u8, size| {
        let name = name.as_ptr();
        [askd_file { name, data, size }]
    };
    let mut from = |argument: &str, expected, size: usize, files: &[askd_file], count: usize| {
        // SAFETY: but for what is tested, the arguments are right.
        let status = unsafe { askd_model_from_bytes(manifest.as_ptr(), size, files.as_ptr(), count, opened) };
        bench.judge("askd_model_from_bytes", argument, status, expected);
    };
    let right = file(c"golden.safetensors", golden.as_ptr(), golden.len());
    from("manifest_size", ASKD_STATUS_MANIFEST, size - 3, &right, 1);
    from("manifest_size", ASKD_STATUS_MANIFEST, 0, &right, 1);
    from("manifest_size", ASKD_STATUS_WRONG_LENGTH, usize::MAX, &right, 1);
    from("file_count", ASKD_STATUS_FILE, size, &right, 0);
    from("file_count", ASKD_STATUS_WRONG_LENGTH, size, &right, usize::MAX / 2);
    // The ONNX file is not there.
    from("files", ASKD_STATUS_FILE, size, &right, 1);
    from(
        "files",
        ASKD_STATUS_NULL_POINTER,
        size,
        &file(c"golden.safetensors", ptr::null(), 9),
        1,
    );
    from(
        "files",
        ASKD_STATUS_NULL_POINTER,
        size,
        &[askd_file {
            name: ptr::null(),
            ..right[0]
        }],
        1,
    );
    from(
        "files",
        ASKD_STATUS_NOT_UTF8,
        size,
        &file(not_utf8, golden.as_ptr(), golden.len()),
        1,
    );
    from(
        "files",
        ASKD_STATUS_DIGEST,
        size,
        &file(c"golden.safetensors", golden.as_ptr(), golden.len() - 1),
        1,
    );
    from(
        "files",
        ASKD_STATUS_WRONG_LENGTH,
        size,
        &file(c"golden.safetensors", golden.as_ptr(), usize::MAX),
        1,
    );

    let (model, logits) = (bench.running.model, [0.0, f32::NAN, 0.0]);
    let (predictions, count) = (bench.output::<askd_prediction>(0), bench.output::<usize>(1));
    for length in [0, 2] {
        refuse!(
            bench,
            "logits_length",
            ASKD_STATUS_WRONG_LENGTH,
            askd_model_top_k(model, logits.as_ptr(), length, predictions, 2, count)
        );
    }
    refuse!(
        bench,
        "capacity",
        ASKD_STATUS_WRONG_LENGTH,
        askd_model_top_k(model, logits.as_ptr(), 3, predictions, usize::MAX, count)
    );
    refuse!(
        bench,
        "logits",
        ASKD_STATUS_LOGIT,
        askd_model_top_k(model, logits.as_ptr(), 3, predictions, 2, count)
    );
}

fn options(bench: &mut Bench) {
    let options = bench.options;
    for wrong in [99, u32::MAX] {
        refuse!(
            bench,
            "provider",
            ASKD_STATUS_UNKNOWN_VALUE,
            askd_session_options_set_provider(options, wrong)
        );
        refuse!(
            bench,
            "optimisation",
            ASKD_STATUS_UNKNOWN_VALUE,
            askd_session_options_set_optimisation(options, wrong)
        );
        refuse!(
            bench,
            "strict",
            ASKD_STATUS_UNKNOWN_VALUE,
            askd_session_options_set_strict(options, wrong)
        );
        refuse!(
            bench,
            "spinning",
            ASKD_STATUS_UNKNOWN_VALUE,
            askd_session_options_set_spinning(options, wrong)
        );
        refuse!(
            bench,
            "memory_arena",
            ASKD_STATUS_UNKNOWN_VALUE,
            askd_session_options_set_memory_arena(options, wrong)
        );
    }
    refuse!(
        bench,
        "threads",
        ASKD_STATUS_UNKNOWN_VALUE,
        askd_session_options_set_threads(options, 65_536)
    );
    refuse!(
        bench,
        "device_id",
        ASKD_STATUS_UNKNOWN_VALUE,
        askd_session_options_set_device_id(options, 65_536)
    );

    // Every number of bytes is a limit, and every path a path: what does not suit the provider is refused by the session.
    let (model, made) = (bench.running.model, bench.output::<*mut askd_session>(0));
    // SAFETY: the options are those made for this bench.
    unsafe { assert_eq!(askd_session_options_set_memory_limit(options, 1), ASKD_STATUS_OK) };
    refuse!(
        bench,
        "options",
        ASKD_STATUS_OPTION,
        askd_session_new(model, options, made)
    );
    // SAFETY: as above.
    unsafe {
        assert_eq!(askd_session_options_set_memory_limit(options, 0), ASKD_STATUS_OK);
        assert_eq!(
            askd_session_options_set_library(options, c"/nowhere".as_ptr()),
            ASKD_STATUS_OK
        );
    }
    bench
        .cases
        .insert(("askd_session_options_set_memory_limit".into(), "bytes".into()));
    refuse!(
        bench,
        "options",
        ASKD_STATUS_LIBRARY,
        askd_session_new(model, options, made)
    );
    // SAFETY: as above.
    unsafe { assert_eq!(askd_session_options_set_library(options, ptr::null()), ASKD_STATUS_OK) };
}

fn runs(bench: &mut Bench) {
    let (session, input) = (bench.running.session, images(2));
    let output = bench.output::<f32>(0);
    let run = |bench: &mut Bench, argument, expected, length, room| {
        refuse!(
            bench,
            argument,
            expected,
            askd_session_run(session, input.as_ptr(), length, output, room)
        );
    };
    for length in [0, 1, ELEMENTS - 1, ELEMENTS + 1, usize::MAX] {
        run(bench, "input_length", ASKD_STATUS_WRONG_LENGTH, length, CLASSES);
    }
    for room in [0, CLASSES - 1, CLASSES + 1, 2 * CLASSES, usize::MAX] {
        run(bench, "output_length", ASKD_STATUS_WRONG_LENGTH, ELEMENTS, room);
    }
    refuse!(
        bench,
        "output",
        ASKD_STATUS_OVERLAP,
        askd_session_run(session, output.wrapping_add(1), ELEMENTS, output, CLASSES)
    );
}

/// As [`runs`], on pixels; and each kind of model given what the other takes.
fn runs_on_pixels(bench: &mut Bench) {
    let (session, input) = (bench.on_pixels.session, [9u8; ELEMENTS]);
    let (floats, output) = (images(1), bench.output::<f32>(0));
    let run = |bench: &mut Bench, argument, expected, length, room| {
        refuse!(
            bench,
            argument,
            expected,
            askd_session_run_u8(session, input.as_ptr(), length, output, room)
        );
    };
    for length in [0, 1, ELEMENTS - 1, usize::MAX] {
        run(bench, "pixels_length", ASKD_STATUS_WRONG_LENGTH, length, CLASSES);
    }
    for room in [0, CLASSES - 1, CLASSES + 1, usize::MAX] {
        run(bench, "output_length", ASKD_STATUS_WRONG_LENGTH, ELEMENTS, room);
    }
    refuse!(
        bench,
        "output",
        ASKD_STATUS_OVERLAP,
        askd_session_run_u8(session, output.cast::<u8>().wrapping_add(1), ELEMENTS, output, CLASSES)
    );
    refuse!(
        bench,
        "session",
        ASKD_STATUS_INPUT_TYPE,
        askd_session_run(session, floats.as_ptr(), ELEMENTS, output, CLASSES)
    );
    let normalised = bench.running.session;
    refuse!(
        bench,
        "session",
        ASKD_STATUS_INPUT_TYPE,
        askd_session_run_u8(normalised, input.as_ptr(), ELEMENTS, output, CLASSES)
    );
}

fn images_of_pixels(bench: &mut Bench) {
    let (session, pixels) = (bench.running.session, [9u8; ELEMENTS]);
    let (output, predictions) = (bench.output::<f32>(0), bench.output::<askd_prediction>(0));
    let count = bench.output::<usize>(1);
    let right = || askd_image {
        pixels: pixels.as_ptr(),
        size: ELEMENTS,
        height: 4,
        width: 4,
        format: ASKD_PIXEL_FORMAT_RGB8,
    };
    let wrong = [
        (
            askd_image {
                pixels: ptr::null(),
                ..right()
            },
            ASKD_STATUS_NULL_POINTER,
        ),
        (
            askd_image {
                size: ELEMENTS - 1,
                ..right()
            },
            ASKD_STATUS_WRONG_LENGTH,
        ),
        (
            askd_image {
                size: usize::MAX,
                ..right()
            },
            ASKD_STATUS_WRONG_LENGTH,
        ),
        (askd_image { height: 0, ..right() }, ASKD_STATUS_WRONG_LENGTH),
        (
            askd_image {
                width: usize::MAX,
                ..right()
            },
            ASKD_STATUS_WRONG_LENGTH,
        ),
        (askd_image { format: 0, ..right() }, ASKD_STATUS_UNKNOWN_VALUE),
        (askd_image { format: 3, ..right() }, ASKD_STATUS_UNKNOWN_VALUE),
        (
            askd_image {
                format: ASKD_PIXEL_FORMAT_GRAY8,
                ..right()
            },
            ASKD_STATUS_WRONG_LENGTH,
        ),
    ];
    for (image, expected) in &wrong {
        // SAFETY: but for what is tested, the arguments are right.
        let status = unsafe { askd_session_run_image(session, image, output, CLASSES) };
        bench.judge("askd_session_run_image", "image", status, *expected);
        // SAFETY: as above.
        let status = unsafe { askd_session_classify(session, image, predictions, 2, count) };
        bench.judge("askd_session_classify", "image", status, *expected);
    }
    let image = right();
    for room in [0, CLASSES - 1, CLASSES + 1] {
        refuse!(
            bench,
            "output_length",
            ASKD_STATUS_WRONG_LENGTH,
            askd_session_run_image(session, &image, output, room)
        );
    }
    let shared = askd_image {
        pixels: output.cast(),
        ..right()
    };
    refuse!(
        bench,
        "output",
        ASKD_STATUS_OVERLAP,
        askd_session_run_image(session, &shared, output, CLASSES)
    );
    refuse!(
        bench,
        "capacity",
        ASKD_STATUS_WRONG_LENGTH,
        askd_session_classify(session, &image, predictions, usize::MAX, count)
    );
}

/// Functions that cannot fail: unknown numbers have a text too.
fn constants(bench: &mut Bench) {
    // SAFETY: the texts are constants of the library.
    let (status, provider) = unsafe {
        (
            CStr::from_ptr(askd_status_text(u32::MAX)),
            CStr::from_ptr(askd_provider_text(u32::MAX)),
        )
    };
    assert_eq!((status, provider), (c"unknown status", c"unknown"));
    bench.cases.insert(("askd_status_text".into(), "status".into()));
    bench.cases.insert(("askd_provider_text".into(), "provider".into()));
}
