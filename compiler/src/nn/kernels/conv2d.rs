//! Convolution of a batch, forward and backward, as matrix products over a few images at a time.
//!
//! Backward of a stride-1 convolution unfolds the output gradient once and uses it twice: times the flipped weights
//! it is the input gradient, and the input times its transpose is the weight gradient. With any other stride the input is
//! unfolded for the weight gradient, and the input gradient is folded back from `weights^T * gradient`.

use rayon::prelude::*;

use super::depthwise;
use super::element::Element;
use super::gemm::{MatrixRef, matmul};
use super::im2col::{Window, col2im, im2col};
use super::pointwise;
use super::winograd;

/// Sizes of one convolution, already checked against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvShape {
    /// Images, N.
    pub images: usize,
    /// Input channels of all groups.
    pub channels_in: usize,
    /// Output channels of all groups.
    pub channels_out: usize,
    /// Groups; divides both channel counts.
    pub groups: usize,
    /// The window that slides over each image.
    pub window: Window,
}

impl ConvShape {
    pub(super) fn input_len(&self) -> usize {
        self.channels_in * self.window.input_pixels()
    }

    pub(super) fn output_len(&self) -> usize {
        self.channels_out * self.window.output_pixels()
    }

    pub(super) fn weights_len(&self) -> usize {
        self.channels_out * self.depth()
    }

    /// Length of one filter: input channels of a group times taps.
    fn depth(&self) -> usize {
        self.channels_in / self.groups * self.window.taps()
    }

    fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.channels_in && self.groups == self.channels_out
    }

    /// Whether the input gradient is itself a stride-1 convolution of the output gradient.
    fn flips(&self) -> bool {
        let Window {
            kernel,
            stride,
            padding,
            ..
        } = self.window;
        stride == 1 && padding.0 < kernel.0 && padding.1 < kernel.1
    }

    /// The window of that convolution.
    fn flipped_window(&self) -> Window {
        let Window {
            input,
            kernel,
            stride,
            padding,
            output,
        } = self.window;
        Window {
            input: output,
            kernel,
            stride,
            padding: (kernel.0 - 1 - padding.0, kernel.1 - 1 - padding.1),
            output: input,
        }
    }
}

/// Columns below which a product over one image leaves the machine idle, so that images are joined.
const WIDE_ENOUGH: usize = 192;

/// Images to multiply at once: a function of the shape alone, so that the bits do not depend on the threads.
fn images_together(pixels: usize, images: usize) -> usize {
    WIDE_ENOUGH.div_ceil(pixels.max(1)).clamp(1, images.max(1))
}

/// Images per partial sum of the weight gradient: 16 sums, or 4 where the weights are large beside the images.
pub(super) fn images_per_chunk(images: usize, weights_len: usize) -> usize {
    let chunks = if weights_len > 1 << 18 { 4 } else { 16 };
    images.div_ceil(chunks).max(1)
}

/// Convolution of a batch.
///
/// # Shapes
/// - `x`: `(N, Ci, H, W)`; `w`: `(Co, Ci / groups, kh, kw)`
/// - returns: `(N, Co, H', W')`
///
/// Source: ONNX Conv, opset 11, without bias and dilation.
pub fn forward<T: Element>(shape: &ConvShape, x: &[T], w: &[T]) -> Vec<T> {
    let mut y = vec![T::ZERO; shape.images * shape.output_len()];
    if y.is_empty() || x.is_empty() {
        return y;
    }
    if shape.is_depthwise() {
        depthwise::forward(&shape.window, x, w, shape.channels_in, &mut y);
        return y;
    }
    if winograd::applies(shape) {
        winograd::forward(shape, x, w, &mut y);
        return y;
    }
    if pointwise::applies(shape) {
        pointwise::forward(shape, x, w, &mut y);
        return y;
    }
    let together = images_together(shape.window.output_pixels(), shape.images);
    y.par_chunks_mut(together * shape.output_len())
        .zip(x.par_chunks(together * shape.input_len()))
        .for_each(|(y, x)| convolve(shape, &shape.window, x, w, y));
    y
}

/// Convolves a few images on the calling thread, joined in one product.
fn convolve<T: Element>(shape: &ConvShape, window: &Window, x: &[T], w: &[T], y: &mut [T]) {
    let images = x.len() / shape.input_len();
    let pixels = window.output_pixels();
    let (depth, filters) = (shape.depth(), shape.channels_out / shape.groups);
    let columns = images * pixels;
    let direct = window.is_pointwise() && images == 1;
    let unfolded_len = if direct { 0 } else { depth * columns };
    let joined_len = if images == 1 { 0 } else { filters * columns };
    T::with_scratch(unfolded_len + joined_len, |scratch| {
        let (unfolded, joined) = scratch.split_at_mut(unfolded_len);
        for group in 0..shape.groups {
            let matrix: &[T] = if direct {
                channels_of(x, shape, window.input_pixels(), group).1
            } else {
                unfold(shape, window, x, group, unfolded);
                unfolded
            };
            let filters_of_group = MatrixRef::row_major(&w[group * filters * depth..][..filters * depth], depth);
            let size = (filters, columns, depth);
            if images == 1 {
                let y = &mut y[group * filters * pixels..][..filters * pixels];
                matmul(size, y, filters_of_group, MatrixRef::row_major(matrix, columns), false);
            } else {
                matmul(
                    size,
                    joined,
                    filters_of_group,
                    MatrixRef::row_major(matrix, columns),
                    false,
                );
                split_images(joined, y, shape.channels_out, group * filters, pixels);
            }
        }
    });
}

/// The channels of `group` in the first image of `x`: their number and their pixels.
fn channels_of<'a, T>(x: &'a [T], shape: &ConvShape, pixels: usize, group: usize) -> (usize, &'a [T]) {
    let channels = shape.channels_in / shape.groups;
    (channels, &x[group * channels * pixels..][..channels * pixels])
}

/// Unfolds one group of a few images side by side.
fn unfold<T: Element>(shape: &ConvShape, window: &Window, x: &[T], group: usize, matrix: &mut [T]) {
    let pixels = window.output_pixels();
    let images = x.len() / shape.input_len();
    for (i, image) in x.chunks_exact(shape.input_len()).enumerate() {
        let (_, channels) = channels_of(image, shape, window.input_pixels(), group);
        im2col(window, channels, matrix, images * pixels, i * pixels);
    }
}

/// Copies `(channels, images, pixels)` to channels `first ..` of `(images, all_channels, pixels)`.
fn split_images<T: Element>(joined: &[T], y: &mut [T], all_channels: usize, first: usize, pixels: usize) {
    let images = y.len() / (all_channels * pixels);
    for (c, row) in joined.chunks_exact(images * pixels).enumerate() {
        for (i, part) in row.chunks_exact(pixels).enumerate() {
            y[(i * all_channels + first + c) * pixels..][..pixels].copy_from_slice(part);
        }
    }
}

/// Copies channels `first ..` of `(images, all_channels, pixels)` to `(channels, images, pixels)`.
fn join_images<T: Element>(y: &[T], joined: &mut [T], all_channels: usize, first: usize, pixels: usize) {
    let images = y.len() / (all_channels * pixels);
    for (c, row) in joined.chunks_exact_mut(images * pixels).enumerate() {
        for (i, part) in row.chunks_exact_mut(pixels).enumerate() {
            part.copy_from_slice(&y[(i * all_channels + first + c) * pixels..][..pixels]);
        }
    }
}

/// Gradients of [`forward`].
///
/// # Shapes
/// - `x`, `w`: as in [`forward`]; `dy`: `(N, Co, H', W')`
/// - returns: the gradient of `w`, and of `x` where `wants_dx`
pub fn backward<T: Element>(shape: &ConvShape, x: &[T], w: &[T], dy: &[T], wants_dx: bool) -> (Vec<T>, Option<Vec<T>>) {
    let mut dx = if wants_dx { vec![T::ZERO; x.len()] } else { Vec::new() };
    if x.is_empty() || dy.is_empty() {
        return (vec![T::ZERO; w.len()], wants_dx.then_some(dx));
    }
    if shape.is_depthwise() {
        let dw = depthwise::backward(
            &shape.window,
            x,
            w,
            dy,
            shape.channels_in,
            wants_dx.then_some(&mut dx[..]),
        );
        return (dw, wants_dx.then_some(dx));
    }
    if winograd::applies(shape) {
        let dw = winograd::backward(shape, x, w, dy, wants_dx.then_some(&mut dx[..]));
        return (dw, wants_dx.then_some(dx));
    }
    if pointwise::applies(shape) {
        let dw = pointwise::backward(shape, x, w, dy, wants_dx.then_some(&mut dx[..]));
        return (dw, wants_dx.then_some(dx));
    }
    let flips = wants_dx && shape.flips();
    let transposed = if flips { flip(shape, w) } else { Vec::new() };
    let per_chunk = images_per_chunk(shape.images, shape.weights_len());
    let chunks = shape.images.div_ceil(per_chunk);
    let mut partial = vec![T::ZERO; chunks * shape.weights_len()];
    let inputs = x
        .par_chunks(per_chunk * shape.input_len())
        .zip(dy.par_chunks(per_chunk * shape.output_len()));
    let work = partial.par_chunks_mut(shape.weights_len()).zip(inputs);
    if flips {
        work.zip(dx.par_chunks_mut(per_chunk * shape.input_len()))
            .for_each(|((dw, (x, dy)), dx)| {
                backward_flipped(shape, x, &transposed, dy, dw, dx);
            });
    } else if wants_dx {
        work.zip(dx.par_chunks_mut(per_chunk * shape.input_len()))
            .for_each(|((dw, (x, dy)), dx)| {
                backward_unfolded(shape, x, w, dy, dw, Some(dx));
            });
    } else {
        work.for_each(|(dw, (x, dy))| backward_unfolded(shape, x, w, dy, dw, None));
    }
    let dw = sum_chunks(partial, shape.weights_len());
    let dw = if flips {
        unflip(shape, &dw)
    } else {
        transpose(shape, &dw)
    };
    (dw, wants_dx.then_some(dx))
}

/// Adds up consecutive blocks of `len` elements, in order.
pub(super) fn sum_chunks<T: Element>(mut partial: Vec<T>, len: usize) -> Vec<T> {
    let (sum, rest) = partial.split_at_mut(len);
    for block in rest.chunks_exact(len) {
        for (to, from) in sum.iter_mut().zip(block) {
            *to += *from;
        }
    }
    partial.truncate(len);
    partial
}

/// Weights as the filters that turn the output gradient into the input gradient: `(g, Co/g, Ci/g, taps)` becomes
/// `(g, Ci/g, Co/g, taps)` with the taps reversed.
fn flip<T: Element>(shape: &ConvShape, w: &[T]) -> Vec<T> {
    let (outer, inner) = (shape.channels_out / shape.groups, shape.channels_in / shape.groups);
    let taps = shape.window.taps();
    let mut flipped = vec![T::ZERO; w.len()];
    for (row, from) in w.chunks_exact(taps).enumerate() {
        let (group, o, i) = (row / inner / outer, row / inner % outer, row % inner);
        let to = &mut flipped[((group * inner + i) * outer + o) * taps..][..taps];
        for (to, from) in to.iter_mut().zip(from.iter().rev()) {
            *to = *from;
        }
    }
    flipped
}

/// Weight gradient of [`backward_flipped`], `(g, Co/g, reversed taps, Ci/g)`, in the order of the weights.
fn unflip<T: Element>(shape: &ConvShape, gradient: &[T]) -> Vec<T> {
    let (inner, taps) = (shape.channels_in / shape.groups, shape.window.taps());
    let mut dw = vec![T::ZERO; gradient.len()];
    for (dw, gradient) in dw
        .chunks_exact_mut(inner * taps)
        .zip(gradient.chunks_exact(inner * taps))
    {
        for (tap, row) in gradient.chunks_exact(inner).rev().enumerate() {
            for (i, value) in row.iter().enumerate() {
                dw[i * taps + tap] = *value;
            }
        }
    }
    dw
}

/// Weight gradient of [`backward_unfolded`], `(g, depth, Co/g)`, in the order of the weights.
fn transpose<T: Element>(shape: &ConvShape, gradient: &[T]) -> Vec<T> {
    let (depth, filters) = (shape.depth(), shape.channels_out / shape.groups);
    let mut dw = vec![T::ZERO; gradient.len()];
    let groups = dw
        .chunks_exact_mut(depth * filters)
        .zip(gradient.chunks_exact(depth * filters));
    for (dw, gradient) in groups {
        for (d, row) in gradient.chunks_exact(filters).enumerate() {
            for (f, value) in row.iter().enumerate() {
                dw[f * depth + d] = *value;
            }
        }
    }
    dw
}

/// Both gradients of one chunk from the unfolded output gradient; `w` is [`flip`]ped, and
/// `dw` comes out as [`unflip`] takes it: as the product whose long sum both factors store contiguously.
fn backward_flipped<T: Element>(shape: &ConvShape, x: &[T], w: &[T], dy: &[T], dw: &mut [T], dx: &mut [T]) {
    // Seen from the gradient, outputs are inputs and the other way round.
    let window = shape.flipped_window();
    let reverse = ConvShape {
        channels_in: shape.channels_out,
        channels_out: shape.channels_in,
        window,
        ..*shape
    };
    let pixels = window.output_pixels();
    let (depth, filters) = (reverse.depth(), reverse.channels_out / shape.groups);
    let together = images_together(pixels, x.len() / shape.input_len());
    let parts = x
        .chunks(together * shape.input_len())
        .zip(dy.chunks(together * shape.output_len()));
    for ((x, dy), dx) in parts.zip(dx.chunks_mut(together * shape.input_len())) {
        let images = x.len() / shape.input_len();
        let columns = images * pixels;
        let direct = window.is_pointwise() && images == 1;
        let unfolded_len = if direct { 0 } else { depth * columns };
        let joined_len = if images == 1 { 0 } else { filters * columns };
        T::with_scratch(unfolded_len + joined_len, |scratch| {
            let (unfolded, joined) = scratch.split_at_mut(unfolded_len);
            for group in 0..shape.groups {
                let matrix: &[T] = if direct {
                    channels_of(dy, &reverse, window.input_pixels(), group).1
                } else {
                    unfold(&reverse, &window, dy, group, unfolded);
                    unfolded
                };
                let matrix = MatrixRef::row_major(matrix, columns);
                let block = group * filters * depth..(group + 1) * filters * depth;
                let (first, dw) = (group * filters, &mut dw[block.clone()]);
                let w = MatrixRef::row_major(&w[block], depth);
                if images == 1 {
                    let of_group = first * pixels..(first + filters) * pixels;
                    matmul((filters, columns, depth), &mut dx[of_group.clone()], w, matrix, false);
                    let x = MatrixRef::row_major(&x[of_group], columns);
                    matmul((depth, filters, columns), dw, matrix, x.transposed(), true);
                } else {
                    matmul((filters, columns, depth), joined, w, matrix, false);
                    split_images(joined, dx, shape.channels_in, first, pixels);
                    join_images(x, joined, shape.channels_in, first, pixels);
                    let x = MatrixRef::row_major(joined, columns);
                    matmul((depth, filters, columns), dw, matrix, x.transposed(), true);
                }
            }
        });
    }
}

/// Gradients of one chunk from the unfolded input: any stride, and the input gradient only on request. `dw` comes
/// out as [`transpose`] takes it.
fn backward_unfolded<T: Element>(
    shape: &ConvShape,
    x: &[T],
    w: &[T],
    dy: &[T],
    dw: &mut [T],
    mut dx: Option<&mut [T]>,
) {
    let window = &shape.window;
    let pixels = window.output_pixels();
    let (depth, filters) = (shape.depth(), shape.channels_out / shape.groups);
    let together = images_together(pixels, x.len() / shape.input_len());
    let parts = x
        .chunks(together * shape.input_len())
        .zip(dy.chunks(together * shape.output_len()));
    for (part, (x, dy)) in parts.enumerate() {
        let images = x.len() / shape.input_len();
        let columns = images * pixels;
        T::with_scratch((depth + filters) * columns, |scratch| {
            let (unfolded, joined) = scratch.split_at_mut(depth * columns);
            for group in 0..shape.groups {
                unfold(shape, window, x, group, unfolded);
                join_images(dy, joined, shape.channels_out, group * filters, pixels);
                let gradient = MatrixRef::row_major(joined, columns);
                let block = group * filters * depth..(group + 1) * filters * depth;
                let matrix = MatrixRef::row_major(unfolded, columns);
                matmul(
                    (depth, filters, columns),
                    &mut dw[block.clone()],
                    matrix,
                    gradient.transposed(),
                    true,
                );
                let Some(dx) = dx.as_deref_mut() else { continue };
                let w = MatrixRef::row_major(&w[block], depth).transposed();
                matmul((depth, columns, filters), unfolded, w, gradient, false);
                let dx = &mut dx[part * together * shape.input_len()..][..x.len()];
                let channels = shape.channels_in / shape.groups * window.input_pixels();
                for (i, image) in dx.chunks_exact_mut(shape.input_len()).enumerate() {
                    let image = &mut image[group * channels..][..channels];
                    col2im(window, unfolded, columns, i * pixels, image);
                }
            }
        });
    }
}
