//! The ONNX graph under construction: nodes and initialisers, every value named once.

use std::collections::HashSet;

use askd_models::{Node, Parameter, Role, Shape};
use half::f16;
use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::{AttributeProto, GraphProto, NodeProto, TensorProto, tensor_proto};

use super::Arithmetic;
use super::integers;
use super::values::Rounding;
use crate::quantize::IntegerLayer;
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
    /// The layer's tensors as integers, if it computes with integers.
    pub(super) integer: Option<&'a IntegerLayer>,
    /// How its output becomes integers, of a node that must see to that itself.
    pub(super) rounding: Option<Rounding<'a>>,
    /// Name of the integer that stands for zero, of a node that moves integers.
    pub(super) zero: Option<&'a str>,
}

/// Collects ONNX nodes and initialisers.
pub(super) struct Emitter<'a> {
    graph: GraphProto,
    weights: &'a Weights,
    /// Whether floats are written in 16 bits.
    half: bool,
    /// Names of values and initialisers, which share one name space.
    values: HashSet<String>,
}

impl<'a> Emitter<'a> {
    pub(super) fn new(weights: &'a Weights, arithmetic: Arithmetic<'_>) -> Self {
        Self {
            graph: GraphProto::default(),
            weights,
            half: matches!(arithmetic, Arithmetic::Half),
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

    /// Appends a Pad node that surrounds a map with zeros: `beginnings` and `ends` of N, C, H, W; `zero` names the integer that stands
    /// for zero, in a map of integers.
    ///
    /// **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__Pad.html>, opset 13.
    pub(super) fn pad(
        &mut self,
        name: &str,
        input: &str,
        [beginnings, ends]: [[usize; 4]; 2],
        zero: Option<&str>,
        output: &str,
    ) -> Result<()> {
        let pads = format!("{name}.pads");
        let around: Vec<i64> = beginnings.into_iter().chain(ends).map(|count| count as i64).collect();
        self.ints(&pads, &around)?;
        // without a value the mode "constant" pads the number 0
        let inputs: Vec<&str> = [input, &pads].into_iter().chain(zero).collect();
        self.node("Pad", name, &inputs, output, Vec::new())
    }

    /// Appends all tensors a node owns as initialisers, in their order; gives the names under which they are read.
    pub(super) fn parameters(&mut self, step: &Step<'_>) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for Parameter { name, role, .. } in step.node.parameters() {
            // the weights were checked against the graph
            let tensor = &self.weights[&name];
            names.push(match (step.integer, role) {
                (Some(layer), Role::Weight) => integers::weights(layer, &name, self)?,
                (
                    Some(IntegerLayer {
                        biases: Some(biases), ..
                    }),
                    Role::Bias,
                ) => integers::biases(biases, &name, self)?,
                _ => {
                    self.floats(&name, &tensor.shape, &tensor.data)?;
                    name
                }
            });
        }
        Ok(names)
    }

    /// Appends one tensor that a node owns as an initialiser of another shape, with as many values.
    pub(super) fn parameter_as(&mut self, name: &str, shape: &[usize]) -> Result<()> {
        let values = &self.weights[name].data;
        self.floats(name, shape, values)
    }

    /// The type of floats in this model.
    pub(super) fn float_type(&self) -> tensor_proto::DataType {
        if self.half {
            tensor_proto::DataType::FLOAT16
        } else {
            tensor_proto::DataType::FLOAT
        }
    }

    /// Appends a float initialiser, of 16 bits in a model that computes with those.
    pub(super) fn floats(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Result<()> {
        if self.half {
            let halves: Vec<f16> = values.iter().map(|value| f16::from_f32(*value)).collect();
            if let Some(beyond) = halves.iter().position(|half| !half.is_finite()) {
                let expected = format!("within {}, which 16 bits hold", f16::MAX);
                return Err(Error::invalid(format!("{name}[{beyond}]"), expected, values[beyond]));
            }
            let bytes = halves.iter().flat_map(|half| half.to_le_bytes()).collect();
            return self.initialiser(name, tensor_proto::DataType::FLOAT16, shape, bytes);
        }
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initialiser(name, tensor_proto::DataType::FLOAT, shape, bytes)
    }

    /// Appends a vector of integers as an initialiser.
    pub(super) fn ints(&mut self, name: &str, values: &[i64]) -> Result<()> {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.initialiser(name, tensor_proto::DataType::INT64, &[values.len()], bytes)
    }

    /// Appends an initialiser of any type; `bytes` are its values, little-endian.
    pub(super) fn initialiser(
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
