//! `askd-bench`: what a device is, whether a bundle runs on it, how fast, and which of its variants serves it best.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    askd_runtime::disable_telemetry();
    cli::main()
}
