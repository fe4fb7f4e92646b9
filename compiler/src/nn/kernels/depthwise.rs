//! Depthwise convolution: one small filter a channel, too little work a pixel for a matrix product.

use rayon::prelude::*;

use super::conv2d::{images_per_chunk, sum_chunks};
use super::element::Element;
use super::im2col::Window;

/// Calls `body(w_index, output range, input range)` for every tap and every row of pixels that it touches; inputs are
/// `stride` apart.
fn for_each_row(window: &Window, mut body: impl FnMut(usize, std::ops::Range<usize>, std::ops::Range<usize>)) {
    let (ow, iw, stride) = (window.output.1, window.input.1, window.stride);
    for ky in 0..window.kernel.0 {
        for kx in 0..window.kernel.1 {
            let columns = window.columns(kx);
            if columns.is_empty() {
                continue;
            }
            for oy in window.rows(ky) {
                let first = (oy * stride + ky - window.padding.0) * iw + columns.start * stride + kx - window.padding.1;
                let end = first + (columns.len() - 1) * stride + 1;
                body(
                    ky * window.kernel.1 + kx,
                    oy * ow + columns.start..oy * ow + columns.end,
                    first..end,
                );
            }
        }
    }
}

/// Depthwise convolution of a batch into `y`, which holds zeros.
///
/// # Shapes
/// - `x`: `(N, C, H, W)`; `w`: `(C, 1, kh, kw)`; `y`: `(N, C, H', W')`
pub fn forward<T: Element>(window: &Window, x: &[T], w: &[T], channels: usize, y: &mut [T]) {
    let planes = y
        .par_chunks_mut(window.output_pixels())
        .zip(x.par_chunks(window.input_pixels()));
    planes.enumerate().with_min_len(4).for_each(|(plane, (y, x))| {
        let w = &w[plane % channels * window.taps()..][..window.taps()];
        for_each_row(window, |tap, output, input| {
            let weight = w[tap];
            if window.stride == 1 {
                y[output].iter_mut().zip(&x[input]).for_each(|(y, x)| *y += weight * *x);
            } else {
                y[output]
                    .iter_mut()
                    .zip(x[input].iter().step_by(window.stride))
                    .for_each(|(y, x)| *y += weight * *x);
            }
        });
    });
}

/// Gradient of `w`, and that of `x` added to `dx` (which holds zeros) where given; shapes as in [`forward`].
pub fn backward<T: Element>(
    window: &Window,
    x: &[T],
    w: &[T],
    dy: &[T],
    channels: usize,
    dx: Option<&mut [T]>,
) -> Vec<T> {
    let (pixels_in, pixels_out, taps) = (window.input_pixels(), window.output_pixels(), window.taps());
    if let Some(dx) = dx {
        let planes = dx.par_chunks_mut(pixels_in).zip(dy.par_chunks(pixels_out));
        planes.enumerate().with_min_len(4).for_each(|(plane, (dx, dy))| {
            let w = &w[plane % channels * taps..][..taps];
            for_each_row(window, |tap, output, input| {
                let weight = w[tap];
                if window.stride == 1 {
                    dx[input]
                        .iter_mut()
                        .zip(&dy[output])
                        .for_each(|(dx, dy)| *dx += weight * *dy);
                } else {
                    let dx = dx[input].iter_mut().step_by(window.stride);
                    dx.zip(&dy[output]).for_each(|(dx, dy)| *dx += weight * *dy);
                }
            });
        });
    }
    let images = x.len() / (channels * pixels_in);
    let per_chunk = images_per_chunk(images, w.len());
    let mut partial = vec![T::ZERO; images.div_ceil(per_chunk) * w.len()];
    let inputs = x
        .par_chunks(per_chunk * channels * pixels_in)
        .zip(dy.par_chunks(per_chunk * channels * pixels_out));
    partial.par_chunks_mut(w.len()).zip(inputs).for_each(|(dw, (x, dy))| {
        for (plane, (x, dy)) in x.chunks_exact(pixels_in).zip(dy.chunks_exact(pixels_out)).enumerate() {
            let dw = &mut dw[plane % channels * taps..][..taps];
            for_each_row(window, |tap, output, input| {
                dw[tap] += if window.stride == 1 {
                    dot(&x[input], &dy[output])
                } else {
                    let x = x[input].iter().step_by(window.stride);
                    x.zip(&dy[output]).fold(T::ZERO, |sum, (x, dy)| sum + *x * *dy)
                };
            });
        }
    });
    sum_chunks(partial, w.len())
}

/// Inner product in eight interleaved sums, which the compiler can keep in vector registers.
fn dot<T: Element>(a: &[T], b: &[T]) -> T {
    let mut lanes = [T::ZERO; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let (a_rest, b_rest) = (a8.remainder(), b8.remainder());
    for (a, b) in a8.zip(b8) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += *a * *b;
        }
    }
    let rest = a_rest.iter().zip(b_rest).fold(T::ZERO, |sum, (a, b)| sum + *a * *b);
    lanes.into_iter().fold(rest, |sum, lane| sum + lane)
}
