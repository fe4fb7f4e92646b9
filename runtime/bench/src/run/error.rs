//! Why a run ends without a report.

use std::fmt;
use std::io;

/// Why a run ends without a report.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Model, engine or provider: the runtime's own words.
    Runtime(askd_runtime::Error),
    /// Something that was asked for is not understood or does not go here.
    Demand {
        /// What was asked for, such as `--cores big`.
        item: String,
        /// What can be asked for.
        expected: String,
        /// What was found.
        found: String,
    },
    /// The operating system refuses to confine the process.
    Confine {
        /// What was asked for, such as `--priority -5`.
        item: String,
        /// The system's words.
        source: io::Error,
    },
}

impl Error {
    pub(super) fn demand(item: impl Into<String>, expected: impl Into<String>, found: impl fmt::Display) -> Self {
        Self::Demand {
            item: item.into(),
            expected: expected.into(),
            found: found.to_string(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(error) => error.fmt(f),
            Self::Demand { item, expected, found } => write!(f, "{item}: expected {expected}, got {found}"),
            Self::Confine { item, source } => write!(f, "{item}: the system refuses it: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Runtime(error) => error.source(),
            Self::Demand { .. } => None,
            Self::Confine { source, .. } => Some(source),
        }
    }
}

impl From<askd_runtime::Error> for Error {
    fn from(error: askd_runtime::Error) -> Self {
        Self::Runtime(error)
    }
}
