use askd_models::{DistilledOptions, Graph, LOGITS, NetworkConfig, Op, build, distilled_student, networks};
use askd_runtime::Batch;
use onnx_protobuf::attribute_proto::AttributeType;
use onnx_protobuf::{AttributeProto, Message, ModelProto, NodeProto, OperatorSetIdProto, TensorProto};

use super::*;
use crate::nn::initialise;
use crate::onnx::{ModelInfo, write_model};
use crate::passes;

mod hostile;
mod shapes;

fn dims(sizes: &[u64]) -> Vec<Dimension> {
    sizes.iter().copied().map(Dimension::Known).collect()
}

/// The report on `graph` as it is written, without passes.
fn report(graph: &Graph, batch: Batch) -> OnnxReport {
    let bytes = write_model(graph, &initialise(graph, 1), &ModelInfo::new(batch)).unwrap();
    OnnxReport::of(&bytes).unwrap()
}

/// Each layer's shape in the file is that of its node in the graph, and the sums are the graph's.
fn agrees(graph: &Graph, batch: Batch) {
    let graph = graph.keep_outputs(&[LOGITS]).unwrap();
    let report = report(&graph, batch);
    let first = match batch {
        Batch::One => Dimension::Known(1),
        Batch::Dynamic => Dimension::Symbol("N".to_owned()),
    };
    let logits = graph.output_id(LOGITS).unwrap();
    for (id, node) in graph.iter().filter(|(_, node)| node.op != Op::Input) {
        // of several ONNX nodes that one of ours becomes, the last has its name, except where a map becomes a vector
        let name = match node.op {
            Op::GlobalAveragePool => format!("{}.flatten", node.name),
            _ => node.name.clone(),
        };
        let layer = report.layers.iter().find(|layer| layer.name == name);
        let layer = layer.unwrap_or_else(|| panic!("{}: no {name}", graph.name()));
        let sizes: Vec<u64> = node.shape.dims().into_iter().map(|size| size as u64).collect();
        let expected: Vec<_> = [first.clone()].into_iter().chain(dims(&sizes)).collect();
        assert_eq!(layer.shape.as_ref(), Some(&expected), "{}: {name}", graph.name());
        if id == logits {
            assert_eq!(report.outputs[0].shape.as_ref(), Some(&expected));
        }
    }
    assert_eq!(report.parameters, graph.parameter_count() as u64, "{}", graph.name());
    assert_eq!(report.macs, Some(graph.macs() as u64), "{}", graph.name());
    assert_eq!(report.bytes, report.layers.iter().map(|layer| layer.bytes).sum::<u64>());
    let text = report.to_string();
    let table = text
        .lines()
        .skip_while(|line| !line.starts_with("node "))
        .take_while(|line| !line.starts_with("total"));
    assert_eq!(table.count(), 1 + report.layers.len());
}

#[test]
fn every_network_is_told_as_its_graph_tells_it() {
    for network in networks() {
        agrees(
            &network.build(&NetworkConfig::new([3, 32, 32], 10)).unwrap(),
            Batch::One,
        );
    }
    let odd = NetworkConfig::new([1, 29, 31], 7);
    for name in ["resnet8", "resnet8x4", "mobilenetv2_0.5", "vgg8"] {
        agrees(&build(name, &odd).unwrap(), Batch::Dynamic);
    }
}

#[test]
fn a_student_of_two_teachers_is_told_after_the_passes() {
    let config = NetworkConfig::new([3, 32, 32], 10);
    let [student, one, two] = ["resnet8", "resnet20", "vgg8"].map(|name| build(name, &config).unwrap());
    let student = distilled_student(&student, &[&one, &two], &DistilledOptions::default()).unwrap();
    let mut weights = initialise(&student, 1);
    let shipped = passes::run_all(&student, &mut weights).unwrap();
    let report = OnnxReport::of(&write_model(&shipped, &weights, &ModelInfo::new(Batch::Dynamic)).unwrap()).unwrap();
    let merged = report.layers.iter().find(|layer| layer.op == "Concat").unwrap();
    let wide = vec![Dimension::Symbol("N".to_owned()), Dimension::Known(64 + 512)];
    assert_eq!(merged.shape.as_ref(), Some(&wide));
    assert!(
        report
            .layers
            .iter()
            .all(|layer| layer.shape.is_some() && layer.macs.is_some())
    );
    assert_eq!(report.nodes, report.layers.len() as u64);
}

fn attribute(name: &str, ints: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        type_: AttributeType::INTS.into(),
        ints: ints.to_vec(),
        ..AttributeProto::default()
    }
}

fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        type_: AttributeType::INT.into(),
        i: value,
        ..AttributeProto::default()
    }
}

fn node(op: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        op_type: op.to_owned(),
        input: inputs.iter().map(|name| (*name).to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute: attributes,
        ..NodeProto::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        data_type: 7,
        dims: vec![values.len() as i64],
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

fn floats(name: &str, dims: &[i64]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        data_type: 1,
        dims: dims.to_vec(),
        raw_data: vec![0; 4 * dims.iter().product::<i64>() as usize],
        ..TensorProto::default()
    }
}

/// A model around these nodes whose input `x` is f32 `(N, 3, 8, 6)`.
fn model(nodes: Vec<NodeProto>, tensors: Vec<TensorProto>) -> ModelProto {
    let template = build("resnet8", &NetworkConfig::new([3, 8, 8], 2)).unwrap();
    let bytes = write_model(&template, &initialise(&template, 1), &ModelInfo::new(Batch::Dynamic)).unwrap();
    let (_, mut model) = read_model(&bytes).unwrap();
    let graph = model.graph.as_mut().unwrap();
    graph.input[0].name = "x".to_owned();
    let shape = match &mut graph.input[0].type_.as_mut().unwrap().value {
        Some(type_proto::Value::TensorType(tensor)) => tensor.shape.as_mut().unwrap(),
        other => panic!("a tensor was written, not {other:?}"),
    };
    shape.dim[2].set_dim_value(8);
    shape.dim[3].set_dim_value(6);
    graph.output.clear();
    graph.node = nodes;
    graph.initializer = tensors;
    model
}

fn of(model: &ModelProto) -> Result<OnnxReport> {
    OnnxReport::of(&model.write_to_bytes().unwrap())
}

/// Text of the shape that a lone node gives to `x`.
fn shape_of(node: NodeProto, tensors: Vec<TensorProto>) -> String {
    shape_text(of(&model(vec![node], tensors)).unwrap().layers[0].shape.as_deref())
}

#[test]
fn what_is_not_known_is_not_counted_as_nothing() {
    let w = || floats("w", &[5, 3, 3, 3]);
    let known = of(&model(vec![node("Conv", &["x", "w"], "y", vec![])], vec![w()])).unwrap();
    assert_eq!(
        (known.parameters, known.macs, known.bytes),
        (135, Some(5 * 6 * 4 * 27), 4 * 135)
    );
    let nodes = vec![
        node("Conv", &["x", "w"], "y", vec![]),
        node("Einsum", &["y"], "z", vec![]),
    ];
    let unknown = of(&model(nodes, vec![w()])).unwrap();
    assert_eq!(
        (unknown.layers[0].macs, unknown.layers[1].macs, unknown.macs),
        (Some(3240), None, None)
    );
    let json = serde_json::to_value(&unknown).unwrap();
    assert_eq!(
        (&json["macs"], &json["layers"][1]["shape"]),
        (&serde_json::Value::Null, &serde_json::Value::Null)
    );
    assert_eq!(json["layers"][0]["shape"], serde_json::json!(["N", 5, 6, 4]));
    assert_eq!(json["layers"][0]["name"], "y");
}

#[test]
fn a_weight_is_counted_where_it_is_first_read_and_scales_are_not() {
    let mut weight = floats("q", &[5, 3, 3, 3]);
    (weight.data_type, weight.raw_data) = (3, vec![0; 135]);
    let mut zero = integers("zero", &[]);
    (zero.data_type, zero.dims, zero.raw_data) = (3, vec![5], vec![0; 5]);
    let nodes = vec![
        node(
            "DequantizeLinear",
            &["q", "scale", "zero"],
            "w",
            vec![integer("axis", 0)],
        ),
        node("Conv", &["x", "w"], "y", vec![attribute("pads", &[1; 4])]),
        node("Conv", &["x", "w"], "z", vec![attribute("pads", &[1; 4])]),
    ];
    let report = of(&model(nodes, vec![weight, floats("scale", &[5]), zero])).unwrap();
    let parameters: Vec<_> = report.layers.iter().map(|layer| layer.parameters).collect();
    assert_eq!(parameters, [135, 0, 0]);
    assert_eq!((report.layers[0].bytes, report.bytes), (135 + 20 + 5, 160));
    assert_eq!(report.macs, Some(2 * 5 * 8 * 6 * 27));
}
