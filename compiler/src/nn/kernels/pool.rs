//! Pooling, and the parameter-free shortcut of the CIFAR residual networks.

use std::ops::Range;

use rayon::prelude::*;

use super::element::Element;

/// Input rows (or columns) averaged into bin `bin` of `bins`, which may overlap.
///
/// Source: PyTorch, `aten/src/ATen/native/AdaptivePooling.h`, `start_index` and `end_index`.
pub fn bin_range(bin: usize, bins: usize, input: usize) -> Range<usize> {
    bin * input / bins..((bin + 1) * input).div_ceil(bins)
}

/// Mean over each of `output` bins of every plane.
///
/// # Shapes
/// - `x`: `(planes, H, W)` with `input = (H, W)`; returns `(planes, H', W')` with `output = (H', W')`
pub fn adaptive_average<T: Element>(x: &[T], input: (usize, usize), output: (usize, usize)) -> Vec<T> {
    let pixels = input.0 * input.1;
    let bins = output.0 * output.1;
    let mut y = vec![T::ZERO; x.len() / pixels.max(1) * bins];
    y.par_chunks_exact_mut(bins)
        .zip(x.par_chunks_exact(pixels))
        .with_min_len(16)
        .for_each(|(y, x)| {
            for (bin, y) in y.iter_mut().enumerate() {
                let rows = bin_range(bin / output.1, output.0, input.0);
                let columns = bin_range(bin % output.1, output.1, input.1);
                let count = (rows.len() * columns.len()) as f64;
                let sum: f64 = rows
                    .flat_map(|r| &x[r * input.1..][columns.clone()])
                    .map(|v| v.to_f64())
                    .sum();
                *y = T::from_f64(sum / count);
            }
        });
    y
}

/// Gradient of [`adaptive_average`] with the same `input` and `output`.
pub fn adaptive_average_backward<T: Element>(dy: &[T], input: (usize, usize), output: (usize, usize)) -> Vec<T> {
    let pixels = input.0 * input.1;
    let bins = output.0 * output.1;
    let mut dx = vec![T::ZERO; dy.len() / bins.max(1) * pixels];
    dx.par_chunks_exact_mut(pixels)
        .zip(dy.par_chunks_exact(bins))
        .with_min_len(16)
        .for_each(|(dx, dy)| {
            for (bin, dy) in dy.iter().enumerate() {
                let rows = bin_range(bin / output.1, output.0, input.0);
                let columns = bin_range(bin % output.1, output.1, input.1);
                let share = T::from_f64(dy.to_f64() / (rows.len() * columns.len()) as f64);
                for row in rows {
                    dx[row * input.1..][columns.clone()]
                        .iter_mut()
                        .for_each(|dx| *dx += share);
                }
            }
        });
    dx
}

/// Sizes of [`subsample_pad`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubsampleShape {
    /// Channels of the input.
    pub channels: usize,
    /// Input height and width.
    pub input: (usize, usize),
    /// Every `stride`-th row and column is kept, from the first.
    pub stride: usize,
    /// Zero channels in front.
    pub before: usize,
    /// Zero channels behind.
    pub after: usize,
}

impl SubsampleShape {
    /// Output height and width.
    pub fn output(&self) -> (usize, usize) {
        (self.input.0.div_ceil(self.stride), self.input.1.div_ceil(self.stride))
    }

    /// Output channels.
    pub fn channels_out(&self) -> usize {
        self.before + self.channels + self.after
    }

    fn lengths(&self) -> (usize, usize, usize) {
        let pixels = self.output().0 * self.output().1;
        (
            self.channels * self.input.0 * self.input.1,
            self.channels_out() * pixels,
            pixels,
        )
    }
}

/// Every `stride`-th pixel, between zero channels.
///
/// # Shapes
/// - `x`: `(N, C, H, W)`; returns `(N, before + C + after, ceil(H / stride), ceil(W / stride))`
///
/// Source: He et al. 2015, arXiv:1512.03385, section 3.3, option A.
pub fn subsample_pad<T: Element>(shape: &SubsampleShape, x: &[T]) -> Vec<T> {
    let (len_in, len_out, pixels) = shape.lengths();
    let mut y = vec![T::ZERO; x.len() / len_in.max(1) * len_out];
    y.par_chunks_exact_mut(len_out)
        .zip(x.par_chunks_exact(len_in))
        .for_each(|(y, x)| {
            let kept = y[shape.before * pixels..].chunks_exact_mut(shape.output().1);
            let rows = x.chunks_exact(shape.input.0 * shape.input.1);
            let rows = rows.flat_map(|plane| plane.chunks_exact(shape.input.1).step_by(shape.stride));
            for (kept, row) in kept.zip(rows) {
                kept.iter_mut()
                    .zip(row.iter().step_by(shape.stride))
                    .for_each(|(to, from)| *to = *from);
            }
        });
    y
}

/// Gradient of [`subsample_pad`]: zero for the pixels left out.
pub fn subsample_pad_backward<T: Element>(shape: &SubsampleShape, dy: &[T]) -> Vec<T> {
    let (len_in, len_out, pixels) = shape.lengths();
    let mut dx = vec![T::ZERO; dy.len() / len_out.max(1) * len_in];
    dx.par_chunks_exact_mut(len_in)
        .zip(dy.par_chunks_exact(len_out))
        .for_each(|(dx, dy)| {
            let kept = dy[shape.before * pixels..].chunks_exact(shape.output().1);
            let planes = dx.chunks_exact_mut(shape.input.0 * shape.input.1);
            let rows = planes.flat_map(|plane| plane.chunks_exact_mut(shape.input.1).step_by(shape.stride));
            for (kept, row) in kept.zip(rows) {
                row.iter_mut()
                    .step_by(shape.stride)
                    .zip(kept)
                    .for_each(|(to, from)| *to = *from);
            }
        });
    dx
}
