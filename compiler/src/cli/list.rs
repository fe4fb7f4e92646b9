//! `askd-compile list`.

use askd_compiler::Result;
use askd_compiler::distill::METHODS;
use clap::ValueEnum;
use serde::Serialize;

use super::Output;

/// List what there is: networks with parameters and multiply-accumulates, or distillation methods
///
/// Networks are counted as published: 100 classes, 3 x 32 x 32 pixels.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: askd-compile list networks --json")]
pub(super) struct Args {
    /// What to list
    what: What,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    Networks,
    Methods,
}

#[derive(Serialize)]
struct NetworkRow {
    name: &'static str,
    parameters: usize,
    macs: usize,
}

pub(super) fn run(args: &Args) -> Result<Output> {
    match args.what {
        What::Networks => networks(),
        What::Methods => methods(),
    }
}

fn networks() -> Result<Output> {
    let mut rows = Vec::new();
    let mut text = format!("{:<14} {:>12} {:>16}\n", "network", "parameters", "MACs");
    for network in askd_models::networks() {
        let graph = network.build(&network.published)?;
        let row = NetworkRow {
            name: network.name,
            parameters: graph.parameter_count(),
            macs: graph.macs(),
        };
        text += &format!("{:<14} {:>12} {:>16}\n", row.name, row.parameters, row.macs);
        rows.push(row);
    }
    Output::new(text, &rows)
}

fn methods() -> Result<Output> {
    let lines = METHODS.map(|method| format!("{:<8} {} [{}]\n", method.name, method.description, method.source));
    Output::new(lines.concat(), &METHODS)
}
