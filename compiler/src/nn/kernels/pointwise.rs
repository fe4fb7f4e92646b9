//! 1x1 convolution of small maps: a few products over the whole batch.
//!
//! One image's pixels are too few columns for a product, and a weight gradient summed image by image would be as large as the
//! products themselves. So the batch is laid channel by channel, where it is one matrix, and a task is some rows of a result.

use rayon::prelude::*;

use super::conv2d::ConvShape;
use super::element::Element;
use super::gemm::{MatrixRef, matmul};
use super::layout::{channels_first, images_first};

/// Rows of a product that one task computes.
const ROWS: usize = 32;

/// Pixels of a map up to which this is faster than products over a few images.
const MOST_PIXELS: usize = 8;

/// Whether a convolution is one that this computes.
pub(super) fn applies(shape: &ConvShape) -> bool {
    shape.groups == 1 && shape.window.is_pointwise() && shape.window.output_pixels() <= MOST_PIXELS
}

/// Convolution of a batch into `y`; shapes as in [`super::conv2d::forward`].
pub(super) fn forward<T: Element>(shape: &ConvShape, x: &[T], w: &[T], y: &mut [T]) {
    let (pixels, inputs) = (shape.window.output_pixels(), shape.channels_in);
    let columns = shape.images * pixels;
    let x = channels_first(x, shape.images, pixels);
    let x = MatrixRef::row_major(&x, columns);
    let mut joined = vec![T::ZERO; y.len()];
    joined
        .par_chunks_mut(ROWS * columns)
        .zip(w.par_chunks(ROWS * inputs))
        .for_each(|(joined, w)| {
            let size = (joined.len() / columns, columns, inputs);
            matmul(size, joined, MatrixRef::row_major(w, inputs), x, false);
        });
    images_first(&joined, shape.images, pixels, y);
}

/// Gradients of [`forward`]: that of `w`, and that of `x` into `dx` where given.
pub(super) fn backward<T: Element>(shape: &ConvShape, x: &[T], w: &[T], dy: &[T], dx: Option<&mut [T]>) -> Vec<T> {
    let (pixels, inputs, outputs) = (shape.window.output_pixels(), shape.channels_in, shape.channels_out);
    let columns = shape.images * pixels;
    let (x, dy) = (
        channels_first(x, shape.images, pixels),
        channels_first(dy, shape.images, pixels),
    );
    if let Some(dx) = dx {
        let mut joined = vec![T::ZERO; dx.len()];
        joined
            .par_chunks_mut(ROWS * columns)
            .enumerate()
            .for_each(|(task, joined)| {
                let w = MatrixRef {
                    data: &w[task * ROWS..],
                    row_stride: 1,
                    col_stride: inputs,
                };
                let size = (joined.len() / columns, columns, outputs);
                matmul(size, joined, w, MatrixRef::row_major(&dy, columns), false);
            });
        images_first(&joined, shape.images, pixels, dx);
    }
    let mut dw = vec![T::ZERO; w.len()];
    let x = MatrixRef::row_major(&x, columns).transposed();
    dw.par_chunks_mut(ROWS * inputs)
        .zip(dy.par_chunks(ROWS * columns))
        .for_each(|(dw, dy)| {
            let size = (dw.len() / inputs, inputs, columns);
            matmul(size, dw, MatrixRef::row_major(dy, columns), x, false);
        });
    dw
}
