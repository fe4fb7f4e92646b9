//! Accuracy against latency, size and multiply-accumulates, and what the projectors are of these.

use askd_page::{Axis, Plot, Point, Size, escape, figure};

use super::{coloured, distinct, legend, milliseconds, named, size, table};
use crate::inspect::table::grouped;
use crate::report::{ModelReport, Report};

pub(super) fn plots(report: &Report) -> String {
    let latency = |model: &ModelReport| model.latency_ms.map(|latency| latency.p50);
    let panels = [
        panel(report, "latency, ms", &latency),
        panel(report, "bytes of ONNX", &|model| Some(model.bytes as f64)),
        panel(report, "multiply-accumulates", &|model| Some(model.macs as f64)),
    ];
    format!(
        "<div class=\"panels\">{}</div>{}",
        panels.concat(),
        legend(distinct(report))
    )
}

/// Every seed's accuracy over a cost on a logarithmic axis; nothing where no model has that cost.
fn panel(report: &Report, title: &str, cost: &dyn Fn(&ModelReport) -> Option<f64>) -> String {
    let models: Vec<_> = distinct(report)
        .filter_map(|(place, model, colour)| Some((place, model, colour, cost(model)?)))
        .collect();
    if models.is_empty() {
        return String::new();
    }
    let x = Axis::logarithmic(models.iter().map(|(.., cost)| *cost));
    let y = Axis::linear(
        models
            .iter()
            .flat_map(|(_, model, ..)| model.top1.values.iter().copied()),
    );
    let mut plot = Plot::new(Size::panel(220.0), x, y, &format!("top-1 over {title}"));
    let texts: Vec<_> = models
        .iter()
        .map(|(place, model, colour, _)| {
            (
                (place + 1).to_string(),
                format!("c{colour}"),
                &model.name,
                &model.short_name,
            )
        })
        .collect();
    let points = models
        .iter()
        .zip(&texts)
        .flat_map(|((_, model, _, cost), (number, colour, name, short))| {
            // one name for all seeds
            model.top1.values.iter().enumerate().map(move |(seed, top1)| Point {
                class: colour,
                x: *cost,
                y: *top1,
                label: if seed == 0 { short } else { "" },
                mark: if seed == 0 { number } else { "" },
                title: name,
            })
        });
    plot.points(&points.collect::<Vec<_>>());
    figure(&format!("top-1, %, over {title}"), &plot.finish())
}

/// All figures of all models.
pub(super) fn all(report: &Report) -> String {
    let row = |(place, model, _): (usize, &ModelReport, u8)| {
        let top5 = model.measured.iter().map(|seed| seed.test.top5).sum::<f64>() / model.measured.len() as f64;
        let latency = model.latency_ms.map(|latency| {
            let [p10, p50, p90] = [latency.p10, latency.p50, latency.p90].map(milliseconds);
            format!("{p50}<small>{p10} to {p90}</small>")
        });
        vec![
            named(place, model),
            model.top1.to_string(),
            format!("{top5:.2}"),
            latency.unwrap_or_else(|| "–".to_owned()),
            size(model.bytes),
            grouped(model.macs as u64),
            grouped(model.parameters as u64),
        ]
    };
    let rows: Vec<_> = coloured(report).map(row).collect();
    let head = [
        "",
        "top-1 %",
        "top-5 %",
        "latency, ms",
        "ONNX file",
        "MACs",
        "parameters",
    ]
    .map(str::to_owned);
    let runs = report
        .models
        .iter()
        .filter_map(|model| model.latency_ms)
        .map(|latency| latency.runs);
    let latency = match runs.max() {
        Some(runs) => format!(
            "Latency: median, and 10th to 90th percentile, of {runs} runs in turn with the others, one image, one thread, preprocessing \
             apart; {}, ONNX Runtime {}.",
            escape(&report.machine.processor),
            escape(report.machine.onnxruntime.as_deref().unwrap_or("of unknown version"))
        ),
        None => String::new(),
    };
    format!(
        "{}<p class=\"note\">{latency} Parameters are those trained. A ± is the standard deviation over seeds. Variants of bundles ran \
         through the runtime, all else in the trainer.</p>",
        table(&head, &rows)
    )
}

/// What projectors cost; none without one.
pub(super) fn projectors(report: &Report) -> Option<String> {
    let rows = distinct(report).filter_map(|(place, model, _)| {
        let projector = model.projector?;
        Some(vec![
            named(place, model),
            projector.factor.to_string(),
            grouped(projector.parameters as u64),
            format!("{:.2} %", projector.parameters_percent),
            grouped(projector.macs as u64),
            format!("{:.2} %", projector.macs_percent),
        ])
    });
    let rows: Vec<_> = rows.collect();
    let head = ["", "f", "parameters", "of the student", "MACs", "of the student"].map(str::to_owned);
    let note = "<p class=\"note\">As trained, in percent of the student without it.</p>";
    (!rows.is_empty()).then(|| table(&head, &rows) + note)
}
