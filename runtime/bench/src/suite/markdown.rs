//! A suite as Markdown: machine, rules, one row a run.

use std::fmt;

use super::{Row, Suite};
use crate::run::{Mark, RunReport};
use crate::text::{bytes, number};

const HEAD: [&str; 14] = [
    "model",
    "variant",
    "precision",
    "parameters",
    "MACs",
    "threads",
    "p50 ms",
    "p90 ms",
    "p99 ms",
    "inference p50 ms",
    "images/s",
    "cold start ms",
    "peak memory",
    "top-1 %",
];

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = self.rows.iter().find_map(|row| row.report.as_ref());
        writeln!(
            f,
            "# Inference on {}\n",
            first.map_or_else(|| "an unknown machine".to_owned(), machine_name)
        )?;
        if let Some(report) = first {
            write_facts(f, report)?;
        }
        writeln!(f, "| {} |", HEAD.join(" | "))?;
        // names to the left, figures to the right
        writeln!(f, "|---|---|---|{}", "---:|".repeat(HEAD.len() - 3))?;
        for row in &self.rows {
            writeln!(f, "| {} |", cells(row).join(" | "))?;
        }
        writeln!(
            f,
            "\nLatency is from image to named classes: preprocessing, inference, postprocessing; batch 1. Percentiles are nearest ranks. Cold \
             start: library, open and verify, session, first run, in processes of their own, medians. Top-1 is the bundle's record.\n"
        )?;
        for row in &self.rows {
            let label = escaped(&row.entry.label());
            if let Some(failure) = &row.failure {
                writeln!(f, "- {label}: did not run: {}", escaped(failure))?;
            }
            for mark in row.report.iter().flat_map(|report| &report.marks) {
                writeln!(f, "- {label}: {}: {}", marked(mark), escaped(&mark.text))?;
            }
        }
        writeln!(f, "\nMade by:\n\n```sh\n{}\n```", self.command.join(" "))
    }
}

fn marked(mark: &Mark) -> String {
    let kind = if mark.strict { "conditions not met" } else { "note" };
    format!("{kind}, {}", escaped(&mark.kind))
}

fn machine_name(report: &RunReport) -> String {
    let machine = &report.machine;
    let name = machine.board.as_ref().or(machine.cpu.as_ref());
    name.map_or_else(|| "an unnamed machine".to_owned(), |name| escaped(name))
}

/// What holds for all runs, as the first tells it.
fn write_facts(f: &mut fmt::Formatter<'_>, report: &RunReport) -> fmt::Result {
    let (machine, settings) = (&report.machine, &report.settings);
    let told = |value: &Option<String>| {
        value
            .as_ref()
            .map_or_else(|| "not readable".to_owned(), |text| escaped(text))
    };
    let rules = match &settings.preset {
        Some(name) => name.clone(),
        None => format!(
            "{} s or longer, {} runs or more",
            settings.min_seconds, settings.min_runs
        ),
    };
    let version = report.engine.version.as_deref().unwrap_or("of no known version");
    let facts = [
        ("Board", told(&machine.board)),
        ("Processor", told(&machine.cpu)),
        ("Cores used", told(&machine.cores_allowed)),
        ("Governor", told(&machine.governor)),
        (
            "Memory",
            machine.memory_bytes.map_or_else(|| "not readable".to_owned(), bytes),
        ),
        (
            "System",
            format!("{}, Linux {}", told(&machine.os), told(&machine.kernel)),
        ),
        (
            "Engine",
            format!("ONNX Runtime {}, {}", escaped(version), settings.provider_used),
        ),
        (
            "Rules",
            format!("images back to back, {rules}, after a warm-up until the median settles"),
        ),
        ("Tool", format!("{} {}", report.tool.name, report.tool.version)),
        ("Begun", report.started.clone()),
    ];
    writeln!(f, "| | |\n|---|---|")?;
    for (name, value) in facts {
        writeln!(f, "| {name} | {value} |")?;
    }
    writeln!(f)
}

fn cells(row: &Row) -> [String; HEAD.len()] {
    let entry = &row.entry;
    let name = entry
        .model
        .file_name()
        .unwrap_or(entry.model.as_os_str())
        .to_string_lossy()
        .into_owned();
    let mut cells = [const { String::new() }; HEAD.len()];
    cells.fill("-".to_owned());
    cells[0] = escaped(&name);
    cells[1] = entry
        .variant
        .as_ref()
        .map_or_else(|| "-".to_owned(), |name| escaped(name));
    cells[5] = entry.threads.to_string();
    let Some(report) = &row.report else {
        return cells;
    };
    let (model, latency) = (&report.model, &report.latency_ms);
    let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    // the variant that ran where none was named
    cells[1] = model
        .variant
        .as_ref()
        .map_or_else(|| "-".to_owned(), |name| escaped(name));
    cells[2] = model
        .precision
        .as_ref()
        .map_or_else(|| "-".to_owned(), |name| escaped(name));
    cells[3] = count(model.parameters);
    cells[4] = count(model.macs);
    for (cell, time) in
        cells[6..10]
            .iter_mut()
            .zip([latency.p50, latency.p90, latency.p99, report.stages_ms.inference.p50])
    {
        *cell = number(Some(time), 3);
    }
    cells[10] = number(Some(report.throughput.per_second), 1);
    cells[11] = number(report.cold_start_ms, 1);
    cells[12] = report.memory.peak_bytes.map_or_else(|| "-".to_owned(), bytes);
    cells[13] = number(model.accuracy.first().map(|accuracy| accuracy.top1), 2);
    if report.marks.iter().any(|mark| mark.strict) {
        cells[6] += " (marked)";
    }
    cells
}

/// Text for a cell: Markdown's own characters mean themselves, and a line is one.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if c.is_control() {
            escaped.push(' ');
            continue;
        }
        if "\\`*[]<>|#".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
