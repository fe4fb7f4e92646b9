//! Maximum over windows of a map.

use std::ops::Range;

use rayon::prelude::*;

use super::element::Element;
use super::im2col::Window;

/// Maximum of every window; what lies outside the image is minus infinity, and NaN wins.
///
/// # Shapes
/// - `x`: `(planes, H, W)` with `window.input = (H, W)`; returns `(planes, H', W')` with `window.output = (H', W')`
///
/// No window lies outside the image altogether: the padding is smaller than the kernel.
///
/// Source: ONNX MaxPool, opset 12.
pub fn forward<T: Element>(window: &Window, x: &[T]) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len() / window.input_pixels().max(1) * window.output_pixels()];
    y.par_chunks_exact_mut(window.output_pixels().max(1))
        .zip(x.par_chunks_exact(window.input_pixels().max(1)))
        .with_min_len(4)
        .for_each(|(y, x)| for_each_largest(window, x, |output, input| y[output] = x[input]));
    y
}

/// Gradient of [`forward`]: that of a window goes to its first maximum in row order, as in PyTorch.
pub fn backward<T: Element>(window: &Window, x: &[T], dy: &[T]) -> Vec<T> {
    let mut dx = vec![T::ZERO; x.len()];
    dx.par_chunks_exact_mut(window.input_pixels().max(1))
        .zip(x.par_chunks_exact(window.input_pixels().max(1)))
        .zip(dy.par_chunks_exact(window.output_pixels().max(1)))
        .with_min_len(4)
        .for_each(|((dx, x), dy)| for_each_largest(window, x, |output, input| dx[input] += dy[output]));
    dx
}

/// Calls `body(output index, index of the maximum)` for every window of one plane, in row order.
///
/// Source of the choice among equals and among NaNs: PyTorch, `aten/src/ATen/native/cpu/MaxPoolKernel.cpp`.
fn for_each_largest<T: Element>(window: &Window, x: &[T], mut body: impl FnMut(usize, usize)) {
    let (height, width) = window.input;
    for oy in 0..window.output.0 {
        let rows = inside(oy * window.stride, window.kernel.0, window.padding.0, height);
        for ox in 0..window.output.1 {
            let columns = inside(ox * window.stride, window.kernel.1, window.padding.1, width);
            let mut largest = rows.start * width + columns.start;
            let mut value = x[largest];
            for row in rows.clone() {
                let first = row * width + columns.start;
                for (column, candidate) in x[first..first + columns.len()].iter().enumerate() {
                    if *candidate > value || candidate.to_f64().is_nan() {
                        (largest, value) = (first + column, *candidate);
                    }
                }
            }
            body(oy * window.output.1 + ox, largest);
        }
    }
}

/// Pixels of the image under a kernel whose first tap lies on pixel `start - padding`.
fn inside(start: usize, kernel: usize, padding: usize, pixels: usize) -> Range<usize> {
    start.saturating_sub(padding)..(start + kernel - padding).min(pixels)
}
