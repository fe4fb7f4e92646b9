//! The choice file: which variant of a bundle, where and with how many threads, was measured to serve one machine best.
//!
//! `askd-bench tune` writes it beside the bundle, not in it: a bundle is the same on every machine, a choice is not. A
//! choice is advice: what it names is opened, checked and tested as anything else is.

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::sha256_hex;
use crate::error::Error;
use crate::files;
use crate::manifest::MANIFEST_FILE;
use crate::provider::Provider;
use crate::text::{one_line, quoted};

/// The schema number of choice files: the one this version writes and the only one it reads.
pub const CHOICE_SCHEMA: u32 = 1;

/// What follows the bundle's name in the name of its choice file.
const SUFFIX: &str = ".choice.json";
/// Largest choice file: 64 KiB, a hundred times what `askd-bench tune` writes.
const MAX_SIZE: u64 = 64 << 10;
/// Most threads: more than any processor has, few enough to be started.
const MAX_THREADS: u16 = 1024;

/// The variant, the provider and the number of threads to run a bundle with on one machine, and the figures behind that.
///
/// ```no_run
/// use askd_runtime::{Choice, Model, SessionOptions};
///
/// # fn main() -> Result<(), askd_runtime::Error> {
/// let mut options = SessionOptions::default();
/// let model = match Choice::beside("student.askd")? {
///     Some(choice) => {
///         (options.intra_op_threads, options.provider) = (choice.threads, choice.provider);
///         Model::open_variant("student.askd", &choice.variant)?
///     }
///     None => Model::open("student.askd")?,
/// };
/// # let _ = model.session(&options)?;
/// # Ok(())
/// # }
/// ```
///
/// Reading holds the choice against the bundle alone. Whether machine and engine are still those that were measured is for
/// the program to compare ([`cpu`](Self::cpu), [`onnxruntime`](Self::onnxruntime)): where they are not, the choice may be
/// slow but not wrong, which [`Session::self_test`](crate::Session::self_test) sees to, or its provider may be missing, which
/// is [`Error::ProviderUnavailable`]. A choice measured with a library of its own (`tune --library`) needs that one here
/// too: the file does not name it, since what lies beside a bundle must not decide which code is loaded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// Layout version of this file: [`CHOICE_SCHEMA`].
    pub schema: u32,
    /// SHA-256 of the bundle's `askd.json`, which in turn vouches for all its other files.
    pub bundle_sha256: String,
    /// Name of the variant.
    pub variant: String,
    /// Threads within one operator, `1..=1024`: [`SessionOptions::intra_op_threads`](crate::SessionOptions).
    pub threads: u16,
    /// Where it ran; by its name in the file.
    pub provider: Provider,
    /// The processor's model, as `askd-bench doctor` tells it; `None` if the system does not.
    pub cpu: Option<String>,
    /// Processors that the measuring process could use; `None` if the system does not tell.
    pub cores: Option<u64>,
    /// ONNX Runtime's version; `None` if the library does not tell.
    pub onnxruntime: Option<String>,
    /// Median time of a run, in milliseconds.
    pub p50_ms: f64,
    /// 90th percentile.
    pub p90_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
    /// Median of the bundle's first variant, the reference, with as many threads, in milliseconds; `None` if that does not
    /// run there.
    pub reference_p50_ms: Option<f64>,
    /// Runs behind these figures.
    pub runs: u64,
    /// When it was measured, in seconds since 1970-01-01 00:00:00 UTC, by the machine's clock.
    pub unix_seconds: u64,
}

impl Choice {
    /// Where the choice for the bundle in directory `bundle` lies: beside it, with `.choice.json` after its name.
    ///
    /// ```
    /// use askd_runtime::Choice;
    ///
    /// let path = Choice::path_beside("/opt/models/student.askd")?;
    /// assert_eq!(path.to_str(), Some("/opt/models/student.askd.choice.json"));
    /// # Ok::<(), askd_runtime::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Read`] for a path without a name, such as `.`, whose real name cannot be found out.
    pub fn path_beside(bundle: impl AsRef<Path>) -> Result<PathBuf, Error> {
        let given = bundle.as_ref();
        let named = match given.file_name() {
            Some(_) => given.to_owned(),
            None => fs::canonicalize(given).map_err(cannot_read(given))?,
        };
        let mut name = named.file_name().unwrap_or_default().to_owned();
        name.push(SUFFIX);
        Ok(named.with_file_name(name))
    }

    /// The choice beside the bundle in directory `bundle`; `None` if there is none.
    ///
    /// # Errors
    /// Those of [`read`](Self::read). A program may pass over each of them and open the bundle's first variant.
    pub fn beside(bundle: impl AsRef<Path>) -> Result<Option<Self>, Error> {
        let path = Self::path_beside(&bundle)?;
        match Self::read(&path, bundle) {
            Err(Error::Read { path: missing, source })
                if missing == path && source.kind() == io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            found => found.map(Some),
        }
    }

    /// The choice in the file `path` for the bundle in directory `bundle`.
    ///
    /// # Errors
    /// [`Error::ChoiceStale`] if it was made for another bundle; [`Error::ChoiceFormat`] if it is malformed;
    /// [`Error::Read`], [`Error::NotAFile`] or [`Error::FileTooLarge`] if it cannot be read; those of
    /// [`digest_of`](Self::digest_of).
    pub fn read(path: impl AsRef<Path>, bundle: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let choice = Self::from_json(&contents(path, MAX_SIZE)?)?;
        let expected = Self::digest_of(bundle)?;
        if choice.bundle_sha256 != expected {
            return Err(Error::ChoiceStale {
                path: path.to_owned(),
                expected,
                found: choice.bundle_sha256,
            });
        }
        Ok(choice)
    }

    /// What [`bundle_sha256`](Self::bundle_sha256) must be for the bundle in directory `bundle`.
    ///
    /// # Errors
    /// [`Error::NotABundle`] if there is no `askd.json`; [`Error::Read`], [`Error::NotAFile`] or [`Error::FileTooLarge`] if it
    /// cannot be read.
    pub fn digest_of(bundle: impl AsRef<Path>) -> Result<String, Error> {
        let bundle = bundle.as_ref();
        match contents(&bundle.join(MANIFEST_FILE), files::MAX_MANIFEST) {
            Err(Error::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Err(Error::NotABundle {
                path: bundle.to_owned(),
            }),
            other => Ok(sha256_hex(&other?)),
        }
    }

    /// Reads and checks the contents of a choice file, whatever bundle it is for.
    ///
    /// # Errors
    /// [`Error::ChoiceFormat`] for the first thing that is wrong.
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        // The schema first, alone: a later schema should be reported as such, not as a missing field.
        #[derive(Deserialize)]
        struct Head {
            schema: u64,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(syntax)?;
        rule(
            head.schema == u64::from(CHOICE_SCHEMA),
            "schema",
            CHOICE_SCHEMA,
            head.schema,
        )?;
        let choice: Self = serde_json::from_slice(bytes).map_err(syntax)?;
        choice.validate()?;
        Ok(choice)
    }

    /// The text of a choice file, indented and with a final newline, after checking it.
    ///
    /// # Errors
    /// [`Error::ChoiceFormat`] for the first field that breaks its rule.
    pub fn to_json(&self) -> Result<String, Error> {
        self.validate()?;
        let mut text = serde_json::to_string_pretty(self).map_err(syntax)?;
        text.push('\n');
        Ok(text)
    }

    fn validate(&self) -> Result<(), Error> {
        rule(self.schema == CHOICE_SCHEMA, "schema", CHOICE_SCHEMA, self.schema)?;
        let sha256 = &self.bundle_sha256;
        let hex = sha256.len() == 64 && sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        rule(hex, "bundle_sha256", "64 lower-case hexadecimal digits", quoted(sha256))?;
        rule(!self.variant.is_empty(), "variant", "a name", "\"\"")?;
        rule(
            (1..=MAX_THREADS).contains(&self.threads),
            "threads",
            format_args!("1 to {MAX_THREADS}"),
            self.threads,
        )?;
        let times = [
            ("p50_ms", Some(self.p50_ms)),
            ("p90_ms", Some(self.p90_ms)),
            ("p99_ms", Some(self.p99_ms)),
            ("reference_p50_ms", self.reference_p50_ms),
        ];
        for (field, time) in times {
            let time = time.unwrap_or_default();
            rule(
                time.is_finite() && time >= 0.0,
                field,
                "a finite number, 0 or more",
                time,
            )?;
        }
        Ok(())
    }
}

/// The bytes of the regular file at `path`.
fn contents(path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
    let (file, size) = files::open(path, limit)?;
    files::read(&file, size).map_err(cannot_read(path))
}

fn cannot_read(path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Read {
        path: path.to_owned(),
        source,
    }
}

fn syntax(error: serde_json::Error) -> Error {
    Error::ChoiceFormat {
        field: "file",
        expected: "a choice as JSON".to_owned(),
        found: one_line(error),
    }
}

fn rule(holds: bool, field: &'static str, expected: impl Display, found: impl Display) -> Result<(), Error> {
    if holds {
        return Ok(());
    }
    Err(Error::ChoiceFormat {
        field,
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

#[cfg(test)]
mod tests;
