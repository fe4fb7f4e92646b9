//! The main job from end to end, on the embedded images: train a teacher, train the student alone, distil the same student
//! by ATSC, export, check, run, measure.

mod report;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use askd_runtime::{Model, SessionOptions};
use candle_core::Device;

use self::report::{Dataset, ModelFacts, RuntimeFacts, Seconds, SeedReport};
use crate::data::{DataSpec, Part};
use crate::evaluate::Predictions;
use crate::export::{ExportOptions, Source, export};
use crate::report::ReportOptions;
use crate::spread::percentile;
use crate::train::{BEST_WEIGHTS, Layers, Origin, Recipe, RunOptions, RunResult, Setting, train};
use crate::{Error, Result, files};

pub use report::PilotReport;

/// File name of the report in the pilot's output directory.
pub const REPORT_FILE: &str = "report.json";

/// File name of the page beside it.
pub const PAGE_FILE: &str = "report.html";

/// File name of the bundle in the pilot's output directory.
pub const BUNDLE: &str = "student.askd";

// Sized to ten minutes on two cores; rates, f and weights were chosen on the validation part: docs/benchmarks.md.
const TEACHER: File = File {
    name: "recipes/fashion-mnist-teacher.toml",
    text: include_str!("../../recipes/fashion-mnist-teacher.toml"),
};
const ALONE: File = File {
    name: "recipes/fashion-mnist-alone.toml",
    text: include_str!("../../recipes/fashion-mnist-alone.toml"),
};
const ATSC: File = File {
    name: "recipes/fashion-mnist-atsc.toml",
    text: include_str!("../../recipes/fashion-mnist-atsc.toml"),
};

/// A recipe file that the program carries.
struct File {
    name: &'static str,
    text: &'static str,
}

/// The run directories of a seed.
const RUNS: [&str; 3] = ["teacher", "student-alone", "student-atsc"];

/// Runs before latency is measured.
const WARM_UP_RUNS: usize = 100;

/// What the pilot is asked for.
#[derive(Debug, Clone)]
pub struct PilotOptions {
    /// First seed.
    pub seed: u64,
    /// Number of seeds.
    pub seeds: u64,
    /// Output directory.
    pub out: PathBuf,
    /// Steps after which each training ends early: for trying the way out, not for its figures.
    pub max_steps: Option<usize>,
    /// Go on where an interrupted pilot stopped.
    pub resume: bool,
    /// Where training's tensors live.
    pub device: Device,
}

/// Runs the pilot for every seed; writes [`REPORT_FILE`], [`PAGE_FILE`] and the first seed's [`BUNDLE`].
///
/// # Errors
/// [`Error::GateFailed`] if the exported model does not do what the trainer did; whatever training and files give.
pub fn pilot(options: &PilotOptions) -> Result<PilotReport> {
    if !(1..=100).contains(&options.seeds) {
        return Err(Error::invalid("--seeds", "1 to 100", options.seeds));
    }
    files::create_dir(&options.out)?;
    let mut reports = Vec::new();
    let mut paths = Vec::new();
    for number in 0..options.seeds {
        let seed = options.seed + number;
        let directory = options.out.join(format!("seed-{seed}"));
        let bundle = if number == 0 {
            options.out.join(BUNDLE)
        } else {
            directory.join(BUNDLE)
        };
        reports.push(run_seed(options, seed, &directory, &bundle)?);
        paths.extend(RUNS.map(|run| directory.join(run)));
        paths.push(bundle);
    }
    let report = PilotReport::new(reports);
    files::write_json(&options.out.join(REPORT_FILE), &report)?;
    let page = crate::report::report(&ReportOptions {
        paths,
        data: None,
        corruption: None,
        device: options.device.clone(),
    })?;
    files::write_atomically(&options.out.join(PAGE_FILE), page.html().as_bytes())?;
    Ok(report)
}

fn run_seed(options: &PilotOptions, seed: u64, directory: &Path, bundle: &Path) -> Result<SeedReport> {
    let started = Instant::now();
    let recipe = |file: &File, weights: Option<&Path>| -> Result<Recipe> {
        Ok(Recipe {
            seed,
            max_steps: options.max_steps,
            ..file.recipe(weights)?
        })
    };
    let run = |name: &str, recipe: &Recipe| -> Result<(Source, RunResult)> {
        let out = directory.join(name);
        let label = format!("seed {seed} {name}");
        let result = train(
            recipe,
            &RunOptions {
                out: out.clone(),
                resume: options.resume,
                checkpoint_interval: Duration::from_secs(RunOptions::CHECKPOINT_SECONDS),
                device: options.device.clone(),
                label,
            },
        )?;
        Ok((Source::run(&out)?, result))
    };
    let [teacher_run, alone_run, atsc_run] = RUNS;
    let (teacher, teacher_result) = run(teacher_run, &recipe(&TEACHER, None)?)?;
    let (alone, alone_result) = run(alone_run, &recipe(&ALONE, None)?)?;
    let weights = directory.join(teacher_run).join(BEST_WEIGHTS);
    let atsc_recipe = recipe(&ATSC, Some(&weights))?;
    let (atsc, atsc_result) = run(atsc_run, &atsc_recipe)?;

    let export_started = Instant::now();
    let exported = export(&atsc, &ExportOptions::default(), bundle)?;
    let export_seconds = export_started.elapsed().as_secs_f64();

    let runtime_started = Instant::now();
    let runtime = run_bundle(bundle)?;
    let runtime_seconds = runtime_started.elapsed().as_secs_f64();

    let seconds = Seconds {
        teacher: teacher_result.seconds,
        student_alone: alone_result.seconds,
        student_atsc: atsc_result.seconds,
        export: export_seconds,
        runtime: runtime_seconds,
        total: started.elapsed().as_secs_f64(),
    };
    Ok(SeedReport {
        dataset: dataset(&atsc_recipe)?,
        seed,
        teacher: facts(&teacher, &teacher_result)?,
        student_alone: facts(&alone, &alone_result)?,
        student_atsc: facts(&atsc, &atsc_result)?,
        projector: atsc_recipe.projector_cost()?.ok_or_else(no_projector)?,
        parity: exported.parity,
        runtime,
        seconds,
    })
}

impl File {
    /// What it describes, with these weights of its teacher.
    fn recipe(&self, weights: Option<&Path>) -> Result<Recipe> {
        let mut layers = Layers::training()?;
        layers.text(self.name, self.text)?;
        if let Some(weights) = weights {
            let origin = Origin::Flag("--out".to_owned());
            let weights = weights.display().to_string();
            layers.settings(vec![Setting::new(origin, "distillation.teachers.0.weights", weights)])?;
        }
        layers.resolve()
    }
}

/// Every test image through the bundle, one at a time, as a device would.
fn run_bundle(bundle: &Path) -> Result<RuntimeFacts> {
    let model = Model::open(bundle)?;
    let mut session = model.session(&SessionOptions::default())?;
    session.self_test()?;
    let mut preprocess = askd_runtime::Preprocess::new(&model.manifest().input)?;
    let test = DataSpec::embedded().load(Part::Test)?;
    let mut pixels = Vec::new();
    let mut tensor = vec![0.0; preprocess.elements()];
    let mut logits = vec![0.0; model.manifest().output.classes];
    let mut milliseconds = Vec::with_capacity(test.len());
    let mut predictions = Predictions {
        logits: Vec::new(),
        labels: Vec::new(),
    };
    for position in (0..WARM_UP_RUNS).map(|run| run % test.len()).chain(0..test.len()) {
        // the embedded images are no files that could be skipped
        let Some(image) = test.image(position, &mut pixels)? else {
            continue;
        };
        preprocess.apply(&image, &mut tensor)?;
        let started = Instant::now();
        session.run(&tensor, &mut logits)?;
        milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
        predictions.logits.extend(&logits);
        predictions.labels.push(test.label(position));
    }
    predictions.logits.drain(..WARM_UP_RUNS * logits.len());
    predictions.labels.drain(..WARM_UP_RUNS);
    milliseconds.drain(..WARM_UP_RUNS);
    milliseconds.sort_by(f64::total_cmp);
    Ok(RuntimeFacts {
        top1: predictions.evaluation().top1,
        p50_ms: percentile(&milliseconds, 0.50),
        p90_ms: percentile(&milliseconds, 0.90),
        p99_ms: percentile(&milliseconds, 0.99),
    })
}

fn dataset(recipe: &Recipe) -> Result<Dataset> {
    let (training, test) = (recipe.data.load(Part::Train)?, recipe.data.load(Part::Test)?);
    let (training, validation) = crate::data::split_validation(&training, recipe.validation)?;
    Ok(Dataset {
        name: recipe.data.kind.name().to_owned(),
        train_images: training.len(),
        validation_images: validation.len(),
        test_images: test.len(),
        classes: recipe.classes,
    })
}

fn facts(source: &Source, result: &RunResult) -> Result<ModelFacts> {
    let missing = || Error::invalid("pilot", "a result on test images", "none");
    let labels = source.recipe().data.load(Part::Test)?.classes;
    Ok(ModelFacts {
        network: result.network.clone(),
        top1: result.test.ok_or_else(missing)?.top1,
        parameters: result.parameters,
        macs: result.macs,
        bytes: source.onnx(&ExportOptions::default(), &labels)?.len(),
    })
}

fn no_projector() -> Error {
    Error::invalid("pilot", "a student with a projector", "none")
}
