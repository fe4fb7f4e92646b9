//! Writes files: whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use askd_runtime::Error;
use tempfile::NamedTempFile;

/// Whether a file can be made at `path`; nothing is left there.
///
/// # Errors
/// [`Error::Write`].
pub fn try_out(path: &Path) -> Result<(), Error> {
    let probe = || {
        if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(io::Error::other("something that is no file is there"));
        }
        temporary_beside(path)?.close()
    };
    probe().map_err(cannot_write(path))
}

/// Writes `text` to `path`, so that a reader sees the old file or the new one, never a part, even after a power cut.
///
/// # Errors
/// [`Error::Write`].
pub fn write(path: &Path, text: &str) -> Result<(), Error> {
    let write = || {
        let mut temporary = temporary_beside(path)?;
        // not by the wrapper, whose errors name the temporary file
        let file = temporary.as_file_mut();
        file.write_all(text.as_bytes())?;
        make_readable(file)?;
        file.sync_all()?;
        temporary.persist(path).map_err(|error| error.error)?;
        File::open(directory(path))?.sync_all()
    };
    write().map_err(cannot_write(path))
}

fn directory(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn temporary_beside(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    let made = builder.prefix(".askd-").suffix(".tmp").tempfile_in(directory(path));
    // its own words name the temporary file
    made.map_err(|error| error.kind().into())
}

/// Temporary files are born private; what reads the file may be another user, as firmware that reads a choice.
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

fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Write {
        path: path.to_owned(),
        source,
    }
}
