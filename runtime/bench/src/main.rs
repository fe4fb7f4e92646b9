//! `askd-bench`: what a device is, and whether a bundle runs on it.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
