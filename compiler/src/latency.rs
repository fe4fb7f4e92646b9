//! How long compiled models run in ONNX Runtime on this machine, each beside the others.

use std::time::{Duration, Instant};

use askd_runtime::{ElementType, Session, SessionOptions};
use serde::Serialize;

use crate::Result;
use crate::spread::percentile;

/// Timed runs of a model before the next one's. One more goes before them, untimed: it brings back into the caches what the
/// others have displaced.
const RUNS_PER_TURN: usize = 4;

/// Rounds before any is timed.
const WARM_UP_ROUNDS: usize = 3;

/// How long to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Timed runs of each model at least,
    pub(crate) least_runs: usize,
    /// for at least so long together;
    pub(crate) least_time: Duration,
    /// but after so long no other round is begun.
    pub(crate) most_time: Duration,
}

/// Milliseconds of a model's runs: one image, one thread, without preprocessing.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// Median.
    pub p50: f64,
    /// 10th percentile.
    pub p10: f64,
    /// 90th percentile.
    pub p90: f64,
    /// Runs that were timed.
    pub runs: usize,
}

impl Latency {
    /// Of these runs, milliseconds, of which there is at least one.
    fn of(mut milliseconds: Vec<f64>) -> Self {
        milliseconds.sort_by(f64::total_cmp);
        let [p10, p50, p90] = [0.1, 0.5, 0.9].map(|share| percentile(&milliseconds, share));
        Self {
            p50,
            p10,
            p90,
            runs: milliseconds.len(),
        }
    }
}

/// Times ONNX models against each other: in each round every one has a turn, so that whatever else the machine does meets all
/// alike. The images are made up: time depends on shapes.
///
/// # Errors
/// [`crate::Error::Runtime`] without ONNX Runtime, or if it does not run a model.
pub(crate) fn in_turn(models: &[&[u8]], plan: &Plan) -> Result<Vec<Latency>> {
    let mut timed = models
        .iter()
        .map(|model| Timed::new(model))
        .collect::<Result<Vec<_>>>()?;
    for _ in 0..WARM_UP_ROUNDS {
        for model in &mut timed {
            model.turn()?;
        }
    }
    for model in &mut timed {
        model.milliseconds.clear();
    }
    let begun = Instant::now();
    for round in 0.. {
        let enough = round * RUNS_PER_TURN >= plan.least_runs && begun.elapsed() >= plan.least_time;
        if round > 0 && (enough || begun.elapsed() >= plan.most_time) {
            break;
        }
        for place in 0..timed.len() {
            // another one begins each time
            let place = (place + round) % timed.len();
            timed[place].turn()?;
        }
    }
    Ok(timed.into_iter().map(|model| Latency::of(model.milliseconds)).collect())
}

/// A model, and what a run of it needs.
struct Timed {
    session: Session,
    image: Image,
    logits: Vec<f32>,
    milliseconds: Vec<f64>,
}

enum Image {
    Floats(Vec<f32>),
    Pixels(Vec<u8>),
}

impl Timed {
    fn new(model: &[u8]) -> Result<Self> {
        let session = Session::from_onnx(model, &SessionOptions::default())?;
        let interface = session.interface();
        let elements: usize = interface.shape.iter().product();
        let pixels = (0..elements).map(|i| ((37 * i) % 101) as u8);
        let image = match interface.data_type {
            ElementType::U8 => Image::Pixels(pixels.collect()),
            _ => Image::Floats(pixels.map(|pixel| f32::from(pixel) / 50.0 - 1.0).collect()),
        };
        Ok(Self {
            logits: vec![0.0; interface.classes],
            session,
            image,
            milliseconds: Vec::new(),
        })
    }

    fn turn(&mut self) -> Result<()> {
        self.run()?;
        for _ in 0..RUNS_PER_TURN {
            let started = Instant::now();
            self.run()?;
            self.milliseconds.push(started.elapsed().as_secs_f64() * 1e3);
        }
        Ok(())
    }

    fn run(&mut self) -> Result<()> {
        match &self.image {
            Image::Floats(image) => self.session.run(image, &mut self.logits)?,
            Image::Pixels(image) => self.session.run_u8(image, &mut self.logits)?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_a_known_sample() {
        let latency = Latency::of((1..=100).rev().map(f64::from).collect());
        assert_eq!(
            (latency.p10, latency.p50, latency.p90, latency.runs),
            (10.0, 50.0, 90.0, 100)
        );
    }
}
