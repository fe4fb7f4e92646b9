//! The main loop of a camera: frames at a fixed rate, a deadline, a watchdog, and new bundles picked up while it runs.
//!
//! ```text
//! cargo run --release -p askd-examples --example firmware_loop -- out/pilot --rate 30 --frames 300
//! ```
//!
//! Serves the bundle with the highest sequence number among the `*.askd` directories in the one that is named. Another one
//! that appears there later is opened and tested in the background; the loop swaps to it between two frames. One that fails
//! its checks or its self test is refused, and the old one serves on.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use askd_runtime::{Image, MANIFEST_FILE, Manifest, Model, PixelFormat, Session, SessionOptions};

const HEIGHT: usize = 120;
const WIDTH: usize = 160;
/// How often the directory is looked at.
const POLL: Duration = Duration::from_millis(200);
/// Without a frame for so long, the process ends, for its supervisor to start it again.
const WATCHDOG: Duration = Duration::from_secs(5);

/// Frames that came while another one waited.
static DROPPED: AtomicU64 = AtomicU64::new(0);
/// Frames the loop is done with; the watchdog sees by it that the loop lives.
static HEARTBEAT: AtomicU64 = AtomicU64::new(0);

/// A model that has passed its self test.
struct Serving {
    sequence: u64,
    session: Session,
}

struct Frame {
    captured: Instant,
    pixels: Vec<u8>,
}

fn main() -> anyhow::Result<()> {
    // ONNX Runtime as Microsoft publishes it reports to it over the network; a device must not.
    askd_runtime::disable_telemetry();
    let (folder, frames, rate) = arguments()?;
    let period = Duration::from_secs_f64(1.0 / rate);
    let first = newest(&folder, None).with_context(|| format!("{}: no bundle in it", folder.display()))?;
    let mut serving = open(&first.1)?;
    println!("serving sequence {}", serving.sequence);

    let (camera, updates) = (start_camera(frames, period), start_updates(folder, serving.sequence));
    thread::spawn(watch);
    let (mut classified, mut late, mut last) = (0, 0, Instant::now());
    let summary = |serving: &Serving, classified: u64, late: u64| {
        let dropped = DROPPED.load(Ordering::Relaxed);
        let (seen, sequence) = (classified + dropped, serving.sequence);
        println!("frames={seen} classified={classified} dropped={dropped} late={late} bundle={sequence}");
    };
    while let Ok(frame) = camera.recv() {
        if let Ok(next) = updates.try_recv() {
            serving = next;
            println!("swapped to sequence {}", serving.sequence);
        }
        let image = Image::new(&frame.pixels, HEIGHT, WIDTH, PixelFormat::Rgb8)?;
        let best = serving.session.classify(&image, 1)?.next().context("a class")?;
        // Here firmware acts on what it saw: `best.label` with `best.probability`.
        ensure!(best.probability.is_finite(), "a probability");
        classified += 1;
        HEARTBEAT.store(classified, Ordering::Relaxed);
        late += u64::from(frame.captured.elapsed() > period);
        if last.elapsed() >= Duration::from_secs(1) {
            summary(&serving, classified, late);
            last = Instant::now();
        }
    }
    summary(&serving, classified, late);
    Ok(())
}

fn arguments() -> anyhow::Result<(PathBuf, u64, f64)> {
    let (mut folder, mut frames, mut rate) = (None, 300, 30.0);
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .with_context(|| format!("{argument}: expected a value"))
        };
        match argument.as_str() {
            "--frames" => frames = value()?.parse().context("--frames: expected a number")?,
            "--rate" => rate = value()?.parse().context("--rate: expected frames a second")?,
            _ if folder.is_none() => folder = Some(PathBuf::from(argument)),
            _ => bail!("usage: firmware_loop DIR [--rate HZ] [--frames N]"),
        }
    }
    ensure!(
        rate > 0.0 && rate <= 1000.0,
        "--rate: expected 0 to 1000 frames a second, got {rate}"
    );
    Ok((
        folder.context("usage: firmware_loop DIR [--rate HZ] [--frames N]")?,
        frames,
        rate,
    ))
}

/// The bundle with the highest sequence number in `folder`, if that is above `served`.
fn newest(folder: &Path, served: Option<u64>) -> Option<(u64, PathBuf)> {
    let paths = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let bundles = paths.filter(|path| path.extension().is_some_and(|extension| extension == "askd"));
    let numbered = bundles.filter_map(|path| {
        let text = fs::read(path.join(MANIFEST_FILE)).ok()?;
        Some((Manifest::from_json(&text).ok()?.sequence, path))
    });
    numbered
        .filter(|(sequence, _)| served.is_none_or(|served| *sequence > served))
        .max()
}

fn open(bundle: &Path) -> Result<Serving, askd_runtime::Error> {
    let model = Model::open(bundle)?;
    let mut session = model.session(&SessionOptions::default())?;
    session.self_test()?;
    let sequence = model.manifest().sequence;
    Ok(Serving { sequence, session })
}

/// Captures `count` frames. There is room for one that waits; another one that comes meanwhile is dropped, since the loop is
/// behind and the next will be fresher.
fn start_camera(count: u64, period: Duration) -> Receiver<Frame> {
    let (sender, receiver): (SyncSender<Frame>, _) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let start = Instant::now();
        for number in 0..count {
            // By the clock of the start, so that no delay adds up.
            let due = start + period.mul_f64(number as f64);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let pixel = |at: usize| (at as u64 / 3 + number * 5) as u8;
            let frame = Frame {
                captured: Instant::now(),
                pixels: (0..HEIGHT * WIDTH * 3).map(pixel).collect(),
            };
            match sender.try_send(frame) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => {
                    DROPPED.fetch_add(1, Ordering::Relaxed);
                }
                Err(TrySendError::Disconnected(_)) => return,
            }
        }
    });
    receiver
}

/// Looks for bundles newer than the one that is served, opens and tests them, and hands over those that pass.
fn start_updates(folder: PathBuf, mut seen: u64) -> Receiver<Serving> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut served = seen;
        loop {
            thread::sleep(POLL);
            let Some((sequence, path)) = newest(&folder, Some(seen)) else {
                continue;
            };
            seen = sequence;
            match open(&path) {
                Err(error) => println!("refused {}: {error}; sequence {served} serves on", path.display()),
                Ok(next) => match sender.send(next) {
                    Ok(()) => served = sequence,
                    Err(_) => return,
                },
            }
        }
    });
    receiver
}

/// Ends the process when the camera or the loop hangs. On a board this is where `/dev/watchdog` is written to.
fn watch() {
    let mut before = HEARTBEAT.load(Ordering::Relaxed);
    loop {
        thread::sleep(WATCHDOG);
        let now = HEARTBEAT.load(Ordering::Relaxed);
        if now == before {
            eprintln!("watchdog: no frame for {WATCHDOG:?}");
            process::abort();
        }
        before = now;
    }
}
