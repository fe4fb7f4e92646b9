//! What a bundle says of itself.

use std::ffi::c_char;

use askd_runtime::{Batch, ElementType};

use crate::boundary::{Caller, call};
use crate::error::Fault;
use crate::model::askd_model;
use crate::status::askd_status;

/// The shape of one image as the model takes it.
#[repr(C)]
pub struct askd_input_shape {
    /// C: 1 for gray, 3 for RGB.
    pub channels: usize,
    /// H, in pixels.
    pub height: usize,
    /// W, in pixels.
    pub width: usize,
}

/// Tells the shape of the model's input: one image is channels * height * width floats.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER. Threads: any, several at a time too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_model_input_shape(model: *const askd_model, shape: *mut askd_input_shape) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let [channels, height, width] = caller.object("model", model)?.manifest().input.shape;
        caller.output("shape", shape)?.write(askd_input_shape {
            channels,
            height,
            width,
        });
        Ok(())
    })
}

/// Tells K, the number of classes: one image gives as many logits.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER. Threads: any, several at a time too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_model_classes(model: *const askd_model, classes: *mut usize) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let found = caller.object("model", model)?.manifest().output.classes;
        caller.output("classes", classes)?.write(found);
        Ok(())
    })
}

/// Tells whether one run takes any number of images; otherwise it takes exactly one.
///
/// Statuses: NULL_POINTER. Threads: any, several at a time too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_model_is_batch_dynamic(model: *const askd_model, is_dynamic: *mut bool) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let batch = caller.object("model", model)?.variant().batch;
        caller.output("is_dynamic", is_dynamic)?.write(batch == Batch::Dynamic);
        Ok(())
    })
}

/// Tells whether the model takes raw pixels and normalises them itself (`askd_session_run_u8`); otherwise it takes normalised
/// floats (`askd_session_run`). `askd_session_run_image` and `askd_session_classify` do for both.
///
/// Statuses: NULL_POINTER. Threads: any, several at a time too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_model_takes_pixels(model: *const askd_model, takes_pixels: *mut bool) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let data_type = caller.object("model", model)?.manifest().input.data_type;
        caller
            .output("takes_pixels", takes_pixels)?
            .write(data_type == ElementType::U8);
        Ok(())
    })
}

/// Tells the bundle's sequence number, which rises with every bundle made for one product. The library accepts every
/// number; to refuse an older bundle is the caller's decision.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER. Threads: any, several at a time too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_model_sequence(model: *const askd_model, sequence: *mut u64) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let found = caller.object("model", model)?.manifest().sequence;
        caller.output("sequence", sequence)?.write(found);
        Ok(())
    })
}

/// Tells the divisor of the logits before softmax; 1 where none was fitted.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER. Threads: any, several at a time too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_model_temperature(model: *const askd_model, temperature: *mut f32) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let found = caller.object("model", model)?.manifest().temperature;
        caller.output("temperature", temperature)?.write(found);
        Ok(())
    })
}

/// Copies the name of class `class_index`, from 0: UTF-8, with a NUL at its end.
///
/// `length` gets the bytes without the NUL, and may be NULL. `buffer` may be NULL if `capacity` is 0: then only `length`
/// is written.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, NO_SUCH_CLASS, BUFFER_TOO_SMALL. Threads: any, several at a time too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_model_label(
    model: *const askd_model,
    class_index: u32,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let labels = &caller.object("model", model)?.manifest().labels;
        let text = caller.text_output(buffer, capacity, length)?;
        let label = usize::try_from(class_index).ok().and_then(|class| labels.get(class));
        text.write(label.ok_or(Fault::Class {
            classes: labels.len(),
            found: class_index,
        })?)
    })
}

/// Copies the name of the variant that was opened, such as `fp32`. `buffer` and `length` are as for `askd_model_label`.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, BUFFER_TOO_SMALL. Threads: any, several at a time too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_model_variant_name(
    model: *const askd_model,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let name = &caller.object("model", model)?.variant().name;
        caller.text_output(buffer, capacity, length)?.write(name)
    })
}

/// Copies the kind of device that the bundle is meant for; `generic` runs anywhere. `buffer` and `length` are as for
/// `askd_model_label`.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, BUFFER_TOO_SMALL. Threads: any, several at a time too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_model_device_class(
    model: *const askd_model,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let class = &caller.object("model", model)?.manifest().device_class;
        caller.text_output(buffer, capacity, length)?.write(class)
    })
}
