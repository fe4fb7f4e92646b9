//! Differentiable operations: the kernels as candle custom operations with their own backward.
//!
//! On a CPU each function runs the kernels in [`super::kernels`]; on any other device it is the `composition` beside
//! it, made of candle's own differentiable operations. The composition also runs on a CPU, where the tests hold the
//! kernels against it. Inputs are `f32` or `f64`; strided inputs are made contiguous first.
//!
//! Errors of all functions: `candle_core::Error` naming the operation and both shapes or types where inputs do not fit
//! each other. No input makes a function panic.

mod activation;
mod average_pool;
mod batch_norm;
mod bias;
mod channel_shuffle;
mod channels;
mod concat;
mod conv2d;
mod linear;
mod loss;
mod max_pool;
mod mean;
mod pool;
mod sgd;
mod support;
mod taps;
#[cfg(test)]
mod testing;
mod zero_pad;

pub use activation::{add, add_relu, relu, relu6};
pub use average_pool::average_pool;
pub use batch_norm::{BatchStatistics, batch_norm_frozen, batch_norm_train};
pub use bias::add_bias;
pub use channel_shuffle::channel_shuffle;
pub use channels::channels;
pub use concat::concat;
pub use conv2d::{Conv2dConfig, conv2d};
pub use linear::linear;
pub use loss::{cross_entropy, mean_squared_error};
pub use max_pool::{MaxPoolConfig, max_pool};
pub use mean::mean;
pub use pool::{adaptive_average_pool, global_average_pool, subsample_pad};

pub use sgd::{SgdUpdate, sgd_update, sum_of_squares};
pub use zero_pad::zero_pad;

pub use super::kernels::batch_norm::Activation;

pub(crate) use support::runs_kernels;
#[cfg(test)]
pub(crate) use testing::as_compositions;

/// The same operations made of candle's own: what runs on a GPU, and the tests' second reference.
pub mod composition {
    pub use super::activation::composition::{add_relu, relu, relu6};
    pub use super::batch_norm::composition::{batch_norm_frozen, batch_norm_train};
    pub use super::bias::composition::add_bias;
    pub use super::channel_shuffle::composition::channel_shuffle;
    pub use super::conv2d::composition::conv2d;
    pub use super::linear::composition::linear;
    pub use super::loss::composition::{cross_entropy, mean_squared_error};
    pub use super::max_pool::composition::max_pool;
    pub use super::pool::composition::{adaptive_average_pool, global_average_pool, subsample_pad};
}
