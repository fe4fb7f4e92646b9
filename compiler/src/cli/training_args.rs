//! Flags that `train`, `distill` and their estimates share, and the recipe they make.

use std::path::PathBuf;
use std::time::Duration;

use askd_compiler::train::{Layers, Origin, Recipe, RunOptions, RunResult, Setting};
use askd_compiler::{Error, Result};
use candle_core::Device;
use serde::Serialize;
use toml::Value;

use super::image_files::square;
use super::{Output, device};

#[derive(Debug, clap::Args)]
pub(super) struct TrainingArgs {
    /// Recipe file (docs/recipes.md): what it says replaces defaults, and is replaced by flags
    #[arg(long, value_name = "FILE")]
    recipe: Option<PathBuf>,
    /// Any key of a recipe, as schedule.decay.factor=0.2; the value is TOML, or text as it is; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Data set, KIND:PATH; fashion-mnist alone is the embedded part, others: cifar10:PATH, cifar100:PATH,
    /// folder:PATH
    #[arg(long, value_name = "KIND:PATH")]
    data: Option<String>,
    /// Side of the square that image files are cut to, in pixels [default: the one the network was published for]
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// What becomes of image files that cannot be decoded: refuse, or skip, which names and counts them [default: refuse]
    #[arg(long, value_name = "refuse|skip")]
    corrupt_files: Option<String>,
    /// Passes over the training images [default: 30]
    #[arg(long)]
    epochs: Option<usize>,
    /// Images a step [default: 64]
    #[arg(long)]
    batch: Option<usize>,
    /// Learning rate of the student, after warm-up [default: 0.05]
    #[arg(long)]
    lr: Option<f64>,
    /// How the rate falls: constant, step or cosine [default: cosine]
    #[arg(long)]
    schedule: Option<String>,
    /// Epochs after which a step schedule falls, comma separated
    #[arg(long, value_delimiter = ',', value_name = "EPOCH,...")]
    milestones: Vec<f64>,
    /// What a step schedule multiplies the rate with [default: 0.1]
    #[arg(long)]
    lr_factor: Option<f64>,
    /// Epochs of linear warm-up [default: 0]
    #[arg(long, value_name = "EPOCHS")]
    warmup: Option<f64>,
    /// Momentum [default: 0.9]
    #[arg(long)]
    momentum: Option<f64>,
    /// Nesterov's momentum [default: false]
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    nesterov: Option<bool>,
    /// Weight decay [default: 0.0005]
    #[arg(long)]
    weight_decay: Option<f64>,
    /// Share of each class's training images held out for validation [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    validation: Option<f64>,
    /// Share of each class's remaining training images used [default: 1.0]
    #[arg(long, value_name = "SHARE")]
    subset: Option<f64>,
    /// Share of training labels replaced by wrong ones; validation and test labels stay [default: 0.0]
    #[arg(long, value_name = "SHARE")]
    label_noise: Option<f64>,
    /// Black pixels around an image of a set of one size before the random crop; 0 for no crop [default: 4]
    #[arg(long, value_name = "PIXELS")]
    crop_padding: Option<usize>,
    /// Do not mirror images
    #[arg(long)]
    no_flip: bool,
    /// Mean of pixels scaled to 0..1, one a channel [default: the data kind's]
    #[arg(long, value_delimiter = ',', value_name = "A,B,C")]
    mean: Vec<f64>,
    /// Standard deviation of pixels scaled to 0..1, one a channel [default: the data kind's]
    #[arg(long, value_delimiter = ',', value_name = "A,B,C")]
    std: Vec<f64>,
    /// Seed of weights, order and augmentation [default: 0]
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// End after this many steps
    #[arg(long, value_name = "STEPS")]
    max_steps: Option<usize>,
    #[command(flatten)]
    pub(super) machine: MachineArgs,
}

/// Flags that say what a run leaves behind.
#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// Go on from the newest checkpoint in --out, to the same bits as without the break
    #[arg(long)]
    resume: bool,
    /// Run directory
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    checkpoint: CheckpointArgs,
}

/// How often there is something to go on from; it never changes a result's bits.
#[derive(Debug, clap::Args)]
pub(super) struct CheckpointArgs {
    /// Seconds between checkpoints within an epoch; 0 for one after every step
    #[arg(long, value_name = "SECONDS", default_value_t = RunOptions::CHECKPOINT_SECONDS as f64)]
    checkpoint_seconds: f64,
}

/// Flags that say where the work is done. The number of threads never changes a result's bits.
#[derive(Debug, clap::Args)]
pub(super) struct MachineArgs {
    /// Threads [default: all cores]
    #[arg(long)]
    threads: Option<usize>,
    /// Where the trainer's tensors live: cpu, cuda:N, or cuda for the first GPU, which needs a build with --features cuda
    #[arg(long, default_value = "cpu")]
    device: String,
}

/// The flags that are given, as settings of a recipe.
#[derive(Debug, Default)]
pub(super) struct Flags(Vec<Setting>);

impl MachineArgs {
    /// Sets the thread count up and gives the device.
    pub(super) fn apply(&self) -> Result<Device> {
        self.set_threads()?;
        device::open(&self.device)
    }

    /// As [`Self::apply`], for work that is done on a CPU only; `why` says so to who asks for another device.
    pub(super) fn apply_on_cpu(&self, why: &str) -> Result<Device> {
        self.set_threads()?;
        device::open_cpu(&self.device, why)
    }

    fn set_threads(&self) -> Result<()> {
        if let Some(threads) = self.threads {
            if !(1..=1024).contains(&threads) {
                return Err(Error::invalid("--threads", "1 to 1024", threads));
            }
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
            pool.map_err(|error| Error::invalid("--threads", "a thread pool of that size", error))?;
        }
        Ok(())
    }
}

impl Flags {
    /// A flag that stands for a key, if it is given.
    pub(super) fn add<T: Serialize>(&mut self, flag: &str, key: &str, given: Option<T>) -> Result<()> {
        if let Some(given) = given {
            let value = Value::try_from(given).map_err(|error| Error::invalid(flag, "a TOML value", error))?;
            self.0.push(Setting::new(Origin::Flag(flag.to_owned()), key, value));
        }
        Ok(())
    }

    /// Many `--set`, as settings.
    pub(super) fn set_all(texts: &[String]) -> Result<Vec<Setting>> {
        let mut flags = Self::default();
        texts.iter().try_for_each(|text| flags.set(text))?;
        Ok(flags.0)
    }

    /// A `--set`: a key and its value.
    fn set(&mut self, text: &str) -> Result<()> {
        let parts = text.split_once('=').map(|(key, value)| (key.trim(), value.trim()));
        let named = parts.filter(|(key, _)| !key.is_empty());
        let (key, value) = named.ok_or_else(|| Error::invalid("--set", "KEY=VALUE", format!("\"{text}\"")))?;
        let value = value.parse().unwrap_or_else(|_| Value::String(value.to_owned()));
        self.0
            .push(Setting::new(Origin::KeyFlag("--set".to_owned()), key, value));
        Ok(())
    }
}

impl TrainingArgs {
    /// The recipe file, laid over defaults.
    pub(super) fn over(&self, mut layers: Layers) -> Result<Layers> {
        if let Some(file) = &self.recipe {
            layers.file(file)?;
        }
        Ok(layers)
    }

    /// The recipe, with these flags and a command's own laid over the rest; `earlier` is that of the run that it goes on.
    pub(super) fn resolve(&self, mut layers: Layers, mut flags: Flags, earlier: Option<&Recipe>) -> Result<Recipe> {
        let listed = |values: &Vec<f64>| (!values.is_empty()).then(|| values.clone());
        flags.add("--data", "data", self.data.as_ref())?;
        flags.add("--size", "input", self.size.map(square))?;
        flags.add("--corrupt-files", "corrupt_files", self.corrupt_files.as_ref())?;
        flags.add("--epochs", "epochs", self.epochs)?;
        flags.add("--batch", "batch", self.batch)?;
        flags.add("--lr", "schedule.learning_rate", self.lr)?;
        flags.add("--schedule", "schedule.decay.kind", self.schedule.as_ref())?;
        flags.add("--milestones", "schedule.decay.milestones", listed(&self.milestones))?;
        flags.add("--lr-factor", "schedule.decay.factor", self.lr_factor)?;
        flags.add("--warmup", "schedule.warmup_epochs", self.warmup)?;
        flags.add("--momentum", "optimizer.momentum", self.momentum)?;
        flags.add("--nesterov", "optimizer.nesterov", self.nesterov)?;
        flags.add("--weight-decay", "optimizer.weight_decay", self.weight_decay)?;
        flags.add("--validation", "validation", self.validation)?;
        flags.add("--subset", "subset", self.subset)?;
        flags.add("--label-noise", "label_noise", self.label_noise)?;
        flags.add("--crop-padding", "augmentation.crop_padding", self.crop_padding)?;
        flags.add(
            "--no-flip",
            "augmentation.horizontal_flip",
            self.no_flip.then_some(false),
        )?;
        flags.add("--mean", "mean", listed(&self.mean))?;
        flags.add("--std", "std", listed(&self.std))?;
        flags.add("--seed", "seed", self.seed)?;
        flags.add("--max-steps", "max_steps", self.max_steps)?;
        self.set.iter().try_for_each(|text| flags.set(text))?;
        layers.settings(flags.0)?;
        layers.resolve_after(earlier)
    }
}

impl CheckpointArgs {
    /// As a duration.
    pub(super) fn interval(&self) -> Result<Duration> {
        let wrong = |_| Error::invalid("--checkpoint-seconds", "seconds, 0 or more", self.checkpoint_seconds);
        Duration::try_from_secs_f64(self.checkpoint_seconds).map_err(wrong)
    }
}

impl RunArgs {
    /// The recipe of the run in --out that is to go on, if one is to and it can be read.
    pub(super) fn earlier(&self) -> Option<Recipe> {
        self.resume.then(|| Recipe::load(&self.out).ok()).flatten()
    }

    /// Trains `recipe` and tells the result.
    pub(super) fn train(&self, recipe: &Recipe, machine: &MachineArgs) -> Result<Output> {
        let device = machine.apply()?;
        let label = recipe.network.clone();
        let options = RunOptions {
            out: self.out.clone(),
            resume: self.resume,
            checkpoint_interval: self.checkpoint.interval()?,
            device,
            label,
        };
        let result = askd_compiler::train::train(recipe, &options)?;
        Output::new(describe(&result, &self.out), &result)
    }
}

/// Values given by flag, or the data kind's.
pub(super) fn or_default(given: &[f32], default: Vec<f32>) -> Vec<f32> {
    if given.is_empty() { default } else { given.to_vec() }
}

fn describe(result: &RunResult, out: &std::path::Path) -> String {
    let mut text = format!(
        "{}: {} parameters, {} MACs, best epoch {}, {:.0} s\n",
        result.network, result.parameters, result.macs, result.best_epoch, result.seconds
    );
    if let Some(projector) = &result.projector {
        text += &format!("of it the {projector}\n");
    }
    for (name, evaluation) in [("validation", &result.validation), ("test", &result.test)] {
        if let Some(e) = evaluation {
            text += &format!(
                "{name}: top-1 {:.2} %, top-5 {:.2} %, loss {:.4} ({} images)\n",
                e.top1, e.top5, e.loss, e.images
            );
        }
    }
    for teacher in &result.teachers {
        text += &format!(
            "teacher {} on test: top-1 {:.2} % before, {:.2} % after\n",
            teacher.network, teacher.before.top1, teacher.after.top1
        );
    }
    if let Some(incident) = &result.guard {
        text += &format!("{incident}\n");
    }
    text + &format!("results in {}", out.display())
}
