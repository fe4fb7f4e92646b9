//! The page as a whole.

use std::fmt;

use super::plot::escape;
use super::{plots, sections};
use crate::run::RunReport;
use crate::text::counted;

/// A report, shown as a page.
pub(super) struct Page<'a>(pub(super) &'a RunReport);

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let title = escape(&title(report));
        writeln!(
            f,
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
             content=\"width=device-width, initial-scale=1\"><title>{title}</title>\n<style>{STYLE}</style></head><body><main>"
        )?;
        writeln!(f, "<h1>{title}</h1><p class=\"note\">{}</p>", escape(&setting(report)))?;
        writeln!(f, "{}{}", sections::figures(report), sections::conditions(report))?;
        section(f, "Latency over time", &plots::over_time(report))?;
        section(f, "Distribution", &plots::distribution(report))?;
        section(f, "Parts of a run", &sections::stages(report))?;
        if let Some(start) = &report.cold_start {
            section(f, "Cold start", &sections::cold_start(start))?;
        }
        if let Some(profile) = &report.profile {
            section(f, "Nodes of the graph", &sections::profile(profile))?;
        }
        section(f, "Machine", &sections::machine(report))?;
        section(f, "Settings", &sections::settings(report))?;
        let command = escape(&report.command.join(" "));
        section(f, "Command", &format!("<pre>{command}</pre>"))?;
        writeln!(f, "</main></body></html>")
    }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, body: &str) -> fmt::Result {
    writeln!(f, "<section><h2>{title}</h2>{body}</section>")
}

/// The model's name without the directories before it, and its variant.
fn title(report: &RunReport) -> String {
    let path = report.model.path.trim_end_matches('/');
    let name = path.rsplit('/').next().unwrap_or(path);
    match &report.model.variant {
        Some(variant) => format!("{name}, {variant}"),
        None => name.to_owned(),
    }
}

/// Where and when it ran, in a line.
fn setting(report: &RunReport) -> String {
    let machine = &report.machine;
    let place = machine
        .board
        .as_deref()
        .or(machine.cpu.as_deref())
        .unwrap_or("unknown machine");
    format!(
        "{place}, {}, {}, {}",
        counted(report.settings.threads, "thread", "threads"),
        report.settings.provider_used,
        report.started
    )
}

const STYLE: &str = include_str!("style.css");
