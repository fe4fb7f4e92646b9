//! What a caller may choose about a session.

use std::ffi::c_char;

use askd_runtime::{Optimisation, SessionOptions};

use crate::boundary::{self, Caller, call};
use crate::error::Fault;
use crate::provider;
use crate::status::askd_status;

/// Each node runs as written.
pub const ASKD_OPTIMISATION_NONE: u32 = 0;
/// Rewrites that any device can use, such as constant folding.
pub const ASKD_OPTIMISATION_BASIC: u32 = 1;
/// Also fusions of operators that only some devices have.
pub const ASKD_OPTIMISATION_EXTENDED: u32 = 2;
/// Also memory layouts of the processor at hand.
pub const ASKD_OPTIMISATION_ALL: u32 = 3;

/// What a caller may choose about a session. One thread at a time uses it.
pub struct askd_session_options(SessionOptions);

impl askd_session_options {
    pub(crate) fn get(&self) -> &SessionOptions {
        &self.0
    }
}

/// Makes options that have every default.
///
/// `options` gets options that the caller owns and frees by `askd_session_options_free`. Sessions do not need them to live
/// on.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_options_new(options: *mut *mut askd_session_options) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let options = caller.output("options", options)?;
        options.hand_over(askd_session_options(SessionOptions::default()));
        Ok(())
    })
}

/// Frees options; NULL is nothing to free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_options_free(options: *mut askd_session_options) {
    // SAFETY: the caller gives up options that it owns, or NULL.
    unsafe { boundary::free("options", options) }
}

/// The device to run on, an `ASKD_PROVIDER_` number; the CPU by default. A contract: making the session fails if it
/// cannot run there.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE. Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_options_set_provider(
    options: *mut askd_session_options,
    provider: u32,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        caller.object_mut("options", options)?.0.provider = provider::from_number(provider)?;
        Ok(())
    })
}

/// Which of several such devices, from 0.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE above 65535. Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_options_set_device_id(
    options: *mut askd_session_options,
    device_id: u32,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        caller.object_mut("options", options)?.0.device_id = small("device_id", device_id)?;
        Ok(())
    })
}

/// Whether every node must run on the provider, 0 or 1. 0 by default: ONNX Runtime then runs nodes that the provider does
/// not know on the CPU.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE. Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_options_set_strict(
    options: *mut askd_session_options,
    strict: u32,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        caller.object_mut("options", options)?.0.strict = flag("strict", strict)?;
        Ok(())
    })
}

/// Threads within one operator, the caller's included; 1 by default, 0 for one a core.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE above 65535. Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_options_set_threads(
    options: *mut askd_session_options,
    threads: u32,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        caller.object_mut("options", options)?.0.intra_op_threads = small("threads", threads)?;
        Ok(())
    })
}

/// Whether idle threads spin, 0 or 1; 0 by default. Spinning shortens runs that follow each other closely, and heats the
/// rest.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE. Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_options_set_spinning(
    options: *mut askd_session_options,
    spinning: u32,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        caller.object_mut("options", options)?.0.spinning = flag("spinning", spinning)?;
        Ok(())
    })
}

/// Whether ONNX Runtime keeps the memory of a run on the CPU for the next one, 0 or 1; 1 by default.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE. Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_options_set_memory_arena(
    options: *mut askd_session_options,
    memory_arena: u32,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        caller.object_mut("options", options)?.0.memory_arena = flag("memory_arena", memory_arena)?;
        Ok(())
    })
}

/// Most bytes of that memory on the device; 0, the default, for no limit. For CUDA alone: a session on another provider
/// fails by OPTION.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER. Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_options_set_memory_limit(
    options: *mut askd_session_options,
    bytes: u64,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        caller.object_mut("options", options)?.0.memory_limit = (bytes > 0).then_some(bytes);
        Ok(())
    })
}

/// How much ONNX Runtime may rewrite the graph before the first run, an `ASKD_OPTIMISATION_` number; ALL by default.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, UNKNOWN_VALUE. Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_options_set_optimisation(
    options: *mut askd_session_options,
    optimisation: u32,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        caller.object_mut("options", options)?.0.optimisation = match optimisation {
            ASKD_OPTIMISATION_NONE => Optimisation::None,
            ASKD_OPTIMISATION_BASIC => Optimisation::Basic,
            ASKD_OPTIMISATION_EXTENDED => Optimisation::Extended,
            ASKD_OPTIMISATION_ALL => Optimisation::All,
            found => {
                return Err(Fault::UnknownValue {
                    name: "optimisation",
                    expected: "an ASKD_OPTIMISATION_ number",
                    found,
                });
            }
        };
        Ok(())
    })
}

/// The ONNX Runtime library, or NULL, the default, to look for it as `askd_engine_load` does. The path is copied.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER. Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_options_set_library(
    options: *mut askd_session_options,
    path: *const c_char,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        caller.object_mut("options", options)?.0.library = caller.optional_path("path", path)?;
        Ok(())
    })
}

/// Directory in which TensorRT keeps the engines it made, for a later start to be quick, or NULL, the default, for none.
/// For TensorRT alone: a session on another provider fails by OPTION. Only trusted programs may be able to write there. The
/// path is copied.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER. Threads: one at a time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_session_options_set_cache(
    options: *mut askd_session_options,
    path: *const c_char,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        caller.object_mut("options", options)?.0.cache = caller.optional_path("path", path)?;
        Ok(())
    })
}

/// 0 or 1, as C's `bool` becomes when it is passed on.
fn flag(name: &'static str, value: u32) -> Result<bool, Fault> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        found => Err(Fault::UnknownValue {
            name,
            expected: "0 or 1",
            found,
        }),
    }
}

fn small(name: &'static str, value: u32) -> Result<u16, Fault> {
    u16::try_from(value).map_err(|_| Fault::UnknownValue {
        name,
        expected: "0 to 65535",
        found: value,
    })
}
