//! The graph of a network: nodes in topological order, named outputs.

use std::collections::BTreeMap;

use crate::{Error, Op, Parameter, Result, Shape};

/// Output name of the last feature map, where a student's encoder ends.
///
/// Source: `feat[-2]` in the authors' code, github.com/random2314235/ATSC.
pub const FEATURES: &str = "features";

/// Output name of the map that the classifier pools; a teacher's is what its student's projector imitates.
///
/// It is [`FEATURES`] where nothing lies between the two, as in ResNets and VGG.
pub const CLASSIFIER_MAP: &str = "classifier_map";

/// Output name of the map that ends a stage, of which there are several: `stage.1` and on, the last of them [`FEATURES`].
///
/// They are what methods with intermediate layers read ([`Graph::stages`]). The map that a stage gives is taken after its last
/// ReLU; MobileNetV2's blocks end without one.
///
/// Source: `feat[1:-1]` of the networks in github.com/HobbitLong/RepDistiller, which the codes of SimKD and ATSC share;
/// `feat[0]` is the stem's map, `feat[-1]` the pooled vector.
pub const STAGE: &str = "stage";

/// Output name of the class scores before softmax.
pub const LOGITS: &str = "logits";

/// Index of a node in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) usize);

impl NodeId {
    /// Position in [`Graph::nodes`].
    pub fn index(self) -> usize {
        self.0
    }
}

/// One operation with its name, its inputs and the shape it gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Name, the prefix of its parameters' names.
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Where its inputs come from; always earlier nodes.
    pub inputs: Vec<NodeId>,
    /// What it outputs for one image.
    pub shape: Shape,
}

impl Node {
    /// The tensors this node owns.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.op.parameters(&self.name)
    }
}

/// A network: the one definition from which layers, ONNX and counts are made.
///
/// Built with [`crate::GraphBuilder`], so every shape has been checked and nodes are in topological order.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    pub(crate) name: String,
    pub(crate) nodes: Vec<Node>,
    pub(crate) outputs: BTreeMap<String, NodeId>,
}

impl Graph {
    /// The network's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// All nodes; each comes after its inputs, the first is the input.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeId(index), node))
    }

    /// The node of an id of this graph.
    ///
    /// # Panics
    /// If the id is of another, longer graph.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// Shape `(C, H, W)` of the image.
    pub fn input_shape(&self) -> [usize; 3] {
        match self.nodes[0].shape {
            Shape::Map(dims) => dims,
            Shape::Vector(_) => unreachable!("GraphBuilder::new makes node 0 a map"),
        }
    }

    /// Number of classes K: the length of [`LOGITS`].
    ///
    /// # Errors
    /// [`Error::UnknownOutput`] if the graph has no logits.
    pub fn classes(&self) -> Result<usize> {
        Ok(self.output(LOGITS)?.shape.elements())
    }

    /// Whether the input is raw pixels, which [`Op::Normalise`] reads, instead of a normalised image.
    pub fn takes_pixels(&self) -> bool {
        self.nodes.iter().any(|node| matches!(node.op, Op::Normalise { .. }))
    }

    /// Names and nodes of the outputs.
    pub fn outputs(&self) -> impl Iterator<Item = (&str, NodeId)> {
        self.outputs.iter().map(|(name, id)| (name.as_str(), *id))
    }

    /// Id of a named output.
    ///
    /// # Errors
    /// [`Error::UnknownOutput`].
    pub fn output_id(&self, name: &str) -> Result<NodeId> {
        self.outputs.get(name).copied().ok_or_else(|| Error::UnknownOutput {
            graph: self.name.clone(),
            name: name.to_owned(),
            available: self.outputs.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
        })
    }

    /// Names of the outputs that end a stage, the first stage's first: `stage.1`, `stage.2` and on.
    pub fn stages(&self) -> Vec<String> {
        let names = (1..).map(|stage| format!("{STAGE}.{stage}"));
        names.take_while(|name| self.outputs.contains_key(name)).collect()
    }

    /// Node of a named output.
    ///
    /// # Errors
    /// [`Error::UnknownOutput`].
    pub fn output(&self, name: &str) -> Result<&Node> {
        Ok(self.node(self.output_id(name)?))
    }

    /// All tensors, in node order.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.nodes.iter().flat_map(Node::parameters).collect()
    }

    /// How many nodes read each node; outputs count as a reader.
    pub fn reader_counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.nodes.len()];
        for id in self
            .nodes
            .iter()
            .flat_map(|node| &node.inputs)
            .chain(self.outputs.values())
        {
            counts[id.0] += 1;
        }
        counts
    }

    /// The same network with only these outputs, and without the nodes that none of them needs.
    ///
    /// # Errors
    /// [`Error::UnknownOutput`].
    pub fn keep_outputs(&self, names: &[&str]) -> Result<Self> {
        let mut needed = vec![false; self.nodes.len()];
        needed[0] = true;
        for name in names {
            needed[self.output_id(name)?.0] = true;
        }
        for index in (0..self.nodes.len()).rev().filter(|index| *index > 0) {
            if needed[index] {
                self.nodes[index].inputs.iter().for_each(|id| needed[id.0] = true);
            }
        }
        let mut renumbered = vec![NodeId(0); self.nodes.len()];
        let mut nodes = Vec::new();
        for (index, node) in self.nodes.iter().enumerate().filter(|(index, _)| needed[*index]) {
            renumbered[index] = NodeId(nodes.len());
            let inputs = node.inputs.iter().map(|id| renumbered[id.0]).collect();
            nodes.push(Node { inputs, ..node.clone() });
        }
        let outputs = names
            .iter()
            .map(|name| Ok(((*name).to_owned(), renumbered[self.output_id(name)?.0])));
        Ok(Self {
            name: self.name.clone(),
            nodes,
            outputs: outputs.collect::<Result<_>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NetworkConfig, build};

    #[test]
    fn keeping_features_drops_the_head() {
        let graph = build("resnet8", &NetworkConfig::new([1, 28, 28], 10)).unwrap();
        let encoder = graph.keep_outputs(&[FEATURES]).unwrap();
        assert!(
            encoder
                .nodes()
                .iter()
                .all(|node| !matches!(node.op, Op::Linear { .. } | Op::GlobalAveragePool))
        );
        assert_eq!(encoder.output(FEATURES).unwrap().shape, Shape::Map([64, 7, 7]));
        assert_eq!(graph.parameter_count() - encoder.parameter_count(), 64 * 10 + 10);
    }

    #[test]
    fn pixels_are_normalised_by_facts_that_are_not_trained() {
        let mut builder = crate::GraphBuilder::new("test", [3, 4, 5]);
        let normalise = |channels, shift, scale| Op::Normalise { channels, shift, scale };
        let image = builder.input();
        assert!(builder.push("gray", normalise(1, true, true), &[image]).is_err());
        let x = builder.push("preprocess", normalise(3, true, true), &[image]).unwrap();
        let graph = builder.finish(&[("x", x)]);
        let names: Vec<String> = graph.parameters().into_iter().map(|parameter| parameter.name).collect();
        assert_eq!(names, ["preprocess.mean", "preprocess.std"]);
        assert_eq!((graph.parameter_count(), graph.takes_pixels()), (0, true));
        assert_eq!(graph.node(x).shape, Shape::Map([3, 4, 5]));
        let bare = normalise(3, false, false).parameters("preprocess");
        assert!(
            bare.is_empty()
                && !build("resnet8", &NetworkConfig::new([3, 8, 8], 2))
                    .unwrap()
                    .takes_pixels()
        );
    }

    #[test]
    fn unknown_output_names_what_there_is() {
        let graph = build("resnet8", &NetworkConfig::new([3, 32, 32], 10)).unwrap();
        let message = graph.output("embedding").unwrap_err().to_string();
        assert_eq!(
            message,
            "graph \"resnet8\" has no output \"embedding\", it has: classifier_map, features, logits, \
             stage.1, stage.2, stage.3"
        );
    }
}
