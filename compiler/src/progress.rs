//! Bars on a terminal, plain lines elsewhere; and the wish to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{Error, Result};

/// Time between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(20);

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Lets Ctrl-C and SIGTERM end training after the step at hand, with a checkpoint; a second one ends it at once.
///
/// # Errors
/// [`Error::Io`] if the handler cannot be installed.
pub fn handle_interrupts() -> Result<()> {
    let handler = || {
        if INTERRUPTED.swap(true, Ordering::SeqCst) {
            std::process::exit(1);
        }
    };
    let installed = ctrlc::set_handler(handler);
    installed.map_err(|error| Error::io("signal handler")(std::io::Error::other(error)))
}

/// Whether the user has asked to stop.
pub fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// Tells of something that went wrong but stops nothing, on standard error.
pub fn warn(text: &str) {
    eprintln!("warning: {text}");
}

/// Tells what was found, on standard error.
pub fn say(text: &str) {
    eprintln!("{text}");
}

/// Progress through a known number of images.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    label: String,
    total: u64,
    done_before: u64,
    started: Instant,
    last_line: Instant,
    lines: bool,
}

impl Progress {
    /// Starts at `done` of `total` images. On standard error: a bar if it is a terminal, else a line now and then.
    pub fn new(label: &str, done: usize, total: usize) -> Self {
        let bar = ProgressBar::new(total as u64).with_position(done as u64);
        let template = "{prefix} {wide_bar} {percent}% {msg} ETA {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(label.to_owned());
        let now = Instant::now();
        let lines = bar.is_hidden();
        Self {
            bar,
            label: label.to_owned(),
            total: total as u64,
            done_before: done as u64,
            started: now,
            last_line: now,
            lines,
        }
    }

    /// Moves to `done` images; `detail` says how training goes.
    pub fn update(&mut self, done: usize, detail: impl FnOnce() -> String) {
        self.bar.set_position(done as u64);
        let rate = (done as u64 - self.done_before) as f64 / self.started.elapsed().as_secs_f64().max(1e-9);
        if !self.lines {
            self.bar.set_message(format!("{rate:.0} images/s {}", detail()));
        } else if self.last_line.elapsed() >= LINE_INTERVAL {
            self.last_line = Instant::now();
            let left = (self.total - done as u64) as f64 / rate.max(1e-9);
            let share = 100 * done as u64 / self.total.max(1);
            eprintln!(
                "{}: {share}% {rate:.0} images/s {} ETA {left:.0} s",
                self.label,
                detail()
            );
        }
    }

    /// Prints a line without disturbing the bar.
    pub fn note(&self, text: &str) {
        if self.lines {
            eprintln!("{}: {text}", self.label);
        } else {
            self.bar.println(format!("{}: {text}", self.label));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
