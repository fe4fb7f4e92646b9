//! Writes a graph as an ONNX model.
//!
//! The model stands alone: what it is, its labels and its preprocessing are in its metadata, so any ONNX tool can use
//! it. The same graph, weights and [`ModelInfo`] give the same bytes. Files are parsed only after the runtime's own reader
//! has passed them: the protobuf library in use is not safe with foreign files (RUSTSEC-2024-0437).
//!
//! To add an operation: a file in `ops/` that opens with the link to its ONNX page and its opset, and one arm in
//! `ops.rs`.

mod emitter;
mod info;
mod integers;
mod ops;
mod probe;
mod read;
mod values;

use std::collections::BTreeMap;

use askd_models::{Graph, LOGITS, Op, Shape};
use askd_runtime::Batch;
use onnx_protobuf::tensor_proto::DataType;
use onnx_protobuf::tensor_shape_proto::{Dimension, dimension};
use onnx_protobuf::{
    GraphProto, Message, ModelProto, OperatorSetIdProto, StringStringEntryProto, TensorShapeProto, TypeProto,
    ValueInfoProto, type_proto,
};

pub use info::ModelInfo;

pub(crate) use probe::write_probe;
pub(crate) use read::read_model;

use self::emitter::{Emitter, Step};
use self::values::Values;
use crate::quantize::Plan;
use crate::weights::{self, Weights};
use crate::{Error, Result};

/// Version of the default operator set that models are written in.
///
/// Source: ONNX Runtime 1.12 and later take it, <https://onnxruntime.ai/docs/reference/compatibility.html>.
pub const OPSET: u32 = 17;

/// ONNX IR version that models are written in; the one that belongs to opset 17.
///
/// Source: <https://github.com/onnx/onnx/blob/main/docs/Versioning.md>.
pub const IR_VERSION: u32 = 8;

/// Name of the model's input, the image.
pub const INPUT: &str = "image";

/// Symbol of the batch dimension of a model with a dynamic batch.
const BATCH_SYMBOL: &str = "N";

/// The bytes of an ONNX model that computes the graph's logits.
///
/// Nodes keep their names; the value a node computes has the node's name, except that the last is `logits`; tensors
/// keep their checkpoint names. What the logits do not need is not written.
///
/// # Shapes
/// - input `image`: f32 `(N, C, H, W)`, normalised, or u8 `(N, H, W, C)` of raw pixels, if that is what the graph takes
///   ([`Graph::takes_pixels`]); N is 1 or free, as `info.batch` says
/// - output `logits`: f32 `(N, K)`
///
/// # Errors
/// [`Error::WeightsMismatch`] if `weights` are not the graph's, [`Error::Network`] if it has no logits,
/// [`Error::InvalidValue`] if they are no vector, two values would share a name, or an operation has no ONNX form.
pub fn write_model(graph: &Graph, weights: &Weights, info: &ModelInfo) -> Result<Vec<u8>> {
    write_model_in(Arithmetic::Float, graph, weights, info)
}

/// What a model computes with.
#[derive(Debug, Clone, Copy)]
pub enum Arithmetic<'a> {
    /// Floats of 32 bits.
    Float,
    /// Floats of 16 bits; image and logits stay at 32.
    Half,
    /// Integers where the plan has them, floats of 32 bits elsewhere: each value that is integers is followed by
    /// QuantizeLinear and DequantizeLinear, from which an engine makes integer kernels.
    Integer(&'a Plan),
}

/// As [`write_model`], in any arithmetic.
///
/// # Errors
/// Those of [`write_model`], and [`Error::InvalidValue`] if the graph of a plan has nodes that the logits do not need, or a
/// weight is beyond what 16 bits hold.
pub fn write_model_in(
    arithmetic: Arithmetic<'_>,
    graph: &Graph,
    weights: &Weights,
    info: &ModelInfo,
) -> Result<Vec<u8>> {
    let kept = graph.keep_outputs(&[LOGITS])?;
    if matches!(arithmetic, Arithmetic::Integer(_)) && kept.nodes().len() != graph.nodes().len() {
        let got = format!("{} of {}", kept.nodes().len(), graph.nodes().len());
        return Err(Error::invalid(
            "graph to quantise",
            "nothing but what its logits need",
            got,
        ));
    }
    write(&kept, graph, weights, arithmetic, info)
}

/// Writes `graph`, what the logits need of `whole`, whose tensors `weights` are.
fn write(
    graph: &Graph,
    whole: &Graph,
    weights: &Weights,
    arithmetic: Arithmetic<'_>,
    info: &ModelInfo,
) -> Result<Vec<u8>> {
    weights::check(whole, weights, weights::IN_MEMORY)?;
    let classes = match graph.output(LOGITS)?.shape {
        Shape::Vector(classes) => classes,
        shape @ Shape::Map(_) => return Err(Error::invalid("logits", "a vector", shape)),
    };

    let mut emitter = Emitter::new(weights, arithmetic);
    emit_nodes(graph, arithmetic, value_names(graph)?, &mut emitter)?;

    let mut proto = emitter.finish();
    proto.name = graph.name().to_owned();
    proto.input = vec![image_info(graph, info.batch)];
    proto.output = vec![value_info(LOGITS, DataType::FLOAT, info.batch, &[classes])];
    let description = describe(graph, classes);
    model_bytes(proto, description, metadata(graph, info), info)
}

/// The graph's input: floats `(N, C, H, W)`, or pixels `(N, H, W, C)`.
fn image_info(graph: &Graph, batch: Batch) -> ValueInfoProto {
    let [channels, height, width] = graph.input_shape();
    match graph.takes_pixels() {
        true => value_info(INPUT, DataType::UINT8, batch, &[height, width, channels]),
        false => value_info(INPUT, DataType::FLOAT, batch, &[channels, height, width]),
    }
}

/// Writes every node in order, with what follows those whose values have other forms than floats.
fn emit_nodes(graph: &Graph, arithmetic: Arithmetic<'_>, names: Vec<String>, emitter: &mut Emitter<'_>) -> Result<()> {
    let values = Values::new(graph, arithmetic, names);
    for (id, node) in graph.iter() {
        values.emit_affine(id, emitter)?;
        if node.op != Op::Input {
            let step = Step {
                node,
                inputs: node.inputs.iter().map(|input| values.read(id, *input)).collect(),
                input_shapes: node.inputs.iter().map(|input| graph.node(*input).shape).collect(),
                output: values.written(id),
                integer: values.layer(id),
                rounding: values.rounding(id),
                zero: values.zero(id),
            };
            ops::emit(&step, emitter)?;
        }
        values.emit_forms(id, emitter)?;
    }
    Ok(())
}

/// The bytes of a model around `graph`.
fn model_bytes(
    graph: GraphProto,
    doc_string: String,
    metadata_props: Vec<StringStringEntryProto>,
    info: &ModelInfo,
) -> Result<Vec<u8>> {
    let model = ModelProto {
        ir_version: i64::from(IR_VERSION),
        opset_import: vec![OperatorSetIdProto {
            version: i64::from(OPSET),
            ..OperatorSetIdProto::default()
        }],
        producer_name: info.producer_name.clone(),
        producer_version: info.producer_version.clone(),
        doc_string,
        metadata_props,
        graph: Some(graph).into(),
        ..ModelProto::default()
    };
    model
        .write_to_bytes()
        .map_err(|error| Error::invalid("ONNX model", "at most 2 GiB", error))
}

/// The name of each node's value, in node order.
fn value_names(graph: &Graph) -> Result<Vec<String>> {
    let logits = graph.output_id(LOGITS)?;
    let name = |(id, node): (_, &askd_models::Node)| {
        if id == logits {
            return Ok(LOGITS.to_owned());
        }
        if node.name == LOGITS {
            return Err(Error::invalid(
                "node \"logits\"",
                "the last of the graph",
                "one before it",
            ));
        }
        Ok(if node.op == Op::Input {
            INPUT.to_owned()
        } else {
            node.name.clone()
        })
    };
    graph.iter().map(name).collect()
}

/// A tensor with the batch before `dims`.
fn value_info(name: &str, data_type: DataType, batch: Batch, dims: &[usize]) -> ValueInfoProto {
    let first = match batch {
        Batch::One => dimension::Value::DimValue(1),
        Batch::Dynamic => dimension::Value::DimParam(BATCH_SYMBOL.to_owned()),
    };
    let rest = dims.iter().map(|dim| dimension::Value::DimValue(*dim as i64));
    let dim = std::iter::once(first).chain(rest).map(|value| Dimension {
        value: Some(value),
        ..Dimension::default()
    });
    let shape = TensorShapeProto {
        dim: dim.collect(),
        ..TensorShapeProto::default()
    };
    let tensor = type_proto::Tensor {
        elem_type: data_type as i32,
        shape: Some(shape).into(),
        ..type_proto::Tensor::default()
    };
    let value_type = TypeProto {
        value: Some(type_proto::Value::TensorType(tensor)),
        ..TypeProto::default()
    };
    ValueInfoProto {
        name: name.to_owned(),
        type_: Some(value_type).into(),
        ..ValueInfoProto::default()
    }
}

fn describe(graph: &Graph, classes: usize) -> String {
    let shape = Shape::Map(graph.input_shape());
    let input = match graph.takes_pixels() {
        true => format!("u8 (N, H, W, C), raw pixels of (C, H, W) = {shape}"),
        false => format!("f32 (N, C, H, W) of {shape}, normalised as metadata \"preprocessing\" says"),
    };
    format!(
        "{}, an image classifier of {classes} classes. Input \"{INPUT}\": {input}. Output \"{LOGITS}\": f32 (N, K), scores \
         before softmax in the order of metadata \"labels\".",
        graph.name(),
    )
}

fn metadata(graph: &Graph, info: &ModelInfo) -> Vec<StringStringEntryProto> {
    let mut all = BTreeMap::from([("network", graph.name())]);
    all.extend(info.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())));
    let entry = |(key, value): (&str, &str)| StringStringEntryProto {
        key: key.to_owned(),
        value: value.to_owned(),
        ..StringStringEntryProto::default()
    };
    all.into_iter().map(entry).collect()
}
