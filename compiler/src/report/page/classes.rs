//! Accuracy class by class.

use askd_page::escape;

use super::distinct;
use super::errors::share_text;
use crate::report::{ModelReport, Report, Role};

/// Classes that are shown at most; all are in the JSON.
const MOST: usize = 20;

const NOTE: &str = "Percent of each class's test images that are classified right, with 95 % intervals, or the standard deviation over seeds.";

pub(super) fn table(report: &Report) -> String {
    let models: Vec<_> = distinct(report).collect();
    let mut classes: Vec<usize> = (0..report.classes.len()).collect();
    let mut note = NOTE.to_owned();
    if classes.len() > MOST {
        let weakest = Weakest::of(report);
        classes.sort_by(|a, b| weakest.value(*a).total_cmp(&weakest.value(*b)));
        note += &format!(
            " Of {} classes the {MOST} {}; all are in the JSON.",
            classes.len(),
            weakest.in_words()
        );
        classes.truncate(MOST);
    }
    let names = models
        .iter()
        .map(|(place, model, _)| format!("{} {}", place + 1, escape(&model.short_name)));
    let head: Vec<String> = std::iter::once(String::new()).chain(names).collect();
    let row = |class: usize| {
        let cells = models.iter().map(|(_, model, _)| {
            let shares = model
                .measured
                .iter()
                .filter_map(|seed| seed.per_class.get(class).copied().flatten());
            share_text(&shares.collect::<Vec<_>>())
        });
        std::iter::once(escape(&report.classes[class])).chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = classes.into_iter().map(row).collect();
    format!("{}<p class=\"note\">{}</p>", super::table(&head, &rows), escape(&note))
}

/// Tells which classes are worth showing: where the student falls behind its teacher, or without one is the worst.
struct Weakest<'a> {
    student: Option<&'a ModelReport>,
    teacher: Option<&'a ModelReport>,
}

impl<'a> Weakest<'a> {
    fn of(report: &'a Report) -> Self {
        let headline = report.headline.as_ref();
        let named = |name: &String| report.models.iter().find(|model| model.name == *name);
        Self {
            student: headline
                .and_then(|headline| named(&headline.student))
                .or_else(|| report.models.last()),
            teacher: headline
                .and_then(|headline| named(&headline.teacher.as_ref()?.name))
                .filter(|model| model.role == Role::Teacher),
        }
    }

    fn value(&self, class: usize) -> f64 {
        let percent = |model: Option<&ModelReport>| {
            let share = model.and_then(|model| model.measured.first()?.per_class.get(class).copied().flatten());
            share.map(|share| share.percent)
        };
        match (percent(self.student), percent(self.teacher)) {
            (Some(student), Some(teacher)) => student - teacher,
            (Some(student), None) => student,
            // without images nothing is known
            (None, _) => f64::INFINITY,
        }
    }

    fn in_words(&self) -> String {
        let student = self.student.map_or("it", |model| &model.name);
        match self.teacher {
            Some(teacher) => format!("in which {student} is furthest below {}", teacher.name),
            None => format!("in which {student} is weakest"),
        }
    }
}
