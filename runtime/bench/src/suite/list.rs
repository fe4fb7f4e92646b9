//! The list of a suite's models, as a file.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// What a suite runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Numbers of threads of models that name none of their own; 1 where the file says none.
    #[serde(default = "one")]
    pub threads: Vec<u16>,
    /// The models, in the order of the table.
    pub models: Vec<Listed>,
}

/// One model of a suite.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// A bundle's directory or an ONNX file; in a file, relative to the file's directory.
    pub path: PathBuf,
    /// Variants of the bundle; `None` for all that were made for such a machine.
    pub variants: Option<Vec<String>>,
    /// Numbers of threads; `None` for the list's.
    pub threads: Option<Vec<u16>>,
}

impl Listed {
    /// A model without wishes of its own.
    pub fn of(path: PathBuf) -> Self {
        Self {
            path,
            variants: None,
            threads: None,
        }
    }
}

/// Why a list is not understood.
#[derive(Debug)]
pub struct Error {
    path: PathBuf,
    reason: String,
}

impl List {
    /// Reads a list from a TOML file.
    ///
    /// # Errors
    /// [`Error`] for a file that cannot be read or is no such list, or for a list in it that is empty.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |reason: String| Error {
            path: path.to_owned(),
            reason,
        };
        let text = fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        let mut list: Self = toml::from_str(&text).map_err(|error| wrong(one_line(&error, &text)))?;
        if list.models.is_empty() {
            return Err(wrong("models: expected one or more, got none".to_owned()));
        }
        let of_models = list.models.iter().filter_map(|model| model.threads.as_ref());
        for threads in of_models.chain([&list.threads]) {
            if threads.is_empty() {
                return Err(wrong("threads: expected one or more numbers, got none".to_owned()));
            }
            if let Some(threads) = threads.iter().find(|threads| !(1..=1024).contains(*threads)) {
                return Err(wrong(format!("threads: expected 1 to 1024, got {threads}")));
            }
        }
        let mut named = list.models.iter().filter_map(|model| model.variants.as_ref());
        if named.any(Vec::is_empty) {
            let reason = "variants: expected one or more names, or no such line for all of them, got none";
            return Err(wrong(reason.to_owned()));
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        for model in &mut list.models {
            model.path = folder.join(&model.path);
        }
        Ok(list)
    }
}

fn one() -> Vec<u16> {
    vec![1]
}

/// The error and its line, without the picture that the crate draws.
fn one_line(error: &toml::de::Error, text: &str) -> String {
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let message = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    format!("line {}: {message}", before.matches('\n').count() + 1)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<List, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("suite.toml");
        fs::write(&path, text).unwrap();
        let list = List::read(&path).map_err(|error| error.to_string());
        list.map(|mut list| {
            for model in &mut list.models {
                model.path = model.path.strip_prefix(folder.path()).unwrap().to_owned();
            }
            list
        })
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let text = "threads = [1, 4]\n[[models]]\npath = \"a.askd\"\nvariants = [\"fp32\"]\n[[models]]\npath = \"b.onnx\"\nthreads = [2]\n";
        let list = read(text).unwrap();
        assert_eq!(list.threads, [1, 4]);
        let [a, b] = list.models.as_slice() else {
            panic!("{list:?}")
        };
        assert_eq!(
            (a.path.to_str(), a.variants.as_deref(), &a.threads),
            (Some("a.askd"), Some(&["fp32".to_owned()][..]), &None)
        );
        assert_eq!(
            (b.path.to_str(), &b.variants, b.threads.as_deref()),
            (Some("b.onnx"), &None, Some(&[2][..]))
        );
        assert_eq!(read("[[models]]\npath = \"a\"").unwrap().threads, [1]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        for (text, told) in [
            ("models = []", "models: expected one or more, got none"),
            ("[[models]]\npath = \"a\"\nthread = 1", "line 3: unknown field `thread`"),
            (
                "threads = [0]\n[[models]]\npath = \"a\"",
                "threads: expected 1 to 1024, got 0",
            ),
            (
                "threads = []\n[[models]]\npath = \"a\"",
                "threads: expected one or more numbers, got none",
            ),
            (
                "[[models]]\npath = \"a\"\nthreads = []",
                "threads: expected one or more numbers, got none",
            ),
            (
                "[[models]]\npath = \"a\"\nvariants = []",
                "variants: expected one or more names",
            ),
            ("[[models]]\npath = 3", "line 2: invalid type"),
            ("x", "line 1: "),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(told) && !error.contains('\n'), "{error}");
        }
    }
}
