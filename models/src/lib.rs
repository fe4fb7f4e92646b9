//! Networks as data.
//!
//! A network is a [`Graph`]: nodes with checked shapes, and parameter names equal to those of the usual PyTorch
//! checkpoint. The trainer, the exporter and the counter walk that one graph; nothing is written twice. This crate
//! knows neither a tensor library nor an inference engine.
//!
//! ```
//! use askd_models::{NetworkConfig, Shape};
//!
//! let graph = askd_models::build("resnet20", &NetworkConfig::new([3, 32, 32], 10))?;
//! assert_eq!(graph.output(askd_models::FEATURES)?.shape, Shape::Map([64, 8, 8]));
//! assert_eq!(graph.parameter_count(), 269_722);
//! # Ok::<(), askd_models::Error>(())
//! ```

mod builder;
mod count;
mod distilled;
mod error;
mod graph;
mod nets;
mod op;
mod registry;

pub use builder::GraphBuilder;
pub use count::NodeCost;
pub use distilled::{
    CLASSIFIER, DistilledOptions, ENCODER, OWN_LOGITS, PROJECTED, PROJECTOR, TeacherNames, distilled_student,
    without_projector,
};
pub use error::Error;
pub use graph::{CLASSIFIER_MAP, FEATURES, Graph, LOGITS, Node, NodeId, STAGE};
pub use op::{Conv2d, Epsilon, Op, Parameter, Role, Shape};
pub use registry::{Network, NetworkConfig, build, networks};

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
