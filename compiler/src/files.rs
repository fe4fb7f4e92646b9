//! Files that are whole or not there: written beside their place, synced, renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Result};

/// What the names of temporary files begin and end with.
const TEMPORARY: [&str; 2] = [".askd-", ".tmp"];

/// Writes `bytes` to `path` so that a reader sees the old file or the new one, never a part, even after a power cut.
///
/// # Errors
/// [`Error::Io`]; the old file is then untouched.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let write = || {
        let [prefix, suffix] = TEMPORARY;
        let mut file = tempfile::Builder::new()
            .prefix(prefix)
            .suffix(suffix)
            .tempfile_in(parent)?;
        // not by the wrapper, whose errors name the temporary file
        file.as_file_mut().write_all(bytes)?;
        make_readable(file.as_file())?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        File::open(parent)?.sync_all()
    };
    write().map_err(Error::io(path))
}

/// Temporary files are born private; what lasts has the usual mode.
fn make_readable(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// Removes what writes into a directory left there when they were killed. Nothing may be written into it meanwhile.
///
/// # Errors
/// [`Error::Io`].
pub fn remove_leftovers(directory: &Path) -> Result<()> {
    if !directory.is_dir() {
        return Ok(());
    }
    let [prefix, suffix] = TEMPORARY;
    for entry in fs::read_dir(directory).map_err(Error::io(directory))? {
        let path = entry.map_err(Error::io(directory))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(prefix) && name.ends_with(suffix) && path.is_file() {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes a file, if it is there.
///
/// # Errors
/// [`Error::Io`].
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(path)(error)),
        _ => Ok(()),
    }
}

/// Writes a value as indented JSON with a final newline, atomically.
///
/// # Errors
/// [`Error::Io`], [`Error::Malformed`] if the value has no JSON form.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::malformed(path, "a value with a JSON form", error.to_string()))?;
    text.push(b'\n');
    write_atomically(path, &text)
}

/// Reads a JSON file.
///
/// # Errors
/// [`Error::Io`], [`Error::Malformed`].
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read(path).map_err(Error::io(path))?;
    serde_json::from_slice(&text).map_err(|error| Error::malformed(path, "valid JSON of its kind", error.to_string()))
}

/// Creates a directory and its parents.
///
/// # Errors
/// [`Error::Io`].
pub fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).map_err(Error::io(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("taken")).unwrap();
        assert!(write_atomically(&dir.path().join("taken"), b"text").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn leftovers_of_killed_writes_are_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".askd-a1B2c3.tmp", ".askd-mine", "other.tmp", "file"] {
            fs::write(dir.path().join(name), b"text").unwrap();
        }
        remove_leftovers(dir.path()).unwrap();
        let mut names: Vec<_> = fs::read_dir(dir.path())
            .unwrap()
            .map(|e| e.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, [".askd-mine", "file", "other.tmp"]);
        remove_leftovers(&dir.path().join("none")).unwrap();
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        write_atomically(&path, b"a longer first text").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
    }
}
