//! A network layer by layer.

use std::fmt;

use askd_models::{Graph, LOGITS, Op, Parameter, Shape};
use serde::Serialize;

use super::table::{self, grouped};
use crate::bundle::{FLOATS, peak_memory_bytes};

/// A network with what each layer costs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GraphReport {
    /// Its name.
    pub network: String,
    /// `[C, H, W]` of one image.
    pub input: [usize; 3],
    /// The outputs by name.
    pub outputs: Vec<OutputReport>,
    /// Number of layers.
    pub nodes: u64,
    /// The layers in the order they run, without the input.
    pub layers: Vec<LayerReport>,
    /// Trained parameters.
    pub parameters: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
    /// Size of all tensors as f32, in bytes; batch norm's running statistics included.
    pub bytes: u64,
    /// Estimated peak of weights and live activations together for one image, in bytes of f32.
    pub peak_memory_bytes: u64,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerReport {
    /// Name, the prefix of its parameters' names.
    pub name: String,
    /// Kind of operation.
    pub op: String,
    /// Output shape for one image: `[C, H, W]` or `[K]`.
    pub shape: Vec<usize>,
    /// Trained parameters.
    pub parameters: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
    /// Size of its tensors as f32, in bytes; batch norm's running statistics included.
    pub bytes: u64,
}

/// One named output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutputReport {
    /// Its name.
    pub name: String,
    /// The layer that computes it.
    pub layer: String,
    /// Shape for one image: `[C, H, W]` or `[K]`.
    pub shape: Vec<usize>,
}

/// The layers, outputs and costs of a network.
pub fn inspect_graph(graph: &Graph) -> GraphReport {
    let layers = graph.nodes().iter().filter(|node| node.op != Op::Input).map(|node| {
        let cost = node.cost();
        LayerReport {
            name: node.name.clone(),
            op: describe(&node.op),
            shape: node.shape.dims(),
            parameters: cost.parameters as u64,
            macs: cost.macs as u64,
            bytes: bytes(&node.parameters()),
        }
    });
    let outputs = graph.outputs().map(|(name, id)| OutputReport {
        name: name.to_owned(),
        layer: graph.node(id).name.clone(),
        shape: graph.node(id).shape.dims(),
    });
    let layers: Vec<_> = layers.collect();
    GraphReport {
        network: graph.name().to_owned(),
        input: graph.input_shape(),
        outputs: outputs.collect(),
        nodes: layers.len() as u64,
        layers,
        parameters: graph.parameter_count() as u64,
        macs: graph.macs() as u64,
        bytes: bytes(&graph.parameters()),
        // of a pass to the logits: what only training reads is kept by none
        peak_memory_bytes: peak_memory_bytes(&graph.keep_outputs(&[LOGITS]).unwrap_or_else(|_| graph.clone()), FLOATS),
    }
}

/// Size of these tensors as f32.
fn bytes(tensors: &[Parameter]) -> u64 {
    let values: usize = tensors
        .iter()
        .map(|tensor| tensor.shape.iter().product::<usize>())
        .sum();
    (values * size_of::<f32>()) as u64
}

/// The operation with what sets it apart: `Conv 3x3 /2`.
fn describe(op: &Op) -> String {
    let kind = op.kind();
    match op {
        Op::Conv2d(conv) => {
            let stride = step(conv.stride);
            let groups = if conv.groups == 1 {
                String::new()
            } else {
                format!(" g{}", conv.groups)
            };
            format!("{kind} {0}x{0}{stride}{groups}", conv.kernel)
        }
        Op::ChannelShuffle { groups } => format!("{kind} g{groups}"),
        Op::MaxPool { kernel, stride, .. } | Op::AveragePool { kernel, stride, .. } => {
            format!("{kind} {kernel}x{kernel}{}", step(*stride))
        }
        Op::AdaptiveAveragePool { height, width } => format!("{kind} {height}x{width}"),
        Op::SubsamplePad { stride, .. } => format!("{kind} /{stride}"),
        _ => kind.to_owned(),
    }
}

/// A stride as ` /2`, and nothing for one of 1.
fn step(stride: usize) -> String {
    if stride == 1 {
        String::new()
    } else {
        format!(" /{stride}")
    }
}

/// Dimensions as `64x8x8`.
fn shape_text(dims: &[usize]) -> String {
    dims.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

impl fmt::Display for GraphReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, input {}", self.network, Shape::Map(self.input))?;
        let header = ["layer", "operation", "output", "parameters", "MACs", "bytes"];
        let row = |layer: &LayerReport| {
            [
                layer.name.clone(),
                layer.op.clone(),
                shape_text(&layer.shape),
                grouped(layer.parameters),
                grouped(layer.macs),
                grouped(layer.bytes),
            ]
        };
        let total = [
            "total".to_owned(),
            String::new(),
            String::new(),
            grouped(self.parameters),
            grouped(self.macs),
            grouped(self.bytes),
        ];
        table::write_totalled(f, header, self.layers.iter().map(row), total)?;
        for output in &self.outputs {
            writeln!(
                f,
                "output {} = {} {}",
                output.name,
                output.layer,
                shape_text(&output.shape)
            )?;
        }
        writeln!(f, "{} nodes, weights {} bytes as f32", self.nodes, grouped(self.bytes))?;
        writeln!(f, "peak memory {} bytes for one image", grouped(self.peak_memory_bytes))
    }
}

#[cfg(test)]
mod tests {
    use askd_models::{NetworkConfig, build};

    use super::*;

    #[test]
    fn layers_add_up_to_the_totals() {
        let graph = build("resnet20", &NetworkConfig::new([3, 32, 32], 10)).unwrap();
        let report = inspect_graph(&graph);
        assert_eq!(report.layers.iter().map(|layer| layer.parameters).sum::<u64>(), 269_722);
        assert_eq!(report.layers.iter().map(|layer| layer.macs).sum::<u64>(), report.macs);
        // running means and variances are stored, not trained
        let statistics = 2 * (16 * 7 + 32 * 6 + 64 * 6);
        assert_eq!(report.bytes, 4 * (269_722 + statistics));
        assert_eq!(report.layers.iter().map(|layer| layer.bytes).sum::<u64>(), report.bytes);
        assert_eq!(
            report
                .outputs
                .iter()
                .map(|output| output.name.as_str())
                .collect::<Vec<_>>(),
            ["classifier_map", "features", "logits", "stage.1", "stage.2", "stage.3"]
        );
    }

    #[test]
    fn text_is_a_table_with_one_line_a_layer() {
        let graph = build("resnet8", &NetworkConfig::new([1, 28, 28], 10)).unwrap();
        let report = inspect_graph(&graph);
        let text = report.to_string();
        assert_eq!(text.lines().count(), 2 + report.layers.len() + 1 + 6 + 2);
        assert!(text.contains("layer2.0.conv1"), "{text}");
        let stem = text.lines().find(|line| line.starts_with("conv1 ")).unwrap();
        let words: Vec<_> = stem.split_whitespace().collect();
        assert_eq!(words, ["conv1", "Conv", "3x3", "16x28x28", "144", "112,896", "576"]);
    }

    #[test]
    fn json_has_the_same_facts() {
        let graph = build("resnet8", &NetworkConfig::new([1, 28, 28], 10)).unwrap();
        let json = serde_json::to_value(inspect_graph(&graph)).unwrap();
        assert_eq!(json["network"], "resnet8");
        assert_eq!(json["layers"][0]["shape"], serde_json::json!([16, 28, 28]));
    }
}
