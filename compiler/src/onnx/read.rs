//! Reads an ONNX model that the runtime's own reader has passed.
//!
//! The protobuf library in use can be made to recurse without end by a foreign file (RUSTSEC-2024-0437: groups within groups
//! among unknown fields). [`OnnxVersions::read`] refuses unknown fields and groups, and goes only as deep as its finite list of
//! fields, so what has passed it is safe to parse.

use askd_runtime::OnnxVersions;
use onnx_protobuf::{Message, ModelProto};

use crate::{Error, Result};

/// The model in `bytes`, with the versions that it is written in.
///
/// # Errors
/// [`Error::Runtime`] if the runtime would refuse the bytes, [`Error::InvalidValue`] if they are no ONNX model to protobuf.
pub(crate) fn read_model(bytes: &[u8]) -> Result<(OnnxVersions, ModelProto)> {
    let versions = OnnxVersions::read(bytes)?;
    let model =
        ModelProto::parse_from_bytes(bytes).map_err(|error| Error::invalid("ONNX model", "a ModelProto", error))?;
    Ok((versions, model))
}
