//! NULL and misaligned pointers, in the place of each pointer argument of each function.

use std::ffi::c_char;
use std::ptr;

use askd::*;

use super::{Bench, MAY_BE_NULL};
use crate::common::{CLASSES, ELEMENTS, images};
use crate::support::{c_path, last_error};

/// Wrong values of an argument, from a right one.
trait Wrong: Sized {
    fn null(self) -> Option<Self> {
        None
    }
    fn misaligned(self) -> Option<Self> {
        None
    }
}

impl<T> Wrong for *const T {
    fn null(self) -> Option<Self> {
        Some(ptr::null())
    }
    fn misaligned(self) -> Option<Self> {
        (align_of::<T>() > 1).then(|| self.wrapping_byte_add(1))
    }
}

impl<T> Wrong for *mut T {
    fn null(self) -> Option<Self> {
        Some(ptr::null_mut())
    }
    fn misaligned(self) -> Option<Self> {
        (align_of::<T>() > 1).then(|| self.wrapping_byte_add(1))
    }
}

impl Wrong for u32 {}
impl Wrong for u64 {}
impl Wrong for usize {}

/// Calls a function with each of its pointers NULL and then misaligned, all other arguments being right.
macro_rules! each_pointer {
    ($bench:ident, $function:ident($($argument:ident = $value:expr),* $(,)?)) => {
        each_pointer!(@ $bench, $function, [], $($argument = $value;)*)
    };
    (@ $bench:ident, $function:ident, [$($before:expr),*],) => {};
    (@ $bench:ident, $function:ident, [$($before:expr),*],
     $argument:ident = $value:expr; $($later:ident = $after:expr;)*) => {
        let (function, argument) = (stringify!($function), stringify!($argument));
        if MAY_BE_NULL.contains(&(function, argument)) || argument == "length" {
            $bench.cases.insert((function.to_owned(), argument.to_owned()));
        } else if let Some(wrong) = Wrong::null($value) {
            // SAFETY: NULL is what is tested; all else is right.
            let status = unsafe { $function($($before,)* wrong $(, $after)*) };
            $bench.judge(function, argument, status, ASKD_STATUS_NULL_POINTER);
            names_it(function, argument, "expected a pointer, got NULL");
        }
        if let Some(wrong) = Wrong::misaligned($value) {
            // SAFETY: the address is what is tested; all else is right.
            let status = unsafe { $function($($before,)* wrong $(, $after)*) };
            $bench.judge(function, &format!("{argument} misaligned"), status, ASKD_STATUS_MISALIGNED_POINTER);
            names_it(function, argument, "expected an address that is a multiple of");
        }
        each_pointer!(@ $bench, $function, [$($before,)* $value], $($later = $after;)*)
    };
}

fn names_it(function: &str, argument: &str, expected: &str) {
    let text = last_error();
    let named = text.starts_with(&format!("{argument}: {expected}"));
    assert!(
        named || function == "askd_last_error_text",
        "{function}, {argument}: {text}"
    );
}

pub(super) fn refused(bench: &mut Bench) {
    texts(bench);
    models(bench);
    options(bench);
    sessions(bench);
    frees(bench);
}

fn texts(bench: &mut Bench) {
    let (buffer, length) = (bench.output::<c_char>(0), bench.output::<usize>(1));
    let (model, session) = (bench.running.model.cast_const(), bench.running.session.cast_const());
    each_pointer!(
        bench,
        askd_last_error_text(buffer = buffer, capacity = 16usize, length = length)
    );
    each_pointer!(
        bench,
        askd_engine_version(buffer = buffer, capacity = 16usize, length = length)
    );
    each_pointer!(
        bench,
        askd_engine_path(buffer = buffer, capacity = 16usize, length = length)
    );
    each_pointer!(
        bench,
        askd_engine_warning(buffer = buffer, capacity = 16usize, length = length)
    );
    each_pointer!(
        bench,
        askd_model_label(
            model = model,
            class_index = 0u32,
            buffer = buffer,
            capacity = 16usize,
            length = length
        )
    );
    each_pointer!(
        bench,
        askd_model_variant_name(model = model, buffer = buffer, capacity = 16usize, length = length)
    );
    each_pointer!(
        bench,
        askd_model_device_class(model = model, buffer = buffer, capacity = 16usize, length = length)
    );
    each_pointer!(
        bench,
        askd_session_fallback(session = session, buffer = buffer, capacity = 16usize, length = length)
    );
}

fn models(bench: &mut Bench) {
    let dir = c_path(bench.running.folder.path());
    let dir = dir.as_ptr();
    let opened = bench.output::<*mut askd_model>(0);
    each_pointer!(bench, askd_engine_load(path = dir));
    each_pointer!(
        bench,
        askd_engine_has_provider(provider = 0u32, has = bench.output::<bool>(0))
    );
    each_pointer!(bench, askd_model_open(dir = dir, model = opened));
    each_pointer!(
        bench,
        askd_model_open_variant(dir = dir, variant = c"fp32".as_ptr(), model = opened)
    );
    each_pointer!(bench, askd_model_open_mapped(dir = dir, model = opened));
    let manifest = std::fs::read(bench.running.folder.path().join("askd.json")).unwrap();
    let file = askd_file {
        name: c"golden.safetensors".as_ptr(),
        data: manifest.as_ptr(),
        size: manifest.len(),
    };
    each_pointer!(
        bench,
        askd_model_from_bytes(
            manifest = manifest.as_ptr(),
            manifest_size = manifest.len(),
            files = &raw const file,
            file_count = 1usize,
            model = opened,
        )
    );
    let model = bench.running.model.cast_const();
    each_pointer!(
        bench,
        askd_model_input_shape(model = model, shape = bench.output::<askd_input_shape>(0))
    );
    each_pointer!(
        bench,
        askd_model_classes(model = model, classes = bench.output::<usize>(0))
    );
    each_pointer!(
        bench,
        askd_model_is_batch_dynamic(model = model, is_dynamic = bench.output::<bool>(0))
    );
    each_pointer!(
        bench,
        askd_model_takes_pixels(model = model, takes_pixels = bench.output::<bool>(0))
    );
    each_pointer!(
        bench,
        askd_model_sequence(model = model, sequence = bench.output::<u64>(0))
    );
    each_pointer!(
        bench,
        askd_model_temperature(model = model, temperature = bench.output::<f32>(0))
    );
    let logits = [0.0; CLASSES];
    each_pointer!(
        bench,
        askd_model_top_k(
            model = model,
            logits = logits.as_ptr(),
            logits_length = CLASSES,
            predictions = bench.output::<askd_prediction>(0),
            capacity = 2usize,
            count = bench.output::<usize>(1),
        )
    );
}

fn options(bench: &mut Bench) {
    let options = bench.options;
    each_pointer!(
        bench,
        askd_session_options_new(options = bench.output::<*mut askd_session_options>(0))
    );
    each_pointer!(
        bench,
        askd_session_options_set_provider(options = options, provider = 0u32)
    );
    each_pointer!(
        bench,
        askd_session_options_set_device_id(options = options, device_id = 0u32)
    );
    each_pointer!(bench, askd_session_options_set_strict(options = options, strict = 0u32));
    each_pointer!(
        bench,
        askd_session_options_set_threads(options = options, threads = 1u32)
    );
    each_pointer!(
        bench,
        askd_session_options_set_spinning(options = options, spinning = 0u32)
    );
    each_pointer!(
        bench,
        askd_session_options_set_memory_arena(options = options, memory_arena = 1u32)
    );
    each_pointer!(
        bench,
        askd_session_options_set_memory_limit(options = options, bytes = 0u64)
    );
    each_pointer!(
        bench,
        askd_session_options_set_optimisation(options = options, optimisation = 3u32)
    );
    each_pointer!(
        bench,
        askd_session_options_set_library(options = options, path = c"x".as_ptr())
    );
    each_pointer!(
        bench,
        askd_session_options_set_cache(options = options, path = c"x".as_ptr())
    );
}

fn sessions(bench: &mut Bench) {
    let (model, session) = (bench.running.model.cast_const(), bench.running.session);
    let options = bench.options.cast_const();
    each_pointer!(
        bench,
        askd_session_new(
            model = model,
            options = options,
            session = bench.output::<*mut askd_session>(0)
        )
    );
    each_pointer!(
        bench,
        askd_session_provider(session = session.cast_const(), provider = bench.output::<u32>(0))
    );
    let input = images(1);
    each_pointer!(
        bench,
        askd_session_run(
            session = session,
            input = input.as_ptr(),
            input_length = ELEMENTS,
            output = bench.output::<f32>(0),
            output_length = CLASSES,
        )
    );
    let pixels = [0u8; ELEMENTS];
    each_pointer!(
        bench,
        askd_session_run_u8(
            session = bench.on_pixels.session,
            pixels = pixels.as_ptr(),
            pixels_length = ELEMENTS,
            output = bench.output::<f32>(0),
            output_length = CLASSES,
        )
    );
    let image = askd_image {
        pixels: pixels.as_ptr(),
        size: ELEMENTS,
        height: 4,
        width: 4,
        format: ASKD_PIXEL_FORMAT_RGB8,
    };
    let image = &raw const image;
    each_pointer!(
        bench,
        askd_session_run_image(
            session = session,
            image = image,
            output = bench.output::<f32>(0),
            output_length = CLASSES,
        )
    );
    each_pointer!(
        bench,
        askd_session_classify(
            session = session,
            image = image,
            predictions = bench.output::<askd_prediction>(0),
            capacity = 2usize,
            count = bench.output::<usize>(1),
        )
    );
    each_pointer!(
        bench,
        askd_session_self_test(session = session, result = bench.output::<askd_self_test>(0))
    );
}

/// They return nothing: NULL is no object, and a misaligned one is left alone.
fn frees(bench: &mut Bench) {
    macro_rules! free {
        ($function:ident($argument:ident = $value:expr)) => {
            let (name, misaligned) = (stringify!($argument), $value.wrapping_byte_add(1));
            // SAFETY: both pointers are refused, which is what is tested.
            unsafe {
                $function(ptr::null_mut());
                $function(misaligned);
            }
            names_it(
                stringify!($function),
                name,
                "expected an address that is a multiple of",
            );
            bench.cases.insert((stringify!($function).into(), name.into()));
            bench
                .cases
                .insert((stringify!($function).into(), format!("{name} misaligned")));
        };
    }
    free!(askd_model_free(model = bench.running.model));
    free!(askd_session_options_free(options = bench.options));
    free!(askd_session_free(session = bench.running.session));
}
