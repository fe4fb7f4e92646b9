//! The mean of several linear layers is one linear layer, on their inputs one behind the other.

use std::collections::BTreeMap;

use askd_models::{Graph, GraphBuilder, NodeId, Op};

use crate::Result;
use crate::weights::{self, HostTensor, Weights};

/// Makes each mean of linear layers, none of which has another reader, one linear layer.
///
/// With M layers: `weight' = [weight_1 | ... | weight_M] / M` and `bias' = (bias_1 + ... + bias_M) / M`, computed in f64, on
/// the concatenation of what they read. The new layer has the mean's name, the concatenation `.concat` behind it; the
/// layers' tensors leave `weights`. Any other mean stays.
///
/// # Errors
/// [`crate::Error::WeightsMismatch`] if `weights` are not the graph's, [`crate::Error::Network`] if another node has the
/// name of a concatenation. `weights` are unchanged then.
///
/// Source: W_1 x_1 + ... + W_M x_M = [W_1 | ... | W_M] x, with x the concatenation of all x_m.
pub fn merge_classifiers(graph: &Graph, weights: &mut Weights) -> Result<Graph> {
    weights::check(graph, weights, weights::IN_MEMORY)?;
    let means = mergeable(graph);
    let mut builder = GraphBuilder::new(graph.name(), graph.input_shape());
    let mut ids = vec![builder.input(); graph.nodes().len()];
    for (id, node) in graph.iter().skip(1) {
        let read = |inputs: &[NodeId]| inputs.iter().map(|input| ids[input.index()]).collect::<Vec<_>>();
        let pushed = if let Some(layers) = means.get(&id) {
            let vectors: Vec<NodeId> = layers.iter().map(|layer| graph.node(*layer).inputs[0]).collect();
            let joined = builder.push(&format!("{}.concat", node.name), Op::Concat, &read(&vectors))?;
            let merged = Op::Linear {
                in_features: builder.shape(joined).elements(),
                out_features: node.shape.elements(),
            };
            builder.push(&node.name, merged, &[joined])?
        } else if means.values().any(|layers| layers.contains(&id)) {
            continue; // only the mean read it
        } else {
            builder.push(&node.name, node.op, &read(&node.inputs))?
        };
        ids[id.index()] = pushed;
    }
    for (mean, layers) in &means {
        let names: Vec<&str> = layers.iter().map(|layer| graph.node(*layer).name.as_str()).collect();
        let mean = &graph.node(*mean).name;
        let [weight, bias] = mean_tensors(&names, weights);
        for name in names {
            weights.remove(&format!("{name}.weight"));
            weights.remove(&format!("{name}.bias"));
        }
        weights.insert(format!("{mean}.weight"), weight);
        weights.insert(format!("{mean}.bias"), bias);
    }
    let outputs: Vec<(&str, NodeId)> = graph.outputs().map(|(name, id)| (name, ids[id.index()])).collect();
    Ok(builder.finish(&outputs))
}

/// Each mean that reads linear layers only, with those layers, none of which anything else reads.
fn mergeable(graph: &Graph) -> BTreeMap<NodeId, Vec<NodeId>> {
    let readers = graph.reader_counts();
    let merges = |layer: &NodeId| matches!(graph.node(*layer).op, Op::Linear { .. }) && readers[layer.index()] == 1;
    let means = graph
        .iter()
        .filter(|(_, node)| node.op == Op::Mean && node.inputs.iter().all(merges));
    means.map(|(id, node)| (id, node.inputs.clone())).collect()
}

/// Weight and bias of the linear layer that gives the mean of these.
fn mean_tensors(layers: &[&str], weights: &Weights) -> [HostTensor; 2] {
    // every name was checked against the graph, shapes too
    let tensors = |suffix: &str| -> Vec<&HostTensor> {
        let named = layers.iter().map(|layer| &weights[&format!("{layer}.{suffix}")]);
        named.collect()
    };
    let share = |sum: f64| (sum / layers.len() as f64) as f32;
    let (all_weights, all_biases) = (tensors("weight"), tensors("bias"));
    let classes = all_biases[0].data.len();
    let (mut weight, mut bias) = (Vec::new(), Vec::with_capacity(classes));
    for class in 0..classes {
        for tensor in &all_weights {
            let features = tensor.shape[1];
            let row = &tensor.data[class * features..(class + 1) * features];
            weight.extend(row.iter().map(|value| share(f64::from(*value))));
        }
        bias.push(share(
            all_biases.iter().map(|tensor| f64::from(tensor.data[class])).sum(),
        ));
    }
    [
        HostTensor::new(vec![classes, weight.len() / classes], weight),
        HostTensor::new(vec![classes], bias),
    ]
}

#[cfg(test)]
mod tests {
    use askd_models::{DistilledOptions, LOGITS, NetworkConfig, TeacherNames, build, distilled_student, networks};
    use candle_core::{DType, Device, Tensor};

    use super::*;
    use crate::nn::{Network, PassMode, initialise};
    use crate::passes::eliminate_dead;

    const CONFIG: NetworkConfig = NetworkConfig {
        input: [3, 16, 12],
        classes: 5,
    };

    /// Of resnet8, with what only training reads, as it is handed to the passes.
    fn student(teachers: &[&str]) -> Graph {
        let teachers: Vec<Graph> = teachers.iter().map(|name| build(name, &CONFIG).unwrap()).collect();
        let options = DistilledOptions {
            own_head: true,
            ..DistilledOptions::default()
        };
        let student = build("resnet8", &CONFIG).unwrap();
        distilled_student(&student, &teachers.iter().collect::<Vec<_>>(), &options).unwrap()
    }

    /// Initial weights; those of the classifiers are multiples of their number, which f32 divides without an error.
    fn weights_of(graph: &Graph, teachers: usize) -> Weights {
        let mut weights = initialise(graph, 3);
        for name in TeacherNames::all(teachers) {
            for suffix in ["weight", "bias"] {
                let tensor = weights.get_mut(&format!("{}.{suffix}", name.classifier)).unwrap();
                let steps = teachers as f32 / 1024.0;
                tensor
                    .data
                    .iter_mut()
                    .for_each(|value| *value = (*value / steps).round() * steps);
            }
        }
        weights
    }

    fn logits(graph: &Graph, weights: &Weights) -> Vec<f64> {
        let mut network = Network::new(graph.clone(), weights, DType::F64, &Device::Cpu).unwrap();
        let [c, h, w] = graph.input_shape();
        let values: Vec<f64> = (0..4 * c * h * w)
            .map(|i| ((i * i + 7 * i) % 101) as f64 / 50.0 - 1.0)
            .collect();
        let images = Tensor::from_vec(values, (4, c, h, w), &Device::Cpu).unwrap();
        let outputs = network.forward(&images, PassMode::FrozenStatistics, &[LOGITS]).unwrap();
        outputs[0].flatten_all().unwrap().to_vec1().unwrap()
    }

    fn linear_layers(graph: &Graph) -> Vec<&str> {
        let linear = graph.nodes().iter().filter(|node| matches!(node.op, Op::Linear { .. }));
        linear.map(|node| node.name.as_str()).collect()
    }

    #[test]
    fn several_classifiers_become_one_with_the_same_logits() {
        for teachers in [
            &["resnet20", "vgg8"][..],
            &["resnet20", "resnet32x4", "mobilenetv2_0.5"],
        ] {
            let graph = student(teachers);
            let mut weights = weights_of(&graph, teachers.len());
            let graph = eliminate_dead(&graph, &mut weights).unwrap();
            let expected = logits(&graph, &weights);

            let merged = merge_classifiers(&graph, &mut weights).unwrap();

            weights::check(&merged, &weights, weights::IN_MEMORY).unwrap();
            assert_eq!(linear_layers(&merged), ["classifier.mean"]);
            assert!(merged.nodes().iter().all(|node| node.op != Op::Mean));
            // every weight is still there, of the biases one for each class
            let biases = (teachers.len() - 1) * CONFIG.classes;
            assert_eq!(graph.parameter_count() - merged.parameter_count(), biases);
            assert_eq!(graph.macs(), merged.macs());
            for (got, expected) in logits(&merged, &weights).iter().zip(&expected) {
                assert!((got - expected).abs() <= 1e-12, "{teachers:?}: {got} {expected}");
            }
            let (again, kept) = (merge_classifiers(&merged, &mut weights.clone()).unwrap(), merged);
            assert_eq!(again, kept);
        }
    }

    #[test]
    fn weights_that_f32_cannot_divide_are_rounded_once() {
        let graph = student(&["resnet20", "vgg8", "resnet8x4"]);
        let mut weights = initialise(&graph, 4);
        let graph = eliminate_dead(&graph, &mut weights).unwrap();
        let before = weights.clone();
        merge_classifiers(&graph, &mut weights).unwrap();
        let (third, whole) = (&weights["classifier.mean.weight"], &before["classifier.1.weight"]);
        // vgg8's 512 columns come after resnet20's 64
        let (columns, class, feature) = (64 + 512 + 256, 3, 100);
        assert_eq!(third.shape, [CONFIG.classes, columns]);
        let value = f64::from(whole.data[class * 512 + feature]);
        assert_eq!(third.data[class * columns + 64 + feature], (value / 3.0) as f32);
    }

    #[test]
    fn other_graphs_stay_as_they_are() {
        // of the second, the classifiers' own logits are outputs still
        let mut graphs = vec![student(&["vgg8"]), student(&["resnet20", "vgg8"])];
        graphs.extend(networks().iter().take(3).map(|network| network.build(&CONFIG).unwrap()));
        // a mean of a linear layer and of what it reads
        let mut builder = GraphBuilder::new("test", [3, 4, 4]);
        let pooled = builder.push("pool", Op::GlobalAveragePool, &[builder.input()]).unwrap();
        let linear = Op::Linear {
            in_features: 3,
            out_features: 3,
        };
        let scores = builder.push("fc", linear, &[pooled]).unwrap();
        let mean = builder.push("mean", Op::Mean, &[scores, pooled]).unwrap();
        // a mean of one layer twice
        let twice = builder.push("twice", linear, &[mean]).unwrap();
        let logits = builder.push("of_one", Op::Mean, &[twice, twice]).unwrap();
        graphs.push(builder.finish(&[(LOGITS, logits)]));
        for graph in graphs {
            let before = initialise(&graph, 1);
            let mut weights = before.clone();
            assert_eq!(
                merge_classifiers(&graph, &mut weights).unwrap(),
                graph,
                "{}",
                graph.name()
            );
            assert_eq!(weights, before);
        }
    }

    #[test]
    fn a_failure_changes_no_weights() {
        let graph = student(&["resnet20", "vgg8"]).keep_outputs(&[LOGITS]).unwrap();
        let mut incomplete = initialise(&graph, 1);
        incomplete.remove("classifier.1.bias");
        let mut builder = GraphBuilder::new("test", [3, 16, 12]);
        let image = builder.relu("mean.concat", builder.input()).unwrap();
        let scores = ["a", "b"].map(|name| builder.classifier(name, image, 2).unwrap());
        let mean = builder.push("mean", Op::Mean, &scores).unwrap();
        let clash = builder.finish(&[(LOGITS, mean)]);
        let complete = initialise(&clash, 1);
        for (graph, before, message) in [
            (graph, incomplete, "1 missing (classifier.1.bias)"),
            (clash, complete, "node name \"mean.concat\" is used twice"),
        ] {
            let mut weights = before.clone();
            let error = merge_classifiers(&graph, &mut weights).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
            assert_eq!(weights, before);
        }
    }
}
