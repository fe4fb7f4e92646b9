//! Where the time of a run goes: each node of the graph, beside the work it does and what the machine can do at most.

mod layers;
mod peak;
mod table;

use std::time::{Duration, Instant};

use askd_runtime::{Error, Model, OnnxGraph, Optimisation, Provider, Session, SessionOptions};
use serde::{Deserialize, Serialize};

use layers::Layers;
pub use peak::Peak;

/// Runs that are not counted: the first ones take memory and warm up.
const WARM_UP: usize = 5;
/// Most counted runs; fewest; and the time after which no further one begins.
const MAX_RUNS: usize = 200;
const MIN_RUNS: usize = 10;
/// Most nodes of all runs together: ONNX Runtime writes some 700 bytes for each, all of which are read at once.
const MAX_NODES: usize = 40_000;
const TIME: Duration = Duration::from_secs(2);

/// Where the time of a run goes. Its `Display` is a table for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Counted runs.
    pub runs: usize,
    /// Time of one run, in milliseconds, as all times here the mean of the middle half: longer than without profile, since
    /// ONNX Runtime writes down each node.
    pub run_ms: f64,
    /// Sum of the nodes' times, in milliseconds.
    pub nodes_ms: f64,
    /// Multiply-accumulates of one image, over all layers.
    pub macs: u64,
    /// The most that this machine computes.
    pub peak: Peak,
    /// The nodes, in order of execution.
    pub nodes: Vec<NodeTime>,
}

/// One node of the graph as ONNX Runtime runs it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeTime {
    /// The layer that it is, by the name of its node in the ONNX file; `None` for a node of ONNX Runtime's own, such as one
    /// that reorders memory. One that does the work of several layers has the name of the one that multiplies.
    pub layer: Option<String>,
    /// ONNX Runtime's name of it.
    pub node: String,
    /// Its operator, such as `Conv`.
    pub operator: String,
    /// The provider that ran it.
    pub provider: String,
    /// Its time in one run, in milliseconds.
    pub ms: f64,
    /// Its part of all nodes' time, 0 to 1.
    pub share: f64,
    /// Its multiply-accumulates of one image; `None` of a node that has no weights to multiply by, or is not known.
    pub macs: Option<u64>,
    /// What it reached, in thousand millions of operations a second, two for a multiply-accumulate; of a node with
    /// integers these are no floats.
    pub gflops: Option<f64>,
    /// That as a part of [`Peak::gflops`].
    pub of_peak: Option<f64>,
}

/// What is profiled.
#[derive(Debug, Clone, Copy)]
pub enum Subject<'a> {
    /// A bundle's variant.
    Bundle(&'a Model),
    /// The bytes of an ONNX file, under the conditions of [`Session::from_onnx`].
    Onnx(&'a [u8]),
}

/// Profiles `subject`. `run` runs one image.
///
/// # Errors
/// Those of [`Model::profile`], [`Peak::measure`] and `run`.
pub fn profile(
    subject: Subject<'_>,
    options: &SessionOptions,
    mut run: impl FnMut(&mut Session) -> Result<(), Error>,
) -> Result<Profile, Error> {
    let graph = OnnxGraph::read(subject.onnx())?;
    let most = (MAX_NODES / graph.nodes.len().max(1)).clamp(MIN_RUNS, MAX_RUNS);
    let measured = subject.profile(options, |session| {
        let mut start = Instant::now();
        for number in 0..WARM_UP + most {
            if number == WARM_UP {
                start = Instant::now();
            }
            if number >= WARM_UP + MIN_RUNS && start.elapsed() >= TIME {
                break;
            }
            run(session)?;
        }
        Ok(())
    })?;
    let as_written = SessionOptions {
        library: options.library.clone(),
        provider: Provider::Cpu,
        optimisation: Optimisation::None,
        ..SessionOptions::default()
    };
    let unfused = subject.profile(&as_written, &mut run)?;
    let layers = Layers::new(graph, &unfused.nodes);
    Ok(assemble(&measured, &layers, Peak::measure(options)?))
}

impl Subject<'_> {
    fn profile(
        &self,
        options: &SessionOptions,
        run: impl FnOnce(&mut Session) -> Result<(), Error>,
    ) -> Result<askd_runtime::Profile, Error> {
        match self {
            Self::Bundle(model) => model.profile(options, run),
            Self::Onnx(bytes) => Session::profile_onnx(bytes, options, run),
        }
    }

    fn onnx(&self) -> &[u8] {
        match self {
            Self::Bundle(model) => model.onnx(),
            Self::Onnx(bytes) => bytes,
        }
    }
}

fn assemble(measured: &askd_runtime::Profile, layers: &Layers, peak: Peak) -> Profile {
    let times: Vec<_> = measured
        .nodes
        .iter()
        .map(|node| milliseconds(&node.microseconds))
        .collect();
    let nodes_ms: f64 = times.iter().sum();
    let told = layers.of(&measured.nodes);
    let nodes = measured.nodes.iter().zip(&times).zip(told).map(|((node, ms), told)| {
        let (layer, macs) = told.map_or((None, None), |(layer, macs)| (Some(layer), macs));
        let gflops = macs.filter(|_| *ms > 0.0).map(|macs| 2.0 * macs as f64 / ms / 1e6);
        NodeTime {
            layer,
            node: node.placement.node.clone(),
            operator: node.placement.operator.clone(),
            provider: node.placement.provider.clone(),
            ms: *ms,
            share: if nodes_ms > 0.0 { ms / nodes_ms } else { 0.0 },
            macs,
            gflops,
            of_peak: gflops.map(|gflops| gflops / peak.gflops),
        }
    });
    Profile {
        runs: measured.run_microseconds.len().saturating_sub(WARM_UP),
        run_ms: milliseconds(&measured.run_microseconds),
        nodes_ms,
        macs: layers.total(),
        nodes: nodes.collect(),
        peak,
    }
}

/// The mean of the middle half of the counted runs: as calm as a median, and finer than the whole microseconds that ONNX
/// Runtime tells. 0 of none.
fn milliseconds(microseconds: &[u64]) -> f64 {
    let mut counted = microseconds.get(WARM_UP..).unwrap_or_default().to_vec();
    counted.sort_unstable();
    let outer = counted.len() / 4;
    let middle = &counted[outer..counted.len() - outer];
    if middle.is_empty() {
        return 0.0;
    }
    middle.iter().sum::<u64>() as f64 / middle.len() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_the_mean_of_the_middle_half_of_the_counted_runs() {
        let warm_up = [9999; WARM_UP];
        let with = |times: &[u64]| milliseconds(&[&warm_up[..], times].concat());
        assert_eq!(with(&[3, 1, 2, 90, 1, 2, 2, 3]), 0.00225);
        assert_eq!((with(&[7]), with(&[]), milliseconds(&[1])), (0.007, 0.0, 0.0));
    }
}
