//! ONNX Runtime's telemetry: which library has it, and how a program keeps it off.
//!
//! From 1.29 on, the builds that Microsoft publishes for Linux and macOS report to it over the network what ran where, and
//! keep an identifier of the device and a database in the user's cache directory, from a thread of their own. The C API's
//! `DisableTelemetryEvents`, which [`Engine::load`](crate::Engine::load) calls, comes too late for the first report: it takes an
//! environment, and making that has reported the process. Only a variable keeps all of it off, and the library reads it once.
//!
//! Source: ONNX Runtime, pull requests 27379 and 29843, `core/platform/telemetry_1ds.cc`.

#[cfg(unix)]
use std::convert::Infallible;
use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Keeps telemetry off where it is true when ONNX Runtime is loaded.
pub(crate) const VARIABLE: &str = "ORT_DISABLE_TELEMETRY";
/// Bytes of a library that are searched at a time.
const CHUNK: usize = 1 << 20;

/// Whether ONNX Runtime reports to its maker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telemetry {
    /// The library cannot.
    None,
    /// It can, and was told not to before it was loaded.
    Off,
    /// It does.
    On,
}

impl Telemetry {
    /// `none`, `off` or `on`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Off => "off",
            Self::On => "on",
        }
    }
}

/// Keeps ONNX Runtime's telemetry off in this program: to be called first thing in `main`.
///
/// The builds that Microsoft publishes report to it over the network, unless `ORT_DISABLE_TELEMETRY` is 1 when ONNX Runtime is
/// loaded. Where the variable is not set, this starts the program anew with it: same process, arguments and open files. To
/// set it in the running program instead would be safe only while no other thread reads the environment, which a library
/// can't know. A variable that is set already, to whatever value, is left alone.
///
/// Where the program cannot be started anew, nothing happens, and [`Engine::warning`](crate::Engine::warning) tells of it: under an emulator, where
/// the program's file is gone or a dynamic loader was told to run it, and on anything but Unix. A debugger or profiler that follows
/// no `exec` loses the program: set the variable yourself there.
pub fn disable_telemetry() {
    #[cfg(unix)]
    if env::var_os(VARIABLE).is_none() {
        let _ = start_anew();
    }
}

/// Returns only where it failed, and has changed nothing then.
#[cfg(unix)]
fn start_anew() -> Option<Infallible> {
    use std::ffi::{CString, OsString};
    use std::os::unix::ffi::OsStringExt;

    let program = own_program()?;
    let text = |words: OsString| CString::new(words.into_vec()).ok();
    let arguments: Vec<CString> = env::args_os().map(text).collect::<Option<_>>()?;
    let variables = env::vars_os().chain([(VARIABLE.into(), "1".into())]);
    let assignments = variables.map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        text(name)
    });
    let environment: Vec<CString> = assignments.collect::<Option<_>>()?;
    // not std's, which changes how signals are handled even where it fails
    nix::unistd::execve(&text(program.into())?, &arguments, &environment).ok()
}

/// This program's file, unless this code is in another one: a dynamic loader that was told to run the program is what the system takes
/// for the program then.
#[cfg(unix)]
fn own_program() -> Option<std::path::PathBuf> {
    let program = env::current_exe().ok()?;
    let code = disable_telemetry as fn() as *const () as u64;
    match crate::maps::Maps::of_this_process() {
        Some(maps) => maps.file_at(code).filter(|file| *file == program),
        None => Some(program),
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
    let mut bytes = Vec::with_capacity(CHUNK + text.len());
    loop {
        let read = source.by_ref().take(CHUNK as u64).read_to_end(&mut bytes)?;
        if bytes.windows(text.len()).any(|window| window == text) {
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
