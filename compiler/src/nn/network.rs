//! A graph with tensors: the layers that training runs.

use std::collections::BTreeMap;

use askd_models::{Epsilon, Graph, LOGITS, Node, NodeId, Op, Parameter};
use candle_core::{DType, Device, Tensor, Var};

use super::ops::{self, Activation};
use super::tape::{self, Tape};
use crate::weights::{self, HostTensor, Weights};
use crate::{Error, Result};

/// Share of the new batch in batch norm's running statistics.
///
/// Source: `torch.nn.BatchNorm2d`, argument `momentum`.
const STATISTICS_MOMENTUM: f64 = 0.1;

/// What a forward pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassMode {
    /// Batch statistics, which move the running ones; gradients.
    Train,
    /// Running statistics, which stay; gradients, scale and shift included.
    FrozenStatistics,
    /// Running statistics; no gradients, nothing kept for them.
    Inference,
}

/// A network ready to run: a [`Graph`] and its tensors on a device.
#[derive(Debug, Clone)]
pub struct Network {
    graph: Graph,
    trained: BTreeMap<String, Var>,
    statistics: BTreeMap<String, Tensor>,
    /// Per node: the activation that is its only reader and is computed with it.
    fused: Vec<Activation>,
}

impl Network {
    /// The graph's layers with these weights.
    ///
    /// # Errors
    /// [`Error::WeightsMismatch`] if the weights are not the graph's.
    pub fn new(graph: Graph, weights: &Weights, dtype: DType, device: &Device) -> Result<Self> {
        weights::check(&graph, weights, weights::IN_MEMORY)?;
        let (mut trained, mut statistics) = (BTreeMap::new(), BTreeMap::new());
        for Parameter { name, role, .. } in graph.parameters() {
            let host = &weights[&name];
            let tensor = Tensor::from_slice(&host.data, host.shape.as_slice(), device)?.to_dtype(dtype)?;
            if role.is_trained() {
                trained.insert(name, Var::from_tensor(&tensor)?);
            } else {
                statistics.insert(name, tensor);
            }
        }
        let fused = fusible(&graph);
        Ok(Self {
            graph,
            trained,
            statistics,
            fused,
        })
    }

    /// The network's definition.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Type of all tensors.
    pub fn dtype(&self) -> DType {
        self.tensors().next().map_or(DType::F32, Tensor::dtype)
    }

    /// Where all tensors live, and where images must be.
    pub fn device(&self) -> Device {
        self.tensors()
            .next()
            .map_or(Device::Cpu, |tensor| tensor.device().clone())
    }

    fn tensors(&self) -> impl Iterator<Item = &Tensor> {
        self.statistics
            .values()
            .chain(self.trained.values().map(Var::as_tensor))
    }

    /// Trained tensors by name.
    pub fn trained(&self) -> &BTreeMap<String, Var> {
        &self.trained
    }

    /// Makes `name` the very tensor of another network: both then move together.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if there is no such tensor or the shapes differ.
    pub fn share(&mut self, name: &str, tensor: &Var) -> Result<()> {
        match self.trained.get_mut(name) {
            Some(own) if own.shape() == tensor.shape() => *own = tensor.clone(),
            Some(own) => {
                return Err(Error::invalid(
                    name,
                    format!("shape {:?}", own.dims()),
                    format!("{:?}", tensor.dims()),
                ));
            }
            None => {
                return Err(Error::invalid(
                    name,
                    format!("a tensor of {}", self.graph.name()),
                    "an unknown name",
                ));
            }
        }
        Ok(())
    }

    /// Runs images through the network and gives the named outputs, in the order asked for.
    ///
    /// # Shapes
    /// - `images`: `(N, C, H, W)`, normalised
    /// - feature maps come as `(N, C, H, W)`, logits as `(N, K)`
    ///
    /// # Errors
    /// [`Error::Network`] for an unknown output, [`Error::Tensor`].
    pub fn forward(&mut self, images: &Tensor, mode: PassMode, outputs: &[&str]) -> Result<Vec<Tensor>> {
        self.forward_inspected(images, mode, outputs, &mut |_, _| Ok(()))
    }

    /// As [`Self::forward`], for a backward pass: outputs of which a loss is computed, and the tape that goes on from its
    /// gradients ([`Tape::backward`]). In [`PassMode::Inference`] nothing has gradients, and the tape is empty.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn record(&mut self, images: &Tensor, mode: PassMode, outputs: &[&str]) -> Result<(Vec<Tensor>, Tape)> {
        if mode != PassMode::Inference && ops::runs_kernels(images) {
            return tape::record(|| self.forward(images, mode, outputs));
        }
        // compositions are of candle's own operations, and so is the way back
        Ok((self.forward(images, mode, outputs)?, Tape::default()))
    }

    /// Name of the first layer whose output is not finite for these images, if any.
    ///
    /// # Errors
    /// [`Error::Tensor`].
    pub fn first_non_finite(&mut self, images: &Tensor, mode: PassMode) -> Result<Option<String>> {
        let mut found = None;
        let mut inspect = |node: &Node, value: &Tensor| {
            if found.is_none() && !is_finite(value)? {
                found = Some(node.name.clone());
            }
            Ok(())
        };
        // on a copy: the running statistics stay as they are
        self.clone().forward_inspected(images, mode, &[LOGITS], &mut inspect)?;
        Ok(found)
    }

    /// All tensors, on the host.
    ///
    /// # Errors
    /// [`Error::Tensor`].
    pub fn weights(&self) -> Result<Weights> {
        let trained = self.trained.iter().map(|(name, var)| (name, var.as_tensor()));
        trained
            .chain(&self.statistics)
            .map(|(name, tensor)| Ok((name.clone(), to_host(tensor)?)))
            .collect()
    }

    /// Replaces all tensors' values, leaving shared tensors shared.
    ///
    /// # Errors
    /// [`Error::WeightsMismatch`], [`Error::Tensor`].
    pub fn set_weights(&mut self, weights: &Weights) -> Result<()> {
        weights::check(&self.graph, weights, weights::IN_MEMORY)?;
        for (name, var) in &self.trained {
            var.set(&from_host(&weights[name], var.as_tensor())?)?;
        }
        for (name, tensor) in &mut self.statistics {
            *tensor = from_host(&weights[name], tensor)?;
        }
        Ok(())
    }

    /// As [`Self::forward`]; shows each layer's output once it is known. An activation that was computed with the layer before
    /// shows that layer's tensor again.
    ///
    /// # Errors
    /// As [`Self::forward`], and what `inspect` gives.
    pub fn forward_inspected(
        &mut self,
        images: &Tensor,
        mode: PassMode,
        outputs: &[&str],
        inspect: &mut dyn FnMut(&Node, &Tensor) -> Result<()>,
    ) -> Result<Vec<Tensor>> {
        let wanted = outputs
            .iter()
            .map(|name| Ok(self.graph.output_id(name)?))
            .collect::<Result<Vec<_>>>()?;
        let last = wanted.iter().map(|id| id.index()).max().unwrap_or(0);
        let mut readers = self.graph.reader_counts();
        // an output that nobody asked for is dropped as any other value
        self.graph.outputs().for_each(|(_, id)| readers[id.index()] -= 1);
        wanted.iter().for_each(|id| readers[id.index()] += 1);
        let mut values: Vec<Option<Tensor>> = vec![None; last + 1];
        let mut updates = Vec::new();
        for (id, node) in self.graph.iter().take(last + 1) {
            let inputs = node
                .inputs
                .iter()
                .map(|input| value(&values, *input))
                .collect::<Result<Vec<_>>>()?;
            let output = self.run_node(id, node, images, &inputs, mode, &mut updates)?;
            inspect(node, &output)?;
            values[id.index()] = Some(output);
            for input in &node.inputs {
                readers[input.index()] -= 1;
                if readers[input.index()] == 0 {
                    values[input.index()] = None;
                }
            }
        }
        self.statistics.extend(updates);
        wanted.into_iter().map(|id| value(&values, id)).collect()
    }

    fn run_node(
        &self,
        id: NodeId,
        node: &Node,
        images: &Tensor,
        inputs: &[Tensor],
        mode: PassMode,
        updates: &mut Vec<(String, Tensor)>,
    ) -> Result<Tensor> {
        let activation = self.fused[id.index()];
        let output = match (&node.op, inputs) {
            (Op::Input, _) => images.clone(),
            (&Op::Normalise { shift, scale, .. }, [x]) => self.normalise(node, x, shift, scale)?,
            (Op::Conv2d(conv), [x]) => {
                let config = ops::Conv2dConfig {
                    stride: conv.stride,
                    padding: conv.padding,
                    groups: conv.groups,
                };
                let y = ops::conv2d(x, &self.parameter(node, "weight", mode)?, &config)?;
                if conv.bias {
                    ops::add_bias(&y, &self.parameter(node, "bias", mode)?)?
                } else {
                    y
                }
            }
            (&Op::BatchNorm { epsilon, .. }, [x]) => self.batch_norm(node, epsilon, x, mode, activation, updates)?,
            (Op::Relu | Op::Relu6, [x]) if self.fused[node.inputs[0].index()] != Activation::None => x.clone(),
            (Op::Relu, [x]) => ops::relu(x)?,
            (Op::Relu6, [x]) => ops::relu6(x)?,
            (Op::Add, [a, b]) if activation == Activation::Relu => ops::add_relu(a, b)?,
            (Op::Add, [a, b]) => ops::add(a, b)?,
            (Op::Mean, inputs) => ops::mean(inputs)?,
            (Op::Concat, inputs) => ops::concat(inputs)?,
            (Op::SubsamplePad { stride, before, after }, [x]) => ops::subsample_pad(x, *stride, *before, *after)?,
            (
                &Op::ZeroPad {
                    top,
                    bottom,
                    left,
                    right,
                },
                [x],
            ) => ops::zero_pad(x, [top, bottom], [left, right])?,
            (Op::ChannelShuffle { groups }, [x]) => ops::channel_shuffle(x, *groups)?,
            (&Op::Channels { from, count }, [x]) => ops::channels(x, from, count)?,
            (
                &Op::AveragePool {
                    kernel,
                    stride,
                    padding,
                },
                [x],
            ) => ops::average_pool(x, kernel, stride, padding)?,
            (
                &Op::MaxPool {
                    kernel,
                    stride,
                    padding,
                },
                [x],
            ) => {
                let config = ops::MaxPoolConfig {
                    kernel,
                    stride,
                    padding,
                };
                ops::max_pool(x, &config)?
            }
            (Op::AdaptiveAveragePool { height, width }, [x]) => ops::adaptive_average_pool(x, *height, *width)?,
            (Op::GlobalAveragePool, [x]) => ops::global_average_pool(x)?,
            (Op::Linear { .. }, [x]) => ops::linear(
                x,
                &self.parameter(node, "weight", mode)?,
                &self.parameter(node, "bias", mode)?,
            )?,
            (op, _) => {
                let got = format!("{} with {} inputs", op.kind(), inputs.len());
                return Err(Error::invalid(&node.name, "an operation the trainer knows", got));
            }
        };
        Ok(output)
    }

    fn batch_norm(
        &self,
        node: &Node,
        epsilon: Epsilon,
        x: &Tensor,
        mode: PassMode,
        activation: Activation,
        updates: &mut Vec<(String, Tensor)>,
    ) -> Result<Tensor> {
        let (scale, shift) = (
            self.parameter(node, "weight", mode)?,
            self.parameter(node, "bias", mode)?,
        );
        let (mean_name, variance_name) = (
            format!("{}.running_mean", node.name),
            format!("{}.running_var", node.name),
        );
        let (mean, variance) = (&self.statistics[&mean_name], &self.statistics[&variance_name]);
        if mode != PassMode::Train {
            return Ok(ops::batch_norm_frozen(
                x,
                (&scale, &shift),
                (mean, variance),
                epsilon.value(),
                activation,
            )?);
        }
        let (y, batch) = ops::batch_norm_train(x, &scale, &shift, epsilon.value(), activation)?;
        // the running variance is the unbiased one, as in PyTorch
        let samples = (x.elem_count() / scale.elem_count()) as f64;
        let unbiased = (&batch.var * (samples / (samples - 1.0).max(1.0)))?;
        let moved =
            |old: &Tensor, new: &Tensor| (old * (1.0 - STATISTICS_MOMENTUM))? + (new.detach() * STATISTICS_MOMENTUM)?;
        updates.push((mean_name, moved(mean, &batch.mean)?));
        updates.push((variance_name, moved(variance, &unbiased)?));
        Ok(y)
    }

    /// Raw pixels less their mean, over their standard deviation; no gradient goes on from here.
    fn normalise(&self, node: &Node, x: &Tensor, shift: bool, scale: bool) -> Result<Tensor> {
        let of_channels = |suffix: &str| self.statistics[&format!("{}.{suffix}", node.name)].reshape((1, (), 1, 1));
        let mut y = x.clone();
        if shift {
            y = y.broadcast_sub(&of_channels("mean")?)?;
        }
        if scale {
            y = y.broadcast_div(&of_channels("std")?)?;
        }
        Ok(y)
    }

    fn parameter(&self, node: &Node, suffix: &str, mode: PassMode) -> Result<Tensor> {
        let var = &self.trained[&format!("{}.{suffix}", node.name)];
        Ok(if mode == PassMode::Inference {
            var.as_detached_tensor()
        } else {
            var.as_tensor().clone()
        })
    }
}

/// The activation that each batch norm or addition is read by, where nothing else reads it.
fn fusible(graph: &Graph) -> Vec<Activation> {
    let readers = graph.reader_counts();
    let mut fused = vec![Activation::None; graph.nodes().len()];
    for node in graph.nodes() {
        let Some(&input) = node.inputs.first().filter(|input| readers[input.index()] == 1) else {
            continue;
        };
        fused[input.index()] = match (graph.node(input).op, node.op) {
            (Op::BatchNorm { .. } | Op::Add, Op::Relu) => Activation::Relu,
            (Op::BatchNorm { .. }, Op::Relu6) => Activation::Relu6,
            _ => Activation::None,
        };
    }
    fused
}

fn value(values: &[Option<Tensor>], id: NodeId) -> Result<Tensor> {
    let missing = || Error::invalid(format!("node {}", id.index()), "a computed value", "none");
    values.get(id.index()).and_then(Clone::clone).ok_or_else(missing)
}

/// Whether all values of a tensor are finite.
///
/// # Errors
/// [`Error::Tensor`].
fn is_finite(tensor: &Tensor) -> Result<bool> {
    // infinities of both signs give NaN, everything else keeps or overflows to infinity
    Ok(tensor
        .abs()?
        .to_dtype(DType::F64)?
        .sum_all()?
        .to_scalar::<f64>()?
        .is_finite())
}

/// Copies a tensor to the host as f32.
///
/// # Errors
/// [`Error::Tensor`].
pub(crate) fn to_host(tensor: &Tensor) -> Result<HostTensor> {
    let data = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?;
    Ok(HostTensor::new(tensor.dims().to_vec(), data))
}

/// Copies a host tensor to the device and type of `like`.
///
/// # Errors
/// [`Error::Tensor`].
pub(crate) fn from_host(host: &HostTensor, like: &Tensor) -> Result<Tensor> {
    Ok(Tensor::from_slice(&host.data, host.shape.as_slice(), like.device())?.to_dtype(like.dtype())?)
}

#[cfg(test)]
mod tests {
    use askd_models::GraphBuilder;

    use super::*;
    use crate::nn::initialise;

    #[test]
    fn an_activation_computed_with_its_batch_norm_changes_nothing() {
        for op in [Op::Relu, Op::Relu6] {
            let mut builder = GraphBuilder::new("test", [2, 4, 4]);
            let norm = builder.batch_norm("bn", builder.input()).unwrap();
            let active = builder.push("active", op, &[norm]).unwrap();
            let graph = builder.finish(&[("norm", norm), ("active", active)]);
            let mut weights = initialise(&graph, 0);
            weights.insert("bn.weight".to_owned(), HostTensor::new(vec![2], vec![8.0, -8.0]));
            let values = (0..64).map(|i| ((i * i + 7 * i) % 101) as f32).collect::<Vec<_>>();
            let images = Tensor::from_vec(values, (2, 2, 4, 4), &Device::Cpu).unwrap();
            let run = |outputs: &[&str]| {
                let graph = graph.keep_outputs(outputs).unwrap();
                let mut network = Network::new(graph, &weights, DType::F32, &Device::Cpu).unwrap();
                let fused = network.fused.iter().any(|activation| *activation != Activation::None);
                let active = network
                    .forward(&images, PassMode::Train, &["active"])
                    .unwrap()
                    .remove(0);
                (fused, active.flatten_all().unwrap().to_vec1::<f32>().unwrap())
            };
            let ((fused, together), (apart, alone)) = (run(&["active"]), run(&["active", "norm"]));
            assert!(fused && !apart);
            assert_eq!(together, alone, "{op:?}");
            let above_six = together.iter().any(|value| *value > 6.0);
            assert_eq!(above_six, op == Op::Relu, "{together:?}");
        }
    }
}
