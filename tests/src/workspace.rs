//! A directory in which commands run, with nothing else in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::{Outcome, askd_compile};

/// A temporary directory, removed with all that a test made in it. Commands run inside, so their paths are relative.
#[derive(Debug)]
pub struct Workspace(TempDir);

impl Workspace {
    /// An empty one.
    ///
    /// # Panics
    /// If there is no room for it.
    #[expect(
        clippy::new_without_default,
        reason = "a directory is made, which a default should not do"
    )]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary directory"))
    }

    /// The place of a file in it.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(relative)
    }

    /// The bytes of a file in it.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn read(&self, relative: impl AsRef<Path>) -> Vec<u8> {
        let path = self.path(relative);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A JSON file in it.
    ///
    /// # Panics
    /// If there is no such file or it is no JSON.
    pub fn read_json(&self, relative: impl AsRef<Path>) -> Value {
        serde_json::from_slice(&self.read(relative)).expect("valid JSON")
    }

    /// Writes a file in it.
    ///
    /// # Panics
    /// If that fails.
    pub fn write(&self, relative: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(relative), bytes).expect("a writable directory");
    }

    /// `askd-compile` with arguments that have no spaces in them, to be run here.
    pub fn command(&self, arguments: &str) -> Command {
        let mut command = askd_compile();
        command.args(arguments.split_whitespace()).current_dir(self.0.path());
        command
    }

    /// Runs `askd-compile` here.
    pub fn run(&self, arguments: &str) -> Outcome {
        Outcome::of(self.command(arguments))
    }

    /// Runs a command that must fail with exit code 2 (bad input): one line of error, and no file or directory made or
    /// removed. Gives that line.
    ///
    /// # Panics
    /// If it does anything else.
    pub fn refused(&self, arguments: &str) -> String {
        let before = self.entries();
        let outcome = self.run(arguments);
        let line = outcome.error(2);
        assert_eq!(outcome.stderr.lines().count(), 1, "{arguments}: {outcome:?}");
        assert_eq!(self.entries(), before, "{arguments}: {line}");
        line.to_owned()
    }

    /// Every file and directory in it, sorted.
    ///
    /// # Panics
    /// If one cannot be read.
    pub fn entries(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut waiting = vec![self.0.path().to_owned()];
        while let Some(dir) = waiting.pop() {
            for entry in fs::read_dir(dir).expect("a readable directory") {
                let entry = entry.expect("a readable directory");
                if entry.file_type().expect("a file type").is_dir() {
                    waiting.push(entry.path());
                }
                found.push(entry.path());
            }
        }
        found.sort();
        found
    }
}

/// The directory with the CIFAR files and the pretrained checkpoints. Says so loudly if there is none.
pub fn data_dir() -> Option<PathBuf> {
    let dir = std::env::var_os("ASKD_DATA").filter(|dir| !dir.is_empty());
    if dir.is_none() {
        eprintln!("SKIPPED: ASKD_DATA names no directory with the CIFAR files and checkpoints");
    }
    dir.map(PathBuf::from)
}
