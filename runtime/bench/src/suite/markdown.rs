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
            writeln!(f, "| {} |", cells(row).map(|cell| escaped(&cell)).join(" | "))?;
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
        let command: Vec<_> = self.command.iter().map(|word| quoted(word)).collect();
        writeln!(f, "\nMade by:\n\n```sh\n{}\n```", command.join(" "))
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
    let told = |value: &Option<String>| value.clone().unwrap_or_else(|| "not readable".to_owned());
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
        ("Engine", format!("ONNX Runtime {version}, {}", settings.provider_used)),
        (
            "Rules",
            format!("images back to back, {rules}, after a warm-up until the median settles"),
        ),
        ("Tool", format!("{} {}", report.tool.name, report.tool.version)),
        ("Begun", report.started.clone()),
    ];
    writeln!(f, "| | |\n|---|---|")?;
    for (name, value) in facts {
        writeln!(f, "| {name} | {} |", escaped(&value))?;
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
    let told = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    cells[0] = name;
    cells[1] = told(&entry.variant);
    cells[5] = entry.threads.to_string();
    let Some(report) = &row.report else {
        return cells;
    };
    let (model, latency) = (&report.model, &report.latency_ms);
    let count = |count: Option<u64>| count.map_or_else(|| "-".to_owned(), |count| count.to_string());
    // the variant that ran where none was named
    cells[1] = told(&model.variant);
    cells[2] = told(&model.precision);
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

/// Text for a cell or an item of a list: Markdown's own characters mean themselves, and a line stays one.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        if c.is_control() {
            escaped.push(' ');
            continue;
        }
        if "\\`*[]<>|#&~".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// A word of a command line as a shell takes it, on one line whatever is in it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    if !word.chars().any(char::is_control) {
        return format!("'{}'", word.replace('\'', "'\\''"));
    }
    let mut quoted = "$'".to_owned();
    for c in word.chars() {
        match c {
            '\\' | '\'' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted += &format!("\\u{:04x}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "'"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_in_its_cell() {
        assert_eq!(escaped("a|b\nc\r\x1b[0m `d`"), "a\\|b c  \\[0m \\`d\\`");
        assert_eq!(escaped("mobilenetv2_0.5.askd"), "mobilenetv2_0.5.askd");
    }

    #[test]
    fn a_shell_takes_back_what_was_quoted() {
        let words = [
            "a.askd",
            "two words",
            "it's",
            "",
            "a\nb",
            "``` $(x) | \\",
            "\\'\t'",
            "é\u{85}",
        ];
        for word in words {
            let quoted = quoted(word);
            assert!(!quoted.chars().any(char::is_control), "{quoted}");
            let printed = std::process::Command::new("bash")
                .args(["-c", &format!("printf %s {quoted}")])
                .env("LC_ALL", "C.UTF-8")
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(printed.stdout).unwrap(), word, "{quoted}");
        }
        assert_eq!(quoted("a.askd"), "a.askd");
    }
}
