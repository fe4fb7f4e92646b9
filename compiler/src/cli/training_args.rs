//! Flags that `train`, `distill` and their estimates share, and the recipe they make.

use std::path::PathBuf;

use askd_compiler::data::{Augmentation, DataSpec, Part};
use askd_compiler::nn::SgdConfig;
use askd_compiler::train::{Decay, Recipe, RunOptions, RunResult, Schedule};
use askd_compiler::{Error, Result};
use candle_core::Device;
use clap::ValueEnum;

use super::{Output, device};

#[derive(Debug, clap::Args)]
pub(super) struct TrainingArgs {
    /// Data set, KIND:PATH; fashion-mnist alone is the embedded part, others: cifar10:PATH, cifar100:PATH
    #[arg(long, value_name = "KIND:PATH")]
    pub(super) data: DataSpec,
    /// Passes over the training images
    #[arg(long, default_value_t = 30)]
    epochs: usize,
    /// Images a step
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Learning rate of the student, after warm-up
    #[arg(long, default_value_t = 0.05)]
    lr: f64,
    /// How the rate falls
    #[arg(long, value_enum, default_value_t = ScheduleKind::Cosine)]
    schedule: ScheduleKind,
    /// Epochs after which a step schedule falls, comma separated
    #[arg(long, value_delimiter = ',', value_name = "EPOCH,...")]
    milestones: Vec<f64>,
    /// What a step schedule multiplies the rate with
    #[arg(long, default_value_t = 0.1)]
    lr_factor: f64,
    /// Epochs of linear warm-up
    #[arg(long, default_value_t = 0.0, value_name = "EPOCHS")]
    warmup: f64,
    /// Momentum
    #[arg(long, default_value_t = 0.9)]
    momentum: f64,
    /// Nesterov's momentum
    #[arg(long)]
    nesterov: bool,
    /// Weight decay
    #[arg(long, default_value_t = 5e-4)]
    weight_decay: f64,
    /// Share of each class's training images held out for validation
    #[arg(long, default_value_t = 0.1, value_name = "SHARE")]
    validation: f64,
    /// Black pixels around an image before the random crop; 0 for no crop
    #[arg(long, default_value_t = 4, value_name = "PIXELS")]
    crop_padding: usize,
    /// Do not mirror images
    #[arg(long)]
    no_flip: bool,
    /// Mean of pixels scaled to 0..1, one a channel [default: the data kind's]
    #[arg(long, value_delimiter = ',', value_name = "A,B,C")]
    mean: Vec<f32>,
    /// Standard deviation of pixels scaled to 0..1, one a channel [default: the data kind's]
    #[arg(long, value_delimiter = ',', value_name = "A,B,C")]
    std: Vec<f32>,
    /// Seed of weights, order and augmentation
    #[arg(long, default_value_t = 0)]
    seed: u64,
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

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ScheduleKind {
    Constant,
    Step,
    Cosine,
}

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

impl TrainingArgs {
    /// The recipe for `network`, its input and classes taken from the data.
    pub(super) fn recipe(&self, network: &str) -> Result<Recipe> {
        let decay = match self.schedule {
            ScheduleKind::Constant => Decay::Constant,
            ScheduleKind::Step => Decay::Step {
                milestones: self.milestones.clone(),
                factor: self.lr_factor,
            },
            ScheduleKind::Cosine => Decay::Cosine,
        };
        let images = self.data.load(Part::Test)?;
        let kind = self.data.kind;
        Ok(Recipe {
            network: network.to_owned(),
            input: images.shape,
            classes: images.classes.len(),
            mean: or_default(&self.mean, kind.mean()),
            std: or_default(&self.std, kind.std()),
            data: self.data.clone(),
            validation: self.validation,
            epochs: self.epochs,
            batch: self.batch,
            seed: self.seed,
            max_steps: self.max_steps,
            schedule: Schedule {
                learning_rate: self.lr,
                warmup_epochs: self.warmup,
                decay,
            },
            optimizer: SgdConfig {
                momentum: self.momentum,
                nesterov: self.nesterov,
                weight_decay: self.weight_decay,
            },
            augmentation: Augmentation {
                crop_padding: self.crop_padding,
                horizontal_flip: !self.no_flip,
            },
            distillation: None,
        })
    }
}

impl RunArgs {
    /// Trains `recipe` and tells the result.
    pub(super) fn train(&self, recipe: &Recipe, machine: &MachineArgs) -> Result<Output> {
        let device = machine.apply()?;
        let label = recipe.network.clone();
        let options = RunOptions {
            out: self.out.clone(),
            resume: self.resume,
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
    for (name, evaluation) in [("validation", &result.validation), ("test", &result.test)] {
        if let Some(e) = evaluation {
            text += &format!(
                "{name}: top-1 {:.2} %, top-5 {:.2} %, loss {:.4} ({} images)\n",
                e.top1, e.top5, e.loss, e.images
            );
        }
    }
    if let Some(teacher) = &result.teacher
        && let (Some(before), Some(after)) = (&teacher.before, &teacher.after)
    {
        text += &format!(
            "teacher on test: top-1 {:.2} % before, {:.2} % after\n",
            before.top1, after.top1
        );
    }
    text + &format!("results in {}", out.display())
}
