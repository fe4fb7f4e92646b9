//! An option-A shortcut is a 1x1 convolution by zeros and ones, which an engine fuses with the addition behind it.

use askd_models::{Conv2d, Graph, GraphBuilder, NodeId, Op, Shape};

use crate::Result;
use crate::weights::{self, HostTensor, Weights};

/// Makes each [`Op::SubsamplePad`] a 1x1 convolution of its stride whose weights copy every channel to its new place.
///
/// The logits stay what they are to the bit: each output is one input, times 1, plus zeros. What it costs, a
/// multiplication for each pair of channels, is a few hundredths of the residual block's. What it saves: ONNX Runtime lays maps out
/// by blocks of channels for its convolutions, and fuses a convolution with an addition and a ReLU behind it; cut out and
/// padded, a map has to be laid out in rows before, and again by blocks behind. A resnet8 is 13 nodes in the engine instead of
/// 22.
///
/// # Errors
/// [`crate::Error::WeightsMismatch`] if `weights` are not the graph's; they are unchanged then.
pub fn shortcuts_to_convolutions(graph: &Graph, weights: &mut Weights) -> Result<Graph> {
    weights::check(graph, weights, weights::IN_MEMORY)?;
    let mut builder = GraphBuilder::new(graph.name(), graph.input_shape());
    let mut ids = vec![builder.input()];
    for (_, node) in graph.iter().skip(1) {
        let inputs: Vec<NodeId> = node.inputs.iter().map(|input| ids[input.index()]).collect();
        let op = match (node.op, node.inputs.first().map(|input| graph.node(*input).shape)) {
            (Op::SubsamplePad { stride, before, after }, Some(Shape::Map([channels, ..]))) => {
                let weight = copies(channels, before, after);
                let out_channels = weight.shape[0];
                weights.insert(format!("{}.weight", node.name), weight);
                Op::Conv2d(Conv2d {
                    in_channels: channels,
                    out_channels,
                    kernel: 1,
                    stride,
                    padding: 0,
                    groups: 1,
                    bias: false,
                })
            }
            (op, _) => op,
        };
        ids.push(builder.push(&node.name, op, &inputs)?);
    }
    let outputs: Vec<(&str, NodeId)> = graph.outputs().map(|(name, id)| (name, ids[id.index()])).collect();
    Ok(builder.finish(&outputs))
}

/// The weight that copies `channels` behind `before` channels of zeros.
fn copies(channels: usize, before: usize, after: usize) -> HostTensor {
    let filters = before + channels + after;
    let mut data = vec![0.0; filters * channels];
    for channel in 0..channels {
        data[(before + channel) * channels + channel] = 1.0;
    }
    HostTensor::new(vec![filters, channels, 1, 1], data)
}

#[cfg(test)]
mod tests {
    use askd_models::{LOGITS, NetworkConfig, build};
    use candle_core::{DType, Device, Tensor};

    use super::*;
    use crate::nn::{Network, PassMode, initialise};

    fn output(graph: &Graph, weights: &Weights, name: &str) -> Vec<f64> {
        let mut network = Network::new(graph.clone(), weights, DType::F64, &Device::Cpu).unwrap();
        let [c, h, w] = graph.input_shape();
        let values: Vec<f64> = (0..2 * c * h * w)
            .map(|at| ((at * at * 31 + 7 * at) % 256) as f64 - 100.0)
            .collect();
        let images = Tensor::from_vec(values, (2, c, h, w), &Device::Cpu).unwrap();
        let outputs = network.forward(&images, PassMode::FrozenStatistics, &[name]).unwrap();
        outputs[0].flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn every_value_goes_to_its_place() {
        for (stride, before, after) in [(2, 2, 2), (2, 0, 3), (1, 1, 0), (3, 0, 0)] {
            let mut builder = GraphBuilder::new("test", [3, 7, 4]);
            let shortcut = Op::SubsamplePad { stride, before, after };
            let x = builder.push("shortcut", shortcut, &[builder.input()]).unwrap();
            let graph = builder.finish(&[("x", x)]);
            let mut weights = Weights::new();
            let expected = output(&graph, &weights, "x");
            let after = shortcuts_to_convolutions(&graph, &mut weights).unwrap();
            weights::check(&after, &weights, weights::IN_MEMORY).unwrap();
            assert_eq!(after.node(x).shape, graph.node(x).shape);
            assert_eq!(output(&after, &weights, "x"), expected, "{stride} {before} {after:?}");
        }
    }

    #[test]
    fn a_network_keeps_its_logits_to_the_bit() {
        for (name, shortcuts) in [("resnet20", 2), ("resnet8x4", 0)] {
            let graph = build(name, &NetworkConfig::new([3, 11, 9], 5)).unwrap();
            let graph = graph.keep_outputs(&[LOGITS]).unwrap();
            let before = initialise(&graph, 1);
            let mut weights = before.clone();
            let after = shortcuts_to_convolutions(&graph, &mut weights).unwrap();
            assert_eq!(weights.len() - before.len(), shortcuts, "{name}");
            assert_eq!(after == graph, shortcuts == 0, "{name}");
            assert_eq!(
                output(&after, &weights, LOGITS),
                output(&graph, &before, LOGITS),
                "{name}"
            );
            assert_eq!(shortcuts_to_convolutions(&after, &mut weights).unwrap(), after);
        }
    }
}
