//! What runs and bundles are worth, beside each other: accuracy against cost, as JSON, as text and as a page.
//!
//! Logits are computed anew, over the same test images for all: of runs and their teachers in the trainer, of every variant of a
//! bundle through the runtime. Test images are reported on; what is chosen is chosen by validation images.

mod answers;
mod calibration;
mod corrupted;
mod differences;
mod epochs;
mod gather;
mod headline;
mod machine;
mod models;
mod page;
mod share;
mod subject;
mod table;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use candle_core::Device;
use serde::Serialize;

use self::gather::gather;
use crate::data::DataSpec;
use crate::latency::{Plan, in_turn};
use crate::train::Recipe;
use crate::{Error, Result, progress, robustness};

pub use self::answers::Repeated;
pub use self::calibration::{Bin, Reliability};
pub use self::differences::Difference;
pub use self::epochs::EpochsToAlone;
pub use self::headline::{AgainstAlone, AgainstTeacher, Headline};
pub use self::machine::Machine;
pub use self::models::{Measured, ModelReport};
pub use self::share::Share;
pub use crate::latency::Latency;

/// Long enough for percentiles, short enough beside the evaluation.
const LATENCY: Plan = Plan {
    least_runs: 200,
    least_time: Duration::from_secs(1),
    most_time: Duration::from_secs(15),
};

/// What is reported on.
#[derive(Debug, Clone)]
pub struct ReportOptions {
    /// Run directories and bundles.
    pub paths: Vec<PathBuf>,
    /// Data whose test images are used, instead of the recipes'.
    pub data: Option<DataSpec>,
    /// What is done to the images for a table of what the networks bear; none for no such table.
    pub corruption: Option<robustness::Options>,
    /// Where the trainer's networks run.
    pub device: Device,
}

/// Everything that the page shows.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Program that made it, with its version.
    pub tool: String,
    /// When, RFC 3339.
    pub date: String,
    /// Kind of data.
    pub data: String,
    /// SHA-256 of the test images.
    pub data_sha256: String,
    /// Number of test images.
    pub images: usize,
    /// Class names.
    pub classes: Vec<String>,
    /// Where latency was measured.
    pub machine: Machine,
    /// What is gained at what cost; none without a distilled student.
    pub headline: Option<Headline>,
    /// The networks: teachers, students alone, distilled ones, bundles' variants.
    pub models: Vec<ModelReport>,
    /// Keys of the recipes that are not the same for all.
    pub differences: Vec<Difference>,
    /// What is missing, and why.
    pub notes: Vec<String>,
}

/// What a network is to the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Others learnt from it.
    Teacher,
    /// Trained on labels only.
    Alone,
    /// Distilled, by the method of that name.
    Distilled(String),
}

impl Role {
    /// That of what a recipe trains, as far as it can tell.
    fn of(recipe: Option<&Recipe>) -> Self {
        match recipe.and_then(|recipe| recipe.distillation.as_ref()) {
            Some(distillation) => Self::Distilled(distillation.method.name().to_owned()),
            None => Self::Alone,
        }
    }

    fn is_distilled(&self) -> bool {
        matches!(self, Self::Distilled(_))
    }
}

/// Measures runs and bundles.
///
/// # Errors
/// [`Error::InvalidValue`] for no paths, for what is neither run nor bundle, and for several data sets; whatever runs, bundles
/// and data give.
pub fn report(options: &ReportOptions) -> Result<Report> {
    if options.paths.is_empty() {
        return Err(Error::invalid("report", "a run directory or a bundle", "none"));
    }
    let mut gathered = gather(options)?;
    let skipped = gathered.images.len() - gathered.decoded();
    if skipped > 0 {
        gathered
            .notes
            .push(format!("{skipped} test images that cannot be decoded"));
    }
    let mut models = models::of(&gathered);
    if let Some(corruption) = &options.corruption {
        gathered
            .notes
            .extend(corrupted::measure(&gathered, &mut models, corruption, &options.device)?);
    }
    progress::say("latency, in turn");
    let (onnx, places) = models::distinct_onnx(&gathered, &models);
    match in_turn(&onnx, &LATENCY) {
        Ok(latencies) => {
            for (model, place) in models.iter_mut().zip(places) {
                model.latency_ms = Some(latencies[place]);
            }
        }
        Err(error) => gathered.notes.push(format!("latency is left out: {error}")),
    }
    let headline = headline::of(&gathered, &models);
    let models: Vec<ModelReport> = models.into_iter().map(|model| model.report).collect();
    Ok(Report {
        tool: format!("askd-compile {}", env!("CARGO_PKG_VERSION")),
        date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        data: gathered.data.kind.name().to_owned(),
        data_sha256: gathered.images.digest()?,
        images: gathered.decoded(),
        classes: gathered.images.classes.to_vec(),
        machine: Machine::here(),
        headline,
        differences: differences::of(&models),
        models,
        notes: gathered.notes,
    })
}

impl Report {
    /// The page: one file that needs no network and no script. Text from files is escaped in it.
    pub fn html(&self) -> String {
        page::page(self)
    }
}
