//! A data set's file by memory map: beside `nn/kernels`, the one place of this crate with `unsafe`.
//!
//! A mapped file takes no memory of its own: the system brings pages in when they are read, and drops them when it needs
//! the room. In return the file must stay as it is while it is used: what is written to it meanwhile may be trained on,
//! and a file that is cut short ends the process with a bus error.

#![expect(
    unsafe_code,
    reason = "a map is only as constant as its file, which the type system cannot know"
)]

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

use crate::{Error, Result};

/// The bytes of a whole file, read when they are touched.
#[derive(Debug)]
pub(super) struct Mapped(Mmap);

impl Mapped {
    /// Maps the file at `path`, which must not be changed or truncated while the map lives.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io(path))?;
        // SAFETY: the map is only read, and its length is the file's own. That nobody writes to a data set in use is
        // what this crate demands of its user (see above). Nothing here rests on the bytes staying the same: labels are
        // checked in a copy, and no offset or length is taken from the map after the file was read.
        let map = unsafe { Mmap::map(&file) };
        map.map(Self).map_err(Error::io(path))
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        for bytes in [&b""[..], b"some bytes"] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(&*Mapped::open(&path).unwrap(), bytes);
        }
        assert!(matches!(Mapped::open(&dir.path().join("none")), Err(Error::Io { .. })));
    }
}
