//! ONNX Runtime's telemetry: which library has it, and how a program keeps it off.
//!
//! From 1.29 on, the builds that Microsoft publishes for Linux and macOS report to it over the network what ran where, and
//! keep an identifier of the device and a database in the user's cache directory, from a thread of their own. The C API's
//! `DisableTelemetryEvents`, which [`Engine::load`](crate::Engine::load) calls, comes too late for the first report: it takes an
//! environment, and making that has reported the process. Only a variable keeps all of it off, and the library reads it once.
//!
//! Source: ONNX Runtime, pull requests 27379 and 29843, `core/platform/telemetry_1ds.cc`.

use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use memchr::memmem;

/// Keeps telemetry off where it is true when ONNX Runtime is loaded.
pub(crate) const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";
/// Bytes of a library that are searched at a time.
const CHUNK: usize = 1 << 20;

/// Keeps ONNX Runtime's telemetry off in this program: to be called first thing in `main`.
///
/// The builds that Microsoft publishes report to it over the network, unless `ORT_DISABLE_TELEMETRY` is 1 when ONNX Runtime is
/// loaded. Where the variable is not set, this starts the program anew with it: same process, arguments and open files. To
/// set it in the running program instead would be safe only while no other thread reads the environment, which a library
/// can't know. A variable that is set already, to whatever value, is left alone, and so is the program where the system
/// refuses to start it again; [`Engine::warning`](crate::Engine::warning) tells then.
///
/// Does nothing but on Unix.
pub fn disable_telemetry() {
    if env::var_os(VARIABLE).is_some() {
        return;
    }
    #[cfg(unix)]
    if let Ok(program) = env::current_exe() {
        use std::os::unix::process::CommandExt;

        let mut arguments = env::args_os();
        let mut command = std::process::Command::new(&program);
        command.arg0(arguments.next().unwrap_or_else(|| program.into()));
        // It returns only where it failed.
        let _ = command.args(arguments).env(VARIABLE, "1").exec();
    }
}

/// Whether the variable keeps telemetry off, as ONNX Runtime reads it.
pub(crate) fn is_disabled() -> bool {
    env::var(VARIABLE).is_ok_and(|value| is_true(&value))
}

fn is_true(value: &str) -> bool {
    matches!(
        value.trim().to_ascii_lowercase().as_str(),
        "1" | "true" | "yes" | "on" | "y"
    )
}

/// Whether the library at `path` has telemetry: then the variable's name is in it.
pub(crate) fn is_in(path: &Path) -> io::Result<bool> {
    contains(File::open(path)?, VARIABLE.as_bytes())
}

fn contains(mut source: impl Read, text: &[u8]) -> io::Result<bool> {
    let finder = memmem::Finder::new(text);
    let mut bytes = Vec::with_capacity(CHUNK + text.len());
    loop {
        let read = source.by_ref().take(CHUNK as u64).read_to_end(&mut bytes)?;
        if finder.find(&bytes).is_some() {
            return Ok(true);
        }
        if read == 0 {
            return Ok(false);
        }
        // The text may stand across two chunks.
        bytes.drain(..bytes.len().saturating_sub(text.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_is_read_as_onnx_runtime_reads_it() {
        for value in ["1", "true", "TRUE", " yes ", "on", "y"] {
            assert!(is_true(value), "{value:?}");
        }
        for value in ["", " ", "0", "false", "no", "off", "2"] {
            assert!(!is_true(value), "{value:?}");
        }
    }

    #[test]
    fn a_text_is_found_wherever_it_stands() {
        for at in [0, 1, CHUNK - 3, CHUNK, CHUNK + 1, 2 * CHUNK - 1] {
            let mut bytes = vec![b'O'; 2 * CHUNK + 9];
            bytes[at..at + 4].copy_from_slice(b"NEED");
            assert!(contains(&bytes[..], b"NEED").unwrap(), "at {at}");
            assert!(!contains(&bytes[..at + 3], b"NEED").unwrap(), "at {at}");
        }
        assert!(!contains(io::empty(), b"NEED").unwrap());
    }
}
