//! Reads small files below a root directory.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Most bytes read of a text file: the package list of a full Jetson image has 5 MiB.
const MAX_TEXT: u64 = 32 << 20;

/// The directory that stands for `/`.
pub(crate) struct Root(PathBuf);

impl Root {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where `path` lies; a leading slash does not lead out of the root.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path.trim_start_matches('/'))
    }

    /// The text of a regular file, also if it is no UTF-8 in places.
    pub(crate) fn text(&self, path: &str) -> Option<String> {
        let path = self.path(path);
        // Before opening: to open a pipe would wait for its writer.
        if !fs::metadata(&path).ok()?.is_file() {
            return None;
        }
        let mut bytes = Vec::new();
        File::open(path).ok()?.take(MAX_TEXT).read_to_end(&mut bytes).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The text as one line without control characters; `None` also if nothing is left of it.
    pub(crate) fn line(&self, path: &str) -> Option<String> {
        let text = self.text(path)?;
        let words = text.split(|c: char| c.is_whitespace() || c.is_control());
        let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
        (!line.is_empty()).then_some(line)
    }

    /// The number that a file holds.
    pub(crate) fn number<T: FromStr>(&self, path: &str) -> Option<T> {
        self.line(path)?.parse().ok()
    }

    /// Names in a directory, sorted by length first so that `policy10` comes after `policy2`.
    pub(crate) fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .collect();
        names.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
        names
    }

    pub(crate) fn is_directory(&self, path: &str) -> bool {
        self.path(path).is_dir()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use tempfile::TempDir;

    use super::*;

    /// A directory with these files, as a root.
    pub(crate) fn tree(files: &[(&str, &str)]) -> (TempDir, Root) {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let root = Root::new(folder.path());
        (folder, root)
    }

    #[test]
    fn texts_become_one_clean_line() {
        let (folder, root) = tree(&[
            ("a", "one\0\n\ttwo\x1b[0m \n"),
            ("empty", "\n"),
            ("number", "42\n"),
            ("n2", "-1\n"),
        ]);
        assert_eq!(root.line("a").unwrap(), "one two [0m");
        assert_eq!(
            (root.line("empty"), root.line("none"), root.line("/")),
            (None, None, None)
        );
        assert_eq!(
            (
                root.number("/number"),
                root.number::<u64>("n2"),
                root.number::<i64>("n2")
            ),
            (Some(42), None, Some(-1))
        );
        assert_eq!((root.number::<u64>("a"), root.number::<f64>("none")), (None, None));
        fs::write(folder.path().join("bytes"), b"\xff\xfe x").unwrap();
        assert!(root.line("bytes").unwrap().ends_with(" x"));
    }

    #[test]
    fn numbered_names_are_in_the_order_of_their_numbers() {
        let (_folder, root) = tree(&[("d/p10/x", ""), ("d/p2/x", ""), ("d/p0/x", "")]);
        assert_eq!(root.names("d"), ["p0", "p2", "p10"]);
        assert!(root.names("none").is_empty());
    }
}
