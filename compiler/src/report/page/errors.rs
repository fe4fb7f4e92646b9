//! Which of the teacher's errors the students repeat.

use askd_page::escape;

use super::{distinct, named};
use crate::report::{Measured, ModelReport, Repeated, Report, Share};
use crate::spread::Spread;

/// None without a teacher.
pub(super) fn table(report: &Report) -> Option<String> {
    let rows = distinct(report).flat_map(|(place, model, _)| {
        let teachers = model.measured.first().map_or(0, |seed| seed.repeated.len());
        (0..teachers).filter_map(move |teacher| row(place, model, teacher))
    });
    let rows: Vec<_> = rows.collect();
    let head = [
        "",
        "same wrong class, %",
        "wrong too, %",
        "the teacher's errors",
        "teacher",
    ]
    .map(str::to_owned);
    let note = "<p class=\"note\">Of the test images that the teacher takes for a wrong class: those that the student takes for the same \
                wrong class, and those in which it is wrong at all; with 95 % intervals, or the standard deviation over seeds. A student \
                alone repeats errors too, on images that are hard or labelled wrong: what is more than its share is taken over from the \
                teacher.</p>";
    (!rows.is_empty()).then(|| super::table(&head, &rows) + note)
}

fn row(place: usize, model: &ModelReport, teacher: usize) -> Option<Vec<String>> {
    let repeated = || {
        model
            .measured
            .iter()
            .filter_map(|seed: &Measured| seed.repeated.get(teacher))
    };
    let shares = |share: fn(&Repeated) -> Option<Share>| repeated().filter_map(share).collect::<Vec<_>>();
    let (same, wrong) = (
        shares(|repeated| repeated.same_class),
        shares(|repeated| repeated.wrong_too),
    );
    // a teacher without errors leaves none to repeat
    same.first()?;
    let errors = Spread::of(same.iter().map(|share| share.of as f64).collect()).mean;
    Some(vec![
        named(place, model),
        share_text(&same),
        share_text(&wrong),
        format!("{errors:.0}"),
        escape(&repeated().next()?.teacher),
    ])
}

/// With its interval, or over seeds with their standard deviation.
pub(super) fn share_text(shares: &[Share]) -> String {
    match shares {
        [] => "–".to_owned(),
        [share] => format!(
            "{:.1}<small>{:.1} to {:.1}</small>",
            share.percent, share.low, share.high
        ),
        shares => {
            let spread = Spread::of(shares.iter().map(|share| share.percent).collect());
            format!("{:.1} ± {:.1}", spread.mean, spread.std)
        }
    }
}
