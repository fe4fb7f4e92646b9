//! Training images out of JPEG files against PyTorch's data loader, in turn: `make bench-decode`.
//!
//! Both sides decode the same files, take a random crop of 8 to 100 % of the area, scale it to 224 x 224 pixels, mirror half of them and
//! normalise, in batches of 64; nothing is trained. Each figure is an epoch in a process of its own. `ASKD_IMAGES` names a folder of
//! classes; without it 256 pictures of 500 x 375 pixels are made up, with the spectrum of photographs. `ASKD_PEER_PYTHON` names a Python with
//! the packages of `peers/requirements.txt`; without it only our own figures are printed.

use std::f32::consts::TAU;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use askd_compiler::data::{Augmentation, DataSpec, ImageSet, Loader, Part};
use askd_compiler::train::Recipe;
use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

type Failure = Box<dyn std::error::Error>;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 64;
const THREADS: [usize; 2] = [1, 2];
/// Epochs of each side and number of threads.
const EPOCHS: usize = 5;
/// Made-up pictures, and the size that most of ImageNet's have.
const PICTURES: usize = 256;
const WIDTH: u32 = 500;
const HEIGHT: u32 = 375;
/// Waves in a made-up picture, and the JPEG quality that gives it the bytes of an ImageNet photograph.
const WAVES: usize = 160;
const QUALITY: u8 = 90;

fn main() -> Result<(), Failure> {
    if let Ok(folder) = std::env::var("ASKD_DECODE_CHILD") {
        println!("{}", rate(&folder)?);
        return Ok(());
    }
    let made = tempfile::tempdir()?;
    let folder = match std::env::var_os("ASKD_IMAGES").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => {
            make_pictures(made.path())?;
            made.path().to_owned()
        }
    };
    let (_, images) = training_images(&folder.to_string_lossy())?;
    let python = std::env::var_os("ASKD_PEER_PYTHON");
    println!(
        "{} images, batches of {BATCH}, 3x224x224, medians of {EPOCHS} epochs in turn",
        images.len()
    );
    println!("| threads or workers | askd, images/s | PyTorch's data loader, images/s | ratio |\n|---|---|---|---|");
    for threads in THREADS {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..EPOCHS {
            let mut this = Command::new(std::env::current_exe()?);
            ours.push(number(
                this.env("ASKD_DECODE_CHILD", &folder)
                    .env("RAYON_NUM_THREADS", threads.to_string()),
            )?);
            if let Some(python) = &python {
                let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/decode_torch.py");
                let mut peer = Command::new(python);
                theirs.push(number(
                    peer.arg("-B").arg(script).arg(&folder).arg(threads.to_string()),
                )?);
            }
        }
        let ours = median(&mut ours);
        match theirs.is_empty() {
            true => println!("| {threads} | {ours:.0} | | |"),
            false => {
                let theirs = median(&mut theirs);
                println!("| {threads} | {ours:.0} | {theirs:.0} | {:.2} |", ours / theirs);
            }
        }
    }
    Ok(())
}

fn training_images(folder: &str) -> Result<(DataSpec, ImageSet), Failure> {
    let data: DataSpec = format!("folder:{folder}").parse()?;
    let images = data.load(Part::Train)?;
    Ok((data, images))
}

/// Images a second of one epoch.
fn rate(folder: &str) -> Result<f64, Failure> {
    let (data, set) = training_images(folder)?;
    let recipe = Recipe::for_checkpoint("resnet18", &data, &set, data.kind.mean(), data.kind.std());
    let loader = Loader {
        set,
        preprocess: recipe.training_preprocess()?,
        rounded: None,
        augmentation: Some(Augmentation::default()),
        batch: BATCH,
        seed: Some(0),
    };
    let started = Instant::now();
    let mut images = 0;
    for batch in loader.epoch(0, 0)? {
        images += batch?.len();
    }
    Ok(images as f64 / started.elapsed().as_secs_f64())
}

/// Waves of all lengths, the longer the higher, as photographs have them; two classes of JPEG files.
fn make_pictures(folder: &Path) -> Result<(), Failure> {
    for number in 0..PICTURES {
        let class = folder.join("train").join(if number % 2 == 0 { "even" } else { "odd" });
        std::fs::create_dir_all(&class)?;
        let mut random = ChaCha8Rng::seed_from_u64(number as u64);
        let waves: Vec<[f32; 5]> = (0..WAVES)
            .map(|_| {
                let frequency = 2.0 * 4.0_f32.powf(3.5 * random.random::<f32>()); // 2 to 256 in the picture
                let direction = random.random_range(0.0..TAU);
                let phase = random.random_range(0.0..TAU);
                let along = |part: f32| frequency * part / WIDTH as f32 * TAU;
                let colour = random.random_range(-0.3..0.3);
                [
                    along(direction.cos()),
                    along(direction.sin()),
                    phase,
                    160.0 / frequency,
                    colour,
                ]
            })
            .collect();
        let picture = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
            let mut values = [128.0; 3];
            for [across, down, phase, height, colour] in &waves {
                let value = height * (across * x as f32 + down * y as f32 + phase).sin();
                values[0] += value * (1.0 + colour);
                values[1] += value;
                values[2] += value * (1.0 - colour);
            }
            Rgb(values.map(|value| (value + random.random_range(-6.0..6.0)).clamp(0.0, 255.0) as u8))
        });
        let file = std::fs::File::create(class.join(format!("{number:04}.jpg")))?;
        picture.write_with_encoder(JpegEncoder::new_with_quality(std::io::BufWriter::new(file), QUALITY))?;
    }
    Ok(())
}

/// The number that a command prints.
fn number(command: &mut Command) -> Result<f64, Failure> {
    let output = command.output()?;
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout)?.trim().parse()?),
        false => Err(String::from_utf8_lossy(&output.stderr).into()),
    }
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}
