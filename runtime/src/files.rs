//! Reads the files of a bundle: regular files only, of the size and digest that the manifest vouches for.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use crate::error::Error;
use crate::manifest::{Golden, Variant};
use crate::storage::Storage;

/// Largest `askd.json`: 16 MiB, above a manifest with 2^20 labels of ordinary length.
pub(crate) const MAX_MANIFEST: u64 = 16 << 20;
/// Largest model or golden file: 2 GiB, the limit of a protobuf message.
pub(crate) const MAX_FILE: u64 = 2 << 30;

/// Opens the regular file at `path`, and returns it with its size in bytes.
pub(crate) fn open(path: &Path, limit: u64) -> Result<(File, u64), Error> {
    let read = |source| Error::Read {
        path: path.to_owned(),
        source,
    };
    // Not following links: a bundle is self-contained. Before opening: some devices act on being opened.
    refuse_irregular(path, fs::symlink_metadata(path).map_err(read)?.file_type())?;
    let file = open_at_once(path).map_err(read)?;
    // What was looked at may have been exchanged since.
    let metadata = file.metadata().map_err(read)?;
    refuse_irregular(path, metadata.file_type())?;
    let found = metadata.len();
    if found > limit {
        return Err(Error::FileTooLarge {
            path: path.to_owned(),
            limit,
            found,
        });
    }
    Ok((file, found))
}

/// Only a regular file has bytes that stay the same from one reading to the next.
fn refuse_irregular(path: &Path, kind: FileType) -> Result<(), Error> {
    let found = match kind {
        _ if kind.is_file() => return Ok(()),
        _ if kind.is_symlink() => "a symbolic link",
        _ if kind.is_dir() => "a directory",
        _ => "a device, pipe or socket",
    };
    Err(Error::NotAFile {
        path: path.to_owned(),
        found,
    })
}

/// Opens a file to read it, without following a link or waiting for a pipe's writer.
fn open_at_once(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK);
    }
    options.open(path)
}

/// Reads `file`, whose size is `size`, whole.
pub(crate) fn read(file: &File, size: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let capacity = usize::try_from(size).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    bytes
        .try_reserve_exact(capacity)
        .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    // A file that grows meanwhile must not fill the memory; the digest check notices.
    file.take(size).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What the manifest says of a file.
pub(crate) struct Vouched<'a> {
    pub(crate) file: &'a str,
    size: u64,
    sha256: &'a str,
}

impl<'a> Vouched<'a> {
    pub(crate) fn variant(variant: &'a Variant) -> Self {
        Self {
            file: &variant.file,
            size: variant.size,
            sha256: &variant.sha256,
        }
    }

    pub(crate) fn golden(golden: &'a Golden) -> Self {
        Self {
            file: &golden.file,
            size: golden.size,
            sha256: &golden.sha256,
        }
    }

    /// Opens the file in directory `dir`, has `bring` bring its bytes, and checks them.
    pub(crate) fn load(
        &self,
        dir: &Path,
        bring: impl FnOnce(&File, u64) -> io::Result<Storage>,
    ) -> Result<Storage, Error> {
        let path = dir.join(self.file);
        let (file, size) = open(&path, MAX_FILE)?;
        // Cheapest first: a wrong size needs no reading.
        self.check_size(&path, size)?;
        let bytes = bring(&file, size).map_err(|source| Error::Read {
            path: path.clone(),
            source,
        })?;
        self.check(&path, bytes)
    }

    /// Gives back `bytes`, which came from `path`, if they are the ones vouched for.
    pub(crate) fn check(&self, path: &Path, bytes: Storage) -> Result<Storage, Error> {
        self.check_size(path, bytes.as_ref().len() as u64)?;
        if bytes.sha256() != self.sha256 {
            return Err(Error::FileDigest {
                path: path.to_owned(),
                expected: self.sha256.to_owned(),
                found: bytes.sha256().to_owned(),
            });
        }
        Ok(bytes)
    }

    pub(crate) fn check_size(&self, path: &Path, found: u64) -> Result<(), Error> {
        if found == self.size {
            return Ok(());
        }
        Err(Error::FileSize {
            path: path.to_owned(),
            expected: self.size,
            found,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As when a pipe takes a file's place between the look at it and its opening.
    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let file = open_at_once(&path).unwrap();
        let kind = file.metadata().unwrap().file_type();
        assert!(matches!(
            refuse_irregular(&path, kind).unwrap_err(),
            Error::NotAFile {
                found: "a device, pipe or socket",
                ..
            }
        ));
        assert!(open(&path, 1).is_err());
    }

    #[test]
    fn a_file_over_the_limit_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("big");
        // Sparse: takes no space on disk.
        File::create(&path).unwrap().set_len(MAX_FILE + 1).unwrap();
        assert!(
            matches!(open(&path, MAX_FILE).unwrap_err(), Error::FileTooLarge { found, .. } if found == MAX_FILE + 1)
        );
        assert!(matches!(
            open(folder.path(), 1).unwrap_err(),
            Error::NotAFile {
                found: "a directory",
                ..
            }
        ));
    }
}
