//! Builds a [`Graph`] node by node, checking every shape.

use std::collections::{BTreeMap, HashMap};

use crate::{Conv2d, Epsilon, Error, Graph, Node, NodeId, Op, Result, Shape};

/// Builder of a [`Graph`]. Each method appends one node and gives its id.
#[derive(Debug)]
pub struct GraphBuilder {
    graph: Graph,
    names: HashMap<String, NodeId>,
}

impl GraphBuilder {
    /// A graph with its input: one image `(C, H, W)`.
    pub fn new(name: &str, input: [usize; 3]) -> Self {
        let node = Node {
            name: "image".to_owned(),
            op: Op::Input,
            inputs: Vec::new(),
            shape: Shape::Map(input),
        };
        let graph = Graph {
            name: name.to_owned(),
            nodes: vec![node],
            outputs: BTreeMap::new(),
        };
        Self {
            graph,
            names: HashMap::from([("image".to_owned(), NodeId(0))]),
        }
    }

    /// The image.
    pub fn input(&self) -> NodeId {
        NodeId(0)
    }

    /// Shape of a node added before.
    pub fn shape(&self, id: NodeId) -> Shape {
        self.graph.nodes[id.0].shape
    }

    /// Appends any operation.
    ///
    /// # Errors
    /// [`Error::ShapeMismatch`] if the operation does not take its inputs' shapes, [`Error::DuplicateNode`].
    pub fn push(&mut self, name: &str, op: Op, inputs: &[NodeId]) -> Result<NodeId> {
        let shapes: Vec<Shape> = inputs.iter().map(|id| self.shape(*id)).collect();
        let shape = op.infer(&shapes).map_err(|expected| Error::ShapeMismatch {
            node: name.to_owned(),
            expected,
            got: shapes,
        })?;
        let id = NodeId(self.graph.nodes.len());
        if self.names.contains_key(name) {
            return Err(Error::DuplicateNode {
                graph: self.graph.name.clone(),
                name: name.to_owned(),
            });
        }
        self.names.insert(name.to_owned(), id);
        self.graph.nodes.push(Node {
            name: name.to_owned(),
            op,
            inputs: inputs.to_vec(),
            shape,
        });
        Ok(id)
    }

    /// Convolution without bias, padded so that stride 1 keeps the size.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn conv(&mut self, name: &str, x: NodeId, out_channels: usize, kernel: usize, stride: usize) -> Result<NodeId> {
        self.grouped_conv(name, x, out_channels, kernel, stride, 1)
    }

    /// As [`Self::conv`], with the channels split into `groups`; as many as channels make it depthwise.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn grouped_conv(
        &mut self,
        name: &str,
        x: NodeId,
        out_channels: usize,
        kernel: usize,
        stride: usize,
        groups: usize,
    ) -> Result<NodeId> {
        let conv = Conv2d {
            in_channels: self.shape(x).channels(),
            out_channels,
            kernel,
            stride,
            padding: kernel / 2,
            groups,
            bias: false,
        };
        self.push(name, Op::Conv2d(conv), &[x])
    }

    /// Batch norm over the map's channels.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn batch_norm(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        self.push(
            name,
            Op::BatchNorm {
                channels: self.shape(x).channels(),
                epsilon: Epsilon::default(),
            },
            &[x],
        )
    }

    /// `max(x, 0)`.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn relu(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        self.push(name, Op::Relu, &[x])
    }

    /// `min(max(x, 0), 6)`.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn relu6(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        self.push(name, Op::Relu6, &[x])
    }

    /// Sum of two maps.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn add(&mut self, name: &str, a: NodeId, b: NodeId) -> Result<NodeId> {
        self.push(name, Op::Add, &[a, b])
    }

    /// Maximum over windows of `kernel` pixels a side, `stride` pixels apart, without padding.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn max_pool(&mut self, name: &str, x: NodeId, kernel: usize, stride: usize) -> Result<NodeId> {
        let pool = Op::MaxPool {
            kernel,
            stride,
            padding: 0,
        };
        self.push(name, pool, &[x])
    }

    /// Global average pool, then a linear layer to `classes`: the classifier that ATSC shares.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn classifier(&mut self, name: &str, x: NodeId, classes: usize) -> Result<NodeId> {
        let pooled = self.push(&format!("{name}.pool"), Op::GlobalAveragePool, &[x])?;
        let in_features = self.shape(pooled).elements();
        self.push(
            name,
            Op::Linear {
                in_features,
                out_features: classes,
            },
            &[pooled],
        )
    }

    /// Appends all of `other` with `prefix.` before its node names, its input replaced by `x`; gives its outputs' ids.
    ///
    /// A node that is here already, the same by name, operation and inputs, is taken as it is: after a part of a network
    /// the whole of it adds the rest.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn append(&mut self, prefix: &str, other: &Graph, x: NodeId) -> Result<BTreeMap<String, NodeId>> {
        let mut ids = vec![x];
        for node in &other.nodes[1..] {
            let inputs: Vec<NodeId> = node.inputs.iter().map(|id| ids[id.0]).collect();
            let name = format!("{prefix}.{}", node.name);
            let same = |id: &&NodeId| self.graph.node(**id).op == node.op && self.graph.node(**id).inputs == inputs;
            ids.push(match self.names.get(&name).filter(same) {
                Some(present) => *present,
                None => self.push(&name, node.op, &inputs)?,
            });
        }
        Ok(other.outputs().map(|(name, id)| (name.to_owned(), ids[id.0])).collect())
    }

    /// The finished graph with these outputs.
    pub fn finish(mut self, outputs: &[(&str, NodeId)]) -> Graph {
        self.graph.outputs = outputs.iter().map(|(name, id)| ((*name).to_owned(), *id)).collect();
        self.graph
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FEATURES, LOGITS, NetworkConfig, build};

    #[test]
    fn a_wrong_shape_names_the_node() {
        let mut builder = GraphBuilder::new("test", [3, 8, 8]);
        let conv = Conv2d {
            in_channels: 4,
            out_channels: 8,
            kernel: 3,
            stride: 1,
            padding: 1,
            groups: 1,
            bias: false,
        };
        let error = builder
            .push("conv1", Op::Conv2d(conv), &[builder.input()])
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("node \"conv1\" expects one map with 4 channels"),
            "{error}"
        );
        assert!(error.ends_with("got [(3, 8, 8)]"), "{error}");
    }

    #[test]
    fn a_name_is_used_once() {
        let mut builder = GraphBuilder::new("test", [3, 8, 8]);
        let x = builder.relu("relu", builder.input()).unwrap();
        assert!(matches!(builder.relu("relu", x), Err(Error::DuplicateNode { .. })));
    }

    #[test]
    fn appending_the_whole_after_a_part_adds_the_rest() {
        let whole = build("resnet8", &NetworkConfig::new([3, 8, 8], 10)).unwrap();
        let part = whole.keep_outputs(&[FEATURES]).unwrap();
        let mut builder = GraphBuilder::new("test", [3, 8, 8]);
        let x = builder.input();
        let first = builder.append("net", &part, x).unwrap();
        let second = builder.append("net", &whole, x).unwrap();
        assert_eq!(first[FEATURES], second[FEATURES]);
        // another input makes another node of the same name
        let error = builder.append("net", &whole, first[FEATURES]).unwrap_err();
        assert!(
            matches!(error, Error::DuplicateNode { .. } | Error::ShapeMismatch { .. }),
            "{error}"
        );
        let graph = builder.finish(&[(LOGITS, second[LOGITS])]);
        assert_eq!(graph.nodes().len(), whole.nodes().len());
    }

    #[test]
    fn only_what_fits_is_averaged_or_joined() {
        let mut builder = GraphBuilder::new("test", [3, 4, 6]);
        let x = builder.input();
        let wide = builder.conv("wide", x, 5, 1, 1).unwrap();
        let halved = builder.conv("halved", x, 3, 1, 2).unwrap();
        let pooled = builder.push("pooled", Op::GlobalAveragePool, &[x]).unwrap();
        let (joined, mean) = (
            builder.push("joined", Op::Concat, &[x, wide, x]).unwrap(),
            builder.push("mean", Op::Mean, &[pooled, pooled, pooled]).unwrap(),
        );
        assert_eq!(builder.shape(joined), Shape::Map([11, 4, 6]));
        assert_eq!(builder.shape(mean), Shape::Vector(3));
        let vectors = builder.push("vectors", Op::Concat, &[pooled, mean]).unwrap();
        assert_eq!(builder.shape(vectors), Shape::Vector(6));
        for (op, inputs) in [
            (Op::Concat, &[x, halved][..]),
            (Op::Concat, &[x, pooled]),
            (Op::Concat, &[x]),
            (Op::Concat, &[]),
            (Op::Mean, &[x, wide]),
            (Op::Mean, &[x]),
            (Op::Mean, &[]),
        ] {
            let error = builder.push("bad", op, inputs).unwrap_err().to_string();
            assert!(error.starts_with("node \"bad\" expects two or more"), "{error}");
        }
    }

    #[test]
    fn hostile_sizes_are_errors() {
        let mut builder = GraphBuilder::new("test", [3, 2, 2]);
        let x = builder.input();
        for (kernel, stride, groups) in [(9, 1, 1), (3, 0, 1), (3, 1, 0), (3, 1, 2)] {
            let conv = Conv2d {
                in_channels: 3,
                out_channels: 6,
                kernel,
                stride,
                padding: 1,
                groups,
                bias: false,
            };
            assert!(builder.push("conv", Op::Conv2d(conv), &[x]).is_err(), "{conv:?}");
        }
        for groups in [0, 2] {
            assert!(builder.push("shuffle", Op::ChannelShuffle { groups }, &[x]).is_err());
        }
        for (kernel, stride, padding) in [(5, 1, 1), (2, 0, 0), (2, 1, 2), (0, 1, 0)] {
            let pool = Op::MaxPool {
                kernel,
                stride,
                padding,
            };
            assert!(builder.push("pool", pool, &[x]).is_err(), "{pool:?}");
        }
        assert!(
            builder
                .push("pool", Op::AdaptiveAveragePool { height: 4, width: 1 }, &[x])
                .is_err()
        );
        assert!(
            builder
                .push(
                    "pad",
                    Op::SubsamplePad {
                        stride: 0,
                        before: 1,
                        after: 1
                    },
                    &[x]
                )
                .is_err()
        );
    }
}
