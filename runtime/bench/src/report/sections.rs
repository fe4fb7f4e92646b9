//! What is told in words and tables: conditions, parts of a run, nodes, machine and settings.

use askd_page::{card, cards, escape, facts, short};

use crate::machine::PowerMode;
use crate::profile::{NodeTime, Profile};
use crate::run::{ColdStart, RunReport, Scenario, Stage};
use crate::text::{bytes, counted};

/// The figures of the first screen.
pub(super) fn figures(report: &RunReport) -> String {
    let latency = &report.latency_ms;
    let times = [
        ("p50", latency.p50),
        ("p90", latency.p90),
        ("p99", latency.p99),
        ("p99.9", latency.p999),
    ];
    let mut figures: Vec<_> = times
        .map(|(name, time)| card(name, &format!("{time:.3}"), "ms"))
        .to_vec();
    let throughput = report.throughput;
    figures.push(card("throughput", &short(throughput.per_second), "images a second"));
    if let Some(start) = report.cold_start_ms {
        figures.push(card("cold start", &format!("{start:.0}"), "ms"));
    }
    cards(&figures)
}

/// What is to be said of the conditions: first whether they held, then each mark.
pub(super) fn conditions(report: &RunReport) -> String {
    let marks: String = report
        .marks
        .iter()
        .map(|mark| format!("<li>{}</li>", escape(&mark.text)))
        .collect();
    let record = report.machine.record.as_ref();
    let missing = record.map(|record| record.not_readable.as_slice()).unwrap_or_default();
    let missing: String = missing
        .iter()
        .map(|text| format!("<li>{}</li>", escape(text)))
        .collect();
    let strict = report.marks.iter().any(|mark| mark.strict);
    let (class, verdict) = match (report.marks.len(), strict, record.is_some()) {
        (0, _, true) => ("good", "Nothing that could be read moved during the run.".to_owned()),
        (0, _, false) => ("fair", "Nothing watched the machine during the run.".to_owned()),
        (count, true, _) => (
            "bad",
            format!(
                "Doubtful: {}; a strict run fails by it.",
                counted(count, "mark", "marks")
            ),
        ),
        (count, false, _) => (
            "fair",
            format!("Take it with care: {}.", counted(count, "mark", "marks")),
        ),
    };
    let missing = match missing.is_empty() {
        true => missing,
        false => format!("<details><summary>What could not be read</summary><ul>{missing}</ul></details>"),
    };
    format!("<div class=\"verdict {class}\"><strong>{verdict}</strong><ul>{marks}</ul>{missing}</div>")
}

/// The parts of a latency.
pub(super) fn stages(report: &RunReport) -> String {
    let row = |(name, stage): (&str, Stage)| {
        let cells = [stage.p50, stage.p90, stage.p99, stage.mean].map(|time| format!("<td>{time:.4}</td>"));
        format!("<tr><th>{name}</th>{}</tr>", cells.concat())
    };
    let rows: String = report.stages_ms.named().map(row).collect();
    format!("<table><tr><th>ms</th><th>p50</th><th>p90</th><th>p99</th><th>mean</th></tr>{rows}</table>")
}

/// The parts of a cold start, as one bar and with their times.
pub(super) fn cold_start(start: &ColdStart) -> String {
    let parts = [
        ("library", Some(start.library_load)),
        ("open", Some(start.open)),
        ("verify", start.verify),
        ("session", Some(start.session)),
        ("first run", Some(start.first_run)),
    ];
    let parts = parts.into_iter().filter_map(|(name, time)| Some((name, time?)));
    let sum: f64 = parts.clone().map(|(_, time)| time).sum::<f64>().max(f64::MIN_POSITIVE);
    let mut bar = String::new();
    let mut legend = String::new();
    for (at, (name, time)) in parts.enumerate() {
        let class = format!("s{}", at + 1);
        bar += &format!("<i class=\"{class}\" style=\"width:{:.2}%\"></i>", 100.0 * time / sum);
        legend += &format!("<li><i class=\"{class}\"></i>{name} {} ms</li>", short(time));
    }
    format!(
        "<div class=\"stack\">{bar}</div><ul class=\"legend\">{legend}</ul><p class=\"note\">From nothing to the first result: \
         {} ms, median of {}; files in the system's cache.</p>",
        short(start.total),
        counted(start.starts, "process", "processes")
    )
}

/// Every node, with a bar as long as its time.
pub(super) fn profile(profile: &Profile) -> String {
    let longest = profile
        .nodes
        .iter()
        .map(|node| node.ms)
        .fold(f64::MIN_POSITIVE, f64::max);
    let rows: String = profile.nodes.iter().map(|node| node_row(node, longest)).collect();
    format!(
        "<p class=\"note\">{} profiled runs of {} ms, of which the nodes are {} ms; {} million multiply-accumulates an image. Peak: \
         {} GFLOP/s with {} ({}).</p><table class=\"nodes\"><tr><th>layer</th><th class=\"wide text\">operator</th><th></th><th>µs</th>\
         <th>%</th><th class=\"wide\">million MACs</th><th>GFLOP/s</th><th class=\"wide\">% of peak</th></tr>{rows}</table>",
        profile.runs,
        short(profile.run_ms),
        short(profile.nodes_ms),
        short(profile.macs as f64 / 1e6),
        short(profile.peak.gflops),
        counted(profile.peak.threads, "thread", "threads"),
        escape(&profile.peak.of)
    )
}

fn node_row(node: &NodeTime, longest: f64) -> String {
    let told =
        |value: Option<f64>, decimals: usize| value.map_or_else(String::new, |value| format!("{value:.decimals$}"));
    let (name, class) = match &node.layer {
        Some(layer) => (layer, "layer"),
        None => (&node.node, "layer own"),
    };
    format!(
        "<tr><th class=\"{class}\">{}</th><td class=\"wide text\">{}</td><td class=\"bars\"><i style=\"width:{:.1}%\"></i></td>\
         <td>{}</td><td>{:.1}</td><td class=\"wide\">{}</td><td>{}</td><td class=\"wide\">{}</td></tr>",
        escape(name),
        escape(&node.operator),
        100.0 * node.ms / longest,
        told(Some(1e3 * node.ms), 1),
        100.0 * node.share,
        told(node.macs.map(|macs| macs as f64 / 1e6), 3),
        told(node.gflops, 1),
        told(node.of_peak.map(|part| 100.0 * part), 0)
    )
}

pub(super) fn machine(report: &RunReport) -> String {
    let machine = &report.machine;
    let summary = machine.record.as_ref().map(|record| &record.summary);
    let percent = |share: Option<f64>| share.map(|share| format!("{:.1} %", 100.0 * share));
    let watts = summary.and_then(|summary| summary.watts.as_ref()).map(|watts| {
        let each = watts
            .iter()
            .map(|(sensor, watts)| format!("{sensor} {} W", short(*watts)));
        each.collect::<Vec<_>>().join(", ")
    });
    let mut rows = vec![
        ("board", machine.board.clone()),
        ("processor", machine.cpu.clone()),
        ("cores online", machine.cores_online.clone()),
        ("cores allowed", machine.cores_allowed.clone()),
        ("governor", machine.governor.clone()),
        ("memory", machine.memory_bytes.map(bytes)),
        ("system", machine.os.clone()),
        ("kernel", machine.kernel.clone()),
        (
            "used by others",
            percent(summary.and_then(|summary| summary.others_share)),
        ),
        (
            "stolen by the host",
            percent(summary.and_then(|summary| summary.steal_share)),
        ),
        (
            "involuntary switches",
            summary
                .and_then(|summary| summary.involuntary_switches)
                .map(|count| count.to_string()),
        ),
        (
            "major faults",
            summary
                .and_then(|summary| summary.major_faults)
                .map(|count| count.to_string()),
        ),
        ("power", watts),
    ];
    if let Some(jetson) = &machine.jetson {
        let mode = jetson.power_mode.as_ref();
        let name = |mode: &PowerMode| mode.name.clone().unwrap_or_else(|| mode.id.to_string());
        rows.extend([
            ("Jetson Linux", jetson.l4t.clone()),
            ("JetPack", jetson.jetpack.clone()),
            ("power mode", mode.map(name)),
        ]);
    }
    facts(&rows)
}

pub(super) fn settings(report: &RunReport) -> String {
    let (settings, model, memory) = (&report.settings, &report.model, &report.memory);
    let arrivals = match settings.scenario {
        Scenario::BackToBack => "back to back".to_owned(),
        Scenario::OpenLoop => format!(
            "{} images a second, by the clock",
            short(settings.rate.unwrap_or_default())
        ),
        Scenario::Bursts => format!(
            "bursts of {}, {} images a second",
            settings.burst,
            short(settings.rate.unwrap_or_default())
        ),
    };
    let [channels, height, width] = model.input.shape;
    let some = |text: String| Some(text);
    facts(&[
        ("model", some(model.path.clone())),
        ("SHA-256", some(model.sha256.clone())),
        (
            "input",
            some(format!("{} {channels}x{height}x{width}", model.input.data_type)),
        ),
        (
            "images",
            some(format!(
                "{} ({}): {}",
                model.images.source, model.images.count, model.images.note
            )),
        ),
        ("arrivals", some(arrivals)),
        ("streams", some(settings.streams.to_string())),
        ("threads", some(settings.threads.to_string())),
        (
            "confined to cores",
            some(settings.cores.clone().unwrap_or_else(|| "no".to_owned())),
        ),
        ("provider", some(settings.provider_used.clone())),
        ("ONNX Runtime", report.engine.version.clone()),
        (
            "rules",
            some(settings.preset.clone().unwrap_or_else(|| "none by name".to_owned())),
        ),
        (
            "runs",
            some(format!("{} in {} s", report.runs.count, short(report.runs.seconds))),
        ),
        ("warm-up", some(warm_up(report))),
        ("memory resident", memory.rss_bytes.map(bytes)),
        ("memory peak", memory.peak_bytes.map(bytes)),
        ("own overhead", some(format!("{:.0} ns a run", report.overhead_ns))),
        (
            "measured by",
            some(format!("{} {}", report.tool.name, report.tool.version)),
        ),
    ])
}

fn warm_up(report: &RunReport) -> String {
    let warm_up = report.warm_up;
    let settled = if warm_up.stable { "settled" } else { "not settled" };
    format!(
        "{} in {} s, {settled}",
        counted(warm_up.runs, "run", "runs"),
        short(warm_up.seconds)
    )
}
