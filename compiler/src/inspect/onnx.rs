//! Any ONNX file, node by node, from the file alone.
//!
//! Shapes are inferred for the operators that classifiers are made of; where they cannot be, the file's own word is taken
//! (`value_info`), and where there is none, the shape and what depends on it is not known: `null` in JSON, `?` in text. A sum
//! with an unknown part is unknown.

mod constants;
mod costs;
mod infer;
mod shape;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use onnx_protobuf::{GraphProto, NodeProto, ValueInfoProto, type_proto};
use serde::Serialize;

pub use self::shape::Dimension;

use self::constants::{Constant, element_name};
use self::infer::Operands;
use self::shape::{Shape, declared, shape_text};
use super::table::{self, grouped, known, shown};
use crate::onnx::read_model;
use crate::{Error, Result};

/// Largest file that is read, as the runtime's own limit: 2 GiB, protobuf's largest message.
const MAX_BYTES: u64 = 2 << 30;

/// An ONNX model with what each node costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OnnxReport {
    /// Name of its graph.
    pub graph: String,
    /// Program that wrote it, with its version.
    pub producer: String,
    /// Version of ONNX's default operator set.
    pub opset: u32,
    /// ONNX IR version.
    pub ir_version: u32,
    /// Its metadata properties.
    pub metadata: BTreeMap<String, String>,
    /// What it takes; constants that older files list among the inputs are left out.
    pub inputs: Vec<ValueReport>,
    /// What it gives.
    pub outputs: Vec<ValueReport>,
    /// Number of nodes.
    pub nodes: u64,
    /// The nodes in the file's order, which is that in which they run.
    pub layers: Vec<NodeReport>,
    /// Weights and biases: see [`NodeReport::parameters`].
    pub parameters: u64,
    /// Multiply-accumulates of one run, each symbolic dimension, such as the batch, taken as 1; none if a node's are unknown.
    pub macs: Option<u64>,
    /// Size of all constant tensors, in bytes.
    pub bytes: u64,
    /// Size of the file, in bytes.
    pub file_bytes: u64,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeReport {
    /// Its name; that of its first output, where it has none.
    pub name: String,
    /// Its operator, such as `Conv`.
    pub op: String,
    /// Shape of its first output, the batch included; none if unknown.
    pub shape: Option<Vec<Dimension>>,
    /// Numbers in the constant tensors that it is the first to read, but for scalars, integers outside of quantised weights,
    /// scales and zero points of quantisation, and a batch norm's running statistics.
    pub parameters: u64,
    /// Multiply-accumulates, as for the whole model; none if unknown.
    pub macs: Option<u64>,
    /// Size of all constant tensors that it is the first to read, in bytes.
    pub bytes: u64,
}

/// An input or output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ValueReport {
    /// Its name.
    pub name: String,
    /// Type of its elements, such as `f32`.
    pub data_type: String,
    /// Its shape; none if the file does not tell.
    pub shape: Option<Vec<Dimension>>,
}

/// Reads the ONNX file at `path`; ONNX Runtime is not needed.
///
/// # Errors
/// [`Error::Io`], [`Error::InvalidValue`] for a file of more than 2 GiB, [`Error::Malformed`] with the words of
/// [`OnnxReport::of`].
pub fn inspect_onnx(path: impl AsRef<Path>) -> Result<OnnxReport> {
    let path = path.as_ref();
    let size = fs::metadata(path).map_err(Error::io(path))?.len();
    if size > MAX_BYTES {
        let expected = format!("at most {MAX_BYTES} bytes");
        return Err(Error::invalid(path.display().to_string(), expected, size));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Error::io(path))?;
    file.take(MAX_BYTES).read_to_end(&mut bytes).map_err(Error::io(path))?;
    OnnxReport::of(&bytes).map_err(|error| Error::malformed(path, "an ONNX model", error.to_string()))
}

impl OnnxReport {
    /// Reads the bytes of an ONNX file.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the runtime's reader refuses the bytes, [`Error::InvalidValue`] for a tensor whose data does not
    /// fit its dimensions.
    pub fn of(bytes: &[u8]) -> Result<Self> {
        let (versions, model) = read_model(bytes)?;
        let graph = model
            .graph
            .as_ref()
            .ok_or_else(|| Error::invalid("ONNX model", "a graph", "none"))?;
        let constants = constants::of(graph)?;
        let layers = layers(graph, &constants, versions.opset);
        let is_constant = |value: &&ValueInfoProto| constants.contains_key(value.name.as_str());
        let properties = model.metadata_props.iter();
        Ok(Self {
            graph: graph.name.clone(),
            producer: format!("{} {}", model.producer_name, model.producer_version)
                .trim()
                .to_owned(),
            opset: versions.opset,
            ir_version: versions.ir_version,
            metadata: properties
                .map(|entry| (entry.key.clone(), entry.value.clone()))
                .collect(),
            inputs: graph
                .input
                .iter()
                .filter(|value| !is_constant(value))
                .map(value)
                .collect(),
            outputs: graph.output.iter().map(value).collect(),
            nodes: layers.len() as u64,
            parameters: layers.iter().map(|layer| layer.parameters).sum(),
            macs: layers.iter().try_fold(0u64, |sum, layer| sum.checked_add(layer.macs?)),
            bytes: constants.values().map(|constant| constant.bytes).sum(),
            layers,
            file_bytes: bytes.len() as u64,
        })
    }
}

/// Every node with its shape and costs.
fn layers(graph: &GraphProto, constants: &HashMap<&str, Constant>, opset: u32) -> Vec<NodeReport> {
    let told: HashMap<&str, Shape> = [&graph.input, &graph.value_info, &graph.output]
        .into_iter()
        .flatten()
        .map(|value| (value.name.as_str(), declared(value)))
        .collect();
    let mut shapes: HashMap<&str, Shape> = graph
        .input
        .iter()
        .map(|value| (value.name.as_str(), declared(value)))
        .collect();
    shapes.extend(constants.iter().map(|(name, constant)| (*name, Some(constant.shape()))));
    let mut read = HashSet::new();
    let mut layers = Vec::with_capacity(graph.node.len());
    for node in &graph.node {
        let operands = Operands::new(node, opset, &shapes, constants);
        let first = node.output.first().map_or("", String::as_str);
        let shape = infer::first_output(&operands)
            .or_else(|| constants.get(first).map(Constant::shape))
            .or_else(|| told.get(first).cloned().flatten());
        let macs = costs::macs(&operands, shape.as_deref());
        let (mut parameters, mut bytes) = (0, 0);
        for (index, name) in node.input.iter().enumerate() {
            if let Some(constant) = constants.get(name.as_str())
                && read.insert(name)
            {
                bytes += constant.bytes;
                if costs::is_parameter(node, index, constant) {
                    parameters += constant.elements;
                }
            }
        }
        for (index, output) in node.output.iter().enumerate() {
            let shape = match index {
                0 => shape.clone(),
                _ => told.get(output.as_str()).cloned().flatten(),
            };
            shapes.entry(output.as_str()).or_insert(shape);
        }
        layers.push(NodeReport {
            name: name_of(node),
            op: node.op_type.clone(),
            shape,
            parameters,
            macs,
            bytes,
        });
    }
    layers
}

fn name_of(node: &NodeProto) -> String {
    match node.output.first() {
        Some(output) if node.name.is_empty() => output.clone(),
        _ => node.name.clone(),
    }
}

fn value(value: &ValueInfoProto) -> ValueReport {
    let element = match value.type_.as_ref().and_then(|kind| kind.value.as_ref()) {
        Some(type_proto::Value::TensorType(tensor)) => tensor.elem_type,
        _ => 0,
    };
    ValueReport {
        name: value.name.clone(),
        data_type: element_name(element).to_owned(),
        shape: declared(value),
    }
}

impl fmt::Display for OnnxReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}, opset {}, IR {}, by {}",
            shown(&self.graph),
            self.opset,
            self.ir_version,
            if self.producer.is_empty() {
                "?".to_owned()
            } else {
                shown(&self.producer)
            }
        )?;
        for (what, values) in [("input", &self.inputs), ("output", &self.outputs)] {
            for value in values {
                let shape = shape_text(value.shape.as_deref());
                writeln!(f, "{what} {} {} {shape}", shown(&value.name), value.data_type)?;
            }
        }
        if !self.metadata.is_empty() {
            let keys: Vec<_> = self.metadata.keys().map(|key| shown(key)).collect();
            writeln!(f, "metadata {}", keys.join(", "))?;
        }
        let header = ["node", "operator", "output", "parameters", "MACs", "bytes"];
        let row = |layer: &NodeReport| {
            [
                shown(&layer.name),
                shown(&layer.op),
                shape_text(layer.shape.as_deref()),
                grouped(layer.parameters),
                known(layer.macs),
                grouped(layer.bytes),
            ]
        };
        let total = [
            "total".to_owned(),
            format!("{} nodes", self.nodes),
            String::new(),
            grouped(self.parameters),
            known(self.macs),
            grouped(self.bytes),
        ];
        table::write_totalled(f, header, self.layers.iter().map(row), total)?;
        writeln!(f, "file {} bytes", grouped(self.file_bytes))
    }
}

#[cfg(test)]
mod tests;
