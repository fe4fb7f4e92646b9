//! A verified bundle in memory.

use std::ffi::c_char;
use std::ops::Deref;

use askd_runtime::Model;

use crate::boundary::{self, Caller, call};
use crate::error::Fault;
use crate::status::askd_status;

/// A verified bundle in memory: its manifest, one variant's ONNX bytes and its golden data. Never changes, so any number of
/// threads may use it at a time.
pub struct askd_model(Model);

impl Deref for askd_model {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.0
    }
}

/// One file of a bundle, in the caller's memory.
#[repr(C)]
pub struct askd_file {
    /// Its name in `askd.json`: UTF-8, ending with NUL.
    pub name: *const c_char,
    /// `size` bytes.
    pub data: *const u8,
    /// In bytes.
    pub size: usize,
}

/// Opens the bundle in directory `dir` with its default variant. Every byte is checked against the manifest's digests, and
/// copied: the files may change or go away afterwards.
///
/// `model` gets a model that the caller owns and frees by `askd_model_free`. Sessions do not need it to live on.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, NOT_A_BUNDLE, FILE, DIGEST, MANIFEST, SCHEMA, MODEL, GOLDEN. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_model_open(dir: *const c_char, model: *mut *mut askd_model) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let dir = caller.path("dir", dir)?;
        let model = caller.output("model", model)?;
        model.hand_over(askd_model(Model::open(dir)?));
        Ok(())
    })
}

/// As `askd_model_open`, with the variant called `variant`, UTF-8.
///
/// Statuses: those of `askd_model_open`, NOT_UTF8, NO_SUCH_VARIANT. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_model_open_variant(
    dir: *const c_char,
    variant: *const c_char,
    model: *mut *mut askd_model,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let (dir, variant) = (caller.path("dir", dir)?, caller.text("variant", variant)?);
        let model = caller.output("model", model)?;
        model.hand_over(askd_model(Model::open_variant(dir, variant)?));
        Ok(())
    })
}

/// As `askd_model_open`, but maps the ONNX file instead of copying it, which saves its size in private memory.
///
/// The caller vouches that no process changes or truncates a file of the bundle while the model lives, as on a read-only
/// file system. A change after the check is undefined behaviour, a truncation ends the process by SIGBUS.
///
/// Statuses: those of `askd_model_open`. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_model_open_mapped(dir: *const c_char, model: *mut *mut askd_model) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let dir = caller.path("dir", dir)?;
        let model = caller.output("model", model)?;
        // SAFETY: the caller of this function vouches that the files do not change.
        let mapped = unsafe { Model::open_mapped(dir) }?;
        model.hand_over(askd_model(mapped));
        Ok(())
    })
}

/// A bundle whose files are in memory already, as where they are linked into the firmware: with its default variant.
///
/// `manifest` holds the `manifest_size` bytes of `askd.json`, `files` the `file_count` other files that are used. All is
/// copied; none of it is needed after the call. Otherwise as `askd_model_open`.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, NOT_UTF8, FILE for one that is not there, DIGEST, MANIFEST, SCHEMA, MODEL,
/// GOLDEN. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_model_from_bytes(
    manifest: *const u8,
    manifest_size: usize,
    files: *const askd_file,
    file_count: usize,
    model: *mut *mut askd_model,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let manifest = caller.slice("manifest", manifest, manifest_size)?;
        let files = caller.slice("files", files, file_count)?.iter().map(|file| {
            let name = caller.text("files.name", file.name)?;
            Ok((name, caller.slice("files.data", file.data, file.size)?))
        });
        let files = files.collect::<Result<Vec<_>, Fault>>()?;
        let model = caller.output("model", model)?;
        model.hand_over(askd_model(Model::from_bytes(manifest, &files)?));
        Ok(())
    })
}

/// Frees a model; NULL is nothing to free. Sessions made from it live on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_model_free(model: *mut askd_model) {
    // SAFETY: the caller gives up a model that it owns, or NULL.
    unsafe { boundary::free("model", model) }
}
