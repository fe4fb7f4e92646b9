//! CPU arithmetic on slices: no tensors, no shapes beyond what each function is told.
//!
//! Two rules hold in every file. All work is shared out with rayon, and the same input gives the same bits with any
//! number of threads: images are independent of each other, and a sum over images is cut into chunks whose number
//! follows from the shape alone, each summed in order and then combined in order.
//!
//! Slices must have the lengths that the shapes say; [`super::ops`] checks that before it calls.

pub mod activation;
pub mod batch_norm;
pub mod bias;
pub mod channel_shuffle;
pub mod conv2d;
pub mod depthwise;
pub mod element;
pub mod gemm;
pub mod im2col;
mod layout;
pub mod linear;
pub mod loss;
pub mod max_pool;
pub mod memory;
mod pointwise;
pub mod pool;
pub mod sgd;
pub mod simd;
pub mod winograd;
