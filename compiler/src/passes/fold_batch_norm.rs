//! Batch norm at inference is a scale and a shift per channel, which the convolution before it can do itself.

use askd_models::{Conv2d, Epsilon, Graph, GraphBuilder, NodeId, Op};

use crate::weights::{self, HostTensor, Weights};
use crate::{Error, Result};

/// Folds each batch norm into the convolution before it, where the convolution has no other reader.
///
/// With s = scale / sqrt(variance + epsilon) per output channel: `weight' = weight * s` and
/// `bias' = (bias - mean) * s + shift`, computed in f64. The convolution keeps its name and gains a bias; the batch
/// norm's four tensors leave `weights`. A batch norm after anything else, or after a convolution that something else
/// reads too, stays.
///
/// # Errors
/// [`Error::WeightsMismatch`] if `weights` are not the graph's, [`Error::InvalidValue`] if a running variance is
/// negative or not a number. `weights` are unchanged then.
///
/// Source: Jacob et al. 2017, arXiv:1712.05877, section 3.2; epsilon as in training.
pub fn fold_batch_norm(graph: &Graph, weights: &mut Weights) -> Result<Graph> {
    weights::check(graph, weights, weights::IN_MEMORY)?;
    let foldable = foldable(graph);
    let norm_of = |conv: NodeId| foldable.iter().find(|fold| fold.conv == conv);
    let conv_of = |norm: NodeId| foldable.iter().find(|fold| fold.norm == norm);

    let mut builder = GraphBuilder::new(graph.name(), graph.input_shape());
    let mut ids = vec![builder.input(); graph.nodes().len()];
    let mut folded = Vec::with_capacity(foldable.len());
    for (id, node) in graph.iter().skip(1) {
        if let Some(fold) = conv_of(id) {
            // readers of the batch norm now read the convolution
            ids[id.index()] = ids[fold.conv.index()];
            continue;
        }
        let inputs: Vec<NodeId> = node.inputs.iter().map(|input| ids[input.index()]).collect();
        let op = match norm_of(id) {
            Some(fold) => {
                let norm = &graph.node(fold.norm).name;
                folded.push((
                    node.name.clone(),
                    norm.clone(),
                    fold_tensors(&node.name, norm, fold.epsilon, weights)?,
                ));
                Op::Conv2d(Conv2d { bias: true, ..fold.op })
            }
            None => node.op,
        };
        ids[id.index()] = builder.push(&node.name, op, &inputs)?;
    }
    for (conv, norm, [weight, bias]) in folded {
        weights.insert(format!("{conv}.weight"), weight);
        weights.insert(format!("{conv}.bias"), bias);
        for suffix in ["weight", "bias", "running_mean", "running_var"] {
            weights.remove(&format!("{norm}.{suffix}"));
        }
    }
    let outputs: Vec<(&str, NodeId)> = graph.outputs().map(|(name, id)| (name, ids[id.index()])).collect();
    Ok(builder.finish(&outputs))
}

/// A convolution and the batch norm that is all that reads it.
struct Fold {
    conv: NodeId,
    norm: NodeId,
    op: Conv2d,
    epsilon: Epsilon,
}

fn foldable(graph: &Graph) -> Vec<Fold> {
    let readers = graph.reader_counts();
    let fold = |(norm, node): (NodeId, &askd_models::Node)| match (node.op, node.inputs.as_slice()) {
        (Op::BatchNorm { epsilon, .. }, &[conv]) if readers[conv.index()] == 1 => match graph.node(conv).op {
            Op::Conv2d(op) => Some(Fold {
                conv,
                norm,
                op,
                epsilon,
            }),
            _ => None,
        },
        _ => None,
    };
    graph.iter().filter_map(fold).collect()
}

/// Weight and bias of the convolution `conv` with the batch norm `norm` in it.
fn fold_tensors(conv: &str, norm: &str, epsilon: Epsilon, weights: &Weights) -> Result<[HostTensor; 2]> {
    // every name was checked against the graph, shapes too
    let values = |node: &str, suffix: &str| &weights[&format!("{node}.{suffix}")].data;
    let (scale, shift) = (values(norm, "weight"), values(norm, "bias"));
    let (mean, variance) = (values(norm, "running_mean"), values(norm, "running_var"));
    let old_bias = weights.get(&format!("{conv}.bias")).map(|tensor| &tensor.data);
    let old_weight = &weights[&format!("{conv}.weight")];
    let per_channel = old_weight.shape[1..].iter().product::<usize>();

    let mut weight = Vec::with_capacity(old_weight.data.len());
    let mut bias = Vec::with_capacity(scale.len());
    for channel in 0..scale.len() {
        if variance[channel].is_nan() || variance[channel] < 0.0 {
            return Err(Error::invalid(
                format!("{norm}.running_var[{channel}]"),
                "a variance of 0 or more",
                variance[channel],
            ));
        }
        let factor = f64::from(scale[channel]) / (f64::from(variance[channel]) + epsilon.value()).sqrt();
        let filter = &old_weight.data[channel * per_channel..(channel + 1) * per_channel];
        weight.extend(filter.iter().map(|value| (f64::from(*value) * factor) as f32));
        let before = old_bias.map_or(0.0, |bias| f64::from(bias[channel]));
        bias.push(((before - f64::from(mean[channel])) * factor + f64::from(shift[channel])) as f32);
    }
    Ok([
        HostTensor::new(old_weight.shape.clone(), weight),
        HostTensor::new(vec![bias.len()], bias),
    ])
}

#[cfg(test)]
mod tests {
    use askd_models::{LOGITS, Shape};

    use super::*;

    fn vector(values: &[f32]) -> HostTensor {
        HostTensor::new(vec![values.len()], values.to_vec())
    }

    /// image (1, 2, 2) -> 1x1 convolution to 2 channels -> batch norm -> classifier.
    fn small(read_conv_twice: bool) -> (Graph, Weights) {
        let mut builder = GraphBuilder::new("test", [1, 2, 2]);
        let conv = builder.conv("conv", builder.input(), 2, 1, 1).unwrap();
        let norm = builder.batch_norm("bn", conv).unwrap();
        let x = if read_conv_twice {
            builder.add("add", norm, conv).unwrap()
        } else {
            norm
        };
        let logits = builder.classifier("fc", x, 2).unwrap();
        let graph = builder.finish(&[("normed", norm), (LOGITS, logits)]);
        let weights = Weights::from([
            (
                "conv.weight".to_owned(),
                HostTensor::new(vec![2, 1, 1, 1], vec![2.0, -3.0]),
            ),
            ("bn.weight".to_owned(), vector(&[0.5, 4.0])),
            ("bn.bias".to_owned(), vector(&[1.0, -1.0])),
            ("bn.running_mean".to_owned(), vector(&[0.25, 2.0])),
            ("bn.running_var".to_owned(), vector(&[4.0, 0.0])),
            ("fc.weight".to_owned(), HostTensor::new(vec![2, 2], vec![1.0; 4])),
            ("fc.bias".to_owned(), vector(&[0.0, 0.0])),
        ]);
        (graph, weights)
    }

    #[test]
    fn the_convolution_takes_over_scale_and_shift() {
        let (graph, before) = small(false);
        let mut weights = before.clone();
        let folded = fold_batch_norm(&graph, &mut weights).unwrap();

        assert_eq!(
            weights.keys().collect::<Vec<_>>(),
            ["conv.bias", "conv.weight", "fc.bias", "fc.weight"]
        );
        assert_eq!(folded.output("normed").unwrap().name, "conv");
        assert_eq!(folded.output(LOGITS).unwrap().shape, Shape::Vector(2));
        weights::check(&folded, &weights, weights::IN_MEMORY).unwrap();
        for pixel in [-1.5f64, 0.0, 0.75] {
            for channel in 0..2 {
                let of = |weights: &Weights, name: &str| f64::from(weights[name].data[channel]);
                let conv = pixel * of(&before, "conv.weight") - of(&before, "bn.running_mean");
                let deviation = (of(&before, "bn.running_var") + 1e-5).sqrt();
                let expected = conv / deviation * of(&before, "bn.weight") + of(&before, "bn.bias");
                let got = pixel * of(&weights, "conv.weight") + of(&weights, "conv.bias");
                assert!(
                    (got - expected).abs() <= 1e-6 * expected.abs().max(1.0),
                    "{got} {expected}"
                );
            }
        }
    }

    #[test]
    fn a_second_fold_changes_nothing() {
        let (graph, mut weights) = small(false);
        let once = fold_batch_norm(&graph, &mut weights).unwrap();
        let kept = weights.clone();
        assert_eq!(fold_batch_norm(&once, &mut weights).unwrap(), once);
        assert_eq!(weights, kept);
    }

    #[test]
    fn an_existing_bias_is_folded_in() {
        let mut builder = GraphBuilder::new("test", [1, 2, 2]);
        let conv = builder.conv("template", builder.input(), 1, 1, 1).unwrap();
        let template = builder.finish(&[("x", conv)]);
        let Op::Conv2d(op) = template.node(conv).op else {
            panic!("a convolution was pushed")
        };
        let mut builder = GraphBuilder::new("test", [1, 2, 2]);
        let biased = Op::Conv2d(Conv2d { bias: true, ..op });
        let conv = builder.push("conv", biased, &[builder.input()]).unwrap();
        let norm = builder.batch_norm("bn", conv).unwrap();
        let graph = builder.finish(&[("x", norm)]);
        let mut weights = Weights::from([
            ("conv.weight".to_owned(), HostTensor::new(vec![1, 1, 1, 1], vec![1.0])),
            ("conv.bias".to_owned(), vector(&[5.0])),
            ("bn.weight".to_owned(), vector(&[2.0])),
            ("bn.bias".to_owned(), vector(&[0.5])),
            ("bn.running_mean".to_owned(), vector(&[3.0])),
            ("bn.running_var".to_owned(), vector(&[1.0])),
        ]);
        fold_batch_norm(&graph, &mut weights).unwrap();
        // (5 - 3) * 2 / sqrt(1 + 1e-5) + 0.5
        assert!((weights["conv.bias"].data[0] - 4.49998).abs() < 1e-6);
    }

    #[test]
    fn a_depthwise_convolution_takes_the_scale_of_its_channel() {
        let mut builder = GraphBuilder::new("test", [2, 2, 2]);
        let conv = builder.grouped_conv("conv", builder.input(), 2, 1, 1, 2).unwrap();
        let norm = builder.batch_norm("bn", conv).unwrap();
        let graph = builder.finish(&[("x", norm)]);
        let mut weights = Weights::from([
            (
                "conv.weight".to_owned(),
                HostTensor::new(vec![2, 1, 1, 1], vec![1.0, 10.0]),
            ),
            ("bn.weight".to_owned(), vector(&[2.0, 3.0])),
            ("bn.bias".to_owned(), vector(&[0.0, 0.0])),
            ("bn.running_mean".to_owned(), vector(&[0.0, 0.0])),
            ("bn.running_var".to_owned(), vector(&[1.0, 1.0])),
        ]);
        let folded = fold_batch_norm(&graph, &mut weights).unwrap();
        weights::check(&folded, &weights, weights::IN_MEMORY).unwrap();
        let deviation = (1.0 + 1e-5f32).sqrt();
        for (got, expected) in weights["conv.weight"].data.iter().zip([2.0, 30.0]) {
            assert!((got - expected / deviation).abs() < 1e-5, "{got} {expected}");
        }
    }

    #[test]
    fn a_convolution_with_another_reader_keeps_its_batch_norm() {
        let (graph, before) = small(true);
        let mut weights = before.clone();
        assert_eq!(fold_batch_norm(&graph, &mut weights).unwrap(), graph);
        assert_eq!(weights, before);
    }

    #[test]
    fn a_batch_norm_after_the_image_stays() {
        let mut builder = GraphBuilder::new("test", [1, 2, 2]);
        let norm = builder.batch_norm("bn", builder.input()).unwrap();
        let graph = builder.finish(&[("x", norm)]);
        let tensors = graph.parameters().into_iter().map(|p| (p.name, vector(&[1.0])));
        let mut weights: Weights = tensors.collect();
        assert_eq!(fold_batch_norm(&graph, &mut weights).unwrap(), graph);
    }

    #[test]
    fn an_impossible_variance_is_an_error_and_changes_nothing() {
        for variance in [-0.5, f32::NAN] {
            let (graph, mut weights) = small(false);
            weights.insert("bn.running_var".to_owned(), vector(&[1.0, variance]));
            let error = fold_batch_norm(&graph, &mut weights).unwrap_err().to_string();
            assert!(
                error.starts_with("bn.running_var[1]: expected a variance of 0 or more"),
                "{error}"
            );
            assert!(weights.contains_key("bn.weight") && !weights.contains_key("conv.bias"));
        }
    }
}
