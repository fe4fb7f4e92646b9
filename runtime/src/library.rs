//! Finds the ONNX Runtime library and judges it before it is loaded.

use std::env;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;

mod elf;

/// Oldest ONNX Runtime accepted: `ort` is built for its C API of version 17.
pub(crate) const MINIMUM: &str = "1.17";
/// Below this, malformed models have crashed or hung ONNX Runtime.
pub(crate) const RECOMMENDED: &str = "1.28.3";

/// Variable that names the library.
const VARIABLE: &str = "ORT_DYLIB_PATH";
/// The library's name without version.
const NAME: &str = if cfg!(target_os = "macos") {
    "libonnxruntime.dylib"
} else {
    "libonnxruntime.so"
};
/// Names that the system's loader is asked for.
const SYSTEM_NAMES: [&str; 2] = [NAME, "libonnxruntime.so.1"];

/// A library worth loading.
#[derive(Debug)]
pub(crate) enum Candidate {
    /// A checked file; with the version read from it, if it tells.
    File { path: PathBuf, version: Option<String> },
    /// A bare name for the system's loader to find.
    SystemName(&'static str),
}

/// The libraries to try, in order, and every path looked at.
///
/// A library that was named, by `explicit` or by `ORT_DYLIB_PATH`, is the only candidate, and must be usable.
pub(crate) fn locate(explicit: Option<&Path>) -> Result<(Vec<Candidate>, Vec<PathBuf>), Error> {
    let named = match explicit {
        Some(path) => Some(path.to_owned()),
        None => env::var_os(VARIABLE)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from),
    };
    if let Some(path) = named {
        // `ort` would look for a relative path beside the executable first.
        let path = std::path::absolute(&path).map_err(|source| Error::LibraryUnreadable { path, source })?;
        return Ok((vec![inspect(&path)?], vec![path]));
    }
    let mut searched = Vec::new();
    if let Some(beside) = env::current_exe().ok().as_deref().and_then(Path::parent) {
        for folder in ["", "../lib", "../onnxruntime/lib", "../../onnxruntime/lib"] {
            let folder = beside.join(folder);
            if let Some(path) = newest_in(&folder) {
                return Ok((vec![inspect(&path)?], vec![path]));
            }
            searched.push(folder.join(NAME));
        }
    }
    searched.extend(SYSTEM_NAMES.map(PathBuf::from));
    Ok((SYSTEM_NAMES.map(Candidate::SystemName).into(), searched))
}

/// The library in `folder`: the name without version if there is one, else the highest version.
fn newest_in(folder: &Path) -> Option<PathBuf> {
    let plain = folder.join(NAME);
    if plain.is_file() {
        return Some(plain);
    }
    let names = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.file_name());
    let versioned = names.filter_map(|name| {
        let suffix = name.to_str()?.strip_prefix("libonnxruntime.so.")?;
        let parts: Option<Vec<u32>> = suffix.split('.').map(|part| part.parse().ok()).collect();
        Some((parts?, folder.join(&name)))
    });
    versioned.filter(|(_, path)| path.is_file()).max().map(|(_, path)| path)
}

/// Refuses what cannot be loaded, with a better reason than the loader's, and without its crashes.
pub(crate) fn inspect(path: &Path) -> Result<Candidate, Error> {
    let unreadable = |source| Error::LibraryUnreadable {
        path: path.to_owned(),
        source,
    };
    // Before opening: to open a pipe would wait for its writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(Error::LibraryFormat {
            path: path.to_owned(),
            reason: "it is no regular file",
        });
    }
    let file = File::open(path).map_err(unreadable)?;
    if !cfg!(any(target_os = "linux", target_os = "android", target_os = "freebsd")) {
        return Ok(Candidate::File {
            path: path.to_owned(),
            version: None,
        });
    }
    let summary = elf::inspect(io::BufReader::new(file)).map_err(|fault| match fault {
        elf::Fault::Read(source) => unreadable(source),
        elf::Fault::Format(reason) => Error::LibraryFormat {
            path: path.to_owned(),
            reason,
        },
        elf::Fault::Architecture(found) => Error::LibraryArchitecture {
            path: path.to_owned(),
            expected: env::consts::ARCH,
            found,
        },
    })?;
    match summary.version {
        Some(found) if is_below(&found, MINIMUM) => Err(Error::LibraryTooOld {
            path: path.to_owned(),
            found,
            minimum: MINIMUM,
        }),
        version => Ok(Candidate::File {
            path: path.to_owned(),
            version,
        }),
    }
}

/// Whether version `found` is older than `limit`; a version that cannot be read is not.
pub(crate) fn is_below(found: &str, limit: &str) -> bool {
    matches!((parse_version(found), parse_version(limit)), (Some(found), Some(limit)) if found < limit)
}

/// `major.minor[.patch][-suffix]` as numbers.
fn parse_version(text: &str) -> Option<[u32; 3]> {
    let release = text.split(['-', '+']).next()?;
    let mut numbers = [0; 3];
    let mut parts = release.split('.');
    for (index, number) in numbers.iter_mut().enumerate() {
        match parts.next() {
            Some(part) => *number = part.parse().ok()?,
            None if index >= 2 => {}
            None => return None,
        }
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(is_below("1.9.1", MINIMUM) && is_below("1.16.3", MINIMUM));
        assert!(!is_below("1.17.0", MINIMUM) && !is_below("1.32.0", MINIMUM));
        assert!(is_below("1.28.2", RECOMMENDED) && !is_below("1.28.3", RECOMMENDED));
        assert!(!is_below("2.0.0-dev", RECOMMENDED));
        assert!(!is_below("unknown", RECOMMENDED) && parse_version("1").is_none() && parse_version("").is_none());
    }

    #[test]
    fn the_plain_name_comes_before_the_highest_version() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(newest_in(folder.path()), None);
        for name in [
            "libonnxruntime.so.1.9.0",
            "libonnxruntime.so.1.32.0",
            "libonnxruntime.so.old",
            "libother.so",
        ] {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        assert_eq!(
            newest_in(folder.path()),
            Some(folder.path().join("libonnxruntime.so.1.32.0"))
        );
        if NAME.ends_with(".so") {
            fs::write(folder.path().join(NAME), "x").unwrap();
            assert_eq!(newest_in(folder.path()), Some(folder.path().join(NAME)));
        }
    }

    #[test]
    fn a_missing_file_and_a_directory_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("libonnxruntime.so");
        assert!(matches!(inspect(&missing).unwrap_err(), Error::LibraryUnreadable { path, .. } if path == missing));
        assert!(matches!(
            inspect(folder.path()).unwrap_err(),
            Error::LibraryFormat { .. }
        ));
    }
}
