//! Bytes of a model file that nobody changes any more.

use std::fs::File;
use std::io::{self, Read};

use memmap2::{Mmap, MmapMut};

/// Read-only pages of memory: a sealed copy, or a map of the file.
///
/// A sealed copy is not the file: whatever happens to that, these bytes stay. Nor can this process write to them by a stray
/// pointer, which in firmware may come from anywhere. And pages of their own go back to the system when a model is
/// dropped, whatever the allocator does, so swapping models does not fragment its heap.
pub(crate) struct Storage {
    pages: Mmap,
    /// Bytes in use, from the start.
    length: usize,
}

impl Storage {
    /// A sealed copy of the first `size` bytes of `file`, or of fewer, where there are not so many.
    pub(crate) fn read(file: &File, size: u64) -> io::Result<Self> {
        let capacity = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let mut file = file;
        Self::fill(capacity, |pages| {
            let mut length = 0;
            while length < capacity {
                match file.read(&mut pages[length..capacity]) {
                    Ok(0) => break,
                    Ok(count) => length += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(length)
        })
    }

    /// A sealed copy of `bytes`.
    pub(crate) fn copy(bytes: &[u8]) -> io::Result<Self> {
        Self::fill(bytes.len(), |pages| {
            pages[..bytes.len()].copy_from_slice(bytes);
            Ok(bytes.len())
        })
    }

    /// The whole of a map.
    pub(crate) fn mapped(pages: Mmap) -> Self {
        let length = pages.len();
        Self { pages, length }
    }

    fn fill(capacity: usize, write: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<Self> {
        // There is no map of no bytes.
        let mut pages = MmapMut::map_anon(capacity.max(1))?;
        let length = write(&mut pages)?;
        let pages = pages.make_read_only()?;
        Ok(Self { pages, length })
    }
}

impl AsRef<[u8]> for Storage {
    fn as_ref(&self) -> &[u8] {
        &self.pages[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_copy_keeps_what_the_file_had() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "before").unwrap();
        let file = File::open(&path).unwrap();
        let (whole, part) = (
            Storage::read(&file, 6).unwrap(),
            Storage::read(&File::open(&path).unwrap(), 3).unwrap(),
        );
        fs::write(&path, "after").unwrap();
        assert_eq!(whole.as_ref(), b"before");
        assert_eq!(part.as_ref(), b"bef");
    }

    #[test]
    fn a_short_file_gives_what_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for text in ["", "some"] {
            fs::write(&path, text).unwrap();
            let storage = Storage::read(&File::open(&path).unwrap(), 100_000).unwrap();
            assert_eq!(storage.as_ref(), text.as_bytes());
        }
        assert_eq!(Storage::copy(b"").unwrap().as_ref(), b"");
        assert_eq!(Storage::copy(b"bytes").unwrap().as_ref(), b"bytes");
    }
}
