//! How a network computes with integers: what the ONNX writer needs to know of it.

use std::collections::{BTreeMap, BTreeSet};

use askd_models::{Conv2d, Graph, NodeId, Op};

use super::calibration::Range;
use super::layer::IntegerLayer;
use super::placement::{Placement, layers};
use super::target::{Activations, Affine, Target};
use crate::Result;
use crate::weights::Weights;

/// A network's placement with every scale and every integer weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    placement: Placement,
    activations: Activations,
    /// The maps of values that have one of their own.
    affines: BTreeMap<NodeId, Affine>,
    layers: BTreeMap<NodeId, IntegerLayer>,
    /// Convolutions that read their input with channels of zeros behind it, and how many.
    added_channels: BTreeMap<NodeId, usize>,
}

impl Plan {
    /// The plan for `target` with what each value was in calibration, and the nodes `float` left as they are; none for a
    /// target without integers.
    ///
    /// `ranges` has every value of the placement without float nodes; `weights` are the graph's.
    ///
    /// # Errors
    /// [`crate::Error::Network`] if the graph has no logits.
    pub fn new(
        graph: &Graph,
        weights: &Weights,
        ranges: &BTreeMap<NodeId, Range>,
        target: Target,
        float: &BTreeSet<NodeId>,
    ) -> Result<Option<Self>> {
        let Some(activations) = target.activations() else {
            return Ok(None);
        };
        let placement = Placement::new(graph, float)?;
        let own = placement.values.difference(&placement.moves);
        let affines = own.map(|id| {
            let range = ranges.get(id).copied().unwrap_or(Range::ZERO);
            (*id, activations.affine(range))
        });
        let mut plan = Self {
            affines: affines.collect(),
            activations,
            layers: BTreeMap::new(),
            added_channels: BTreeMap::new(),
            placement,
        };
        for id in layers(graph)
            .into_iter()
            .filter(|id| plan.placement.integer.contains(id))
        {
            let node = graph.node(id);
            let tensor = |suffix: &str| weights.get(&format!("{}.{suffix}", node.name));
            if let (Some(weight), Some(input)) = (tensor("weight"), plan.affine(graph, node.inputs[0])) {
                let bias = tensor("bias").filter(|_| target.integer_biases());
                let mut layer = IntegerLayer::new(weight, bias, input.scale, target.weight_limit());
                if let Some(added) = added_channels(node.op, target.channel_multiple()) {
                    layer.pad_channels(added);
                    plan.added_channels.insert(id, added);
                }
                plan.layers.insert(id, layer);
            }
        }
        Ok(Some(plan))
    }

    /// The node from which a value has its map: itself, or what it moves from; none for a value that stays float.
    pub fn source(&self, graph: &Graph, id: NodeId) -> Option<NodeId> {
        let mut source = id;
        while self.placement.moves.contains(&source) {
            source = graph.node(source).inputs[0];
        }
        self.affines.contains_key(&source).then_some(source)
    }

    /// The map of a value; none for one that stays float.
    pub fn affine(&self, graph: &Graph, id: NodeId) -> Option<Affine> {
        self.source(graph, id)
            .and_then(|source| self.affines.get(&source).copied())
    }

    /// Whether a node's output is kept as integers.
    pub fn is_integer(&self, id: NodeId) -> bool {
        self.placement.values.contains(&id)
    }

    /// Whether a node only moves integers.
    pub fn moves(&self, id: NodeId) -> bool {
        self.placement.moves.contains(&id)
    }

    /// Whether a node computes with integers.
    pub fn computes(&self, id: NodeId) -> bool {
        self.placement.integer.contains(&id)
    }

    /// A layer's integer tensors; none for one that stays float.
    pub fn layer(&self, id: NodeId) -> Option<&IntegerLayer> {
        self.layers.get(&id)
    }

    /// How many channels of zeros a convolution reads behind those of its input; its [`layer`](Self::layer) has weights for them.
    pub fn added_channels(&self, id: NodeId) -> Option<usize> {
        self.added_channels.get(&id).copied()
    }

    /// The integers that activations are.
    pub fn activations(&self) -> Activations {
        self.activations
    }

    /// Number of layers with weights that compute with integers.
    pub fn integer_layers(&self) -> usize {
        self.layers.len()
    }
}

/// How many channels a convolution lacks to have a multiple of `multiple`; none if it lacks none.
fn added_channels(op: Op, multiple: usize) -> Option<usize> {
    let Op::Conv2d(Conv2d {
        in_channels, groups: 1, ..
    }) = op
    else {
        return None;
    };
    let lacking = in_channels.next_multiple_of(multiple) - in_channels;
    (lacking > 0).then_some(lacking)
}

#[cfg(test)]
mod tests {
    use askd_models::{NetworkConfig, Op, build};

    use super::*;
    use crate::nn::initialise;
    use crate::passes;

    #[test]
    fn what_only_moves_has_its_inputs_scale() {
        let graph = build("vgg8", &NetworkConfig::new([3, 32, 32], 10)).unwrap();
        let mut weights = initialise(&graph, 0);
        let graph = passes::run_all(&graph, &mut weights).unwrap();
        let placement = Placement::new(&graph, &BTreeSet::new()).unwrap();
        let range = |id: &NodeId| {
            (
                *id,
                Range {
                    low: 0.0,
                    high: 1.0 + id.index() as f32,
                },
            )
        };
        let ranges = placement.values.iter().map(range).collect();
        let plan = Plan::new(&graph, &weights, &ranges, Target::X86Vnni, &BTreeSet::new())
            .unwrap()
            .unwrap();
        let mut moved = 0;
        for (id, node) in graph.iter() {
            if matches!(node.op, Op::MaxPool { .. }) {
                moved += 1;
                assert_eq!(plan.affine(&graph, id), plan.affine(&graph, node.inputs[0]));
                assert_eq!(plan.source(&graph, id), Some(node.inputs[0]));
            }
        }
        assert_eq!(moved, 3);
        assert_eq!(plan.integer_layers(), layers(&graph).len());
        // every bias is an integer whose step is that of the products
        for id in layers(&graph) {
            let layer = plan.layer(id).unwrap();
            let input = plan.affine(&graph, graph.node(id).inputs[0]).unwrap();
            let biases = layer.biases.as_ref().unwrap();
            assert_eq!(biases.scales[0], input.scale * layer.weight_scales[0]);
        }
        let on = |target| Plan::new(&graph, &weights, &ranges, target, &BTreeSet::new()).unwrap();
        assert!(on(Target::Arm64Fp16).is_none());
        assert!(
            on(Target::JetsonTensorrt)
                .unwrap()
                .layer(layers(&graph)[0])
                .unwrap()
                .biases
                .is_none()
        );
    }
}
