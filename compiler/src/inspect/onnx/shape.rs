//! Dimensions that may be known, named or neither.

use std::fmt;

use onnx_protobuf::tensor_shape_proto::dimension;
use onnx_protobuf::{ValueInfoProto, type_proto};
use serde::Serialize;

/// One dimension of a tensor: in JSON a number, a string or null.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Dimension {
    /// So many.
    Known(u64),
    /// As many as other dimensions of that symbol, such as a free batch, `N`.
    Symbol(String),
    /// Not known from the file alone.
    Unknown,
}

/// A shape; `None` if not even the number of dimensions is known.
pub(super) type Shape = Option<Vec<Dimension>>;

impl Dimension {
    /// The number, if it is one.
    pub(super) fn known(&self) -> Option<u64> {
        match self {
            Self::Known(number) => Some(*number),
            _ => None,
        }
    }
}

impl From<Option<u64>> for Dimension {
    fn from(number: Option<u64>) -> Self {
        number.map_or(Self::Unknown, Self::Known)
    }
}

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(number) => write!(f, "{number}"),
            Self::Symbol(name) => f.write_str(&super::shown(name)),
            Self::Unknown => f.write_str("?"),
        }
    }
}

/// `Nx64x8x8`; `?` for a shape that is not known, `scalar` for one without dimensions.
pub(super) fn shape_text(shape: Option<&[Dimension]>) -> String {
    match shape {
        None => "?".to_owned(),
        Some([]) => "scalar".to_owned(),
        Some(dimensions) => dimensions
            .iter()
            .map(Dimension::to_string)
            .collect::<Vec<_>>()
            .join("x"),
    }
}

/// What the file says of a value's shape.
pub(super) fn declared(value: &ValueInfoProto) -> Shape {
    let Some(type_proto::Value::TensorType(tensor)) = value.type_.as_ref().and_then(|kind| kind.value.as_ref()) else {
        return None;
    };
    let dimension = |dim: &onnx_protobuf::tensor_shape_proto::Dimension| match &dim.value {
        Some(dimension::Value::DimValue(number)) => Dimension::from(u64::try_from(*number).ok()),
        Some(dimension::Value::DimParam(name)) if !name.is_empty() => Dimension::Symbol(name.clone()),
        _ => Dimension::Unknown,
    };
    Some(tensor.shape.as_ref()?.dim.iter().map(dimension).collect())
}

/// The product, `symbols` taken as 1; none if a dimension is unknown or the product too large for a number.
pub(super) fn elements(dimensions: &[Dimension]) -> Option<u64> {
    dimensions.iter().try_fold(1u64, |product, dimension| match dimension {
        Dimension::Known(number) => product.checked_mul(*number),
        Dimension::Symbol(_) => Some(product),
        Dimension::Unknown => None,
    })
}
