//! The command line: flags in, library calls, tables or JSON out.
//!
//! One file a command. Each turns its flags into library types and returns an [`Output`]; nothing in the library knows
//! a flag.

mod corruption_args;
mod device;
mod distill;
mod estimate;
mod eval;
mod export;
mod image_files;
mod inspect;
mod list;
mod pilot;
mod quantize;
mod report;
mod study;
mod train;
mod training_args;
mod verify;

use std::process::ExitCode;

use askd_compiler::{Error, Result, progress};
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use serde::Serialize;

/// Trains, distils and compiles image classifiers for devices.
#[derive(Debug, Parser)]
#[command(name = "askd-compile", version, max_term_width = 100)]
struct Cli {
    /// Print one JSON value on standard output instead of text; progress stays on standard error
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Pilot(pilot::Args),
    Study(study::Args),
    List(list::Args),
    Train(Box<train::Args>),
    Distill(Box<distill::Args>),
    Estimate(estimate::Args),
    Eval(eval::Args),
    Export(export::Args),
    Quantize(quantize::Args),
    Report(report::Args),
    Verify(verify::Args),
    Inspect(inspect::Args),
}

/// What a command prints: text for people, or the same as JSON.
struct Output {
    text: String,
    json: serde_json::Value,
}

impl Output {
    fn new(text: impl Into<String>, value: &impl Serialize) -> Result<Self> {
        // by way of text: a value made directly has an f32's digits beyond its precision
        let json = serde_json::to_string(value).and_then(|text| serde_json::from_str(&text));
        let json = json.map_err(|error| Error::malformed("output", "a JSON form", error.to_string()))?;
        Ok(Self {
            text: text.into(),
            json,
        })
    }
}

pub(crate) fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    match run(cli.command) {
        Ok(output) => print(&output, cli.json),
        Err(error) => {
            eprintln!("error: {}", one_line(&error.to_string()));
            ExitCode::from(error.exit_code())
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
    eprintln!("{}", one_line(told));
    ExitCode::from(2)
}

fn run(command: Command) -> Result<Output> {
    // only training ends with a checkpoint: everything else may end at once, as programs do
    if matches!(
        command,
        Command::Pilot(_) | Command::Study(_) | Command::Train(_) | Command::Distill(_)
    ) {
        progress::handle_interrupts()?;
    }
    match command {
        Command::Pilot(args) => pilot::run(args),
        Command::Study(args) => study::run(&args),
        Command::List(args) => list::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Distill(args) => distill::run(&args),
        Command::Estimate(args) => estimate::run(&args),
        Command::Eval(args) => eval::run(args),
        Command::Export(args) => export::run(args),
        Command::Quantize(args) => quantize::run(args),
        Command::Report(args) => report::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Inspect(args) => inspect::run(&args),
    }
}

fn print(output: &Output, json: bool) -> ExitCode {
    use std::io::Write;
    let text = if json {
        format!("{:#}", output.json)
    } else {
        output.text.clone()
    };
    match writeln!(std::io::stdout().lock(), "{}", text.trim_end()) {
        // a reader such as `head` that has seen enough is no failure
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("error: standard output: {error}");
            ExitCode::from(1)
        }
        _ => ExitCode::SUCCESS,
    }
}

/// Some libraries' messages have several lines; an error is one.
fn one_line(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}
