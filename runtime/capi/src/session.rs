//! A model ready to run.

use std::ffi::c_char;
use std::sync::{Mutex, MutexGuard, TryLockError};

use askd_runtime::Session;

use crate::boundary::{self, Caller, call};
use crate::error::Fault;
use crate::image::{self, askd_image};
use crate::model::askd_model;
use crate::options::askd_session_options;
use crate::prediction::askd_prediction;
use crate::provider;
use crate::status::askd_status;

/// A model loaded into ONNX Runtime. One thread at a time uses it; a second one gets BUSY and changes nothing.
// The lock is only ever tried: it makes a second thread's mistake an error, and it remembers a panic.
pub struct askd_session(Mutex<Session>);

impl askd_session {
    fn lock(&self) -> Result<MutexGuard<'_, Session>, Fault> {
        lock(&self.0)
    }
}

fn lock<T>(session: &Mutex<T>) -> Result<MutexGuard<'_, T>, Fault> {
    session.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => Fault::Busy,
        TryLockError::Poisoned(_) => Fault::Broken,
    })
}

/// What a passed self test saw.
#[repr(C)]
pub struct askd_self_test {
    /// Images compared.
    pub images: usize,
    /// Largest absolute difference of a logit.
    pub max_abs_diff: f32,
}

/// Makes a session of `model`: loads ONNX Runtime if that has not happened yet, and gives it the checked bytes. `options`
/// may be NULL for the defaults.
///
/// `session` gets a session that the caller owns and frees by `askd_session_free`. Model and options may be freed before.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, LIBRARY, LIBRARY_CONFLICT, PROVIDER_UNAVAILABLE, CPU_NODES, OPTION, ENGINE,
/// MODEL, FILE for a cache that cannot be written. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_new(
    model: *const askd_model,
    options: *const askd_session_options,
    session: *mut *mut askd_session,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let model = caller.object("model", model)?;
        let options = caller.optional("options", options)?;
        let output = caller.output("session", session)?;
        let session = match options {
            Some(options) => model.session(options.get()),
            None => model.session(&Default::default()),
        };
        output.hand_over(askd_session(Mutex::new(session?)));
        Ok(())
    })
}

/// Frees a session that no thread is using; NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_free(session: *mut askd_session) {
    // SAFETY: the caller gives up a session that it owns, or NULL.
    unsafe { boundary::free("session", session) }
}

/// Tells the device the session runs on, an `ASKD_PROVIDER_` number; never CUDA_OR_CPU, but which of the two it is.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, BUSY. Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_provider(session: *const askd_session, provider: *mut u32) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let found = caller.object("session", session)?.lock()?.provider();
        let output = caller.output("provider", provider)?;
        output.write(provider::to_number(found).ok_or(Fault::NoNumber(found))?);
        Ok(())
    })
}

/// Copies why a session that was to run by CUDA_OR_CPU runs on the CPU; empty if it does not. `buffer` and `length` are as
/// for `askd_model_label`.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, BUFFER_TOO_SMALL, BUSY. Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_fallback(
    session: *const askd_session,
    buffer: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let session = caller.object("session", session)?.lock()?;
        let text = caller.text_output(buffer, capacity, length)?;
        text.write(&session.fallback().map(ToString::to_string).unwrap_or_default())
    })
}

/// Runs N preprocessed images: `input` holds N * channels * height * width normalised floats, `output` gets N * classes raw
/// logits. N is 1 unless the batch is dynamic. The first run with a new N allocates, later ones with it do not.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, INPUT_TYPE for a model of pixels, WRONG_LENGTH, OVERLAP, BUSY, ENGINE.
/// Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_run(
    session: *mut askd_session,
    input: *const f32,
    input_length: usize,
    output: *mut f32,
    output_length: usize,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let mut session = caller.object("session", session)?.lock()?;
        let input = caller.slice("input", input, input_length)?;
        let output = caller.numbers_apart_from(input, "output", output, output_length)?;
        Ok(session.run(input, output)?)
    })
}

/// Runs N images as pixels on a model that normalises them itself: `pixels` holds N * height * width * channels bytes, channels
/// interleaved; otherwise as `askd_session_run`.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, INPUT_TYPE for a model of normalised images, WRONG_LENGTH, OVERLAP, BUSY, ENGINE.
/// Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_run_u8(
    session: *mut askd_session,
    pixels: *const u8,
    pixels_length: usize,
    output: *mut f32,
    output_length: usize,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let mut session = caller.object("session", session)?.lock()?;
        let pixels = caller.slice("pixels", pixels, pixels_length)?;
        let output = caller.numbers_apart_from(pixels, "output", output, output_length)?;
        Ok(session.run_u8(pixels, output)?)
    })
}

/// Preprocesses one image of any size as training did, and runs it: `output` gets the raw logits, one a class. Allocates
/// when the images' size changes, and not otherwise.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE, WRONG_LENGTH, OVERLAP, BUSY, ENGINE. Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_run_image(
    session: *mut askd_session,
    image: *const askd_image,
    output: *mut f32,
    output_length: usize,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let mut session = caller.object("session", session)?.lock()?;
        let image = image::read(&caller, image)?;
        let output = caller.numbers_apart_from(image.pixels(), "output", output, output_length)?;
        Ok(session.run_image(&image, output)?)
    })
}

/// The `capacity` most likely classes of one image, most likely first, with the bundle's temperature; all of them if there
/// are fewer. `count` gets how many. Allocates when the images' size changes, and not otherwise.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE, WRONG_LENGTH, BUSY, ENGINE; LOGIT if the model gives a number
/// that is not finite. Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_classify(
    session: *mut askd_session,
    image: *const askd_image,
    predictions: *mut askd_prediction,
    capacity: usize,
    count: *mut usize,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let mut session = caller.object("session", session)?.lock()?;
        let image = image::read(&caller, image)?;
        let predictions = caller.buffer("predictions", predictions, capacity)?;
        let count = caller.output("count", count)?;
        let ranked = session.classify(&image, capacity)?;
        count.write(predictions.fill(ranked.map(askd_prediction::new)));
        Ok(())
    })
}

/// Runs the bundle's golden images and compares the logits with those the compiler saw. Do so at least once after every
/// update of model, library or device.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, BUSY, ENGINE; SELF_TEST if a logit differs by more than the bundle allows:
/// this device computes something else, so the bundle must not be used on it. Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_self_test(
    session: *mut askd_session,
    result: *mut askd_self_test,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let mut session = caller.object("session", session)?.lock()?;
        let result = caller.output("result", result)?;
        let seen = session.self_test()?;
        result.write(askd_self_test {
            images: seen.images,
            max_abs_diff: seen.max_abs_diff,
        });
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::kept;
    use crate::status::{ASKD_STATUS_BUSY, ASKD_STATUS_OK, ASKD_STATUS_PANIC};

    #[test]
    fn a_second_thread_is_refused_and_a_panic_is_remembered() {
        let session = Mutex::new(0);
        let used = || call(|| lock(&session).map(drop));
        assert_eq!(used(), ASKD_STATUS_OK);
        let held = lock(&session).unwrap();
        assert_eq!(used(), ASKD_STATUS_BUSY);
        drop(held);
        assert_eq!(used(), ASKD_STATUS_OK);
        let panicking = || {
            let _held = lock(&session)?;
            panic!("injected")
        };
        assert_eq!(call(panicking), ASKD_STATUS_PANIC);
        assert_eq!(used(), ASKD_STATUS_PANIC);
        assert_eq!(
            kept(),
            "session: an earlier call with it panicked (free it and make a new one)"
        );
    }
}
