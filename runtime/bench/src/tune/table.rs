//! A report for people: two tables, what became of each candidate, then the choice.

use std::fmt;

use super::candidate::Candidate;
use super::{Report, Verdict};
use crate::text::{number, printable, write_table, write_wrapped};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.candidates.iter().map(latency).collect();
        write_table(
            f,
            [
                "variant", "provider", "threads", "p50 ms", "p90", "p99", "ratio", "top-1 %", "verdict",
            ],
            rows,
        )?;
        writeln!(f)?;
        let rows = self.candidates.iter().map(start).collect();
        write_table(
            f,
            [
                "variant",
                "provider",
                "threads",
                "open and verify ms",
                "session",
                "first run",
            ],
            rows,
        )?;
        writeln!(f)?;
        for candidate in &self.candidates {
            write_wrapped(f, &format!("{}: ", candidate.label()), &candidate.reason)?;
        }
        if let Some(warning) = &self.engine.warning {
            write_wrapped(f, "warning: ", warning)?;
        }
        let tried: Vec<_> = self
            .candidates
            .iter()
            .map(|candidate| candidate.provider.name())
            .collect();
        let untried = untried(&self.engine.providers, &tried).join(", ");
        if !untried.is_empty() {
            let text = format!(
                "not tried: {untried}, which the engine was built with (--provider takes a list; `askd-bench doctor --provider` \
                 tells whether one works here)"
            );
            write_wrapped(f, "note: ", &text)?;
        }
        if self.warm_up.is_some_and(|warm_up| !warm_up.stable) {
            write_wrapped(
                f,
                "note: ",
                "the medians had not settled when the warm-up ended; `askd-bench doctor` may tell why",
            )?;
        }
        let chosen = self
            .candidates
            .iter()
            .find(|candidate| candidate.verdict == Verdict::Chosen);
        match (chosen, &self.choice_file) {
            (Some(chosen), Some(file)) => writeln!(f, "choice: {}, stored in {file}", chosen.label()),
            _ => writeln!(
                f,
                "choice: none, every candidate is refused; exit code {}",
                self.exit_code
            ),
        }
    }
}

/// Providers that the engine was built with and that were not to be tried.
fn untried<'a>(built_with: &[&'a str], tried: &[&str]) -> Vec<&'a str> {
    let was_tried = |name: &str| match name {
        // the rule to take one or the other has both
        "cpu" | "cuda" => tried.contains(&name) || tried.contains(&"cuda-or-cpu"),
        _ => tried.contains(&name),
    };
    built_with.iter().copied().filter(|name| !was_tried(name)).collect()
}

fn latency(candidate: &Candidate) -> [String; 9] {
    let time = |time: Option<f64>| number(time, 3);
    let latency = candidate.latency;
    [
        printable(&candidate.variant),
        candidate.provider.to_string(),
        candidate.threads.to_string(),
        time(latency.map(|latency| latency.p50_ms)),
        time(latency.map(|latency| latency.p90_ms)),
        time(latency.map(|latency| latency.p99_ms)),
        number(candidate.ratio.map(|ratio| ratio.value), 3),
        number(candidate.accuracy.as_ref().map(|accuracy| accuracy.top1), 2),
        candidate.verdict.name().to_owned(),
    ]
}

fn start(candidate: &Candidate) -> [String; 6] {
    let start = candidate.start;
    [
        printable(&candidate.variant),
        candidate.provider.to_string(),
        candidate.threads.to_string(),
        number(start.map(|start| start.open_ms), 2),
        number(start.map(|start| start.session_ms), 2),
        number(start.map(|start| start.first_run_ms), 2),
    ]
}

#[cfg(test)]
mod tests {
    use super::untried;

    #[test]
    fn what_the_engine_has_and_nobody_asked_for_is_untried() {
        assert_eq!(untried(&["cpu", "openvino"], &["cpu", "cpu"]), ["openvino"]);
        assert_eq!(untried(&["cpu", "cuda", "tensorrt"], &["cuda-or-cpu"]), ["tensorrt"]);
        assert!(untried(&["cpu"], &["cpu"]).is_empty());
    }
}
