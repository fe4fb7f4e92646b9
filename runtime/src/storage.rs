//! Bytes of a model file that nobody changes any more.

use std::fs::File;
use std::io::{self, Read};

use memmap2::{Mmap, MmapMut};
use sha2::{Digest, Sha256};

use crate::digest::hex;

/// Bytes that are read, then hashed, at a time: few enough to be in the cache still.
const CHUNK: usize = 128 << 10;
/// Size of a large page on the usual processors.
const LARGE_PAGE: usize = 2 << 20;

/// Read-only pages of memory: a sealed copy, or a map of the file.
///
/// A sealed copy is not the file: whatever happens to that, these bytes stay. Nor can this process write to them by a stray
/// pointer, which in firmware may come from anywhere. And pages of their own go back to the system when a model is
/// dropped, whatever the allocator does, so swapping models does not fragment its heap.
pub(crate) struct Storage {
    pages: Mmap,
    /// Bytes in use, from the start.
    length: usize,
    sha256: String,
}

impl Storage {
    /// A sealed copy of the first `size` bytes of `file`, or of fewer, where there are not so many.
    pub(crate) fn read(file: &File, size: u64) -> io::Result<Self> {
        let capacity = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        let mut file = file;
        Self::fill(capacity, |chunk| {
            loop {
                match file.read(chunk) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => return other,
                }
            }
        })
    }

    /// A sealed copy of `bytes`.
    pub(crate) fn copy(bytes: &[u8]) -> io::Result<Self> {
        let mut rest = bytes;
        Self::fill(bytes.len(), |chunk| rest.read(chunk))
    }

    /// The whole of a map.
    pub(crate) fn mapped(pages: Mmap) -> Self {
        let (length, sha256) = (pages.len(), hex(&Sha256::digest(&pages)));
        Self { pages, length, sha256 }
    }

    /// SHA-256 of the bytes, in hexadecimal.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Has `read` fill `capacity` bytes, or as many as it has, and hashes them on the way.
    fn fill(capacity: usize, mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<Self> {
        let mut pages = fresh_pages(capacity)?;
        let (mut length, mut hash) = (0, Sha256::new());
        while length < capacity {
            let end = capacity.min(length + CHUNK);
            let chunk = &mut pages[length..end];
            let count = read(chunk)?;
            if count == 0 {
                break;
            }
            hash.update(&chunk[..count]);
            length += count;
        }
        Ok(Self {
            pages: pages.make_read_only()?,
            length,
            sha256: hex(&hash.finalize()),
        })
    }
}

/// Pages of zeros for `capacity` bytes, large ones where the system has them.
///
/// To be given small pages, one after the other, takes as long as half of SHA-256. The map is a multiple of large pages, for
/// Linux aligns no other; what exceeds the last whole one gets small pages, or none, so that no memory is wasted.
fn fresh_pages(capacity: usize) -> io::Result<MmapMut> {
    // There is no map of no bytes.
    let pages = MmapMut::map_anon(capacity.max(1).next_multiple_of(LARGE_PAGE))?;
    #[cfg(target_os = "linux")]
    {
        // It only saves time, and not every kernel knows it.
        let _ = pages.advise_range(memmap2::Advice::HugePage, 0, capacity / LARGE_PAGE * LARGE_PAGE);
    }
    Ok(pages)
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
    use crate::sha256_hex;

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
            assert_eq!(storage.sha256(), sha256_hex(text.as_bytes()));
        }
        assert_eq!(Storage::copy(b"").unwrap().as_ref(), b"");
        let long = vec![7; 3 * CHUNK + 1];
        let storage = Storage::copy(&long).unwrap();
        assert_eq!(
            (storage.as_ref(), storage.sha256()),
            (&long[..], sha256_hex(&long).as_str())
        );
        assert_eq!(Storage::copy(b"bytes").unwrap().as_ref(), b"bytes");
    }
}
