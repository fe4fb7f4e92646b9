//! Starts a variant as firmware would, with a watch in hand.

use std::path::Path;
use std::time::{Duration, Instant};

use askd_runtime::{Error, Model, Session, SessionOptions};

use super::candidate::{GoldenFacts, Start};
use super::contest::Started;
use crate::measure::{Subject, median_figure};

/// Starts of which the medians are told.
const STARTS: usize = 3;
/// Once they have taken so long together, no further one is made: some engines compile a model for minutes.
const LONG: Duration = Duration::from_secs(10);
/// A session that takes longer to make, in milliseconds, is not made anew while times are taken.
const QUICK_MS: f64 = 500.0;

/// Starts the variant called `variant`, and has it test itself.
pub(super) fn start(bundle: &Path, variant: &str, options: SessionOptions) -> Result<Started, Error> {
    let begun = Instant::now();
    let mut times = Vec::new();
    let (model, mut session) = loop {
        let (time, model, session) = start_once(bundle, variant, &options)?;
        times.push(time);
        if times.len() == STARTS || begun.elapsed() > LONG {
            break (model, session);
        }
    };
    let tested = session.self_test()?;
    let median = |part: fn(&Start) -> f64| median_figure(times.iter().map(part));
    let start = Start {
        open_ms: median(|start| start.open_ms),
        session_ms: median(|start| start.session_ms),
        first_run_ms: median(|start| start.first_run_ms),
    };
    Ok(Started {
        start,
        provider: session.provider(),
        self_test: GoldenFacts {
            images: tested.images,
            max_abs_diff: tested.max_abs_diff,
        },
        run: Box::new(Running {
            logits: vec![0.0; model.golden().classes()],
            next: 0,
            starts_quickly: start.session_ms <= QUICK_MS,
            options,
            session,
            model,
        }),
    })
}

/// A variant that is run on the bundle's golden images, one by one.
struct Running {
    model: Model,
    options: SessionOptions,
    session: Session,
    logits: Vec<f32>,
    /// The image of the next run.
    next: usize,
    starts_quickly: bool,
}

impl Subject for Running {
    type Error = Error;

    fn run(&mut self) -> Result<(), Error> {
        let golden = self.model.golden();
        let (images, elements) = (golden.shape()[0], golden.input().len() / golden.shape()[0]);
        let image = &golden.input()[self.next * elements..][..elements];
        self.next = (self.next + 1) % images;
        self.session.run(image, &mut self.logits)
    }

    fn start_anew(&mut self) -> Result<(), Error> {
        if self.starts_quickly {
            // the old session is there until the new one is, which so lies elsewhere
            self.session = self.model.session(&self.options)?;
        }
        Ok(())
    }
}

fn start_once(bundle: &Path, variant: &str, options: &SessionOptions) -> Result<(Start, Model, Session), Error> {
    let clock = Instant::now();
    let model = Model::open_variant(bundle, variant)?;
    let opened = clock.elapsed();
    let mut session = model.session(options)?;
    let made = clock.elapsed();
    let golden = model.golden();
    let image = &golden.input()[..golden.input().len() / golden.shape()[0]];
    let mut logits = vec![0.0; golden.classes()];
    let prepared = clock.elapsed();
    session.run(image, &mut logits)?;
    let ran = clock.elapsed();
    let milliseconds = |time: Duration| 1e3 * time.as_secs_f64();
    let start = Start {
        open_ms: milliseconds(opened),
        session_ms: milliseconds(made - opened),
        first_run_ms: milliseconds(ran - prepared),
    };
    Ok((start, model, session))
}
