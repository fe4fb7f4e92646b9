//! What a study found, as JSON and as Markdown.

use std::fmt;

use serde::Serialize;

use crate::distill::ProjectorCost;
use crate::spread::Spread;
use crate::train::{EpochRecord, RunResult};

/// All runs so far.
#[derive(Debug, Clone, Serialize)]
pub struct StudyReport {
    /// Heading.
    pub title: String,
    /// A row a run.
    pub rows: Vec<Row>,
}

/// One run over its seeds.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// The run's name.
    pub name: String,
    /// Seeds, in the order of all values.
    pub seeds: Vec<u64>,
    /// Top-1 on test images, percent, of the best weights on validation data.
    pub test_top1: Spread,
    /// Top-1 on validation images, percent, of the same weights; none where none are held out.
    pub validation_top1: Option<Spread>,
    /// Top-1 of the teachers on test images after the run, percent, their mean; none without a teacher.
    pub teacher_top1: Option<Spread>,
    /// Parameters of what ships.
    pub parameters: usize,
    /// Multiply-accumulates of what ships, for one image.
    pub macs: usize,
    /// What the projectors are of that; none where there are none.
    pub projector: Option<ProjectorCost>,
    /// Training seconds.
    pub seconds: Spread,
    /// Seeds whose guard ended the adaptation, with what it said.
    pub incidents: Vec<String>,
    /// Over the epochs of the first seed.
    pub first_seed: Curves,
}

/// Epoch by epoch.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Curves {
    /// Feature loss L_F, not normalised, mean over the epoch; empty where the method has none.
    pub feature_loss: Vec<f64>,
    /// The student's top-1 on validation images, percent.
    pub validation_top1: Vec<f64>,
    /// The first teacher's, where it moves.
    pub teacher_top1: Vec<f64>,
}

impl StudyReport {
    /// A report without rows.
    pub(super) fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            rows: Vec::new(),
        }
    }

    /// Adds a seed of a run; seeds of one run come one after the other.
    pub(super) fn add(&mut self, name: &str, result: &RunResult, records: &[EpochRecord]) {
        if self.rows.last().is_none_or(|row| row.name != name) {
            self.rows.push(Row {
                name: name.to_owned(),
                seeds: Vec::new(),
                test_top1: Spread::default(),
                validation_top1: None,
                teacher_top1: None,
                parameters: result.parameters,
                macs: result.macs,
                projector: result.projector,
                seconds: Spread::default(),
                incidents: Vec::new(),
                first_seed: Curves::of(records),
            });
        }
        let Some(row) = self.rows.last_mut() else { return };
        row.seeds.push(result.seed);
        if let Some(test) = &result.test {
            row.test_top1.add(test.top1);
        }
        if let Some(validation) = &result.validation {
            row.validation_top1.get_or_insert_default().add(validation.top1);
        }
        if !result.teachers.is_empty() {
            let sum: f64 = result.teachers.iter().map(|teacher| teacher.after.top1).sum();
            let mean = sum / result.teachers.len() as f64;
            row.teacher_top1.get_or_insert_default().add(mean);
        }
        row.seconds.add(result.seconds);
        if let Some(incident) = &result.guard {
            row.incidents.push(format!("seed {}: {incident}", result.seed));
        }
    }
}

impl Curves {
    fn of(records: &[EpochRecord]) -> Self {
        let feature_loss = records.iter().filter_map(|record| record.terms.get("feature_loss"));
        let validation = records.iter().filter_map(|record| record.validation.as_ref());
        let teacher = records.iter().filter_map(|record| record.teacher_validation.first());
        Self {
            feature_loss: feature_loss.copied().collect(),
            validation_top1: validation.map(|evaluation| evaluation.top1).collect(),
            teacher_top1: teacher.map(|evaluation| evaluation.top1).collect(),
        }
    }
}

/// `13568 (18.1 %), 868352 MACs (7.1 %)`.
fn in_cell(projector: &ProjectorCost) -> String {
    let ProjectorCost {
        parameters,
        macs,
        parameters_percent,
        macs_percent,
        ..
    } = projector;
    format!("{parameters} ({parameters_percent:.1} %), {macs} MACs ({macs_percent:.1} %)")
}

impl fmt::Display for StudyReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}\n", self.title)?;
        writeln!(
            f,
            "Top-1 in percent, mean ± standard deviation over seeds; seconds are of training. A projector's percentages are of the \
             student without it.\n"
        )?;
        writeln!(
            f,
            "| run | seeds | test | validation | teacher after | parameters | MACs | of it the projector | seconds |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|---|---|")?;
        let or_dash = |spread: &Option<Spread>| spread.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string);
        for row in &self.rows {
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} | {} | {:.0} |",
                row.name,
                row.seeds.len(),
                row.test_top1,
                or_dash(&row.validation_top1),
                or_dash(&row.teacher_top1),
                row.parameters,
                row.macs,
                row.projector.as_ref().map_or_else(|| "–".to_owned(), in_cell),
                row.seconds.mean
            )?;
        }
        writeln!(f, "\n## Over the epochs of the first seed\n")?;
        writeln!(
            f,
            "| run | feature loss | student, validation | teacher, validation |\n|---|---|---|---|"
        )?;
        for row in &self.rows {
            let curves = &row.first_seed;
            let joined = |values: &[f64], digits: usize| {
                let values: Vec<String> = values.iter().map(|value| format!("{value:.digits$}")).collect();
                values.join(" ")
            };
            let (loss, student) = (joined(&curves.feature_loss, 3), joined(&curves.validation_top1, 1));
            writeln!(
                f,
                "| {} | {loss} | {student} | {} |",
                row.name,
                joined(&curves.teacher_top1, 1)
            )?;
        }
        for incident in self.rows.iter().flat_map(|row| {
            let of_row = row.incidents.iter();
            of_row.map(|incident| format!("{}, {incident}", row.name))
        }) {
            writeln!(f, "\n{incident}")?;
        }
        Ok(())
    }
}
