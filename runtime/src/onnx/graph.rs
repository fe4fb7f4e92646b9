//! The nodes of an ONNX file and the shapes of its constants: what tells a node's work.

use std::collections::BTreeMap;

use super::schema::{GRAPH_FIELD, MODEL};
use super::walk::{check, text};
use super::wire::{Fields, Value, packed_varints};
use crate::error::Error;

/// The graph of an ONNX file, without what its tensors hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OnnxGraph {
    /// The nodes, in the order of the file.
    pub nodes: Vec<OnnxNode>,
    /// The shapes of the constant tensors, initialisers and outputs of `Constant`, by name.
    pub constants: BTreeMap<String, Vec<u64>>,
}

/// A node of an [`OnnxGraph`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct OnnxNode {
    /// Its name; empty where it has none.
    pub name: String,
    /// Its operator, such as `Conv`.
    pub operator: String,
    /// The names of its inputs; an empty one stands for an input that is left out.
    pub inputs: Vec<String>,
    /// The names of its outputs.
    pub outputs: Vec<String>,
}

// Field numbers, of the messages in `schema`.
const GRAPH_NODE: u32 = 1;
const GRAPH_INITIALIZER: u32 = 5;
const NODE_INPUT: u32 = 1;
const NODE_OUTPUT: u32 = 2;
const NODE_NAME: u32 = 3;
const NODE_OPERATOR: u32 = 4;
const NODE_ATTRIBUTE: u32 = 5;
const ATTRIBUTE_TENSOR: u32 = 5;
const TENSOR_DIMENSIONS: u32 = 1;
const TENSOR_NAME: u32 = 8;

impl OnnxGraph {
    /// Reads the graph of an ONNX file.
    ///
    /// # Errors
    /// [`Error::OnnxFormat`] and [`Error::OnnxContent`] as of [`OnnxVersions::read`](super::OnnxVersions::read).
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        check(&MODEL, bytes)?;
        let mut graph = Self::default();
        for message in messages(bytes, GRAPH_FIELD).flat_map(|message| Fields::of(message).flatten()) {
            match message {
                (GRAPH_NODE, Value::Bytes(node)) => graph.add_node(node),
                (GRAPH_INITIALIZER, Value::Bytes(tensor)) => {
                    let name = texts(tensor, TENSOR_NAME).next().unwrap_or_default();
                    graph.constants.insert(name, dimensions(tensor));
                }
                _ => {}
            }
        }
        Ok(graph)
    }

    fn add_node(&mut self, message: &[u8]) {
        let one = |field| texts(message, field).next().unwrap_or_default();
        let node = OnnxNode {
            name: one(NODE_NAME),
            operator: one(NODE_OPERATOR),
            inputs: texts(message, NODE_INPUT).collect(),
            outputs: texts(message, NODE_OUTPUT).collect(),
        };
        if node.operator == "Constant" {
            let tensors = messages(message, NODE_ATTRIBUTE).flat_map(|attribute| messages(attribute, ATTRIBUTE_TENSOR));
            let shapes = tensors.map(dimensions);
            self.constants.extend(node.outputs.iter().cloned().zip(shapes));
        }
        self.nodes.push(node);
    }
}

/// The fields of this number that are bytes. What is malformed was found before.
fn messages(message: &[u8], field: u32) -> impl Iterator<Item = &[u8]> {
    Fields::of(message).flatten().filter_map(move |found| match found {
        (number, Value::Bytes(bytes)) if number == field => Some(bytes),
        _ => None,
    })
}

fn texts(message: &[u8], field: u32) -> impl Iterator<Item = String> {
    messages(message, field).filter_map(|bytes| text(bytes).ok().map(str::to_owned))
}

/// Packed or not.
fn dimensions(tensor: &[u8]) -> Vec<u64> {
    let mut dimensions = Vec::new();
    for field in Fields::of(tensor).flatten() {
        match field {
            (TENSOR_DIMENSIONS, Value::Varint(dimension)) => dimensions.push(dimension),
            (TENSOR_DIMENSIONS, Value::Bytes(packed)) => dimensions.extend(packed_varints(packed).flatten()),
            _ => {}
        }
    }
    dimensions
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_was_made() {
        let graph = OnnxGraph::read(include_bytes!("../../tests/fixtures/tiny_fixed.onnx")).unwrap();
        let operators: Vec<_> = graph.nodes.iter().map(|node| node.operator.as_str()).collect();
        assert_eq!(operators, ["Conv", "Relu", "GlobalAveragePool", "Flatten", "Gemm"]);
        assert_eq!(graph.nodes[0].inputs, ["image", "conv.weight", "conv.bias"]);
        assert_eq!(graph.nodes[0].outputs, ["features"]);
        assert_eq!(graph.constants["conv.weight"], [4, 3, 1, 1]);
        assert_eq!(graph.constants["gemm.bias"], [3]);
        assert!(matches!(OnnxGraph::read(b"\x0a"), Err(Error::OnnxFormat { .. })));
    }

    #[test]
    fn dimensions_come_packed_or_one_by_one() {
        assert_eq!(dimensions(b"\x08\x03\x08\x90\x01"), [3, 144]);
        assert_eq!(dimensions(b"\x0a\x03\x03\x90\x01"), [3, 144]);
    }
}
