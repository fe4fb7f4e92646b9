//! The report as a page: what is gained and what it costs first, then the plots and tables behind it.

mod calibration;
mod classes;
mod corrupted;
mod costs;
mod curves;
mod errors;
mod origin;

use askd_page::{Page, card, cards, escape};

use super::headline::times_text;
use super::{Headline, ModelReport, Report, Role};

/// Colours of students, in the order of the models; teachers have one of their own.
const COLOURS: [u8; 7] = [1, 2, 3, 4, 6, 7, 8];
const TEACHER_COLOUR: u8 = 5;

pub(super) fn page(report: &Report) -> String {
    let title = match &report.headline {
        Some(headline) => format!("{}: what it gains and costs", headline.student),
        None => "Models beside each other".to_owned(),
    };
    let date = report.date.split('T').next().unwrap_or_default();
    let note = format!("{}, {} test images, {date}", report.data, report.images);
    let mut page = Page::new(&title, &note);
    if let Some(headline) = &report.headline {
        page.add(&first_screen(headline));
    }
    page.section("Accuracy against cost", &costs::plots(report));
    page.section("All models", &costs::all(report));
    optional(&mut page, "Over the epochs", curves::plots(report));
    optional(
        &mut page,
        "Epochs to reach the student alone",
        curves::epochs_to_alone(report),
    );
    optional(&mut page, "Errors taken over from the teacher", errors::table(report));
    page.section("Classes", &classes::table(report));
    page.section("Calibration", &calibration::section(report));
    optional(&mut page, "Corrupted images", corrupted::section(report));
    optional(&mut page, "The projector's share", costs::projectors(report));
    page.section("Where it comes from", &origin::section(report));
    if !report.notes.is_empty() {
        let notes: String = report
            .notes
            .iter()
            .map(|note| format!("<li>{}</li>", escape(note)))
            .collect();
        page.section("Left out", &format!("<ul>{notes}</ul>"));
    }
    page.finish()
}

fn optional(page: &mut Page, title: &str, body: Option<String>) {
    if let Some(body) = body {
        page.section(title, &body);
    }
}

/// A manager's question, answered: sentences, then the figures in them.
fn first_screen(headline: &Headline) -> String {
    let sentences = headline
        .sentences
        .iter()
        .map(|text| format!("<p class=\"lead\">{}</p>", escape(text)));
    let mut tiles = Vec::new();
    let teacher = headline.teacher.as_ref();
    match teacher {
        Some(teacher) => tiles.push(card(
            "accuracy kept",
            &format!("{:.1} %", teacher.kept_percent),
            &format!("{:.1} against {:.1} %", headline.top1, teacher.top1),
        )),
        None => tiles.push(card("top-1", &format!("{:.2} %", headline.top1), "of test images")),
    }
    if let Some(alone) = &headline.alone {
        let beside = format!("over {:.2} % alone", alone.top1);
        tiles.push(card("points gained", &format!("{:+.2}", alone.points.mean), &beside));
    }
    let smaller = teacher.map(|teacher| times_text(teacher.times_smaller, "smaller", "larger"));
    tiles.push(card("size", &size(headline.bytes), &smaller.unwrap_or_default()));
    if let Some(p50) = headline.p50_ms {
        let faster = teacher.and_then(|teacher| teacher.times_faster);
        let faster = faster.map(|times| times_text(times, "faster", "slower"));
        tiles.push(card(
            "latency",
            &format!("{} ms", milliseconds(p50)),
            &faster.unwrap_or_default(),
        ));
    }
    if let Some(projector) = &headline.projector {
        let percent = format!("+{:.1} %", projector.parameters_percent);
        tiles.push(card("projector", &percent, "parameters"));
    }
    sentences.collect::<String>() + &cards(&tiles)
}

/// Each model with its place and its colour's number.
fn coloured(report: &Report) -> impl Iterator<Item = (usize, &ModelReport, u8)> {
    let mut students = 0..;
    report.models.iter().enumerate().map(move |(place, model)| {
        let colour = match model.role {
            Role::Teacher => TEACHER_COLOUR,
            _ => students.next().map_or(0, |at: usize| COLOURS[at % COLOURS.len()]),
        };
        (place, model, colour)
    })
}

/// Those that are no other form of a network that is there already: a bundle's float variant beside its run.
fn distinct(report: &Report) -> impl Iterator<Item = (usize, &ModelReport, u8)> {
    let is_first = |(place, model, _): &(usize, &ModelReport, u8)| {
        let onnx = |model: &ModelReport| model.measured.first().map(|seed| seed.onnx_sha256.clone());
        !report.models[..*place]
            .iter()
            .any(|earlier| onnx(earlier) == onnx(model))
    };
    coloured(report).filter(is_first)
}

/// The models' numbers, names and colours.
fn legend<'a>(models: impl Iterator<Item = (usize, &'a ModelReport, u8)>) -> String {
    let entries = models.map(|(place, model, colour)| {
        let name = escape(&model.name);
        format!("<li><i class=\"s{colour}\"></i>{} {name}</li>", place + 1)
    });
    format!("<ul class=\"legend\">{}</ul>", entries.collect::<String>())
}

/// A table that scrolls by itself where the screen is narrow: head and cells are markup.
fn table(head: &[String], rows: &[Vec<String>]) -> String {
    let head: String = head.iter().map(|cell| format!("<th>{cell}</th>")).collect();
    let row = |cells: &Vec<String>| {
        let cells = cells.iter().enumerate().map(|(at, cell)| match at {
            0 => format!("<th>{cell}</th>"),
            _ => format!("<td>{cell}</td>"),
        });
        format!("<tr>{}</tr>", cells.collect::<String>())
    };
    let rows: String = rows.iter().map(row).collect();
    format!("<div class=\"scroll\"><table><tr>{head}</tr>{rows}</table></div>")
}

/// A model's number and name, as the first cell of a row.
fn named(place: usize, model: &ModelReport) -> String {
    format!("{} {}", place + 1, escape(&model.name))
}

/// `n` bytes in the largest decimal unit that makes it 1 or more.
fn size(n: usize) -> String {
    match n as f64 {
        n if n >= 1e6 => format!("{:.2} MB", n / 1e6),
        n if n >= 1e3 => format!("{:.0} kB", n / 1e3),
        n => format!("{n:.0} B"),
    }
}

/// Three digits that say something.
fn milliseconds(value: f64) -> String {
    match value {
        value if value < 1.0 => format!("{value:.3}"),
        value if value < 10.0 => format!("{value:.2}"),
        value => format!("{value:.1}"),
    }
}

#[cfg(test)]
pub(super) mod tests;
