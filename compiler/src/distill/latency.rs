//! How much longer a network runs than another, in ONNX Runtime on this machine.

use std::time::{Duration, Instant};

use askd_models::Graph;
use askd_runtime::{Batch, Session, SessionOptions};

use crate::nn::initialise;
use crate::onnx::{ModelInfo, write_model};
use crate::{Result, passes};

/// Runs of each network before any is timed.
const WARM_UP_RUNS: usize = 10;

/// Pairs of runs that are timed at least, for at least so long.
const LEAST_PAIRS: usize = 200;
const LEAST_TIME: Duration = Duration::from_secs(1);

/// But after so long no other pair is begun.
const MOST_TIME: Duration = Duration::from_secs(10);

/// Percent by which the median run of `network` takes longer than that of `reference`: one image, one thread, both compiled as they
/// would ship. Below 0 where it is faster.
///
/// The runs alternate, so that whatever else the machine does meets both alike. Weights are random: time depends on shapes.
///
/// # Errors
/// [`crate::Error::Runtime`] without ONNX Runtime, [`crate::Error::Network`] if a graph has no logits.
pub(super) fn latency_overhead(network: &Graph, reference: &Graph) -> Result<f64> {
    let mut network = Timed::new(network)?;
    let mut reference = Timed::new(reference)?;
    for _ in 0..WARM_UP_RUNS {
        network.run()?;
        reference.run()?;
    }
    let (mut of_network, mut of_reference) = (Vec::new(), Vec::new());
    let begun = Instant::now();
    loop {
        of_network.push(network.run()?);
        of_reference.push(reference.run()?);
        let enough = of_network.len() >= LEAST_PAIRS && begun.elapsed() >= LEAST_TIME;
        if enough || begun.elapsed() >= MOST_TIME {
            let [network, reference] = [of_network, of_reference].map(median);
            return Ok(100.0 * (network / reference - 1.0));
        }
    }
}

/// A compiled network with random weights, and what a run of it needs.
struct Timed {
    session: Session,
    image: Vec<f32>,
    logits: Vec<f32>,
}

impl Timed {
    fn new(graph: &Graph) -> Result<Self> {
        let mut weights = initialise(graph, 0);
        let compiled = passes::run_all(graph, &mut weights)?;
        let model = write_model(&compiled, &weights, &ModelInfo::new(Batch::One))?;
        let elements: usize = graph.input_shape().iter().product();
        Ok(Self {
            session: Session::from_onnx(&model, &SessionOptions::default())?,
            image: (0..elements).map(|i| ((37 * i) % 101) as f32 / 50.0 - 1.0).collect(),
            logits: vec![0.0; graph.classes()?],
        })
    }

    /// Seconds of a run.
    fn run(&mut self) -> Result<f64> {
        let started = Instant::now();
        self.session.run(&self.image, &mut self.logits)?;
        Ok(started.elapsed().as_secs_f64())
    }
}

/// The middle of the samples, of which there is at least one.
fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_sample() {
        assert_eq!(median(vec![3.0, 9.0, 1.0]), 3.0);
        assert_eq!(median(vec![2.0]), 2.0);
    }
}
