//! Trains, distils and compiles image classifiers for devices.

pub mod bundle;
pub mod data;
pub mod distill;
mod error;
pub mod estimate;
pub mod evaluate;
pub mod export;
pub mod files;
pub mod inspect;
mod latency;
pub mod nn;
pub mod onnx;
pub mod passes;
pub mod pilot;
pub mod progress;
pub mod quantize;
pub mod report;
pub mod robustness;
pub mod spread;
pub mod study;
mod tensorboard;
pub mod train;
pub mod verify;
pub mod weights;

pub use error::{Differences, Error};

/// Result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
