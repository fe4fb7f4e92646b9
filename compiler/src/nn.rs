//! Layers, optimiser and initial weights: what training needs beyond the tensor library.

#[cfg(test)]
mod composition_tests;
mod init;
pub mod kernels;
mod network;
pub mod ops;
mod sgd;
mod tape;

pub use init::initialise;
pub use network::{Network, PassMode};
pub(crate) use network::{from_host, to_host};
pub use sgd::{Sgd, SgdConfig};
pub use tape::{Tape, record};
