//! The ONNX Runtime library of the process.

use std::ffi::c_char;

use askd_runtime::Engine;

use crate::boundary::{Caller, call};
use crate::provider;
use crate::status::askd_status;

/// Loads ONNX Runtime, once a process; later calls find it loaded.
///
/// `path` names the library file and no other. With NULL, the file that the variable ORT_DYLIB_PATH names; without that,
/// `libonnxruntime.so` beside the executable or in `../lib`, `../onnxruntime/lib` or `../../onnxruntime/lib` from there;
/// last, what the system's loader finds. Need not be called: the first session loads it too.
///
/// The builds that Microsoft publishes report to it over the network, unless the variable ORT_DISABLE_TELEMETRY is 1 when the
/// library is loaded: `askd_engine_warning` tells then.
///
/// Statuses: LIBRARY, LIBRARY_CONFLICT if `path` is another library than the one loaded, ENGINE. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_engine_load(path: *const c_char) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        Engine::load(caller.optional_path("path", path)?.as_deref())?;
        Ok(())
    })
}

/// Copies ONNX Runtime's version, such as `1.32.0`; empty if the library does not tell. Loads it as `askd_engine_load(NULL)`.
///
/// `length` gets the bytes without the NUL, and may be NULL. `buffer` may be NULL if `capacity` is 0: then only `length`
/// is written.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, BUFFER_TOO_SMALL, and those of `askd_engine_load`. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_engine_version(buffer: *mut c_char, capacity: usize, length: *mut usize) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let text = caller.text_output(buffer, capacity, length)?;
        text.write(Engine::load(None)?.version().unwrap_or_default())
    })
}

/// Copies the path of the library in use, or the bare name by which the system's loader found it; bytes that are not
/// UTF-8 are replaced. Otherwise as `askd_engine_version`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_engine_path(buffer: *mut c_char, capacity: usize, length: *mut usize) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let text = caller.text_output(buffer, capacity, length)?;
        text.write(&Engine::load(None)?.path().to_string_lossy())
    })
}

/// Copies one line on a reason for care, such as a version with known crashes; empty if there is none. Otherwise as
/// `askd_engine_version`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_engine_warning(buffer: *mut c_char, capacity: usize, length: *mut usize) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let text = caller.text_output(buffer, capacity, length)?;
        text.write(&Engine::load(None)?.warning().unwrap_or_default())
    })
}

/// Tells whether ONNX Runtime was built with a provider, an `ASKD_PROVIDER_` number; which says nothing of what this
/// machine can run. False for CUDA_OR_CPU, which is a rule and no provider.
///
/// Statuses: NULL_POINTER, UNKNOWN_VALUE, and those of `askd_engine_load`. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_engine_has_provider(provider: u32, has: *mut bool) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let has = caller.output("has", has)?;
        let provider = provider::from_number(provider)?;
        has.write(Engine::load(None)?.providers().contains(&provider));
        Ok(())
    })
}
