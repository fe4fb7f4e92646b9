//! Bytes of a file by memory map: the one place of this crate with `unsafe`.
#![expect(
    unsafe_code,
    reason = "a map is only as constant as its file, which the type system cannot know"
)]

use std::fs::File;
use std::io;
use std::path::Path;

use memmap2::MmapOptions;

use crate::error::Error;
use crate::model::{Model, in_directory, read_manifest};
use crate::storage::Storage;

impl Model {
    /// As [`Model::open`], but maps the model file instead of reading it, which saves its size in private memory.
    ///
    /// Meant for storage that cannot be written while the device runs, such as a read-only root file system.
    ///
    /// # Safety
    /// No file of the bundle may be changed or truncated, by any process, while the model lives. A change after the
    /// digest check is undefined behaviour, and a truncation ends the process with a bus error.
    ///
    /// # Errors
    /// Those of [`Model::open`].
    pub unsafe fn open_mapped(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::assemble(
            read_manifest(dir.as_ref())?,
            None,
            in_directory(dir.as_ref(), |file, _| {
                // SAFETY: the caller vouches that the file does not change.
                unsafe { map(file) }
            }),
        )
    }
}

/// Maps the whole of `file`, all its pages at once: the digest needs each of them.
///
/// # Safety
/// The file must not change while the map lives.
unsafe fn map(file: &File) -> io::Result<Storage> {
    // SAFETY: passed on to the caller.
    unsafe { MmapOptions::new().populate().map(file) }.map(Storage::mapped)
}
