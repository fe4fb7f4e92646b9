//! What can go wrong while training and compiling.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a command of the compiler failed; one line each, naming the thing, what was expected and what came.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file or archive does not hold what its kind says.
    #[error("{}: expected {expected}, got {got}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the format demands.
        expected: String,
        /// What was found.
        got: String,
    },
    /// A value on the command line or in a recipe is out of range.
    #[error("{name}: expected {expected}, got {got}")]
    InvalidValue {
        /// The flag or field.
        name: String,
        /// What it takes.
        expected: String,
        /// What was given.
        got: String,
    },
    /// A recipe has a key that nothing reads.
    #[error("{origin}: unknown key `{key}`{choice}, did you mean `{nearest}`?")]
    UnknownKey {
        /// The recipe file or flag that has it.
        origin: String,
        /// The key with its table.
        key: String,
        /// The setting on which it depends whether there is such a key; empty where none does.
        choice: String,
        /// The most similar key.
        nearest: String,
    },
    /// A checkpoint does not fit its network.
    #[error("{origin} does not fit {network}: {differences}")]
    WeightsMismatch {
        /// The file the tensors came from.
        origin: String,
        /// The network they were meant for.
        network: String,
        /// Every tensor that does not fit.
        differences: Box<Differences>,
    },
    /// Training met a value that is not finite.
    #[error(
        "{what} is not finite at step {step} in \"{layer}\": lower the learning rate, or resume from the last checkpoint"
    )]
    NotFinite {
        /// Loss, activation or gradient.
        what: &'static str,
        /// Optimiser step, from 0.
        step: usize,
        /// First layer in which it was seen.
        layer: String,
    },
    /// The user interrupted a study; what is in its directory is taken up again.
    #[error("interrupted, give the same command to go on, with --out {}", out.display())]
    StudyInterrupted {
        /// The study's directory.
        out: PathBuf,
    },
    /// The user interrupted the run; its last checkpoint can be resumed.
    #[error("interrupted, resume with: --resume --out {}", out.display())]
    Interrupted {
        /// The run directory.
        out: PathBuf,
    },
    /// The exported model does not do what the trainer did, or a bundle fails its own test.
    #[error("{what}: expected {expected}, got {got}")]
    GateFailed {
        /// The check.
        what: String,
        /// What it demands.
        expected: String,
        /// What was measured.
        got: String,
    },
    /// A network could not be described.
    #[error(transparent)]
    Network(#[from] askd_models::Error),
    /// The runtime refused a bundle, a model or the engine.
    #[error(transparent)]
    Runtime(#[from] askd_runtime::Error),
    /// The tensor library failed.
    #[error("tensor library: {}", without_backtrace(.0))]
    Tensor(#[from] candle_core::Error),
}

/// The tensor library's error as one line: with `RUST_BACKTRACE` it would print a trace along with the message.
fn without_backtrace(error: &candle_core::Error) -> &candle_core::Error {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => without_backtrace(inner),
        error => error,
    }
}

/// How a checkpoint's tensors differ from a network's parameters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Differences {
    /// Parameters the file lacks.
    pub missing: Vec<String>,
    /// Tensors the network has no place for.
    pub extra: Vec<String>,
    /// Tensors of another shape, with both shapes.
    pub misshaped: Vec<String>,
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = [
            ("missing", &self.missing),
            ("extra", &self.extra),
            ("misshaped", &self.misshaped),
        ];
        for (index, (what, names)) in lists.into_iter().filter(|(_, names)| !names.is_empty()).enumerate() {
            let comma = if index > 0 { "; " } else { "" };
            write!(f, "{comma}{} {what} ({})", names.len(), names.join(", "))?;
        }
        Ok(())
    }
}

impl Error {
    /// The process's exit code for this error: 1 internal, 2 bad input, 3 a gate failed, 4 conditions not met.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::GateFailed { .. } | Self::Runtime(askd_runtime::Error::GoldenMismatch { .. }) => 3,
            Self::NotFinite { .. } | Self::Interrupted { .. } | Self::StudyInterrupted { .. } | Self::Tensor(_) => 1,
            Self::Runtime(askd_runtime::Error::Engine { .. }) => 1,
            Self::Runtime(askd_runtime::Error::ProviderUnavailable { .. }) => 4,
            Self::Io { source, .. } if is_full(source) => 1,
            _ => 2,
        }
    }

    /// Makes an [`Error::Io`] of a system error met at `path`.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// An [`Error::Malformed`].
    pub fn malformed(path: impl Into<PathBuf>, expected: impl Into<String>, got: impl Into<String>) -> Self {
        Self::Malformed {
            path: path.into(),
            expected: expected.into(),
            got: got.into(),
        }
    }

    /// An [`Error::InvalidValue`].
    pub fn invalid(name: impl Into<String>, expected: impl Into<String>, got: impl ToString) -> Self {
        Self::InvalidValue {
            name: name.into(),
            expected: expected.into(),
            got: got.to_string(),
        }
    }
}

/// Whether a write failed for want of room, which is no fault of the input.
fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_error_is_one_line_with_backtraces_on() {
        let traced = candle_core::Error::WithBacktrace {
            inner: Box::new(candle_core::Error::Msg("no memory".to_owned())),
            backtrace: Box::new(std::backtrace::Backtrace::force_capture()),
        };
        assert!(traced.to_string().lines().count() > 1);
        assert_eq!(Error::from(traced).to_string(), "tensor library: no memory");
    }
}
