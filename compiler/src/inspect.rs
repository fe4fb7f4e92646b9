//! What a network, a bundle or an ONNX file is, as data for programs and as text for people.

mod bundle;
mod graph;
mod onnx;
pub(crate) mod table;

pub use bundle::{BundleReport, FileReport, inspect_bundle};
pub use graph::{GraphReport, LayerReport, OutputReport, inspect_graph};
pub use onnx::{Dimension, NodeReport, OnnxReport, ValueReport, inspect_onnx};
