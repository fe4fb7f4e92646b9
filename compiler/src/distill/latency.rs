//! How much longer a network runs than another, in ONNX Runtime on this machine.

use std::time::Duration;

use askd_models::Graph;
use askd_runtime::Batch;

use crate::latency::{Plan, in_turn};
use crate::nn::initialise;
use crate::onnx::{ModelInfo, write_model};
use crate::{Result, passes};

const PLAN: Plan = Plan {
    least_runs: 200,
    least_time: Duration::from_secs(1),
    most_time: Duration::from_secs(10),
};

/// Percent by which the median run of `network` takes longer than that of `reference`: one image, one thread, both compiled as they
/// would ship. Below 0 where it is faster.
///
/// The two take turns, so that whatever else the machine does meets both alike. Weights are random: time depends on shapes.
///
/// # Errors
/// [`crate::Error::Runtime`] without ONNX Runtime, [`crate::Error::Network`] if a graph has no logits.
pub(super) fn latency_overhead(network: &Graph, reference: &Graph) -> Result<f64> {
    let (network, reference) = (compiled(network)?, compiled(reference)?);
    let latencies = in_turn(&[&network, &reference], &PLAN)?;
    Ok(100.0 * (latencies[0].p50 / latencies[1].p50 - 1.0))
}

/// The network as it would ship, with random weights.
fn compiled(graph: &Graph) -> Result<Vec<u8>> {
    let mut weights = initialise(graph, 0);
    let compiled = passes::run_all(graph, &mut weights)?;
    write_model(&compiled, &weights, &ModelInfo::new(Batch::One))
}
