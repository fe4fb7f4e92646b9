//! Asks a program, in a process of its own, for JSON.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;

/// What `program` prints on standard output, whatever its exit code.
///
/// # Errors
/// Why there is nothing, in a line: what the program says behind `error: ` on standard error, or else how it ended.
pub fn json<T: DeserializeOwned>(program: &Path, arguments: &[OsString]) -> Result<T, String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{}: {error}", program.display()))?;
    serde_json::from_slice(&output.stdout).map_err(|syntax| {
        let words = String::from_utf8_lossy(&output.stderr);
        if let Some(error) = words.lines().find_map(|line| line.strip_prefix("error: ")) {
            return error.to_owned();
        }
        let program = program.display();
        match output.stdout.is_empty() {
            true => format!("{program}: it ended without an answer, {}", output.status),
            false => format!("{program}: expected one JSON value, got {syntax}"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(script: &str) -> Result<Vec<u8>, String> {
        json(Path::new("/bin/sh"), &["-c".into(), script.into()])
    }

    #[test]
    fn an_answer_counts_whatever_the_exit_code() {
        assert_eq!(answer("echo progress >&2; echo '[1, 2]'; exit 4"), Ok(vec![1, 2]));
    }

    #[test]
    fn a_failure_is_told_in_the_programs_own_words() {
        assert_eq!(
            answer("printf 'warming up\\nerror: no model\\n' >&2; exit 2"),
            Err("no model".to_owned())
        );
        let silent = answer("echo warming up >&2; kill -9 $$").unwrap_err();
        assert!(
            silent.starts_with("/bin/sh: it ended without an answer, signal: 9"),
            "{silent}"
        );
        let other = answer("echo hello").unwrap_err();
        assert!(
            other.starts_with("/bin/sh: expected one JSON value, got ") && !other.contains('\n'),
            "{other}"
        );
        let nothing = json::<u8>(Path::new("/nowhere"), &[]).unwrap_err();
        assert!(nothing.starts_with("/nowhere: "), "{nothing}");
    }
}
