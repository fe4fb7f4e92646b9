//! A model that shows what is inside a network: the outputs of chosen nodes instead of the logits.

use askd_models::{Graph, NodeId, Op};
use askd_runtime::Batch;
use onnx_protobuf::tensor_proto::DataType;

use super::emitter::{Emitter, int};
use super::{Arithmetic, INPUT, ModelInfo, emit_nodes, image_info, metadata, model_bytes, value_info};
use crate::Result;
use crate::weights::{self, Weights};

/// Name of a probe's output.
const OUTPUT: &str = "values";

/// The bytes of an ONNX model that gives the outputs of `nodes`, flattened, one behind the other.
///
/// # Shapes
/// - input `image`: f32 `(1, C, H, W)`, normalised
/// - output `values`: f32 `(1, sum of the nodes' elements)`
///
/// # Errors
/// [`crate::Error::WeightsMismatch`] if `weights` are not the graph's, [`crate::Error::InvalidValue`] if two values would share a
/// name or an operation has no ONNX form.
pub(crate) fn write_probe(graph: &Graph, weights: &Weights, nodes: &[NodeId]) -> Result<Vec<u8>> {
    weights::check(graph, weights, weights::IN_MEMORY)?;
    let name = |node: &askd_models::Node| match node.op {
        Op::Input => INPUT.to_owned(),
        _ => format!("inside.{}", node.name),
    };
    let names: Vec<String> = graph.nodes().iter().map(name).collect();
    let mut emitter = Emitter::new(weights, Arithmetic::Float);
    emit_nodes(graph, Arithmetic::Float, names.clone(), &mut emitter)?;
    let mut parts = Vec::new();
    for id in nodes {
        let value = &names[id.index()];
        let (node, output) = (format!("{OUTPUT}.flatten.{value}"), format!("{OUTPUT}.{value}"));
        emitter.node("Flatten", &node, &[value], &output, vec![int("axis", 1)])?;
        parts.push(output);
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    emitter.node("Concat", OUTPUT, &parts, OUTPUT, vec![int("axis", 1)])?;

    let elements = nodes.iter().map(|id| graph.node(*id).shape.elements()).sum();
    let info = ModelInfo::new(Batch::One);
    let mut proto = emitter.finish();
    proto.name = graph.name().to_owned();
    proto.input = vec![image_info(graph, info.batch)];
    proto.output = vec![value_info(OUTPUT, DataType::FLOAT, info.batch, &[elements])];
    model_bytes(proto, String::new(), metadata(graph, &info), &info)
}
