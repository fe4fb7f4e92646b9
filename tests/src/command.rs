//! `askd-compile` as a child process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

use serde_json::Value;

/// What a finished command left behind.
#[derive(Debug)]
pub struct Outcome {
    /// Exit code; none if a signal ended the process.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Runs a command to its end.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn of(mut command: Command) -> Self {
        let output = command.output().expect("the program starts");
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8 on standard error"),
        }
    }

    /// Standard output of a command that must have succeeded.
    ///
    /// # Panics
    /// If it did not.
    pub fn text(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout
    }

    /// The one JSON value on standard output of a command that must have succeeded.
    ///
    /// # Panics
    /// If it did not, or printed anything else.
    pub fn json(self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// The error of a command that must have failed with this exit code: the last line on standard error, and nothing
    /// on standard output.
    ///
    /// # Panics
    /// If it failed in another way.
    pub fn error(&self, code: i32) -> &str {
        assert_eq!((self.code, self.stdout.as_str()), (Some(code), ""), "{self:?}");
        let line = self.stderr.lines().last().unwrap_or_default();
        assert!(line.starts_with("error: "), "{self:?}");
        assert!(self.stderr.matches("error: ").count() == 1, "{self:?}");
        line
    }
}

/// The program under test, in the profile of the test that runs.
///
/// # Panics
/// If it is missing or older than its sources. Cargo builds it for `askd-compiler`'s own integration tests, so any
/// `cargo test --workspace` brings it up to date.
pub fn askd_compile() -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    Command::new(PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().expect("a test knows its own file");
        let profile = test.ancestors().nth(2).expect("tests lie in target/PROFILE/deps");
        let program = profile.join(format!("askd-compile{}", std::env::consts::EXE_SUFFIX));
        let built = fs::metadata(&program).and_then(|file| file.modified()).ok();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let sources =
            ["compiler/src", "models/src", "runtime/src", "runtime/page/src"].map(|part| newest(&root.join(part)));
        assert!(
            built >= sources.into_iter().max().flatten(),
            "{} is missing or older than its sources: run `make test`, or `cargo build -p askd-compiler` first",
            program.display()
        );
        program
    }))
}

/// When the last change below a directory was made.
fn newest(dir: &Path) -> Option<SystemTime> {
    let entries = fs::read_dir(dir).ok()?.filter_map(Result::ok);
    let times = entries.map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => newest(&entry.path()),
        _ => entry.metadata().and_then(|file| file.modified()).ok(),
    });
    times.max().flatten()
}
