//! Which layer a node of ONNX Runtime's is, and its multiply-accumulates.
//!
//! ONNX Runtime fuses nodes and gives them other names, so that the graph in the file and the graph that runs are two. The
//! file has the layers' names and the shapes of their weights; one run without any rewriting gives the shapes of their
//! outputs.

use std::collections::{BTreeMap, HashMap, VecDeque};

use askd_runtime::{NodeProfile, OnnxGraph, OnnxNode};

/// The layers of a model.
pub(super) struct Layers {
    nodes: Vec<OnnxNode>,
    /// The node that makes each value.
    makers: HashMap<String, usize>,
    /// Multiply-accumulates of the nodes that have any.
    macs: BTreeMap<usize, u64>,
}

impl Layers {
    /// The layers of `graph`, of which `unfused` is a profile without rewriting.
    pub(super) fn new(mut graph: OnnxGraph, unfused: &[NodeProfile]) -> Self {
        // As ONNX Runtime calls them in its profile.
        for (at, node) in graph
            .nodes
            .iter_mut()
            .enumerate()
            .filter(|(_, node)| node.name.is_empty())
        {
            node.name = format!("{}_{at}", node.operator);
        }
        let made = graph.nodes.iter().enumerate();
        let makers = made.flat_map(|(at, node)| node.outputs.iter().map(move |output| (output.clone(), at)));
        let makers: HashMap<_, _> = makers.collect();
        let profiles = unfused.iter().map(|node| (node.placement.node.as_str(), node));
        let profiles: HashMap<_, _> = profiles.collect();
        let weight = |node: &OnnxNode| {
            let mut inputs = node.inputs.iter().skip(1);
            inputs.find_map(|input| weight_elements(&graph, &makers, input))
        };
        let macs = graph.nodes.iter().enumerate().filter_map(|(at, node)| {
            let output = profiles.get(node.name.as_str())?.output_shapes.first()?;
            let weight = multiplies(&node.operator).then(|| weight(node))??;
            Some((at, macs(&node.operator, output, weight)?))
        });
        Self {
            macs: macs.collect(),
            makers,
            nodes: graph.nodes,
        }
    }

    /// Multiply-accumulates of all layers.
    pub(super) fn total(&self) -> u64 {
        self.macs.values().sum()
    }

    /// Name and multiply-accumulates of the layer that each node of a profile is; `None` of one that is none.
    pub(super) fn of(&self, profile: &[NodeProfile]) -> Vec<Option<(String, Option<u64>)>> {
        let mut found: Vec<_> = profile.iter().map(|node| self.named(&node.placement.node)).collect();
        // A node that multiplies but has the name of one that doesn't is fused: it has the last one's name. The layer is
        // the nearest before that no other node is.
        for (at, node) in profile.iter().enumerate() {
            let fused =
                found[at].filter(|layer| !self.macs.contains_key(layer) && multiplies(&node.placement.operator));
            if let Some(layer) = fused {
                let free = |candidate: &usize| !found.contains(&Some(*candidate));
                found[at] = self.before(layer, free).or(found[at]);
            }
        }
        let told = |(node, layer): (&NodeProfile, &Option<usize>)| {
            let layer = (*layer)?;
            // A helper of a layer's, such as one that makes floats of its bias, has its name and not its work.
            let macs = self.macs.get(&layer).filter(|_| multiplies(&node.placement.operator));
            Some((self.nodes[layer].name.clone(), macs.copied()))
        };
        profile.iter().zip(&found).map(told).collect()
    }

    /// The layer whose name, or whose output's, is the longest that `name` is or begins with: behind it comes what ONNX
    /// Runtime appends.
    fn named(&self, name: &str) -> Option<usize> {
        let heads = ["fused ", "InsertedPrecisionFreeCast_"];
        let name = heads.iter().find_map(|head| name.strip_prefix(head)).unwrap_or(name);
        let begins = |layer: &&String| match name.strip_prefix(layer.as_str()) {
            Some(rest) => !layer.is_empty() && (rest.is_empty() || rest.starts_with('_')),
            None => false,
        };
        let named = self.nodes.iter().enumerate().filter_map(|(at, node)| {
            let names = std::iter::once(&node.name).chain(&node.outputs).filter(begins);
            Some((names.map(String::len).max()?, at))
        });
        named.max().map(|(_, at)| at)
    }

    /// The nearest layer with multiply-accumulates among those whose outputs lead to `layer`.
    fn before(&self, layer: usize, wanted: impl Fn(&usize) -> bool) -> Option<usize> {
        let mut waiting = VecDeque::from([layer]);
        let mut seen = vec![false; self.nodes.len()];
        while let Some(at) = waiting.pop_front() {
            if self.macs.contains_key(&at) {
                if wanted(&at) {
                    return Some(at);
                }
                // What lies before another layer is not fused with this one.
                continue;
            }
            for input in &self.nodes[at].inputs {
                if let Some(maker) = self.makers.get(input).filter(|maker| !seen[**maker]) {
                    seen[*maker] = true;
                    waiting.push_back(*maker);
                }
            }
        }
        None
    }
}

/// Whether an operator, ONNX's or one of ONNX Runtime's making, multiplies by weights.
fn multiplies(operator: &str) -> bool {
    ["Conv", "Gemm", "MatMul"].iter().any(|part| operator.contains(part)) && operator != "ConvTranspose"
}

/// Elements of a constant of two dimensions or more: it may be stored as integers, or in other floats.
fn weight_elements(graph: &OnnxGraph, makers: &HashMap<String, usize>, name: &str) -> Option<u64> {
    const SAME_SHAPE: [&str; 5] = ["DequantizeLinear", "QuantizeLinear", "Cast", "Identity", "Transpose"];
    let mut name = name;
    // A graph has no longer chains, unless it goes in circles.
    for _ in 0..8 {
        if let Some(shape) = graph.constants.get(name) {
            let product = || {
                shape
                    .iter()
                    .try_fold(1u64, |product, dimension| product.checked_mul(*dimension))
            };
            return (shape.len() >= 2).then(product)?;
        }
        let node = &graph.nodes[*makers.get(name)?];
        name = SAME_SHAPE
            .contains(&node.operator.as_str())
            .then(|| node.inputs.first())??;
    }
    None
}

/// Each element of the output is a sum of as many products as there are weights for one channel of it.
fn macs(operator: &str, output: &[i64], weights: u64) -> Option<u64> {
    let sizes: Vec<u64> = output
        .iter()
        .map(|size| u64::try_from(*size))
        .collect::<Result<_, _>>()
        .ok()?;
    let elements = sizes
        .iter()
        .try_fold(1u64, |product, size| product.checked_mul(*size))?;
    let channels = if operator.contains("Conv") {
        sizes.get(1)
    } else {
        sizes.last()
    };
    elements.checked_mul(weights.checked_div(*channels?)?)
}

#[cfg(test)]
mod tests;
