//! Builds a [`Graph`] node by node, checking every shape.

use std::collections::{BTreeMap, HashSet};

use crate::{Conv2d, Error, Graph, Node, NodeId, Op, Result, Shape};

/// Builder of a [`Graph`]. Each method appends one node and gives its id.
#[derive(Debug)]
pub struct GraphBuilder {
    graph: Graph,
    names: HashSet<String>,
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
            names: HashSet::from(["image".to_owned()]),
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
        if !self.names.insert(name.to_owned()) {
            return Err(Error::DuplicateNode {
                graph: self.graph.name.clone(),
                name: name.to_owned(),
            });
        }
        self.graph.nodes.push(Node {
            name: name.to_owned(),
            op,
            inputs: inputs.to_vec(),
            shape,
        });
        Ok(NodeId(self.graph.nodes.len() - 1))
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
    /// # Errors
    /// As [`Self::push`].
    pub fn append(&mut self, prefix: &str, other: &Graph, x: NodeId) -> Result<BTreeMap<String, NodeId>> {
        let mut ids = vec![x];
        for node in &other.nodes[1..] {
            let inputs: Vec<NodeId> = node.inputs.iter().map(|id| ids[id.0]).collect();
            ids.push(self.push(&format!("{prefix}.{}", node.name), node.op, &inputs)?);
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
