//! The ONNX graph under construction: nodes and initialisers, every value named once.

use std::collections::HashSet;

use askd_models::{Node, Shape};
use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::{AttributeProto, GraphProto, NodeProto, TensorProto, tensor_proto};

use crate::weights::Weights;
use crate::{Error, Result};

/// One node of the network, ready to be written.
pub(super) struct Step<'a> {
    /// The node.
    pub(super) node: &'a Node,
    /// Names of the values it reads.
    pub(super) inputs: Vec<&'a str>,
    /// Their shapes for one image.
    pub(super) input_shapes: Vec<Shape>,
    /// Name of the value it computes.
    pub(super) output: &'a str,
}

/// Collects ONNX nodes and initialisers.
pub(super) struct Emitter<'a> {
    graph: GraphProto,
    weights: &'a Weights,
    /// Names of values and initialisers, which share one name space.
    values: HashSet<String>,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(weights: &'a Weights) -> Self {
        Self {
            graph: GraphProto::default(),
            weights,
            values: HashSet::from([super::INPUT.to_owned()]),
        }
    }

    /// Appends an ONNX node.
    pub(super) fn node(
        &mut self,
        op_type: &str,
        name: &str,
        inputs: &[&str],
        output: &str,
        attributes: Vec<AttributeProto>,
    ) -> Result<()> {
        self.claim(output)?;
        self.graph.node.push(NodeProto {
            op_type: op_type.to_owned(),
            name: name.to_owned(),
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            output: vec![output.to_owned()],
            attribute: attributes,
            ..NodeProto::default()
        });
        Ok(())
    }

    /// Appends all tensors a node owns as initialisers, in their order; gives their names.
    pub(super) fn parameters(&mut self, node: &Node) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for parameter in node.parameters() {
            // the weights were checked against the graph
            let tensor = &self.weights[&parameter.name];
            self.floats(&parameter.name, &tensor.shape, &tensor.data)?;
            names.push(parameter.name);
        }
        Ok(names)
    }

    /// Appends one tensor that a node owns as an initialiser of another shape, with as many values.
    pub(super) fn parameter_as(&mut self, name: &str, shape: &[usize]) -> Result<()> {
        let values = &self.weights[name].data;
        self.floats(name, shape, values)
    }

    /// Appends a float initialiser.
    pub(super) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Result<()> {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initialiser(name, tensor_proto::DataType::FLOAT, shape, bytes)
    }

    /// Appends a vector of integers as an initialiser.
    pub(super) fn ints(&mut self, name: &str, values: &[i64]) -> Result<()> {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initialiser(name, tensor_proto::DataType::INT64, &[values.len()], bytes)
    }

    fn initialiser(
        &mut self,
        name: &str,
        data_type: tensor_proto::DataType,
        shape: &[usize],
        bytes: Vec<u8>,
    ) -> Result<()> {
        self.claim(name)?;
        self.graph.initializer.push(TensorProto {
            name: name.to_owned(),
            data_type: data_type as i32,
            dims: shape.iter().map(|dim| *dim as i64).collect(),
            raw_data: bytes,
            ..TensorProto::default()
        });
        Ok(())
    }

    fn claim(&mut self, value: &str) -> Result<()> {
        if self.values.insert(value.to_owned()) {
            return Ok(());
        }
        Err(Error::invalid(
            format!("value \"{value}\""),
            "a name used once",
            "a second use",
        ))
    }

    /// The finished graph, without name, inputs and outputs.
    pub(super) fn finish(self) -> GraphProto {
        self.graph
    }
}

/// An integer attribute.
pub(super) fn int(name: &str, value: usize) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        type_: AttributeType::INT.into(),
        i: value as i64,
        ..AttributeProto::default()
    }
}

/// An attribute of several integers.
pub(super) fn ints<const LENGTH: usize>(name: &str, values: [usize; LENGTH]) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        type_: AttributeType::INTS.into(),
        ints: values.map(|value| value as i64).to_vec(),
        ..AttributeProto::default()
    }
}

/// A float attribute.
pub(super) fn float(name: &str, value: f32) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        type_: AttributeType::FLOAT.into(),
        f: value,
        ..AttributeProto::default()
    }
}
