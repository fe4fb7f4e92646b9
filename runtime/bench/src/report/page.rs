//! The page as a whole.

use askd_page::{Page, escape};

use super::{plots, sections};
use crate::run::RunReport;
use crate::text::counted;

/// A report, shown as a page.
pub(super) fn page(report: &RunReport) -> String {
    let mut page = Page::new(&title(report), &setting(report));
    page.add(&sections::figures(report));
    page.add(&sections::conditions(report));
    page.section("Latency over time", &plots::over_time(report));
    page.section("Distribution", &plots::distribution(report));
    page.section("Parts of a run", &sections::stages(report));
    if let Some(start) = &report.cold_start {
        page.section("Cold start", &sections::cold_start(start));
    }
    if let Some(profile) = &report.profile {
        page.section("Nodes of the graph", &sections::profile(profile));
    }
    page.section("Machine", &sections::machine(report));
    page.section("Settings", &sections::settings(report));
    let command = escape(&report.command.join(" "));
    page.section("Command", &format!("<pre>{command}</pre>"));
    page.finish()
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
