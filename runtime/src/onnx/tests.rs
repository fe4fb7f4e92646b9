//! Models written byte by byte, each with one thing that must not be there.

use proptest::prelude::*;

use super::*;
use crate::manifest;

const FIXED: &[u8] = include_bytes!("../../tests/fixtures/tiny_fixed.onnx");
const GOOD: OnnxVersions = OnnxVersions {
    ir_version: 8,
    opset: 17,
};

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

/// A field that is a number.
fn number(field: u64, value: u64) -> Vec<u8> {
    [varint(field << 3), varint(value)].concat()
}

/// A field that is text, bytes or a message.
fn bytes(field: u64, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    [&varint(field << 3 | 2), &varint(value.len() as u64), value].concat()
}

/// A model with this graph.
fn model(graph: impl AsRef<[u8]>) -> Vec<u8> {
    [number(1, 8), bytes(7, graph), bytes(8, number(2, 17))].concat()
}

fn node(content: impl AsRef<[u8]>) -> Vec<u8> {
    model(bytes(1, content))
}

fn attribute(content: impl AsRef<[u8]>) -> Vec<u8> {
    node(bytes(5, content))
}

fn initializer(content: impl AsRef<[u8]>) -> Vec<u8> {
    model(bytes(5, content))
}

/// The field that is refused for what it holds, and that.
fn content(model: &[u8]) -> (String, String) {
    match OnnxVersions::read(model) {
        Err(Error::OnnxContent { field, found }) => (field, found),
        other => panic!("unexpected {other:?}"),
    }
}

/// The field that is not well-formed.
fn malformed(model: &[u8]) -> String {
    match OnnxVersions::read(model) {
        Err(Error::OnnxFormat { field, .. }) => field,
        other => panic!("unexpected {other:?}"),
    }
}

#[test]
fn models_of_onnxs_own_tools_pass() {
    for file in [
        FIXED,
        include_bytes!("../../tests/fixtures/tiny_dynamic.onnx"),
        include_bytes!("../../tests/fixtures/tiny_batch2.onnx"),
        include_bytes!("../../tests/fixtures/tiny_u8.onnx"),
        include_bytes!("../../tests/fixtures/tiny_two_outputs.onnx"),
        include_bytes!("../../tests/fixtures/tiny_other_name.onnx"),
        include_bytes!("../../tests/fixtures/tiny_qdq.onnx"),
        &model(""),
    ] {
        assert_eq!(OnnxVersions::read(file).unwrap(), GOOD);
    }
}

#[test]
fn what_a_model_must_not_hold_is_named() {
    let refused = |model: &[u8], field: &str, found: &str| {
        assert_eq!(content(model), (field.to_owned(), found.to_owned()));
    };
    let elsewhere = bytes(13, [bytes(1, "location"), bytes(2, "../../secret")].concat());
    refused(
        &initializer(&elsewhere),
        "graph.initializer[0].external_data[0]",
        "data in another file",
    );
    refused(
        &attribute(bytes(5, &elsewhere)),
        "graph.node[0].attribute[0].t.external_data[0]",
        "data in another file",
    );
    refused(
        &attribute([bytes(10, ""), bytes(10, number(14, 1))].concat()),
        "graph.node[0].attribute[0].tensors[1].data_location",
        "data elsewhere, at location 1",
    );
    for domain in ["com.microsoft", "ai.onnx.ml", "AI.ONNX", "\0"] {
        let (field, found) = content(&model([bytes(1, ""), bytes(1, bytes(7, domain))].concat()));
        assert_eq!(field, "graph.node[1].domain");
        assert_eq!(found, format!("an operator of domain {domain:?}"));
    }
    refused(
        &node(bytes(8, "mine")),
        "graph.node[0].overload",
        "the overload of a function, \"mine\"",
    );
    refused(&attribute(bytes(6, "")), "graph.node[0].attribute[0].g", "a subgraph");
    refused(
        &attribute(bytes(11, "")),
        "graph.node[0].attribute[0].graphs[0]",
        "a subgraph",
    );
    refused(
        &attribute(number(20, 5)),
        "graph.node[0].attribute[0].type",
        "an attribute of type 5",
    );
    refused(
        &attribute(bytes(22, "")),
        "graph.node[0].attribute[0].sparse_tensor",
        "a sparse tensor",
    );
    refused(&model(bytes(15, "")), "graph.sparse_initializer[0]", "a sparse tensor");
    refused(
        &model(bytes(11, bytes(2, bytes(4, "")))),
        "graph.input[0].type.sequence_type",
        "a sequence",
    );
    let with = |field| [model(""), bytes(field, "")].concat();
    refused(&with(20), "training_info[0]", "training information");
    refused(&with(25), "functions[0]", "a function of its own");
}

#[test]
fn a_location_that_is_cut_to_32_bits_is_no_way_round() {
    let beyond = number(14, 1 << 32 | 1);
    assert_eq!(content(&initializer(beyond)).0, "graph.initializer[0].data_location");
    let beyond = number(20, 1 << 32 | 5);
    assert_eq!(content(&attribute(beyond)).0, "graph.node[0].attribute[0].type");
    let beyond = number(2, 1 << 32 | 1);
    assert_eq!(malformed(&initializer(beyond)), "graph.initializer[0].data_type");
}

#[test]
fn there_is_one_graph_and_one_set_of_versions() {
    let (graph, opset) = (bytes(7, ""), bytes(8, number(2, 17)));
    assert_eq!(malformed(b""), "graph");
    assert_eq!(malformed(&[number(1, 8), opset.clone()].concat()), "graph");
    assert_eq!(malformed(&[model(""), graph.clone()].concat()), "graph");
    assert_eq!(malformed(&[graph.clone(), opset.clone()].concat()), "ir_version");
    assert_eq!(malformed(&[model(""), number(1, 8)].concat()), "ir_version");
    assert_eq!(malformed(&[number(1, 8), graph.clone()].concat()), "opset_import");
    assert_eq!(
        malformed(&[model(""), bytes(8, bytes(1, "ai.onnx"))].concat()),
        "opset_import"
    );
    for version in [0, u64::MAX, 1 << 32 | 8] {
        let model = [number(1, version), graph.clone(), opset.clone()].concat();
        assert_eq!(malformed(&model), "ir_version");
    }
    let foreign = bytes(8, [bytes(1, "com.microsoft"), number(2, 1)].concat());
    assert_eq!(OnnxVersions::read(&[model(""), foreign].concat()).unwrap(), GOOD);
}

#[test]
fn versions_are_the_manifests() {
    let mut variant = manifest::tests::sample().variants.remove(0);
    GOOD.check_against(&variant).unwrap();
    variant.opset = 18;
    let error = GOOD.check_against(&variant).unwrap_err();
    assert_eq!(
        error.to_string(),
        "onnx model: opset_import: expected version 18 by the manifest, got version 17"
    );
    variant.ir_version = 9;
    let error = GOOD.check_against(&variant).unwrap_err();
    assert!(matches!(error, Error::OnnxFormat { field, .. } if field == "ir_version"));
}

#[test]
fn what_is_not_of_the_table_is_malformed() {
    assert_eq!(malformed(b"not an onnx file"), "file");
    // unknown fields, and field numbers with the wrong wire type
    assert_eq!(malformed(&[model(""), number(99, 1)].concat()), "file");
    assert_eq!(malformed(&node(bytes(10, ""))), "graph.node[0]");
    assert_eq!(malformed(&node(number(5, 1))), "graph.node[0].attribute[0]");
    assert_eq!(malformed(&attribute(bytes(3, ""))), "graph.node[0].attribute[0].i");
    // a name that is no text, once or twice
    assert_eq!(malformed(&node(bytes(4, [0xff]))), "graph.node[0].op_type");
    assert_eq!(
        malformed(&node([bytes(4, "A"), bytes(4, "B")].concat())),
        "graph.node[0].op_type"
    );
    // packed numbers that end within a number
    assert_eq!(
        malformed(&initializer(bytes(1, [1, 0x80]))),
        "graph.initializer[0].dims[0]"
    );
    assert_eq!(
        malformed(&initializer(bytes(4, [0; 5]))),
        "graph.initializer[0].float_data[0]"
    );
    // an inner length that fits the file, but not its message
    assert_eq!(
        malformed(&[node([0x22, 3]), bytes(6, "more")].concat()),
        "graph.node[0]"
    );
}

#[test]
fn packed_and_single_numbers_are_both_read() {
    let single = [number(1, 3), number(1, 4), number(5, u64::MAX)].concat();
    let packed = [bytes(1, [3, 4]), bytes(5, [1, 2]), bytes(4, [0; 8]), bytes(10, [0; 16])].concat();
    for tensor in [single, packed] {
        assert_eq!(OnnxVersions::read(&initializer(tensor)).unwrap(), GOOD);
    }
}

#[test]
fn graphs_within_graphs_end_at_the_first() {
    let mut graph = Vec::new();
    for _ in 0..10_000 {
        graph = bytes(1, bytes(5, bytes(6, graph)));
    }
    assert_eq!(content(&model(graph)).0, "graph.node[0].attribute[0].g");
}

#[test]
fn hostile_text_stays_on_one_short_line() {
    let message = OnnxVersions::read(&node(bytes(7, "\n".repeat(10_000))))
        .unwrap_err()
        .to_string();
    assert!(!message.contains('\n') && message.len() < 400, "{message}");
}

#[test]
fn every_cut_is_an_error() {
    for length in 0..FIXED.len() {
        assert!(!malformed(&FIXED[..length]).is_empty(), "{length}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        prop_assert!(OnnxVersions::read(&bytes).is_err());
    }
}
