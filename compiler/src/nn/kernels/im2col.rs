//! Unfolding an image into the matrix whose product with the weights is the convolution, and folding it back.
//!
//! Row `(c, ky, kx)` of the matrix holds, for every output pixel, the input pixel of channel `c` that this tap of the
//! kernel meets there. Source: Chellapilla et al. 2006, "High performance convolutional neural networks for document
//! processing", section 3.

use std::ops::Range;

use super::element::Element;

/// How a window slides over one image: sizes and offsets in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Input height and width.
    pub input: (usize, usize),
    /// Kernel height and width.
    pub kernel: (usize, usize),
    /// Step between outputs, the same in both directions.
    pub stride: usize,
    /// Zero rows above and zero columns to the left of the image.
    pub padding: (usize, usize),
    /// Output height and width.
    pub output: (usize, usize),
}

impl Window {
    /// Output pixels of one channel.
    pub fn output_pixels(&self) -> usize {
        self.output.0 * self.output.1
    }

    /// Input pixels of one channel.
    pub fn input_pixels(&self) -> usize {
        self.input.0 * self.input.1
    }

    /// Taps of the kernel for one channel.
    pub fn taps(&self) -> usize {
        self.kernel.0 * self.kernel.1
    }

    /// A 1x1 kernel that visits every pixel once: the unfolded matrix is the image itself.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == (1, 1) && self.stride == 1 && self.padding == (0, 0)
    }

    /// Output columns whose input column for tap `kx` lies inside the image.
    pub fn columns(&self, kx: usize) -> Range<usize> {
        valid(kx, self.padding.1, self.stride, self.input.1, self.output.1)
    }

    /// Output rows whose input row for tap `ky` lies inside the image.
    pub fn rows(&self, ky: usize) -> Range<usize> {
        valid(ky, self.padding.0, self.stride, self.input.0, self.output.0)
    }
}

/// Outputs `o` with `0 <= o * stride + tap - padding < input`.
fn valid(tap: usize, padding: usize, stride: usize, input: usize, output: usize) -> Range<usize> {
    let first = padding.saturating_sub(tap).div_ceil(stride);
    let end = (input + padding).saturating_sub(tap).div_ceil(stride);
    first.min(output)..end.min(output).max(first.min(output))
}

/// Writes the unfolded matrix of one image into columns `offset .. offset + output_pixels` of `matrix`.
///
/// # Shapes
/// - `image`: `(channels, H, W)`
/// - `matrix`: `(channels * taps, row_length)`
pub fn im2col<T: Element>(window: &Window, image: &[T], matrix: &mut [T], row_length: usize, offset: usize) {
    let (ow, pixels) = (window.output.1, window.output_pixels());
    let (iw, stride) = (window.input.1, window.stride);
    // With equal widths and stride 1, a tap is the whole plane moved by a constant: one long copy, then the columns
    // that wrapped around a border are cleared. Many times faster than copying row by row.
    let whole_planes = stride == 1 && iw == ow;
    let (kh, kw) = window.kernel;
    let mut rows = matrix.chunks_mut(row_length);
    for plane in image.chunks_exact(window.input_pixels()) {
        for ky in 0..kh {
            let valid_rows = window.rows(ky);
            for kx in 0..kw {
                let Some(row) = rows.next() else { return };
                let row = &mut row[offset..offset + pixels];
                let valid_cols = window.columns(kx);
                if valid_rows.is_empty() || valid_cols.is_empty() {
                    row.fill(T::ZERO);
                    continue;
                }
                row[..valid_rows.start * ow].fill(T::ZERO);
                row[valid_rows.end * ow..].fill(T::ZERO);
                if whole_planes {
                    let first = valid_rows.start * ow + valid_cols.start;
                    let end = (valid_rows.end - 1) * ow + valid_cols.end;
                    let source =
                        (valid_rows.start + ky - window.padding.0) * iw + valid_cols.start + kx - window.padding.1;
                    row[first..end].copy_from_slice(&plane[source..source + end - first]);
                    if valid_cols.len() < ow {
                        for line in row[valid_rows.start * ow..valid_rows.end * ow].chunks_exact_mut(ow) {
                            line[..valid_cols.start].fill(T::ZERO);
                            line[valid_cols.end..].fill(T::ZERO);
                        }
                    }
                    continue;
                }
                for oy in valid_rows.clone() {
                    let line = &mut row[oy * ow..(oy + 1) * ow];
                    line[..valid_cols.start].fill(T::ZERO);
                    line[valid_cols.end..].fill(T::ZERO);
                    let source = &plane[(oy * stride + ky - window.padding.0) * iw..][..iw];
                    let source = &source[valid_cols.start * stride + kx - window.padding.1..];
                    for (to, from) in line[valid_cols.clone()].iter_mut().zip(source.iter().step_by(stride)) {
                        *to = *from;
                    }
                }
            }
        }
    }
}

/// Adds columns `offset .. offset + output_pixels` of `matrix` back onto the pixels they came from: the transpose of
/// [`im2col`], with the same shapes. `image` is added to, not overwritten.
pub fn col2im<T: Element>(window: &Window, matrix: &[T], row_length: usize, offset: usize, image: &mut [T]) {
    let (ow, pixels) = (window.output.1, window.output_pixels());
    let (iw, stride) = (window.input.1, window.stride);
    let (kh, kw) = window.kernel;
    let mut rows = matrix.chunks(row_length);
    for plane in image.chunks_exact_mut(window.input_pixels()) {
        for ky in 0..kh {
            for kx in 0..kw {
                let Some(row) = rows.next() else { return };
                let row = &row[offset..offset + pixels];
                let valid_cols = window.columns(kx);
                if valid_cols.is_empty() {
                    continue;
                }
                for oy in window.rows(ky) {
                    let line = &row[oy * ow..(oy + 1) * ow][valid_cols.clone()];
                    let target = &mut plane[(oy * stride + ky - window.padding.0) * iw..][..iw];
                    let target = &mut target[valid_cols.start * stride + kx - window.padding.1..];
                    for (to, from) in target.iter_mut().step_by(stride).zip(line) {
                        *to += *from;
                    }
                }
            }
        }
    }
}
