//! Reliability diagrams, and the calibration error before and after temperature.

use askd_page::{Axis, Plot, Size, escape, figure};

use super::{distinct, named, table};
use crate::report::{ModelReport, Reliability, Report};

/// Images below which a bin's accuracy says little: its bar is pale.
const FEW: usize = 10;

pub(super) fn section(report: &Report) -> String {
    let rows: Vec<_> = distinct(report)
        .map(|(place, model, _)| {
            let after = model.measured.first().and_then(|seed| seed.after_temperature.as_ref());
            vec![
                named(place, model),
                model.ece_before.to_string(),
                model
                    .ece_after
                    .as_ref()
                    .map_or_else(|| "–".to_owned(), ToString::to_string),
                after.map_or_else(|| "not fitted".to_owned(), |after| format!("{:.3}", after.temperature)),
            ]
        })
        .collect();
    let head = ["", "ECE before, %", "ECE after, %", "temperature"].map(str::to_owned);
    let panels: String = distinct(report)
        .filter_map(|(place, model, _)| panel(place, model))
        .collect();
    format!(
        "{}<p class=\"note\">Expected calibration error over 15 bins of equal width: how far accuracy is from the confidence that the model \
         claims. The temperature was fitted on validation images; it changes no class.</p><div class=\"panels\">{panels}</div>\
         <p class=\"note\">Accuracy over confidence, both in percent: <b class=\"c1\">bars</b> after temperature, where one was fitted (pale: fewer than {FEW} \
         images), <b class=\"c2\">dots</b> before it. On the dashed line a model is as sure as it should be. Of several seeds the first.</p>",
        table(&head, &rows)
    )
}

/// The first seed's diagram.
fn panel(place: usize, model: &ModelReport) -> Option<String> {
    let seed = model.measured.first()?;
    let name = format!("{} {}", place + 1, model.name);
    let percent = Axis::exact(0.0, 100.0);
    let mut plot = Plot::new(Size::panel(190.0), percent, percent, &format!("reliability of {name}"));
    let bars = seed.after_temperature.as_ref().unwrap_or(&seed.before_temperature);
    let width = 100.0 / bars.bins.len() as f64;
    for (at, bin) in bars.bins.iter().enumerate().filter(|(_, bin)| bin.images > 0) {
        let class = if bin.images < FEW { "c1 few" } else { "c1" };
        let left = width * at as f64;
        plot.bar(class, [left + 0.4, left + width - 0.4], bin.accuracy);
    }
    plot.line("ideal", [(0.0, 0.0), (100.0, 100.0)]);
    plot.dots("c2", dots(&seed.before_temperature));
    Some(figure(&escape(&name), &plot.finish()))
}

fn dots(reliability: &Reliability) -> impl Iterator<Item = (f64, f64)> {
    let filled = reliability.bins.iter().filter(|bin| bin.images > 0);
    filled.map(|bin| (bin.confidence, bin.accuracy))
}
