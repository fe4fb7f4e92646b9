//! Which nodes compute with integers, and which values are integers between them.

use std::collections::BTreeSet;

use askd_models::{Graph, LOGITS, NodeId, Op, Shape};

use crate::Result;

/// Where integers are in a network.
///
/// An engine computes with integers where an operation's inputs come from integers and its output goes to integers. A
/// rectifier belongs to the operation before it, so nothing is rounded between the two. The logits stay float.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Nodes that compute with integers.
    pub integer: BTreeSet<NodeId>,
    /// Nodes that only move or choose integers, whose output has their input's scale.
    pub moves: BTreeSet<NodeId>,
    /// Nodes whose output is kept as integers.
    pub values: BTreeSet<NodeId>,
}

impl Placement {
    /// All of `graph` with integers, as far as there are integer operations for it, except the nodes `float`.
    ///
    /// # Errors
    /// [`crate::Error::Network`] if the graph has no logits.
    pub fn new(graph: &Graph, float: &BTreeSet<NodeId>) -> Result<Self> {
        let logits = graph.output_id(LOGITS)?;
        let readers = readers(graph);
        let can = |(id, _): &(NodeId, _)| computes_with_integers(graph, *id) && !float.contains(id);
        let integer: BTreeSet<NodeId> = graph.iter().filter(can).map(|(id, _)| id).collect();
        let mut values = BTreeSet::new();
        for id in &integer {
            values.extend(&graph.node(*id).inputs);
            let output = rectifier_of(graph, &readers, *id).unwrap_or(*id);
            if output != logits {
                values.insert(output);
            }
        }
        let mut moves = BTreeSet::new();
        for (id, node) in graph.iter() {
            if !moves_integers(node.op) || id == logits {
                continue;
            }
            let is_first = matches!(graph.node(node.inputs[0]).op, Op::Input);
            if values.contains(&node.inputs[0]) || (is_first && values.contains(&id)) {
                moves.insert(id);
                values.extend([id, node.inputs[0]]);
            }
        }
        Ok(Self { integer, moves, values })
    }
}

/// Layers with weights that can compute with integers, in order.
pub fn layers(graph: &Graph) -> Vec<NodeId> {
    let layer = |op| matches!(op, Op::Conv2d(_) | Op::Linear { .. });
    graph
        .iter()
        .filter(|(_, node)| layer(node.op))
        .map(|(id, _)| id)
        .collect()
}

/// Whether ONNX Runtime has an integer kernel for the node.
fn computes_with_integers(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    match node.op {
        Op::Conv2d(_) | Op::Linear { .. } | Op::Add | Op::Concat | Op::AveragePool { .. } | Op::GlobalAveragePool => {
            true
        }
        // bins of one size are an ordinary pooling; others are matrix products
        Op::AdaptiveAveragePool { height, width } => match graph.node(node.inputs[0]).shape {
            Shape::Map([_, rows, columns]) => rows.is_multiple_of(height) && columns.is_multiple_of(width),
            Shape::Vector(_) => false,
        },
        _ => false,
    }
}

fn moves_integers(op: Op) -> bool {
    matches!(
        op,
        Op::MaxPool { .. }
            | Op::SubsamplePad { .. }
            | Op::ZeroPad { .. }
            | Op::ChannelShuffle { .. }
            | Op::Channels { .. }
    )
}

/// The nodes that read each node; an output of the graph is no reader.
fn readers(graph: &Graph) -> Vec<Vec<NodeId>> {
    let mut readers = vec![Vec::new(); graph.nodes().len()];
    for (id, node) in graph.iter() {
        for input in &node.inputs {
            readers[input.index()].push(id);
        }
    }
    readers
}

/// The rectifier that is all that reads a node.
fn rectifier_of(graph: &Graph, readers: &[Vec<NodeId>], id: NodeId) -> Option<NodeId> {
    match readers[id.index()].as_slice() {
        [reader] if matches!(graph.node(*reader).op, Op::Relu | Op::Relu6) => Some(*reader),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use askd_models::{NetworkConfig, build, networks};

    use super::*;
    use crate::nn::initialise;
    use crate::passes;

    fn compiled(name: &str) -> Graph {
        let graph = build(name, &NetworkConfig::new([3, 32, 32], 10)).unwrap();
        let mut weights = initialise(&graph, 0);
        passes::run_all(&graph, &mut weights).unwrap()
    }

    fn names<'a>(graph: &'a Graph, ids: &BTreeSet<NodeId>) -> Vec<&'a str> {
        ids.iter().map(|id| graph.node(*id).name.as_str()).collect()
    }

    #[test]
    fn a_rectifiers_input_is_never_rounded() {
        for network in networks() {
            let graph = compiled(network.name);
            let placement = Placement::new(&graph, &BTreeSet::new()).unwrap();
            for (_, node) in graph.iter().filter(|(_, node)| matches!(node.op, Op::Relu | Op::Relu6)) {
                assert!(
                    !placement.values.contains(&node.inputs[0]),
                    "{}: {}",
                    network.name,
                    node.name
                );
            }
            assert!(!placement.values.contains(&graph.output_id(LOGITS).unwrap()));
        }
    }

    /// Between the image and the logits nothing but integers is read, so no engine has to leave them.
    #[test]
    fn everything_between_is_integers() {
        for network in networks() {
            let graph = compiled(network.name);
            let placement = Placement::new(&graph, &BTreeSet::new()).unwrap();
            for (id, node) in graph.iter() {
                let inside = placement.integer.contains(&id) || placement.moves.contains(&id);
                let rectifies = matches!(node.op, Op::Relu | Op::Relu6);
                assert!(
                    inside || rectifies || node.op == Op::Input,
                    "{}: {}",
                    network.name,
                    node.name
                );
            }
        }
    }

    #[test]
    fn a_float_layer_takes_its_own_values_out_alone() {
        let graph = compiled("resnet8");
        let all = Placement::new(&graph, &BTreeSet::new()).unwrap();
        let second = layers(&graph)[1];
        let some = Placement::new(&graph, &BTreeSet::from([second])).unwrap();
        assert!(!some.integer.contains(&second));
        assert_eq!(all.integer.len(), some.integer.len() + 1);
        // its input is read by the sum behind it, and its output by the next layer
        assert_eq!(names(&graph, &some.values), names(&graph, &all.values));
        let none = Placement::new(&graph, &layers(&graph).into_iter().collect()).unwrap();
        assert!(names(&graph, &none.integer).iter().all(|name| !name.contains("conv")));
    }
}
