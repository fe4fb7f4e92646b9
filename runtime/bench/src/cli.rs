//! The command line: flags in, library calls, tables or JSON out.
//!
//! One file a command. Each turns its flags into library types and returns an [`Output`]; nothing in the library knows
//! a flag.

mod doctor;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use serde::Serialize;

/// Looks a device over before a bundle runs on it.
#[derive(Debug, Parser)]
#[command(name = "askd-bench", version, max_term_width = 100)]
struct Cli {
    /// Print one JSON value on standard output instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Doctor(doctor::Args),
}

/// What a command prints, text for people or the same as JSON, and how it ends.
struct Output {
    text: String,
    json: String,
    exit_code: u8,
}

impl Output {
    fn new(text: impl Into<String>, value: &impl Serialize, exit_code: u8) -> Result<Self, serde_json::Error> {
        Ok(Self {
            text: text.into(),
            json: serde_json::to_string_pretty(value)?,
            exit_code,
        })
    }
}

pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let output = match cli.command {
        Command::Doctor(args) => doctor::run(args),
    };
    let printed = output.map_err(io::Error::other).and_then(|output| {
        let text = if cli.json { &output.json } else { &output.text };
        match writeln!(io::stdout().lock(), "{}", text.trim_end()) {
            // a reader such as `head` that has seen enough is no failure
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error),
            _ => Ok(output.exit_code),
        }
    });
    match printed {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: standard output: {error}");
            ExitCode::from(1)
        }
    }
}

/// A wrong value is bad input like any other: one line. Wrong usage is answered with the right one, help with help.
fn refuse(error: &clap::Error) -> ExitCode {
    if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        error.exit();
    }
    let text = error.to_string();
    let told = text.split("\n\nFor more information").next().unwrap_or_default();
    eprintln!("{}", told.split_whitespace().collect::<Vec<_>>().join(" "));
    ExitCode::from(2)
}
