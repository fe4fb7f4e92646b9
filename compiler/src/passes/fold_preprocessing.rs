//! The normalisation of pixels is a scale and a shift per channel, much of which the first convolution can do itself.

use askd_models::{Conv2d, Graph, GraphBuilder, NodeId, Op};

use crate::Result;
use crate::weights::{self, HostTensor, Weights};

/// Folds the normalisation of raw pixels into the convolution that reads it, where nothing else does.
///
/// The standard deviation always: `weight' = weight / std` of the channel it reads, computed in f64. The mean only where the
/// convolution adds no padding: `bias' = bias - sum(weight' * mean)`. With padding the zeros at the border are zeros of the
/// normalised image, which are pixels of the mean's value, so the mean is subtracted before: anything else is another image
/// at the border. A normalisation that anything but one convolution reads stays, as do networks on normalised images.
///
/// # Errors
/// [`crate::Error::WeightsMismatch`] if `weights` are not the graph's; they are unchanged then.
///
/// Source: with x = (p - mean) / std, sum(w x) = sum(w / std p) - sum(w / std mean).
pub fn fold_preprocessing(graph: &Graph, weights: &mut Weights) -> Result<Graph> {
    weights::check(graph, weights, weights::IN_MEMORY)?;
    let Some(fold) = foldable(graph) else {
        return Ok(graph.clone());
    };
    let mut builder = GraphBuilder::new(graph.name(), graph.input_shape());
    let mut ids = vec![builder.input()];
    for (id, node) in graph.iter().skip(1) {
        let inputs: Vec<NodeId> = node.inputs.iter().map(|input| ids[input.index()]).collect();
        let op = match node.op {
            Op::Normalise { channels, .. } if id == fold.normalise => Op::Normalise {
                channels,
                shift: fold.shift && !fold.folds_shift(),
                scale: false,
            },
            Op::Conv2d(conv) if id == fold.conv => Op::Conv2d(Conv2d {
                bias: conv.bias || fold.folds_shift(),
                ..conv
            }),
            op => op,
        };
        ids.push(builder.push(&node.name, op, &inputs)?);
    }
    fold.fold_tensors(graph, weights);
    let outputs: Vec<(&str, NodeId)> = graph.outputs().map(|(name, id)| (name, ids[id.index()])).collect();
    Ok(builder.finish(&outputs))
}

/// A normalisation, what it does still, and the convolution that is all that reads it.
struct Fold {
    normalise: NodeId,
    shift: bool,
    scale: bool,
    conv: NodeId,
    op: Conv2d,
}

fn foldable(graph: &Graph) -> Option<Fold> {
    let readers = graph.reader_counts();
    graph
        .iter()
        .find_map(|(conv, node)| match (node.op, node.inputs.as_slice()) {
            (Op::Conv2d(op), &[normalise]) if readers[normalise.index()] == 1 => match graph.node(normalise).op {
                Op::Normalise { shift, scale, .. } => Some(Fold {
                    normalise,
                    shift,
                    scale,
                    conv,
                    op,
                }),
                _ => None,
            },
            _ => None,
        })
}

impl Fold {
    fn folds_shift(&self) -> bool {
        self.shift && self.op.padding == 0
    }

    /// Rewrites the convolution's tensors, and removes those of the normalisation that it has taken over.
    fn fold_tensors(&self, graph: &Graph, weights: &mut Weights) {
        let name = |node: NodeId, suffix: &str| format!("{}.{suffix}", graph.node(node).name);
        let mut take = |does: bool, suffix: &str| does.then(|| weights.remove(&name(self.normalise, suffix))).flatten();
        let (mean, std) = (take(self.folds_shift(), "mean"), take(self.scale, "std"));
        let value = |tensor: &Option<HostTensor>, channel: usize, without: f64| {
            tensor
                .as_ref()
                .map_or(without, |tensor| f64::from(tensor.data[channel]))
        };

        let of_group = self.op.in_channels / self.op.groups;
        let filters_of_group = self.op.out_channels / self.op.groups;
        let area = self.op.kernel * self.op.kernel;
        let old_bias = weights.get(&name(self.conv, "bias")).map(|tensor| tensor.data.clone());
        let old = &weights[&name(self.conv, "weight")];
        let (mut weight, mut bias) = (Vec::with_capacity(old.data.len()), Vec::new());
        for (filter, values) in old.data.chunks_exact(of_group * area).enumerate() {
            let mut sum = old_bias.as_ref().map_or(0.0, |bias| f64::from(bias[filter]));
            for (index, values) in values.chunks_exact(area).enumerate() {
                let channel = filter / filters_of_group * of_group + index;
                let (mean, std) = (value(&mean, channel, 0.0), value(&std, channel, 1.0));
                for &value in values {
                    let scaled = f64::from(value) / std;
                    weight.push(scaled as f32);
                    sum -= scaled * mean;
                }
            }
            bias.push(sum as f32);
        }
        let weight = HostTensor::new(old.shape.clone(), weight);
        weights.insert(name(self.conv, "weight"), weight);
        if self.folds_shift() {
            weights.insert(name(self.conv, "bias"), HostTensor::new(vec![bias.len()], bias));
        }
    }
}

#[cfg(test)]
mod tests;
