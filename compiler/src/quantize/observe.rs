//! Sees what the values inside a network are on images.

use std::collections::BTreeMap;

use askd_models::{Graph, NodeId};
use askd_runtime::{Session, SessionOptions};

use super::calibration::Range;
use super::histogram::Histogram;
use crate::data::Loader;
use crate::evaluate::run_images;
use crate::onnx::write_probe;
use crate::weights::Weights;
use crate::{Error, Result};

/// Histograms of the outputs of `nodes` over all images of `loader`, computed by ONNX Runtime.
///
/// One pass finds each value's range, a second counts.
///
/// # Errors
/// [`Error::Runtime`], [`Error::InvalidValue`] if a value is not finite, and what the loader meets.
pub fn observe(
    graph: &Graph,
    weights: &Weights,
    nodes: &[NodeId],
    loader: &Loader,
) -> Result<BTreeMap<NodeId, Histogram>> {
    let mut probe = Probe::new(graph, weights, nodes)?;
    let mut ranges = vec![Range::ZERO; nodes.len()];
    probe.run(loader, |index, values| {
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            let node = &graph.node(nodes[index]).name;
            return Err(Error::invalid(format!("output of \"{node}\""), "finite numbers", value));
        }
        ranges[index] = ranges[index].with(values);
        Ok(())
    })?;
    let mut histograms: Vec<_> = ranges.into_iter().map(Histogram::new).collect();
    probe.run(loader, |index, values| {
        histograms[index].add(values);
        Ok(())
    })?;
    Ok(nodes.iter().copied().zip(histograms).collect())
}

/// A session that gives the values of several nodes, one behind the other.
struct Probe {
    session: Session,
    lengths: Vec<usize>,
}

impl Probe {
    fn new(graph: &Graph, weights: &Weights, nodes: &[NodeId]) -> Result<Self> {
        let options = SessionOptions {
            intra_op_threads: 0,
            ..SessionOptions::default()
        };
        Ok(Self {
            session: Session::from_onnx(&write_probe(graph, weights, nodes)?, &options)?,
            lengths: nodes.iter().map(|id| graph.node(*id).shape.elements()).collect(),
        })
    }

    /// Gives `see` the values of each node, by its position, on each image.
    fn run(&mut self, loader: &Loader, mut see: impl FnMut(usize, &[f32]) -> Result<()>) -> Result<()> {
        run_images(&mut self.session, loader, |mut rest| {
            for (index, length) in self.lengths.iter().enumerate() {
                let (values, others) = rest.split_at(*length);
                see(index, values)?;
                rest = others;
            }
            Ok(())
        })?;
        Ok(())
    }
}
