use super::*;

fn node(name: &str, operator: &str, inputs: &[&str]) -> OnnxNode {
    let mut node = OnnxNode::default();
    node.name = name.to_owned();
    node.operator = operator.to_owned();
    node.inputs = inputs.iter().map(|input| (*input).to_owned()).collect();
    node.outputs = vec![name.to_owned()];
    node
}

fn profiled(name: &str, operator: &str, shape: &[i64]) -> NodeProfile {
    let mut node = NodeProfile::default();
    node.placement.node = name.to_owned();
    node.placement.operator = operator.to_owned();
    node.output_shapes = vec![shape.to_vec()];
    node
}

/// Two convolutions, the second on weights of 8 bits and added to the first, each with its ReLU; then a linear layer.
fn layers() -> Layers {
    let mut graph = OnnxGraph::default();
    graph.nodes = vec![
        node("a", "Conv", &["image", "a.weight", "a.bias"]),
        node("a.relu", "Relu", &["a"]),
        node("b.weight", "DequantizeLinear", &["b.int8", "b.scale"]),
        node("b", "Conv", &["a.relu", "b.weight"]),
        node("add", "Add", &["b", "a.relu"]),
        node("add.relu", "Relu", &["add"]),
        node("flat", "Flatten", &["add.relu"]),
        node("linear", "Gemm", &["flat", "linear.weight", "linear.bias"]),
    ];
    let constants = [
        ("a.weight", vec![4, 3, 3, 3]),
        ("a.bias", vec![4]),
        ("b.int8", vec![4, 1, 3, 3]),
        ("b.scale", vec![4]),
        ("linear.weight", vec![10, 256]),
        ("linear.bias", vec![10]),
    ];
    graph.constants = constants.map(|(name, shape)| (name.to_owned(), shape)).into();
    let unfused = [
        profiled("a", "Conv", &[1, 4, 8, 8]),
        profiled("b", "Conv", &[1, 4, 8, 8]),
        profiled("linear", "Gemm", &[1, 10]),
    ];
    Layers::new(graph, &unfused)
}

const A: u64 = 8 * 8 * 4 * 27;
/// Depthwise: each channel has 9 weights.
const B: u64 = 8 * 8 * 4 * 9;
const LINEAR: u64 = 2560;

fn joined(profile: &[(&str, &str)]) -> Vec<Option<(String, Option<u64>)>> {
    let profile: Vec<_> = profile
        .iter()
        .map(|(name, operator)| profiled(name, operator, &[]))
        .collect();
    layers().of(&profile)
}

fn layer(name: &str, macs: Option<u64>) -> Option<(String, Option<u64>)> {
    Some((name.to_owned(), macs))
}

#[test]
fn work_is_counted_by_weights_and_outputs() {
    assert_eq!(layers().total(), A + B + LINEAR);
    assert_eq!(
        joined(&[("a", "Conv"), ("add", "Add"), ("linear", "Gemm")]),
        [layer("a", Some(A)), layer("add", None), layer("linear", Some(LINEAR))]
    );
}

#[test]
fn a_fused_node_is_the_layer_that_multiplies() {
    let found = joined(&[
        ("a.relu_nchwc", "Conv"),
        ("add.relu_nchwc", "Conv"),
        ("ReorderOutput_token_4", "ReorderOutput"),
        ("linear_token_9", "QGemm"),
    ]);
    let expected = [
        layer("a", Some(A)),
        layer("b", Some(B)),
        None,
        layer("linear", Some(LINEAR)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_helper_has_its_layers_name_and_not_its_work() {
    let found = joined(&[("b_bias_dq", "DequantizeLinear"), ("b", "Conv")]);
    assert_eq!(found, [layer("b", None), layer("b", Some(B))]);
}

#[test]
fn no_layer_is_given_to_two_nodes() {
    let found = joined(&[("a_token_1", "QLinearConv"), ("a.relu_nchwc", "FusedConv")]);
    // nothing else lies before it, so it stays what its name says
    assert_eq!(found, [layer("a", Some(A)), layer("a.relu", None)]);
}

#[test]
fn a_name_is_not_taken_for_the_beginning_of_another() {
    let found = joined(&[
        ("ab", "Conv"),
        ("linear2_nchwc", "Conv"),
        ("fused a", "FusedConv"),
        ("", "Conv"),
    ]);
    assert_eq!(found, [None, None, layer("a", Some(A)), None]);
}

#[test]
fn shapes_that_make_no_sense_give_nothing() {
    assert_eq!(macs("Conv", &[1, 0, 4, 4], 9), None);
    assert_eq!(macs("Conv", &[1, -1, 4, 4], 9), None);
    assert_eq!(macs("Gemm", &[], 9), None);
    assert_eq!(macs("Conv", &[i64::MAX, 4, i64::MAX], 9), None);
}
