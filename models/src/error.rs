//! What can go wrong when a network is described.

use crate::Shape;

/// Why a graph could not be built or asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No network of that name is registered.
    #[error("unknown network \"{name}\", did you mean \"{nearest}\"? (`askd-compile list networks` names all)")]
    UnknownNetwork {
        /// What was asked for.
        name: String,
        /// The registered name closest to it.
        nearest: &'static str,
    },
    /// The requested input or class count does not fit the network.
    #[error("network \"{network}\" expects {expected}, got {got}")]
    InvalidConfig {
        /// The network's name.
        network: String,
        /// What it takes.
        expected: String,
        /// What was asked for.
        got: String,
    },
    /// A node was given inputs it cannot take.
    #[error("node \"{node}\" expects {expected}, got {got:?}")]
    ShapeMismatch {
        /// The node's name.
        node: String,
        /// What its operation takes.
        expected: String,
        /// The shapes of its inputs.
        got: Vec<Shape>,
    },
    /// Two nodes carry the same name.
    #[error("node name \"{name}\" is used twice in graph \"{graph}\"")]
    DuplicateNode {
        /// The graph's name.
        graph: String,
        /// The repeated name.
        name: String,
    },
    /// The graph has no output of that name.
    #[error("graph \"{graph}\" has no output \"{name}\", it has: {available}")]
    UnknownOutput {
        /// The graph's name.
        graph: String,
        /// What was asked for.
        name: String,
        /// The outputs there are, comma separated.
        available: String,
    },
}
