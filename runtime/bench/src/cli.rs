//! The command line: flags in, library calls, tables or JSON out.
//!
//! One file a command. Each turns its flags into library types and returns an [`Output`]; nothing in the library knows
//! a flag.

mod args;
mod compare;
mod doctor;
mod report;
mod run;
mod start;
mod suite;
mod tune;

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use askd_runtime::{Error, Provider};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use serde::Serialize;

/// Looks a device over, and measures models on it.
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
    Run(run::Args),
    Compare(compare::Args),
    Suite(suite::Args),
    Report(report::Args),
    Doctor(doctor::Args),
    Tune(tune::Args),
    #[command(hide = true)]
    Start(start::Args),
}

/// What a command prints, text for people or the same as JSON, and how it ends.
struct Output {
    text: String,
    json: String,
    exit_code: u8,
}

impl Output {
    fn new(text: impl Into<String>, value: &impl Serialize, exit_code: u8) -> Result<Self, Failure> {
        Ok(Self {
            text: text.into(),
            json: serde_json::to_string_pretty(value).map_err(Failure::to_print)?,
            exit_code,
        })
    }
}

/// Why a command has nothing to print.
struct Failure {
    text: String,
    exit_code: u8,
}

impl Failure {
    fn to_print(error: impl Display) -> Self {
        Self {
            text: format!("standard output: {error}"),
            exit_code: 1,
        }
    }

    /// What was asked for cannot be read, written or understood.
    fn bad_input(error: impl Display) -> Self {
        Self {
            text: error.to_string(),
            exit_code: 2,
        }
    }

    /// 2 for what was asked for, 3 for a device that computes something else, 4 for one without a usable engine or provider.
    fn of_runtime(error: &Error) -> Self {
        let exit_code = match error {
            Error::LibraryNotFound { .. }
            | Error::LibraryUnreadable { .. }
            | Error::LibraryFormat { .. }
            | Error::LibraryArchitecture { .. }
            | Error::LibraryLoad { .. }
            | Error::LibraryTooOld { .. }
            | Error::ProviderUnavailable { .. }
            | Error::Engine { .. } => 4,
            Error::GoldenMismatch { .. } => 3,
            _ => 2,
        };
        Self {
            text: error.to_string(),
            exit_code,
        }
    }
}

pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let output = match cli.command {
        Command::Run(args) => run::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Suite(args) => suite::run(args),
        Command::Report(args) => report::run(args),
        Command::Start(args) => start::run(&args),
        Command::Doctor(args) => doctor::run(args),
        Command::Tune(args) => tune::run(args),
    };
    match output.and_then(|output| print(&output, cli.json)) {
        Ok(code) => ExitCode::from(code),
        Err(Failure { text, exit_code }) => {
            eprintln!("error: {text}");
            ExitCode::from(exit_code)
        }
    }
}

fn print(output: &Output, json: bool) -> Result<u8, Failure> {
    let text = if json { &output.json } else { &output.text };
    match writeln!(io::stdout().lock(), "{}", text.trim_end()) {
        // a reader such as `head` that has seen enough is no failure
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::to_print(error)),
        _ => Ok(output.exit_code),
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

/// A provider of the runtime by its name; the help lists them all.
fn provider() -> impl TypedValueParser<Value = Provider> {
    PossibleValuesParser::new(Provider::ALL.map(Provider::name)).try_map(|name| name.parse::<Provider>())
}

fn not_negative(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(value) if (0.0..=1e6).contains(&value) => Ok(value),
        _ => Err("expected a number of 0 to 1000000".to_owned()),
    }
}
