//! `askd-compile inspect`.

use std::path::{Path, PathBuf};

use askd_compiler::distill::ProjectorCost;
use askd_compiler::inspect::{GraphReport, inspect_bundle, inspect_graph, inspect_onnx};
use askd_compiler::train::{RECIPE_FILE, RESULT_FILE, Recipe, RunResult};
use askd_compiler::{Result, files};
use serde::Serialize;

use super::Output;
use super::eval::describe;

/// Show what a run directory, a bundle or an ONNX file holds: layers, shapes, parameters, multiply-accumulates, bytes;
/// of a bundle, before and after the graph passes, with accuracy and digests
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  askd-compile inspect student.askd\n  askd-compile inspect model.onnx --json")]
pub(super) struct Args {
    /// Run directory, bundle or ONNX file
    path: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<Output> {
    if args.path.join(RECIPE_FILE).is_file() {
        let recipe = Recipe::load(&args.path)?;
        let network = inspect_graph(&recipe.graph()?);
        let result: Option<RunResult> = read_result(&args.path)?;
        let projector = recipe.projector_cost()?;
        let told = projector.map(|cost| format!("of it the {cost}\n"));
        let mut text = format!("{network}{}\nrecipe:\n{}", told.unwrap_or_default(), recipe.to_toml()?);
        if let Some(result) = &result {
            text += &format!("\nresult: best epoch {} of seed {}", result.best_epoch, result.seed);
            if let Some(test) = &result.test {
                text += &format!(", test: {}", describe(test));
            }
        }
        return Output::new(
            text,
            &RunReport {
                network,
                projector,
                recipe,
                result,
            },
        );
    }
    if args.path.is_file() {
        let report = inspect_onnx(&args.path)?;
        return Output::new(report.to_string(), &report);
    }
    let report = inspect_bundle(&args.path)?;
    Output::new(report.to_string(), &report)
}

/// What is known of a run directory.
#[derive(Serialize)]
struct RunReport {
    network: GraphReport,
    /// None where there are no projectors.
    projector: Option<ProjectorCost>,
    recipe: Recipe,
    result: Option<RunResult>,
}

/// The result of a run that has ended.
fn read_result(run: &Path) -> Result<Option<RunResult>> {
    let path = run.join(RESULT_FILE);
    if path.exists() {
        files::read_json(&path).map(Some)
    } else {
        Ok(None)
    }
}
