//! A data set's files: mapped in a directory, unpacked out of a `.tar.gz`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::map::Mapped;
use super::records::Bytes;
use crate::{Error, Result};

/// Largest file that is read from an archive: CIFAR-100's is 154 MB.
const LARGEST_FILE: u64 = 4 << 30;

/// The wanted files of a data set, by their plain name.
pub(super) struct Files {
    origin: PathBuf,
    found: BTreeMap<String, Bytes>,
}

impl Files {
    /// Takes every file whose plain name `wanted` accepts, whatever folder of the archive or directory it is in.
    pub(super) fn read(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<Self> {
        let mut found = BTreeMap::new();
        let metadata = std::fs::metadata(path).map_err(Error::io(path))?;
        if metadata.is_dir() {
            read_directory(path, &wanted, &mut found)?;
        } else {
            read_archive(path, &wanted, &mut found)?;
        }
        Ok(Self {
            origin: path.to_owned(),
            found,
        })
    }

    /// The contents of a file, if it is there.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.found.get(name).map(|bytes| &**bytes)
    }

    /// Takes a file out, with where it is said to be in errors.
    pub(super) fn take(&mut self, name: &str) -> Option<(PathBuf, Bytes)> {
        let bytes = self.found.remove(name)?;
        Some((self.origin.join(name), bytes))
    }

    /// The files' names, sorted.
    pub(super) fn names(&self) -> Vec<String> {
        self.found.keys().cloned().collect()
    }
}

fn read_directory(path: &Path, wanted: &dyn Fn(&str) -> bool, found: &mut BTreeMap<String, Bytes>) -> Result<()> {
    for entry in std::fs::read_dir(path).map_err(Error::io(path))? {
        let entry = entry.map_err(Error::io(path))?.path();
        let Some(name) = entry.file_name().and_then(|name| name.to_str()) else {
            continue;
        };
        // archives usually unpack into one folder: look one level down
        if entry.is_dir() {
            for inner in std::fs::read_dir(&entry).map_err(Error::io(&entry))? {
                let inner = inner.map_err(Error::io(&entry))?.path();
                insert_file(&inner, wanted, found)?;
            }
        } else if wanted(name) {
            insert_file(&entry, wanted, found)?;
        }
    }
    Ok(())
}

fn insert_file(path: &Path, wanted: &dyn Fn(&str) -> bool, found: &mut BTreeMap<String, Bytes>) -> Result<()> {
    if let Some(name) = path.file_name().and_then(|name| name.to_str())
        && path.is_file()
        && wanted(name)
    {
        found.insert(name.to_owned(), Bytes::Mapped(Mapped::open(path)?));
    }
    Ok(())
}

fn read_archive(path: &Path, wanted: &dyn Fn(&str) -> bool, found: &mut BTreeMap<String, Bytes>) -> Result<()> {
    let damaged =
        |error: std::io::Error| Error::malformed(path, "a directory or a whole .tar.gz archive", error.to_string());
    let file = File::open(path).map_err(Error::io(path))?;
    let mut archive = tar::Archive::new(GzDecoder::new(BufReader::with_capacity(1 << 20, file)));
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let name = entry
            .path()
            .map_err(damaged)?
            .file_name()
            .and_then(|name| name.to_str())
            .map(str::to_owned);
        let Some(name) = name.filter(|name| entry.header().entry_type().is_file() && wanted(name)) else {
            continue;
        };
        let size = entry.size();
        if size > LARGEST_FILE {
            return Err(Error::malformed(
                path,
                format!("files of at most {LARGEST_FILE} bytes"),
                format!("{name}: {size}"),
            ));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(damaged)?;
        found.insert(name, Bytes::Owned(bytes));
    }
    // gzip's checksum comes after the last entry: only reading on to it shows that the entries are what was packed
    std::io::copy(&mut archive.into_inner(), &mut std::io::sink()).map_err(damaged)?;
    Ok(())
}

/// Decompresses a gzip stream of at most `limit` bytes.
pub(super) fn gunzip(bytes: &[u8], limit: u64, place: &Path) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    let damaged = |error: std::io::Error| Error::malformed(place, "a whole gzip file", error.to_string());
    let read = GzDecoder::new(bytes)
        .take(limit + 1)
        .read_to_end(&mut plain)
        .map_err(damaged)?;
    if read as u64 > limit {
        return Err(Error::malformed(
            place,
            format!("at most {limit} bytes unpacked"),
            "more",
        ));
    }
    Ok(plain)
}
