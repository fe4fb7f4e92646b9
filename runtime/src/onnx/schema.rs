//! Which fields a model may have: the messages of `onnx.proto`, without what no model that stands alone needs.
//!
//! No message here holds itself, directly or through others, so what can be read is as deep as this table and no deeper.
//!
//! Source: <https://github.com/onnx/onnx/blob/v1.18.0/onnx/onnx.proto>.

/// A message: the fields it may have.
pub(super) struct Message {
    pub(super) fields: &'static [Field],
}

/// Most fields of a message in this table.
pub(super) const MAX_FIELDS: usize = 18;

/// A field of a message.
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) repeated: bool,
    pub(super) kind: Kind,
}

/// What a field may hold.
pub(super) enum Kind {
    /// A varint of 64 bits; if repeated, packed or not.
    Int64,
    /// A varint that is a signed number of 32 bits; if repeated, packed or not.
    Int32,
    /// An f32; if repeated, packed or not.
    Float,
    /// An f64; if repeated, packed or not.
    Double,
    /// UTF-8.
    Text,
    Bytes,
    Message(&'static Message),
    /// One of the numbers; any other is refused as what the text says.
    Among(&'static [u64], &'static str),
    /// One of the texts; any other is refused as what the text after them says.
    Named(&'static [&'static str], &'static str),
    /// Refused as what the text says.
    Never(&'static str),
}

use Kind::{Among, Bytes, Double, Float, Int32, Int64, Named, Never, Text};

const fn message(fields: &'static [Field]) -> Message {
    assert!(fields.len() <= MAX_FIELDS);
    Message { fields }
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Field {
    Field {
        number,
        name,
        repeated: false,
        kind,
    }
}

const fn many(number: u32, name: &'static str, kind: Kind) -> Field {
    Field {
        number,
        name,
        repeated: true,
        kind,
    }
}

/// Field number of [`MODEL`]'s `ir_version`.
pub(super) const IR_VERSION: u32 = 1;
/// Field number of [`MODEL`]'s `graph`.
pub(super) const GRAPH_FIELD: u32 = 7;
/// Field number of [`MODEL`]'s `opset_import`.
pub(super) const OPSET_IMPORT: u32 = 8;
/// Field number of `domain` in an entry of `opset_import`.
pub(super) const OPSET_DOMAIN: u32 = 1;
/// Field number of `version` in an entry of `opset_import`.
pub(super) const OPSET_VERSION: u32 = 2;

/// The names of ONNX's own operator set.
pub(super) const DEFAULT_DOMAIN: [&str; 2] = ["", "ai.onnx"];

/// `ModelProto`.
pub(super) static MODEL: Message = message(&[
    one(IR_VERSION, "ir_version", Int64),
    one(2, "producer_name", Text),
    one(3, "producer_version", Text),
    one(4, "domain", Text),
    one(5, "model_version", Int64),
    one(6, "doc_string", Text),
    one(GRAPH_FIELD, "graph", Kind::Message(&GRAPH)),
    many(OPSET_IMPORT, "opset_import", Kind::Message(&OPERATOR_SET_ID)),
    many(14, "metadata_props", Kind::Message(&STRING_STRING_ENTRY)),
    many(20, "training_info", Never("training information")),
    many(25, "functions", Never("a function of its own")),
]);

static OPERATOR_SET_ID: Message = message(&[one(OPSET_DOMAIN, "domain", Text), one(OPSET_VERSION, "version", Int64)]);

static STRING_STRING_ENTRY: Message = message(&[one(1, "key", Text), one(2, "value", Text)]);

static GRAPH: Message = message(&[
    many(1, "node", Kind::Message(&NODE)),
    one(2, "name", Text),
    many(5, "initializer", Kind::Message(&TENSOR)),
    one(10, "doc_string", Text),
    many(11, "input", Kind::Message(&VALUE_INFO)),
    many(12, "output", Kind::Message(&VALUE_INFO)),
    many(13, "value_info", Kind::Message(&VALUE_INFO)),
    many(14, "quantization_annotation", Kind::Message(&TENSOR_ANNOTATION)),
    many(15, "sparse_initializer", Never("a sparse tensor")),
    many(16, "metadata_props", Kind::Message(&STRING_STRING_ENTRY)),
]);

static NODE: Message = message(&[
    many(1, "input", Text),
    many(2, "output", Text),
    one(3, "name", Text),
    one(4, "op_type", Text),
    many(5, "attribute", Kind::Message(&ATTRIBUTE)),
    one(6, "doc_string", Text),
    one(7, "domain", Named(&DEFAULT_DOMAIN, "an operator of domain")),
    one(8, "overload", Named(&[""], "the overload of a function,")),
    many(9, "metadata_props", Kind::Message(&STRING_STRING_ENTRY)),
]);

static ATTRIBUTE: Message = message(&[
    one(1, "name", Text),
    one(2, "f", Float),
    one(3, "i", Int64),
    one(4, "s", Bytes),
    one(5, "t", Kind::Message(&TENSOR)),
    one(6, "g", Never("a subgraph")),
    many(7, "floats", Float),
    many(8, "ints", Int64),
    many(9, "strings", Bytes),
    many(10, "tensors", Kind::Message(&TENSOR)),
    many(11, "graphs", Never("a subgraph")),
    one(13, "doc_string", Text),
    one(14, "tp", Never("a type")),
    many(15, "type_protos", Never("a type")),
    // floats, integers, text and tensors, one or more: no GRAPH, GRAPHS, SPARSE_TENSOR, SPARSE_TENSORS, TYPE_PROTO or TYPE_PROTOS
    one(20, "type", Among(&[0, 1, 2, 3, 4, 6, 7, 8, 9], "an attribute of type")),
    one(21, "ref_attr_name", Named(&[""], "the attribute of a function,")),
    one(22, "sparse_tensor", Never("a sparse tensor")),
    many(23, "sparse_tensors", Never("a sparse tensor")),
]);

static TENSOR: Message = message(&[
    many(1, "dims", Int64),
    one(2, "data_type", Int32),
    one(3, "segment", Never("a part of a tensor")),
    many(4, "float_data", Float),
    many(5, "int32_data", Int32),
    many(6, "string_data", Bytes),
    many(7, "int64_data", Int64),
    one(8, "name", Text),
    one(9, "raw_data", Bytes),
    many(10, "double_data", Double),
    many(11, "uint64_data", Int64),
    one(12, "doc_string", Text),
    many(13, "external_data", Never("data in another file")),
    // DEFAULT, not EXTERNAL
    one(14, "data_location", Among(&[0], "data elsewhere, at location")),
    many(16, "metadata_props", Kind::Message(&STRING_STRING_ENTRY)),
]);

static TENSOR_ANNOTATION: Message = message(&[
    one(1, "tensor_name", Text),
    many(2, "quant_parameter_tensor_names", Kind::Message(&STRING_STRING_ENTRY)),
]);

static VALUE_INFO: Message = message(&[
    one(1, "name", Text),
    one(2, "type", Kind::Message(&TYPE)),
    one(3, "doc_string", Text),
    many(4, "metadata_props", Kind::Message(&STRING_STRING_ENTRY)),
]);

static TYPE: Message = message(&[
    one(1, "tensor_type", Kind::Message(&TENSOR_TYPE)),
    one(4, "sequence_type", Never("a sequence")),
    one(5, "map_type", Never("a map")),
    one(6, "denotation", Text),
    one(7, "opaque_type", Never("an opaque value")),
    one(8, "sparse_tensor_type", Never("a sparse tensor")),
    one(9, "optional_type", Never("an optional value")),
]);

static TENSOR_TYPE: Message = message(&[
    one(1, "elem_type", Int32),
    one(2, "shape", Kind::Message(&TENSOR_SHAPE)),
]);

static TENSOR_SHAPE: Message = message(&[many(1, "dim", Kind::Message(&DIMENSION))]);

static DIMENSION: Message = message(&[
    one(1, "dim_value", Int64),
    one(2, "dim_param", Text),
    one(3, "denotation", Text),
]);
