//! A report for people.

use std::fmt;

use super::report::{RunReport, Scenario, Stage};
use crate::text::{bytes, counted, number, printable, write_table, write_wrapped};

impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_wrapped(f, "", &self.subject())?;
        write_wrapped(f, "", &self.conditions())?;
        writeln!(f)?;
        let latency = &self.latency_ms;
        let head = [
            "latency, ms",
            "p50",
            "p90",
            "p95",
            "p99",
            "p99.9",
            "max",
            "mean",
            "stddev",
        ];
        let values = [
            latency.p50,
            latency.p90,
            latency.p95,
            latency.p99,
            latency.p999,
            latency.max,
            latency.mean,
            latency.stddev,
        ];
        let mut row = [const { String::new() }; 9];
        row[0] = "image to result".to_owned();
        for (cell, value) in row[1..].iter_mut().zip(values) {
            *cell = number(Some(value), 3);
        }
        write_table(f, head, vec![row])?;
        writeln!(f)?;
        write_table(f, ["step, ms", "p50", "p90", "p99", "mean"], self.stage_rows())?;
        writeln!(f)?;
        if let Some(start) = &self.cold_start {
            let head = ["cold start, ms", "library", "open", "verify", "session", "first run"];
            let row = [
                number(self.cold_start_ms, 1),
                number(Some(start.library_load), 1),
                number(Some(start.open), 1),
                number(start.verify, 1),
                number(Some(start.session), 1),
                number(Some(start.first_run), 1),
            ];
            write_table(f, head, vec![row])?;
            writeln!(f)?;
        }
        let throughput = self.throughput;
        writeln!(
            f,
            "throughput: {:.2} images a second ({:.2} to {:.2}, 99 % confidence)",
            throughput.per_second, throughput.low, throughput.high
        )?;
        if let Some(estimate) = latency.p90_early_stopping {
            writeln!(f, "p90 by MLPerf's early stopping: {estimate:.3} ms")?;
        }
        self.write_memory(f)?;
        if let Some(profile) = &self.profile {
            write!(f, "\n{profile}\n")?;
        }
        for mark in &self.marks {
            let head = if mark.strict { "mark" } else { "note" };
            write_wrapped(
                f,
                &format!("{head}, {}: ", printable(&mark.kind)),
                &printable(&mark.text),
            )?;
        }
        Ok(())
    }
}

impl RunReport {
    fn subject(&self) -> String {
        let (model, settings) = (&self.model, &self.settings);
        let variant = model
            .variant
            .as_ref()
            .map_or_else(String::new, |name| format!(", {}", printable(name)));
        let arrivals = match (settings.scenario, settings.rate) {
            (Scenario::BackToBack, _) => "back to back".to_owned(),
            (Scenario::OpenLoop, rate) => format!("{} images a second", number(rate, 2)),
            (Scenario::Bursts, rate) => format!("{} images a second in bursts of {}", number(rate, 2), settings.burst),
        };
        format!(
            "{}{variant}: {}, {}, {}, {}; {} in {:.1} s",
            printable(&model.path),
            arrivals,
            counted(settings.threads, "thread", "threads"),
            counted(settings.streams, "stream", "streams"),
            printable(&settings.provider_used),
            counted(self.runs.count, "run", "runs"),
            self.runs.seconds
        )
    }

    fn conditions(&self) -> String {
        let machine = &self.machine;
        let told = |value: &Option<String>| value.as_deref().map_or_else(|| "not readable".to_owned(), printable);
        format!(
            "{}, cores {}, governor {}; ONNX Runtime {}; images: {}; warm-up {} runs in {:.1} s, {}",
            told(&machine.cpu),
            told(&machine.cores_allowed),
            told(&machine.governor),
            self.engine
                .version
                .as_deref()
                .map_or_else(|| "of no known version".to_owned(), printable),
            printable(&self.model.images.source),
            self.warm_up.runs,
            self.warm_up.seconds,
            if self.warm_up.stable { "settled" } else { "not settled" }
        )
    }

    fn stage_rows(&self) -> Vec<[String; 5]> {
        let row = |(name, stage): (&str, Stage)| {
            let time = |time| number(Some(time), 4);
            [
                name.to_owned(),
                time(stage.p50),
                time(stage.p90),
                time(stage.p99),
                time(stage.mean),
            ]
        };
        self.stages_ms.named().map(row).collect()
    }

    fn write_memory(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = &self.memory;
        let told = |value: Option<u64>| value.map_or_else(|| "not readable".to_owned(), bytes);
        let growth = memory.growth_bytes.map_or_else(
            || "not readable".to_owned(),
            |growth| format!("{}{}", if growth < 0 { "-" } else { "" }, bytes(growth.unsigned_abs())),
        );
        writeln!(
            f,
            "memory: {} resident, {} at its peak, grown by {growth} (samples: {}); own overhead {:.0} ns a run",
            told(memory.rss_bytes),
            told(memory.peak_bytes),
            bytes(memory.samples_bytes),
            self.overhead_ns
        )
    }
}
