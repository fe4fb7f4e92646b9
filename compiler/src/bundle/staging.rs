//! A directory built beside its place and renamed when it is complete.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use askd_runtime::{MANIFEST_FILE, sha256_hex};
use tempfile::TempDir;

use crate::{Error, Result, files};

/// A bundle under construction; dropped before [`Staging::commit`], it leaves nothing.
pub(super) struct Staging {
    dir: TempDir,
    parent: PathBuf,
    place: PathBuf,
}

/// A file in the bundle.
pub(super) struct Written {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) sha256: String,
}

impl Staging {
    /// A fresh directory beside `place`, which must be free, an empty directory or a bundle.
    pub(super) fn new(place: &Path) -> Result<Self> {
        // a link to a bundle stays a link: what it points to is replaced
        let place = match fs::canonicalize(place) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => place.to_owned(),
            Err(error) => return Err(Error::io(place)(error)),
        };
        if place.file_name().is_none() {
            return Err(Error::invalid("output", "a path that ends in a name", place.display()));
        }
        refuse_what_is_no_bundle(&place)?;
        let parent = match place.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        files::create_dir(&parent)?;
        let dir = beside(&parent)?;
        Ok(Self { dir, parent, place })
    }

    /// The directory as it is now.
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Writes and syncs one file.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<Written> {
        let path = self.dir.path().join(name);
        let write = || {
            let mut file = File::create_new(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(Error::io(self.place.join(name)))?;
        Ok(Written {
            name: name.to_owned(),
            size: bytes.len() as u64,
            sha256: sha256_hex(bytes),
        })
    }

    /// Puts the directory in its place. What was there is kept until the new one stands.
    pub(super) fn commit(self) -> Result<()> {
        let Self { dir, parent, place } = self;
        make_readable(dir.path()).map_err(Error::io(&place))?;
        sync(dir.path()).map_err(Error::io(&place))?;
        if fs::symlink_metadata(&place).is_err() {
            fs::rename(dir.path(), &place).map_err(Error::io(&place))?;
        } else {
            let aside = beside(&parent)?;
            let old = aside.path().join("old");
            fs::rename(&place, &old).map_err(Error::io(&place))?;
            if let Err(error) = fs::rename(dir.path(), &place) {
                if fs::rename(&old, &place).is_err() {
                    // better a stray directory than a lost bundle
                    let _ = aside.keep();
                }
                return Err(Error::io(&place)(error));
            }
        }
        // it has another name now, under which nothing is to be removed
        let _ = dir.keep();
        sync(&parent).map_err(Error::io(&parent))
    }
}

/// A hidden directory in `parent`, so that a rename stays on one file system.
fn beside(parent: &Path) -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".askd-").tempdir_in(parent).map_err(Error::io(parent))
}

/// Nothing but a bundle is ever replaced: a mistyped `--out` must not cost a directory of something else.
pub(super) fn refuse_what_is_no_bundle(place: &Path) -> Result<()> {
    let found = match fs::metadata(place) {
        Err(_) => return Ok(()),
        Ok(metadata) if !metadata.is_dir() => "a file",
        Ok(_) if place.join(MANIFEST_FILE).is_file() => return Ok(()),
        Ok(_) => match fs::read_dir(place).map_err(Error::io(place))?.next() {
            None => return Ok(()),
            Some(_) => "another directory",
        },
    };
    Err(Error::invalid(
        place.display().to_string(),
        "a new path or a bundle to replace",
        found,
    ))
}

/// Temporary directories are born private; what lasts has the usual mode.
fn make_readable(dir: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o755))?;
    }
    #[cfg(not(unix))]
    let _ = dir;
    Ok(())
}

fn sync(dir: &Path) -> io::Result<()> {
    // directories can be opened and synced on Unix only
    if cfg!(unix) {
        File::open(dir)?.sync_all()
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
        let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_new_one_appears_whole() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("deep/er/x.askd");
        let staging = Staging::new(&place).unwrap();
        let written = staging.write(MANIFEST_FILE, b"abc").unwrap();
        assert_eq!((written.size, &written.sha256[..8]), (3, "ba7816bf"));
        assert!(!place.exists());
        staging.commit().unwrap();
        assert_eq!(fs::read(place.join(MANIFEST_FILE)).unwrap(), b"abc");
        assert_eq!(names(place.parent().unwrap()), ["x.askd"]);
    }

    #[test]
    fn an_old_one_is_replaced_at_the_end_only() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("x.askd");
        fs::create_dir(&place).unwrap();
        for (file, text) in [(MANIFEST_FILE, "old"), ("extra", "old")] {
            fs::write(place.join(file), text).unwrap();
        }
        let dropped = Staging::new(&place).unwrap();
        dropped.write(MANIFEST_FILE, b"new").unwrap();
        drop(dropped);
        assert_eq!(names(dir.path()), ["x.askd"]);
        assert_eq!(names(&place), [MANIFEST_FILE, "extra"]);

        let staging = Staging::new(&place).unwrap();
        staging.write(MANIFEST_FILE, b"new").unwrap();
        staging.commit().unwrap();
        assert_eq!(names(dir.path()), ["x.askd"]);
        assert_eq!(names(&place), [MANIFEST_FILE]);
        assert_eq!(fs::read(place.join(MANIFEST_FILE)).unwrap(), b"new");
    }

    #[test]
    fn a_place_that_cannot_be_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "x").unwrap();
        for place in ["file/x.askd", "file/deep/x.askd"] {
            let error = Staging::new(&dir.path().join(place)).err().unwrap();
            assert!(matches!(error, Error::Io { .. }), "{error}");
        }
        assert!(matches!(Staging::new(Path::new("/")), Err(Error::InvalidValue { .. })));
        assert!(matches!(Staging::new(Path::new("")), Err(Error::InvalidValue { .. })));
    }

    #[test]
    fn what_is_no_bundle_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("photo.png"), "x").unwrap();
        for place in [dir.path().to_owned(), dir.path().join("photo.png")] {
            let error = Staging::new(&place).err().map(|error| error.to_string()).unwrap();
            assert!(error.contains("expected a new path or a bundle to replace"), "{error}");
        }
        assert_eq!(names(dir.path()), ["photo.png"]);
    }
}
