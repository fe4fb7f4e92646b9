//! Accuracy on corrupted images, int8 beside float.

use askd_page::{Axis, Plot, Size, figure};

use super::{distinct, legend, named, table};
use crate::report::{ModelReport, Report};
use crate::robustness::{CorruptedAccuracy, Robustness};

/// None where it was not measured.
pub(super) fn section(report: &Report) -> Option<String> {
    let first = measured(report).next()?.3;
    let names = measured(report).map(|(place, model, ..)| named(place, model));
    let head: Vec<String> = std::iter::once(String::new()).chain(names).collect();
    let row = |name: &str, value: &dyn Fn(&Robustness) -> f64| {
        let cells = measured(report).map(|(.., robustness)| format!("{:.2}", value(robustness)));
        std::iter::once(name.to_owned()).chain(cells).collect::<Vec<_>>()
    };
    let mut rows = vec![row("as they are", &|robustness| robustness.clean.top1)];
    rows.extend(
        (first.means.iter().enumerate())
            .map(|(at, mean)| row(mean.corruption.name(), &|robustness| robustness.means[at].top1)),
    );
    rows.push(row("mean of all", &|robustness| robustness.mean_top1));
    let pictures = Size::both(220.0).map(|size| over_severities(report, size)).concat();
    let pictures = match pictures.as_str() {
        "" => String::new(),
        _ => {
            let caption = "top-1, %, over severity; 0 is the images as they are, else the mean over all corruptions";
            figure(caption, &pictures)
                + &legend(measured(report).map(|(place, model, colour, _)| (place, model, colour)))
        }
    };
    Some(format!(
        "{pictures}{}<p class=\"note\">Top-1 in percent of {} images, the mean over the severities. The corruptions are askd's own: figures \
         cannot be held against those published for CIFAR-C or ImageNet-C. All severities are in the JSON.</p>",
        table(&head, &rows),
        first.clean.images
    ))
}

fn measured(report: &Report) -> impl Iterator<Item = (usize, &ModelReport, u8, &Robustness)> {
    distinct(report).filter_map(|(place, model, colour)| Some((place, model, colour, model.robustness.as_ref()?)))
}

/// Nothing where there is one severity alone.
fn over_severities(report: &Report, size: Size) -> String {
    let lines: Vec<(u8, Vec<(f64, f64)>)> = measured(report)
        .map(|(.., colour, robustness)| (colour, by_severity(robustness)))
        .collect();
    let points = || lines.iter().flat_map(|(_, points)| points.iter().copied());
    let last = points().fold(0.0, |last, (severity, _)| f64::max(last, severity));
    if lines.iter().all(|(_, points)| points.len() < 3) {
        return String::new();
    }
    let y = Axis::linear(points().map(|(_, top1)| top1));
    let mut plot = Plot::new(size, Axis::counting(0.0, last), y, "top-1 over severity");
    for (colour, points) in lines {
        let class = format!("c{colour}");
        plot.line(&class, points.iter().copied());
        plot.dots(&class, points);
    }
    plot.finish()
}

/// The clean accuracy at 0, then for each severity the mean over the corruptions.
fn by_severity(robustness: &Robustness) -> Vec<(f64, f64)> {
    let mut rows: Vec<&CorruptedAccuracy> = robustness.rows.iter().collect();
    rows.sort_by_key(|row| row.severity);
    let groups = rows.chunk_by(|one, next| one.severity == next.severity);
    let means = groups.map(|group| {
        let top1 = group.iter().map(|row| row.top1).sum::<f64>() / group.len() as f64;
        (f64::from(group[0].severity.number()), top1)
    });
    std::iter::once((0.0, robustness.clean.top1)).chain(means).collect()
}
