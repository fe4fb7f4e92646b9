//! The constant tensors of a graph: initialisers, and what `Constant` nodes hold.

use std::collections::HashMap;

use onnx_protobuf::{AttributeProto, GraphProto, NodeProto, TensorProto};

use super::shape::Dimension;
use crate::inspect::table::shown;
use crate::{Error, Result};

/// Most integers that are kept: of shapes, axes and the like, never of weights.
const MOST_INTEGERS: usize = 1024;

/// Types of elements: ONNX's number, our name, bits of one.
///
/// Source: `TensorProto.DataType` of <https://github.com/onnx/onnx/blob/v1.18.0/onnx/onnx.proto>.
const ELEMENTS: [(i32, &str, u64); 22] = [
    (FLOAT, "f32", 32),
    (UINT8, "u8", 8),
    (INT8, "i8", 8),
    (4, "u16", 16),
    (5, "i16", 16),
    (INT32, "i32", 32),
    (INT64, "i64", 64),
    (9, "bool", 8),
    (FLOAT16, "f16", 16),
    (DOUBLE, "f64", 64),
    (12, "u32", 32),
    (13, "u64", 64),
    (14, "c64", 64),
    (15, "c128", 128),
    (BFLOAT16, "bf16", 16),
    (17, "f8e4m3fn", 8),
    (18, "f8e4m3fnuz", 8),
    (19, "f8e5m2", 8),
    (20, "f8e5m2fnuz", 8),
    (UINT4, "u4", 4),
    (INT4, "i4", 4),
    (23, "f4e2m1", 4),
];
const FLOAT: i32 = 1;
const UINT8: i32 = 2;
const INT8: i32 = 3;
const INT32: i32 = 6;
const INT64: i32 = 7;
const STRING: i32 = 8;
const FLOAT16: i32 = 10;
const DOUBLE: i32 = 11;
const BFLOAT16: i32 = 16;
const UINT4: i32 = 21;
const INT4: i32 = 22;

/// A constant tensor.
#[derive(Debug, Clone)]
pub(super) struct Constant {
    pub(super) dims: Vec<u64>,
    /// ONNX's number of its elements' type.
    pub(super) data_type: i32,
    pub(super) elements: u64,
    pub(super) bytes: u64,
    /// Its values, if they are a few integers.
    pub(super) integers: Option<Vec<i64>>,
}

impl Constant {
    pub(super) fn shape(&self) -> Vec<Dimension> {
        self.dims.iter().copied().map(Dimension::Known).collect()
    }

    /// Whether its elements are fractions.
    pub(super) fn is_float(&self) -> bool {
        matches!(self.data_type, FLOAT | FLOAT16 | BFLOAT16 | DOUBLE)
    }

    /// Whether its elements can be quantised weights or biases.
    pub(super) fn can_be_quantised(&self) -> bool {
        matches!(self.data_type, UINT8 | INT8 | INT32 | UINT4 | INT4)
    }
}

/// The name of a type of elements.
pub(super) fn element_name(data_type: i32) -> &'static str {
    let named = ELEMENTS.iter().find(|(number, ..)| *number == data_type);
    match named {
        Some((_, name, _)) => name,
        None if data_type == STRING => "string",
        None => "?",
    }
}

/// All constants of a graph by the name of their value.
///
/// # Errors
/// [`Error::InvalidValue`] for a tensor whose data is not what its type and dimensions say.
pub(super) fn of(graph: &GraphProto) -> Result<HashMap<&str, Constant>> {
    let mut all = HashMap::new();
    for tensor in &graph.initializer {
        all.insert(tensor.name.as_str(), read(&tensor.name, tensor)?);
    }
    for node in graph.node.iter().filter(|node| node.op_type == "Constant") {
        if let Some(output) = node.output.first()
            && let Some(constant) = held(output, node)?
        {
            all.entry(output.as_str()).or_insert(constant);
        }
    }
    Ok(all)
}

/// What a `Constant` node holds.
///
/// Source: <https://onnx.ai/onnx/operators/onnx__Constant.html>, opset 13.
fn held(name: &str, node: &NodeProto) -> Result<Option<Constant>> {
    let few = |dims: &[usize], data_type: i32, size: u64, integers: Option<&[i64]>| {
        let elements = dims.iter().product::<usize>() as u64;
        Constant {
            dims: dims.iter().map(|dim| *dim as u64).collect(),
            data_type,
            elements,
            bytes: elements * size,
            integers: integers
                .filter(|values| values.len() <= MOST_INTEGERS)
                .map(<[i64]>::to_vec),
        }
    };
    let held = |attribute: &AttributeProto| match attribute.name.as_str() {
        "value" => attribute.t.as_ref().map(|tensor| read(name, tensor)),
        "value_int" => Some(Ok(few(&[], INT64, 8, Some(&[attribute.i])))),
        "value_ints" => Some(Ok(few(&[attribute.ints.len()], INT64, 8, Some(&attribute.ints)))),
        "value_float" => Some(Ok(few(&[], FLOAT, 4, None))),
        "value_floats" => Some(Ok(few(&[attribute.floats.len()], FLOAT, 4, None))),
        _ => None,
    };
    node.attribute.iter().find_map(held).transpose()
}

fn read(name: &str, tensor: &TensorProto) -> Result<Constant> {
    let wrong = |expected: String, got: String| Error::invalid(format!("tensor \"{}\"", shown(name)), expected, got);
    let sizes = tensor
        .dims
        .iter()
        .map(|dim| u64::try_from(*dim).ok())
        .collect::<Option<Vec<_>>>();
    let product = |dims: &Vec<u64>| dims.iter().try_fold(1u64, |product, dim| product.checked_mul(*dim));
    let (Some(dims), Some(elements)) = (sizes.clone(), sizes.as_ref().and_then(product)) else {
        let got = shown(&format!("{:?}", tensor.dims));
        return Err(wrong("dimensions of 0 or more that fit in memory".to_owned(), got));
    };
    let bytes = if tensor.data_type == STRING {
        tensor.string_data.iter().map(|text| text.len() as u64).sum()
    } else {
        let known = ELEMENTS.iter().find(|(number, ..)| *number == tensor.data_type);
        let (.., bits) =
            known.ok_or_else(|| wrong("a type that ONNX defines".to_owned(), tensor.data_type.to_string()))?;
        let size = elements.checked_mul(*bits).map(|bits| bits.div_ceil(8));
        // values lie in one of two forms: as raw bytes, or in the field of their type, which packs two complex parts or half bytes
        let given = tensor.raw_data.len() as u64;
        let listed = [
            tensor.float_data.len(),
            tensor.int32_data.len(),
            tensor.int64_data.len(),
            tensor.double_data.len(),
            tensor.uint64_data.len(),
        ];
        let listed = listed.into_iter().sum::<usize>() as u64;
        let whole = !matches!(*bits, 4) && !matches!(tensor.data_type, 14 | 15);
        match size {
            Some(size) if given == size && listed == 0 => size,
            Some(size) if given == 0 && (listed == elements || (!whole && listed > 0)) => size,
            _ => {
                let expected = format!("{elements} values of {bits} bits, as its dimensions say");
                let got = format!("{given} raw bytes and {listed} listed values");
                return Err(wrong(expected, got));
            }
        }
    };
    Ok(Constant {
        dims,
        data_type: tensor.data_type,
        elements,
        bytes,
        integers: integers(tensor, elements),
    })
}

/// The values of a tensor of a few 32 or 64 bit integers.
fn integers(tensor: &TensorProto, elements: u64) -> Option<Vec<i64>> {
    if elements > MOST_INTEGERS as u64 {
        return None;
    }
    let raw = &tensor.raw_data;
    match tensor.data_type {
        INT64 if raw.is_empty() => Some(tensor.int64_data.clone()),
        INT64 => Some(
            raw.as_chunks::<8>()
                .0
                .iter()
                .map(|bytes| i64::from_le_bytes(*bytes))
                .collect(),
        ),
        INT32 if raw.is_empty() => Some(tensor.int32_data.iter().copied().map(i64::from).collect()),
        INT32 => {
            let values = raw.as_chunks::<4>().0.iter();
            Some(values.map(|bytes| i64::from(i32::from_le_bytes(*bytes))).collect())
        }
        _ => None,
    }
}
