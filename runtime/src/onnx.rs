//! What an ONNX file holds, looked at before ONNX Runtime sees a byte of it.
//!
//! An engine follows a model wherever it leads: to other files, to operators that a library brings, into graphs within
//! graphs. An image classifier needs none of it. So what a model may hold is listed (`schema`), and all else refused.

mod graph;
mod schema;
mod walk;
mod wire;

pub use self::graph::{OnnxGraph, OnnxNode};
use self::schema::{DEFAULT_DOMAIN, GRAPH_FIELD, IR_VERSION, MODEL, OPSET_DOMAIN, OPSET_IMPORT, OPSET_VERSION};
use self::walk::check;
use self::wire::{Fields, Value};
use crate::error::Error;
use crate::manifest::Variant;

/// The versions that an ONNX file is written in; there are none without a file that is fit to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OnnxVersions {
    /// ONNX IR version.
    pub ir_version: u32,
    /// Version of ONNX's default operator set.
    pub opset: u32,
}

impl OnnxVersions {
    /// Reads an ONNX file from end to end.
    ///
    /// It must be a well-formed `ModelProto` of fields that ONNX defines, each of them once that is not repeated, with one
    /// graph of tensors and of operators of the domains `""` and `ai.onnx`. Other operator sets may be imported, since tools
    /// do so by habit, but not used. Whether operators, shapes and tensor contents make sense is for ONNX Runtime to judge.
    ///
    /// Takes time linear in the bytes and no memory; what tensors hold as raw data is stepped over.
    ///
    /// # Errors
    /// [`Error::OnnxFormat`] if it is not well-formed; [`Error::OnnxContent`] for data in other files, operators of other
    /// domains, subgraphs, functions, training information, sparse tensors, and values that are no tensors.
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        check(&MODEL, bytes)?;
        let (mut ir_version, mut opset, mut graphs) = (None, None, 0);
        // What is malformed was found above.
        for (number, value) in Fields::of(bytes).flatten() {
            match (number, value) {
                (IR_VERSION, Value::Varint(version)) => ir_version = Some(version),
                (GRAPH_FIELD, _) => graphs += 1,
                (OPSET_IMPORT, Value::Bytes(entry)) => {
                    if let Some(version) = default_opset(entry) {
                        if opset.is_some() {
                            return Err(wrong("opset_import", "the default domain once", "twice"));
                        }
                        opset = Some(version);
                    }
                }
                _ => {}
            }
        }
        if graphs == 0 {
            return Err(wrong("graph", "one", "none"));
        }
        Ok(Self {
            ir_version: version("ir_version", ir_version)?,
            opset: version("opset_import", opset)?,
        })
    }

    /// Whether these are the versions that the manifest tells of `variant`.
    pub(crate) fn check_against(self, variant: &Variant) -> Result<(), Error> {
        for (field, expected, found) in [
            ("ir_version", variant.ir_version, self.ir_version),
            ("opset_import", variant.opset, self.opset),
        ] {
            if found != expected {
                let expected = format!("version {expected} by the manifest");
                return Err(wrong(field, &expected, format!("version {found}")));
            }
        }
        Ok(())
    }
}

/// The version of the default domain, if that is what this entry of `opset_import` is about; 0 where it has none.
fn default_opset(entry: &[u8]) -> Option<u64> {
    let (mut default, mut version) = (true, 0);
    for (number, value) in Fields::of(entry).flatten() {
        match (number, value) {
            (OPSET_DOMAIN, Value::Bytes(name)) => {
                default = DEFAULT_DOMAIN.iter().any(|domain| domain.as_bytes() == name);
            }
            (OPSET_VERSION, Value::Varint(number)) => version = number,
            _ => {}
        }
    }
    default.then_some(version)
}

fn version(field: &str, found: Option<u64>) -> Result<u32, Error> {
    let expected = "a version of 1 or more";
    let found = found.ok_or_else(|| wrong(field, expected, "none"))?;
    match u32::try_from(found) {
        Ok(version) if version > 0 => Ok(version),
        _ => Err(wrong(field, expected, found.cast_signed())),
    }
}

fn wrong(field: &str, expected: &str, found: impl ToString) -> Error {
    Error::OnnxFormat {
        field: field.to_owned(),
        expected: expected.to_owned(),
        found: found.to_string(),
    }
}

#[cfg(test)]
mod tests;
