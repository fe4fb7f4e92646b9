//! Depthwise convolution: one small filter a channel, too little work a pixel for a matrix product.
//!
//! A padded plane is laid out so that every tap meets its pixels in one contiguous run: for stride s as s*s planes, one for
//! each position of a pixel modulo s, all with rows of one length. The output, on a grid of the same row length, is then a
//! sum of nine (for 3x3) runs times a number each, whatever the width; columns beyond the output's are computed and dropped.
//! Maps of a few pixels have no runs worth the name: there a vector holds one pixel of several images (`small_maps`).

mod small_maps;

use rayon::prelude::*;

use super::conv2d::{images_per_chunk, sum_chunks};
use super::element::Element;
use super::im2col::Window;
use super::layout::SMALL_MAP;
use super::simd::vectorised;

/// Interleaved sums of an inner product, which the compiler can keep in vector registers.
const LANES: usize = 16;

/// Where the pixels of a padded plane lie: worked out once for all planes.
struct Grid {
    /// Step between outputs.
    stride: usize,
    /// Output width.
    wide: usize,
    /// Length of a row in every plane.
    row: usize,
    /// Elements of all planes.
    len: usize,
    /// Length of the output's run: its rows on the grid, without what follows the last pixel.
    run: usize,
    /// Where the run of each tap starts.
    starts: Vec<usize>,
    /// Image pixels that lie `stride` apart in the image and side by side on the grid.
    pieces: Vec<Piece>,
}

/// Pixels of one image row.
struct Piece {
    /// Where they lie on the grid.
    grid: usize,
    /// The first of them in the image.
    pixel: usize,
    count: usize,
}

impl Grid {
    fn new(window: &Window) -> Self {
        let stride = window.stride;
        // the last output's last tap, from the first output's first tap
        let reach = |output: usize, kernel: usize| (output - 1) + (kernel - 1) / stride + 1;
        let row = reach(window.output.1, window.kernel.1);
        let rows = reach(window.output.0, window.kernel.0);
        let plane = row * rows;
        let starts = (0..window.taps()).map(|tap| {
            let (ky, kx) = (tap / window.kernel.1, tap % window.kernel.1);
            (ky % stride * stride + kx % stride) * plane + ky / stride * row + kx / stride
        });
        Self {
            stride,
            wide: window.output.1,
            row,
            len: plane * stride * stride,
            run: (window.output.0 - 1) * row + window.output.1,
            starts: starts.collect(),
            pieces: pieces(window, row, rows),
        }
    }

    #[inline(always)]
    fn fill<T: Element>(&self, x: &[T], grid: &mut [T]) {
        grid.fill(T::ZERO);
        for piece in &self.pieces {
            let to = &mut grid[piece.grid..][..piece.count];
            if self.stride == 1 {
                to.copy_from_slice(&x[piece.pixel..][..piece.count]);
            } else {
                let from = x[piece.pixel..].iter().step_by(self.stride);
                to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
            }
        }
    }

    /// The output gradient on the grid, zero in the columns that are no output.
    #[inline(always)]
    fn spread<T: Element>(&self, dy: &[T], run: &mut [T]) {
        run.fill(T::ZERO);
        for (to, from) in run.chunks_mut(self.row).zip(dy.chunks_exact(self.wide)) {
            to[..self.wide].copy_from_slice(from);
        }
    }
}

/// The pieces of an image on a grid of `rows` rows of `row` elements.
fn pieces(window: &Window, row: usize, rows: usize) -> Vec<Piece> {
    let Window {
        input: (high, wide),
        stride,
        padding,
        ..
    } = *window;
    let mut pieces = Vec::new();
    for y in (0..high).take_while(|y| (y + padding.0) / stride < rows) {
        for phase in 0..stride {
            // the first pixel whose padded column is `phase` modulo the stride
            let x = (phase + stride - padding.1 % stride) % stride;
            let grid_x = (x + padding.1) / stride;
            if x < wide && grid_x < row {
                let plane = (y + padding.0) % stride * stride + phase;
                pieces.push(Piece {
                    grid: (plane * rows + (y + padding.0) / stride) * row + grid_x,
                    pixel: y * wide + x,
                    count: (wide - x).div_ceil(stride).min(row - grid_x),
                });
            }
        }
    }
    pieces
}

/// Depthwise convolution of a batch into `y`.
///
/// # Shapes
/// - `x`: `(N, C, H, W)`; `w`: `(C, 1, kh, kw)`; `y`: `(N, C, H', W')`
pub fn forward<T: Element>(window: &Window, x: &[T], w: &[T], channels: usize, y: &mut [T]) {
    if window.input_pixels() <= SMALL_MAP {
        return small_maps::forward(window, x, w, channels, y);
    }
    let grid = Grid::new(window);
    let planes = y
        .par_chunks_mut(window.output_pixels())
        .zip(x.par_chunks(window.input_pixels()));
    planes.enumerate().with_min_len(16).for_each(|(plane, (y, x))| {
        let w = &w[plane % channels * window.taps()..][..window.taps()];
        T::with_scratch(grid.len + grid.run, |scratch| {
            let (pixels, sums) = scratch.split_at_mut(grid.len);
            vectorised(
                #[inline(always)]
                || {
                    grid.fill(x, pixels);
                    weighted_sum(&grid, pixels, w, sums);
                    for (y, sums) in y.chunks_exact_mut(grid.wide).zip(sums.chunks(grid.row)) {
                        y.copy_from_slice(&sums[..grid.wide]);
                    }
                },
            );
        });
    });
}

/// The sum over taps of a tap's run times its weight.
#[inline(always)]
fn weighted_sum<T: Element>(grid: &Grid, pixels: &[T], w: &[T], sums: &mut [T]) {
    let length = sums.len();
    let run = |tap: usize| &pixels[grid.starts[tap]..][..length];
    if let &[a, b, c, d, e, f, g, h, i] = w {
        let [ra, rb, rc, rd, re, rf, rg, rh, ri] = [0, 1, 2, 3, 4, 5, 6, 7, 8].map(run);
        for (index, sum) in sums.iter_mut().enumerate() {
            *sum = (a * ra[index] + b * rb[index] + c * rc[index])
                + (d * rd[index] + e * re[index] + f * rf[index])
                + (g * rg[index] + h * rh[index] + i * ri[index]);
        }
        return;
    }
    sums.fill(T::ZERO);
    for (tap, w) in w.iter().enumerate() {
        sums.iter_mut().zip(run(tap)).for_each(|(sum, x)| *sum += *w * *x);
    }
}

/// Gradient of `w`, and that of `x` into `dx` where given; shapes as in [`forward`].
pub fn backward<T: Element>(
    window: &Window,
    x: &[T],
    w: &[T],
    dy: &[T],
    channels: usize,
    dx: Option<&mut [T]>,
) -> Vec<T> {
    if window.input_pixels() <= SMALL_MAP {
        return small_maps::backward(window, x, w, dy, channels, dx);
    }
    let (pixels_in, pixels_out, taps) = (window.input_pixels(), window.output_pixels(), window.taps());
    let grid = Grid::new(window);
    if let Some(dx) = dx {
        let planes = dx.par_chunks_mut(pixels_in).zip(dy.par_chunks(pixels_out));
        planes.enumerate().with_min_len(16).for_each(|(plane, (dx, dy))| {
            let w = &w[plane % channels * taps..][..taps];
            T::with_scratch(grid.len + grid.run, |scratch| {
                let (pixels, run) = scratch.split_at_mut(grid.len);
                vectorised(
                    #[inline(always)]
                    || input_gradient(&grid, dy, w, dx, pixels, run),
                );
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
        let run_len = grid.run.next_multiple_of(LANES);
        T::with_scratch(grid.len + LANES + run_len + taps * LANES, |scratch| {
            let (pixels, rest) = scratch.split_at_mut(grid.len + LANES);
            let (run, lanes) = rest.split_at_mut(run_len);
            for (channel, dw) in dw.chunks_exact_mut(taps).enumerate() {
                vectorised(
                    #[inline(always)]
                    || {
                        lanes.fill(T::ZERO);
                        for image in 0..x.len() / (channels * pixels_in) {
                            let plane = image * channels + channel;
                            grid.fill(&x[plane * pixels_in..][..pixels_in], pixels);
                            grid.spread(&dy[plane * pixels_out..][..pixels_out], run);
                            for (tap, lanes) in lanes.chunks_exact_mut(LANES).enumerate() {
                                add_products(&pixels[grid.starts[tap]..][..run_len], run, lanes);
                            }
                        }
                        for (dw, lanes) in dw.iter_mut().zip(lanes.chunks_exact(LANES)) {
                            *dw = lanes.iter().fold(T::ZERO, |sum, lane| sum + *lane);
                        }
                    },
                );
            }
        });
    });
    sum_chunks(partial, w.len())
}

#[inline(always)]
fn input_gradient<T: Element>(grid: &Grid, dy: &[T], w: &[T], dx: &mut [T], pixels: &mut [T], run: &mut [T]) {
    grid.spread(dy, run);
    pixels.fill(T::ZERO);
    for (tap, w) in w.iter().enumerate() {
        let pixels = pixels[grid.starts[tap]..][..run.len()].iter_mut();
        pixels.zip(run.iter()).for_each(|(dx, dy)| *dx += *w * *dy);
    }
    // pixels that no tap meets stay without gradient
    dx.fill(T::ZERO);
    for piece in &grid.pieces {
        let from = &pixels[piece.grid..][..piece.count];
        if grid.stride == 1 {
            dx[piece.pixel..][..piece.count].copy_from_slice(from);
        } else {
            let to = dx[piece.pixel..].iter_mut().step_by(grid.stride);
            to.zip(from).for_each(|(to, from)| *to = *from);
        }
    }
}

/// Adds the products of two runs to so many interleaved sums; the runs are whole vectors.
#[inline(always)]
fn add_products<T: Element>(a: &[T], b: &[T], sums: &mut [T]) {
    let mut lanes = [T::ZERO; LANES];
    lanes.copy_from_slice(sums);
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    sums.copy_from_slice(&lanes);
}
