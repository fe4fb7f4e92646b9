//! Where every figure comes from: files, digests, seeds, settings, machine.

use askd_page::{escape, facts};

use super::{coloured, named, table};
use crate::report::{ModelReport, Report};

/// Digits of a digest that are shown; all are in the JSON.
const DIGITS: usize = 12;

pub(super) fn section(report: &Report) -> String {
    let machine = &report.machine;
    let made = facts(&[
        ("made by", Some(report.tool.clone())),
        ("date", Some(report.date.clone())),
        ("processor", Some(machine.processor.clone())),
        ("cores", Some(machine.cores.to_string())),
        ("ONNX Runtime", machine.onnxruntime.clone()),
        (
            "test images",
            Some(format!(
                "{} of {}, SHA-256 {}",
                report.images, report.data, report.data_sha256
            )),
        ),
    ]);
    let rows: Vec<_> = coloured(report)
        .flat_map(|(place, model, _)| rows(place, model))
        .collect();
    let head = [
        "",
        "path",
        "seed",
        "epoch",
        "seconds",
        "weights",
        "ONNX file",
        "teachers",
        "training images",
    ];
    let models = table(&head.map(str::to_owned), &rows);
    format!(
        "{made}{models}<p class=\"note\">The first {DIGITS} digits of each SHA-256; all of them are in the JSON.</p>{}",
        differences(report)
    )
}

fn rows(place: usize, model: &ModelReport) -> impl Iterator<Item = Vec<String>> {
    model.measured.iter().map(move |seed| {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
        let digest = |digest: &String| escape(digest.get(..DIGITS).unwrap_or(digest));
        let of = seed.best_epoch.map(|best| format!("{best} of {}", seed.epochs.len()));
        let teachers: Vec<_> = seed.teachers_sha256.iter().map(digest).collect();
        vec![
            named(place, model),
            escape(&seed.path),
            or_dash(seed.seed.map(|seed| seed.to_string())),
            or_dash(of),
            or_dash(seed.seconds.map(|seconds| format!("{seconds:.0}"))),
            or_dash(seed.weights_sha256.as_ref().map(digest)),
            digest(&seed.onnx_sha256),
            or_dash((!teachers.is_empty()).then(|| teachers.join(" "))),
            or_dash(seed.data_sha256.as_ref().map(digest)),
        ]
    })
}

/// The recipes' keys that differ, behind a summary: they can be many.
fn differences(report: &Report) -> String {
    if report.differences.is_empty() {
        return String::new();
    }
    let known: Vec<_> = coloured(report)
        .filter(|(_, model, _)| model.measured.first().is_some_and(|seed| seed.recipe.is_some()))
        .collect();
    let names = known
        .iter()
        .map(|(place, model, _)| format!("{} {}", place + 1, escape(&model.short_name)));
    let head: Vec<_> = std::iter::once("key".to_owned()).chain(names).collect();
    let rows = report.differences.iter().map(|difference| {
        let cells = known.iter().map(|(place, ..)| {
            let value = difference.values.get(*place).and_then(Option::as_ref);
            value.map_or_else(|| "–".to_owned(), |value| escape(value))
        });
        std::iter::once(escape(&difference.key)).chain(cells).collect()
    });
    let rows: Vec<Vec<String>> = rows.collect();
    format!(
        "<details><summary>Settings that differ</summary>{}</details>",
        table(&head, &rows)
    )
}
