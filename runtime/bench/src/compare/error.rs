//! Why two reports are not compared.

use std::fmt;
use std::path::PathBuf;

use crate::text::printable;

/// Why two reports are not compared.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A file is no report of a run.
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected there, and what was found.
        reason: String,
    },
    /// The reports are of different models.
    Models {
        /// SHA-256 of the model compared with.
        before: String,
        /// SHA-256 of the model in question.
        after: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Format { path, reason } => write!(f, "{}: {reason}", path.display()),
            Self::Models { before, after } => write!(
                f,
                "models: expected the same ONNX bytes, got SHA-256 {} and {}; --other-model compares them all the same",
                printable(before),
                printable(after)
            ),
        }
    }
}

impl std::error::Error for Error {}
