//! One line of a report.

use std::error::Error as _;

use askd_runtime::{Error, Missing};
use serde::{Serialize, Serializer};

/// What was found about one subject, how grave it is, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is about, such as `governor`; a subject can have several findings.
    pub subject: &'static str,
    /// How grave it is.
    pub severity: Severity,
    /// What was found, in one line.
    pub text: String,
    /// What to do about it, in one line; `None` where there is nothing to do.
    pub advice: Option<String>,
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing to do.
    Ok,
    /// It can run all the same, but slower, later or less surely than it might.
    Note,
    /// It cannot run as demanded.
    Problem(Cause),
}

/// Why something cannot run as demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The bundle is none, or damaged.
    BadInput,
    /// The device computes something else than the bundle says.
    GateFailed,
    /// Machine or engine are not what the bundle or the demand needs.
    Conditions,
}

impl Severity {
    /// Its name: `ok`, `note` or `problem`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Problem(_) => "problem",
        }
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Cause {
    /// The exit code of a command that ends with it.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::BadInput => 2,
            Self::GateFailed => 3,
            Self::Conditions => 4,
        }
    }
}

impl Finding {
    pub(super) fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Self {
            subject,
            severity: Severity::Ok,
            text: text.into(),
            advice: None,
        }
    }

    pub(super) fn note(subject: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            severity: Severity::Note,
            advice: Some(advice.into()),
            ..Self::ok(subject, text)
        }
    }

    pub(super) fn problem(
        subject: &'static str,
        cause: Cause,
        text: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Problem(cause),
            advice: Some(advice.into()),
            ..Self::ok(subject, text)
        }
    }

    /// A problem that an error of the runtime tells. Where its text ends with a fix in parentheses, as theirs do, that
    /// is the advice, else `advice`.
    pub(super) fn of_error(subject: &'static str, cause: Cause, error: &Error, advice: impl Into<String>) -> Self {
        let text = error.to_string();
        let fix = text.strip_suffix(')').and_then(|text| text.rsplit_once(" ("));
        match fix {
            Some((text, fix)) if !ends_in_foreign_words(error) => Self::problem(subject, cause, text, fix),
            _ => Self::problem(subject, cause, text, advice),
        }
    }

    /// The exit code that this finding alone would end a command with; `None` if it is no problem.
    pub(super) fn exit_code(&self) -> Option<u8> {
        match self.severity {
            Severity::Problem(cause) => Some(cause.exit_code()),
            Severity::Ok | Severity::Note => None,
        }
    }
}

/// Whether an error's text ends with what the system, a parser or ONNX Runtime said, parentheses of any meaning included.
fn ends_in_foreign_words(error: &Error) -> bool {
    let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let other = matches!(
        error,
        Error::ProviderUnavailable {
            missing: Missing::Other { .. },
            ..
        }
    );
    other
        || error
            .source()
            .is_some_and(|cause| error.to_string().ends_with(&words(cause.to_string())))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn the_fix_in_an_error_becomes_the_advice() {
        let error = Error::NotABundle { path: "x".into() };
        let finding = Finding::of_error("bundle", Cause::BadInput, &error, "other");
        assert_eq!(finding.text, "x: not a bundle: no askd.json in it");
        assert!(finding.advice.unwrap().starts_with("pass the NAME.askd directory"));
    }

    #[test]
    fn the_words_of_others_are_left_whole() {
        let engine = Error::Engine {
            action: "load the model",
            source: "no\n (reason)".into(),
        };
        let system = Error::Read {
            path: "x".into(),
            source: io::Error::from_raw_os_error(2),
        };
        for (error, end) in [(engine, "load the model: no (reason)"), (system, "(os error 2)")] {
            let finding = Finding::of_error("session", Cause::Conditions, &error, "other");
            assert!(finding.text.ends_with(end), "{finding:?}");
            assert_eq!(
                (finding.advice.as_deref(), finding.exit_code()),
                (Some("other"), Some(4))
            );
        }
    }
}
