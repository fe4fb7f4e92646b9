//! Maximum over windows of a map.

use std::ops::Range;

use rayon::prelude::*;

use super::element::Element;
use super::im2col::Window;
use super::simd::vectorised;

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
        .for_each(|(y, x)| {
            if is_quartering(window) {
                let rows = y.chunks_exact_mut(window.output.1);
                for (y, x) in rows.zip(x.chunks_exact(2 * window.input.1)) {
                    vectorised(
                        #[inline(always)]
                        || largest_of_four(y, x),
                    );
                }
            } else {
                for_each_largest(window, x, |output, input| y[output] = x[input]);
            }
        });
    y
}

/// Gradient of [`forward`]: that of a window goes to its first maximum in row order, as in PyTorch.
pub fn backward<T: Element>(window: &Window, x: &[T], dy: &[T]) -> Vec<T> {
    let mut dx = vec![T::ZERO; x.len()];
    dx.par_chunks_exact_mut(window.input_pixels().max(1))
        .zip(x.par_chunks_exact(window.input_pixels().max(1)))
        .zip(dy.par_chunks_exact(window.output_pixels().max(1)))
        .with_min_len(4)
        .for_each(|((dx, x), dy)| {
            if is_quartering(window) {
                let rows = dx.chunks_exact_mut(2 * window.input.1);
                for ((dx, x), dy) in rows
                    .zip(x.chunks_exact(2 * window.input.1))
                    .zip(dy.chunks_exact(window.output.1))
                {
                    vectorised(
                        #[inline(always)]
                        || to_largest_of_four(dx, x, dy),
                    );
                }
            } else {
                for_each_largest(window, x, |output, input| dx[input] += dy[output]);
            }
        });
    dx
}

/// Whether every window is a 2x2 block of its own, the common case: then rows need no bounds, only selections.
fn is_quartering(window: &Window) -> bool {
    (window.kernel, window.stride, window.padding) == ((2, 2), 2, (0, 0)) && window.output.1 > 0
}

/// Maxima of the blocks of two rows `x`.
#[inline(always)]
fn largest_of_four<T: Element>(y: &mut [T], x: &[T]) {
    let (upper, lower) = x.split_at(x.len() / 2);
    for (y, (a, b)) in y.iter_mut().zip(upper.chunks_exact(2).zip(lower.chunks_exact(2))) {
        *y = larger(larger(larger(a[0], a[1]), b[0]), b[1]);
    }
}

/// The gradient of [`largest_of_four`], to the first maximum of each block.
#[inline(always)]
fn to_largest_of_four<T: Element>(dx: &mut [T], x: &[T], dy: &[T]) {
    let wide = x.len() / 2;
    let ((upper, lower), (dx_upper, dx_lower)) = (x.split_at(wide), dx.split_at_mut(wide));
    let x = upper.chunks_exact(2).zip(lower.chunks_exact(2));
    let dx = dx_upper.chunks_exact_mut(2).zip(dx_lower.chunks_exact_mut(2));
    for (dy, ((a, b), (da, db))) in dy.iter().zip(x.zip(dx)) {
        let second = larger(a[0], a[1]);
        let third = larger(second, b[0]);
        let [to_fourth, to_third, to_second] = [wins(b[1], third), wins(b[0], second), wins(a[1], a[0])];
        let share = |here: bool| if here { *dy } else { T::ZERO };
        db[1] = share(to_fourth);
        db[0] = share(to_third && !to_fourth);
        da[1] = share(to_second && !to_third && !to_fourth);
        da[0] = share(!to_second && !to_third && !to_fourth);
    }
}

/// Whether `candidate` takes the place of an earlier `value`: where it is larger or not a number.
#[inline(always)]
fn wins<T: Element>(candidate: T, value: T) -> bool {
    // not a number is the one value unequal to itself
    #[expect(clippy::eq_op, reason = "that is how NaN is told")]
    let is_nan = candidate != candidate;
    candidate > value || is_nan
}

#[inline(always)]
fn larger<T: Element>(value: T, candidate: T) -> T {
    if wins(candidate, value) { candidate } else { value }
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
