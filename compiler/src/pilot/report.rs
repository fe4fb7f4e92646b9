//! The pilot's report: `report.json` and a table.

use std::fmt;

use serde::Serialize;

use crate::distill::ProjectorCost;
use crate::export::Parity;
use crate::spread::Spread;

/// The first seed's report, and what all seeds say together.
#[derive(Debug, Clone, Serialize)]
pub struct PilotReport {
    /// The first seed, whose bundle is kept.
    #[serde(flatten)]
    pub first: SeedReport,
    /// Means and standard deviations, where there is more than one seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over_seeds: Option<OverSeeds>,
}

/// One seed's pilot.
#[derive(Debug, Clone, Serialize)]
pub struct SeedReport {
    /// Images used.
    pub dataset: Dataset,
    /// Seed of weights, order and augmentation.
    pub seed: u64,
    /// The large network.
    pub teacher: ModelFacts,
    /// The small network, trained on labels only.
    pub student_alone: ModelFacts,
    /// The small network, distilled: with projector and the teacher's classifier.
    pub student_atsc: ModelFacts,
    /// What the projector costs, part of `student_atsc`.
    pub projector: ProjectorCost,
    /// Exported model against trainer.
    pub parity: Parity,
    /// The bundle in the runtime.
    pub runtime: RuntimeFacts,
    /// Wall-clock seconds per stage.
    pub seconds: Seconds,
}

/// Wall-clock seconds of the stages, in the order in which they run.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Seconds {
    /// Training the teacher.
    pub teacher: f64,
    /// Training the student on labels.
    pub student_alone: f64,
    /// Distilling the student.
    pub student_atsc: f64,
    /// Compiling, and the check against the trainer.
    pub export: f64,
    /// Every test image through the bundle.
    pub runtime: f64,
    /// From beginning to end.
    pub total: f64,
}

/// Images used.
#[derive(Debug, Clone, Serialize)]
pub struct Dataset {
    /// Kind of data.
    pub name: String,
    /// Images trained on.
    pub train_images: usize,
    /// Images choices were made on.
    pub validation_images: usize,
    /// Images accuracies are reported on.
    pub test_images: usize,
    /// Number of classes.
    pub classes: usize,
}

/// A network and its accuracy.
#[derive(Debug, Clone, Serialize)]
pub struct ModelFacts {
    /// Name.
    pub network: String,
    /// Percent of test images classified right, in the trainer.
    pub top1: f64,
    /// Trained parameters.
    pub parameters: usize,
    /// Multiply-accumulates for one image.
    pub macs: usize,
    /// Size as an ONNX file.
    pub bytes: usize,
}

/// The bundle in the runtime, one image at a time on one thread.
#[derive(Debug, Clone, Serialize)]
pub struct RuntimeFacts {
    /// Percent of test images classified right.
    pub top1: f64,
    /// Median latency of a run, milliseconds, preprocessing apart.
    pub p50_ms: f64,
    /// 90th percentile.
    pub p90_ms: f64,
    /// 99th percentile.
    pub p99_ms: f64,
}

/// Top-1 on test images over all seeds.
#[derive(Debug, Clone, Serialize)]
pub struct OverSeeds {
    /// The seeds.
    pub seeds: Vec<u64>,
    /// Teacher.
    pub teacher: Spread,
    /// Student alone.
    pub student_alone: Spread,
    /// Student by ATSC.
    pub student_atsc: Spread,
    /// ATSC minus alone, seed by seed, points.
    pub gain: Spread,
    /// All seeds' reports.
    pub reports: Vec<SeedReport>,
}

impl PilotReport {
    /// The report of these seeds, of which there is at least one.
    pub(super) fn new(reports: Vec<SeedReport>) -> Self {
        let top1 = |model: fn(&SeedReport) -> f64| Spread::of(reports.iter().map(model).collect());
        let over_seeds = (reports.len() > 1).then(|| OverSeeds {
            seeds: reports.iter().map(|report| report.seed).collect(),
            teacher: top1(|report| report.teacher.top1),
            student_alone: top1(|report| report.student_alone.top1),
            student_atsc: top1(|report| report.student_atsc.top1),
            gain: top1(|report| report.student_atsc.top1 - report.student_alone.top1),
            reports: reports.clone(),
        });
        Self {
            first: reports[0].clone(),
            over_seeds,
        }
    }
}

impl fmt::Display for PilotReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let first = &self.first;
        let data = &first.dataset;
        writeln!(
            f,
            "{}: {} training, {} validation, {} test images, {} classes; seed {}\n",
            data.name, data.train_images, data.validation_images, data.test_images, data.classes, first.seed
        )?;
        writeln!(
            f,
            "{:<36} {:>7} {:>11} {:>12} {:>11}",
            "", "top-1 %", "parameters", "MACs", "ONNX bytes"
        )?;
        let rows = [
            ("teacher", &first.teacher),
            ("student alone", &first.student_alone),
            ("student by ATSC", &first.student_atsc),
        ];
        for (name, model) in rows {
            let label = format!("{name} ({})", model.network);
            let ModelFacts {
                top1,
                parameters,
                macs,
                bytes,
                ..
            } = model;
            writeln!(f, "{label:<36} {top1:>7.2} {parameters:>11} {macs:>12} {bytes:>11}")?;
        }
        let ProjectorCost {
            parameters,
            macs,
            parameters_percent,
            macs_percent,
            ..
        } = first.projector;
        writeln!(
            f,
            "{:<36} {:>7} {parameters:>11} {macs:>12}",
            "  of it the projector", ""
        )?;
        writeln!(
            f,
            "{:<36} {:>7} {parameters_percent:>9.1} % {macs_percent:>10.1} %\n",
            "  percent of the student without it", ""
        )?;
        let Parity {
            images,
            max_abs_diff,
            top1_agreement,
        } = first.parity;
        writeln!(
            f,
            "exported model against trainer: {images} images, largest logit difference {max_abs_diff:.1e}, same class {top1_agreement:.2} %"
        )?;
        let RuntimeFacts {
            top1,
            p50_ms,
            p90_ms,
            p99_ms,
        } = first.runtime;
        writeln!(
            f,
            "bundle in the runtime: top-1 {top1:.2} %, batch 1, 1 thread: p50 {p50_ms:.3} ms, p90 {p90_ms:.3} ms, p99 {p99_ms:.3} ms"
        )?;
        let Seconds {
            teacher,
            student_alone,
            student_atsc,
            export,
            runtime,
            total,
        } = first.seconds;
        writeln!(
            f,
            "seconds: teacher {teacher:.0}, student alone {student_alone:.0}, student by ATSC {student_atsc:.0}, export {export:.0}, runtime {runtime:.0}, total {total:.0}"
        )?;
        if let Some(over) = &self.over_seeds {
            writeln!(f, "\ntop-1 % over seeds {:?}, mean ± standard deviation:", over.seeds)?;
            let rows = [
                ("teacher", &over.teacher),
                ("student alone", &over.student_alone),
                ("student by ATSC", &over.student_atsc),
                ("gain of ATSC, points", &over.gain),
            ];
            for (name, spread) in rows {
                writeln!(f, "{name:<36} {:>7.2} ± {:.2}", spread.mean, spread.std)?;
            }
        }
        Ok(())
    }
}
