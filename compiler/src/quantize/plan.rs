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
                if let Op::Conv2d(Conv2d {
                    in_channels, groups: 1, ..
                }) = node.op
                    && in_channels < target.least_channels()
                {
                    layer.pad_channels(target.least_channels() - in_channels);
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

    /// How many channels of zeros a layer reads behind those of its input.
    pub fn added_channels(&self, id: NodeId) -> usize {
        self.layer(id).map_or(0, |layer| layer.added_channels)
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

#[cfg(test)]
mod tests {
    use askd_models::{NetworkConfig, Op, build, networks};
    use askd_runtime::{Batch, Optimisation};

    use super::*;
    use crate::nn::initialise;
    use crate::onnx::{Arithmetic, ModelInfo, write_model_in};
    use crate::passes;

    /// The plan of a network that was seen with every value in 0 to its number and one, but the image, which is on both sides of zero.
    fn planned(graph: &Graph, weights: &Weights, float: &BTreeSet<NodeId>) -> Plan {
        let placement = Placement::new(graph, &BTreeSet::new()).unwrap();
        let range = |id: &NodeId| {
            let low = if id.index() == 0 { -1.7 } else { 0.0 };
            let high = 1.0 + id.index() as f32;
            (*id, Range { low, high })
        };
        let ranges = placement.values.iter().map(range).collect();
        Plan::new(graph, weights, &ranges, Target::X86Vnni, float)
            .unwrap()
            .unwrap()
    }

    fn logits(plan: &Plan, graph: &Graph, weights: &Weights, optimisation: Optimisation) -> Vec<f32> {
        let info = ModelInfo::new(Batch::One);
        let model = write_model_in(Arithmetic::Integer(plan), graph, weights, &info).unwrap();
        let mut session = super::super::session(&model, optimisation).unwrap();
        let elements = session.interface().elements();
        let image: Vec<f32> = (0..elements)
            .map(|at| ((at * at * 31 + 7 * at) % 256) as f32 / 128.0 - 1.0)
            .collect();
        let mut logits = vec![0.0; session.interface().classes];
        session.run(&image, &mut logits).unwrap();
        logits
    }

    #[test]
    fn channels_of_zeros_change_no_bit_of_the_logits() {
        for channels in [1, 3] {
            let graph = build("resnet8", &NetworkConfig::new([channels, 16, 16], 10)).unwrap();
            let mut weights = initialise(&graph, 0);
            let graph = passes::run_all(&graph, &mut weights).unwrap();
            let first = layers(&graph)[0];
            let padded = planned(&graph, &weights, &BTreeSet::new());
            assert_eq!(padded.added_channels(first), 4 - channels);
            assert_eq!(padded.layers[&first].shape[1], 4);

            let mut plain = padded.clone();
            let tensor = |suffix: &str| &weights[&format!("{}.{suffix}", graph.node(first).name)];
            let scale = padded.affine(&graph, graph.node(first).inputs[0]).unwrap().scale;
            let layer = IntegerLayer::new(tensor("weight"), Some(tensor("bias")), scale, 127);
            plain.layers.insert(first, layer);
            for optimisation in [Optimisation::None, Optimisation::All] {
                assert_eq!(
                    logits(&padded, &graph, &weights, optimisation),
                    logits(&plain, &graph, &weights, optimisation),
                    "{channels} channels, {optimisation:?}"
                );
            }
        }
    }

    #[test]
    fn only_a_convolution_of_an_image_with_integers_gets_channels() {
        for network in networks() {
            let graph = build(network.name, &NetworkConfig::new([3, 32, 32], 10)).unwrap();
            let mut weights = initialise(&graph, 0);
            let graph = passes::run_all(&graph, &mut weights).unwrap();
            let first = layers(&graph)[0];
            let added = |float: &[NodeId]| {
                let plan = planned(&graph, &weights, &float.iter().copied().collect());
                let layers = layers(&graph).into_iter().map(|id| (id, plan.added_channels(id)));
                layers.filter(|(_, added)| *added > 0).collect::<Vec<_>>()
            };
            assert_eq!(added(&[]), [(first, 1)], "{}", network.name);
            assert_eq!(added(&[first]), [], "{}", network.name);
        }
    }

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
