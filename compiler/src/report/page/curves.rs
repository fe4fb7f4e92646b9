//! Accuracy and losses epoch by epoch.

use std::collections::BTreeSet;

use askd_page::{Axis, Plot, Size, escape, figure};

use super::{distinct, legend, named, table};
use crate::report::{ModelReport, Report};
use crate::spread::Spread;
use crate::train::EpochRecord;

/// Ratio of the largest to the smallest value from which on an axis is logarithmic.
const WIDE: f64 = 4.0;

/// The models whose epochs are known.
fn with_epochs(report: &Report) -> impl Iterator<Item = (usize, &ModelReport, u8)> {
    let known = |(_, model, _): &(usize, &ModelReport, u8)| model.measured.iter().any(|seed| !seed.epochs.is_empty());
    distinct(report).filter(known)
}

/// None without runs.
pub(super) fn plots(report: &Report) -> Option<String> {
    with_epochs(report).next()?;
    let validation = |record: &EpochRecord| Some(record.validation?.top1);
    let accuracy = Size::both(260.0).map(|size| plot(report, size, "validation top-1, %", &validation));
    let accuracy = match accuracy.concat() {
        pictures if pictures.is_empty() => pictures,
        pictures => figure(
            "top-1 on validation images, %, over epochs; a line for every seed",
            &pictures,
        ),
    };
    let legend = legend(with_epochs(report));
    let terms = panels(report);
    Some(format!(
        "{accuracy}{legend}<details><summary>Losses, and what else the steps recorded</summary><p class=\"note\">Means over each epoch's \
         steps. Losses of different methods have different parts: only their course can be compared.</p><div \
         class=\"panels\">{terms}</div></details>"
    ))
}

/// A panel for the loss and one for each quantity that an objective tells.
fn panels(report: &Report) -> String {
    let records = || {
        let seeds = report.models.iter().flat_map(|model| &model.measured);
        seeds.flat_map(|seed| &seed.epochs)
    };
    let terms: BTreeSet<&String> = records().flat_map(|record| record.terms.keys()).collect();
    let loss = panel(report, "training loss", &|record| Some(record.loss));
    let each = terms.into_iter().map(|term| {
        let value = |record: &EpochRecord| record.terms.get(term).copied();
        panel(report, &term.replace('_', " "), &value)
    });
    let teacher = |record: &EpochRecord| Some(record.teacher_validation.first()?.top1);
    let teacher = panel(report, "adapting teacher, validation top-1, %", &teacher);
    std::iter::once(loss).chain(each).chain([teacher]).collect()
}

fn panel(report: &Report, title: &str, value: &dyn Fn(&EpochRecord) -> Option<f64>) -> String {
    match plot(report, Size::panel(160.0), title, value) {
        picture if picture.is_empty() => picture,
        picture => figure(&escape(title), &picture),
    }
}

/// A line for each seed that has such values; nothing where none has.
fn plot(report: &Report, size: Size, title: &str, value: &dyn Fn(&EpochRecord) -> Option<f64>) -> String {
    let seeds =
        with_epochs(report).flat_map(|(_, model, colour)| model.measured.iter().map(move |seed| (seed, colour)));
    let lines: Vec<(u8, Vec<(f64, f64)>)> = seeds
        .map(|(seed, colour)| {
            let points = seed
                .epochs
                .iter()
                .filter_map(|record| Some((record.epoch as f64, value(record)?)));
            (colour, points.filter(|(_, value)| value.is_finite()).collect())
        })
        .filter(|(_, points): &(_, Vec<_>)| !points.is_empty())
        .collect();
    let values = || {
        lines
            .iter()
            .flat_map(|(_, points)| points.iter().map(|(_, value)| *value))
    };
    let (least, most) = values().fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| {
        (value.min(least), value.max(most))
    });
    if lines.is_empty() {
        return String::new();
    }
    let y = match least > 0.0 && most > WIDE * least && !title.contains('%') {
        true => Axis::logarithmic(values()),
        false => Axis::linear(values()),
    };
    let last = lines
        .iter()
        .flat_map(|(_, points)| points.iter().map(|(epoch, _)| *epoch))
        .fold(1.0, f64::max);
    let mut plot = Plot::new(size, Axis::counting(1.0, last), y, title);
    for (colour, points) in lines {
        let class = format!("c{colour}");
        plot.line(&class, points.iter().copied());
        plot.dots(&class, points);
    }
    plot.finish()
}

/// None where no model can be held against the student alone.
pub(super) fn epochs_to_alone(report: &Report) -> Option<String> {
    let rows = distinct(report).filter_map(|(place, model, _)| {
        let told = model.epochs_to_alone.as_ref()?;
        let reached = told.reached.as_ref();
        Some(vec![
            named(place, model),
            reached.map_or_else(|| "not reached".to_owned(), epochs_text),
            told.epochs.to_string(),
            format!("{:.2}", told.target.mean),
            format!("{} of {}", told.each.iter().flatten().count(), told.each.len()),
        ])
    });
    let rows: Vec<_> = rows.collect();
    let head = ["", "after epoch", "of", "to reach, %", "seeds that do"].map(str::to_owned);
    let note = "<p class=\"note\">The first epoch whose validation top-1 is the best one that the same student has without a teacher.</p>";
    (!rows.is_empty()).then(|| table(&head, &rows) + note)
}

fn epochs_text(epochs: &Spread) -> String {
    match epochs.values.as_slice() {
        [epoch] => format!("{epoch:.0}"),
        _ => format!("{:.1} ± {:.1}", epochs.mean, epochs.std),
    }
}
