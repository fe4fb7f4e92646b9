//! Depthwise convolution: one small filter a channel, too little work a pixel for a matrix product.
//!
//! A padded plane is laid out so that every tap meets its pixels in one contiguous run: for stride s as s*s planes, one for
//! each position of a pixel modulo s, all with rows of one length. The output, on a grid of the same row length, is then a
//! sum of nine (for 3x3) runs times a number each, whatever the width; columns beyond the output's are computed and dropped.

use rayon::prelude::*;

use super::conv2d::{images_per_chunk, sum_chunks};
use super::element::Element;
use super::im2col::Window;
use super::simd::vectorised;

/// Where the pixels of a padded plane lie.
struct Grid<'a> {
    window: &'a Window,
    /// Length of a row in every plane.
    row: usize,
    /// Rows of every plane.
    rows: usize,
}

impl<'a> Grid<'a> {
    fn new(window: &'a Window) -> Self {
        // the last output's last tap, from the first output's first tap
        let reach = |output: usize, kernel: usize| (output - 1) + (kernel - 1) / window.stride + 1;
        Self {
            window,
            row: reach(window.output.1, window.kernel.1),
            rows: reach(window.output.0, window.kernel.0),
        }
    }

    fn plane_len(&self) -> usize {
        self.row * self.rows
    }

    /// Elements of all planes.
    fn len(&self) -> usize {
        self.plane_len() * self.window.stride * self.window.stride
    }

    /// Length of the output's run: its rows on the grid, without what follows the last pixel.
    fn run(&self) -> usize {
        (self.window.output.0 - 1) * self.row + self.window.output.1
    }

    /// Where the run of a tap starts.
    #[inline(always)]
    fn start(&self, tap: usize) -> usize {
        let (ky, kx) = (tap / self.window.kernel.1, tap % self.window.kernel.1);
        let stride = self.window.stride;
        (ky % stride * stride + kx % stride) * self.plane_len() + ky / stride * self.row + kx / stride
    }

    /// Calls `body(grid index, first pixel, count)` for every run of image pixels that lie `stride` apart and side by side
    /// on the grid.
    #[inline(always)]
    fn for_each_run(&self, mut body: impl FnMut(usize, usize, usize)) {
        let Window {
            input: (high, wide),
            stride,
            padding,
            ..
        } = *self.window;
        for y in 0..high {
            let grid_y = y + padding.0;
            if grid_y / stride >= self.rows {
                break;
            }
            for phase in 0..stride {
                // the first pixel whose padded column is `phase` modulo the stride
                let x = (phase + stride - padding.1 % stride) % stride;
                let grid_x = (x + padding.1) / stride;
                if x >= wide || grid_x >= self.row {
                    continue;
                }
                let count = (wide - x).div_ceil(stride).min(self.row - grid_x);
                let plane = grid_y % stride * stride + phase;
                body(
                    plane * self.plane_len() + grid_y / stride * self.row + grid_x,
                    y * wide + x,
                    count,
                );
            }
        }
    }

    #[inline(always)]
    fn fill<T: Element>(&self, x: &[T], grid: &mut [T]) {
        grid.fill(T::ZERO);
        let stride = self.window.stride;
        self.for_each_run(|index, pixel, count| {
            let to = grid[index..][..count].iter_mut();
            to.zip(x[pixel..].iter().step_by(stride))
                .for_each(|(to, from)| *to = *from);
        });
    }

    /// The output gradient on the grid, zero in the columns that are no output.
    #[inline(always)]
    fn spread<T: Element>(&self, dy: &[T], run: &mut [T]) {
        run.fill(T::ZERO);
        let wide = self.window.output.1;
        for (to, from) in run.chunks_mut(self.row).zip(dy.chunks_exact(wide)) {
            to[..wide].copy_from_slice(from);
        }
    }
}

/// Depthwise convolution of a batch into `y`.
///
/// # Shapes
/// - `x`: `(N, C, H, W)`; `w`: `(C, 1, kh, kw)`; `y`: `(N, C, H', W')`
pub fn forward<T: Element>(window: &Window, x: &[T], w: &[T], channels: usize, y: &mut [T]) {
    let grid = Grid::new(window);
    let planes = y
        .par_chunks_mut(window.output_pixels())
        .zip(x.par_chunks(window.input_pixels()));
    planes.enumerate().with_min_len(16).for_each(|(plane, (y, x))| {
        let w = &w[plane % channels * window.taps()..][..window.taps()];
        T::with_scratch(grid.len() + grid.run(), |scratch| {
            let (pixels, sums) = scratch.split_at_mut(grid.len());
            vectorised(|| {
                grid.fill(x, pixels);
                weighted_sum(&grid, pixels, w, sums);
                for (y, sums) in y.chunks_exact_mut(window.output.1).zip(sums.chunks(grid.row)) {
                    y.copy_from_slice(&sums[..window.output.1]);
                }
            });
        });
    });
}

/// The sum over taps of a tap's run times its weight.
#[inline(always)]
fn weighted_sum<T: Element>(grid: &Grid<'_>, pixels: &[T], w: &[T], sums: &mut [T]) {
    let length = sums.len();
    let run = |tap: usize| &pixels[grid.start(tap)..][..length];
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
    let (pixels_in, pixels_out, taps) = (window.input_pixels(), window.output_pixels(), window.taps());
    let grid = Grid::new(window);
    if let Some(dx) = dx {
        let planes = dx.par_chunks_mut(pixels_in).zip(dy.par_chunks(pixels_out));
        planes.enumerate().with_min_len(16).for_each(|(plane, (dx, dy))| {
            let w = &w[plane % channels * taps..][..taps];
            T::with_scratch(grid.len() + grid.run(), |scratch| {
                let (pixels, run) = scratch.split_at_mut(grid.len());
                vectorised(|| input_gradient(&grid, dy, w, dx, pixels, run));
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
        T::with_scratch(grid.len() + grid.run(), |scratch| {
            let (pixels, run) = scratch.split_at_mut(grid.len());
            for (plane, (x, dy)) in x.chunks_exact(pixels_in).zip(dy.chunks_exact(pixels_out)).enumerate() {
                let dw = &mut dw[plane % channels * taps..][..taps];
                vectorised(|| {
                    grid.fill(x, pixels);
                    grid.spread(dy, run);
                    for (tap, dw) in dw.iter_mut().enumerate() {
                        *dw += dot(&pixels[grid.start(tap)..][..run.len()], run);
                    }
                });
            }
        });
    });
    sum_chunks(partial, w.len())
}

#[inline(always)]
fn input_gradient<T: Element>(grid: &Grid<'_>, dy: &[T], w: &[T], dx: &mut [T], pixels: &mut [T], run: &mut [T]) {
    grid.spread(dy, run);
    pixels.fill(T::ZERO);
    for (tap, w) in w.iter().enumerate() {
        let pixels = pixels[grid.start(tap)..][..run.len()].iter_mut();
        pixels.zip(run.iter()).for_each(|(dx, dy)| *dx += *w * *dy);
    }
    // pixels that no tap meets stay without gradient
    dx.fill(T::ZERO);
    let stride = grid.window.stride;
    grid.for_each_run(|index, pixel, count| {
        let from = pixels[index..][..count].iter();
        dx[pixel..]
            .iter_mut()
            .step_by(stride)
            .zip(from)
            .for_each(|(to, from)| *to = *from);
    });
}

/// Inner product in sixteen interleaved sums, which the compiler can keep in vector registers.
#[inline(always)]
fn dot<T: Element>(a: &[T], b: &[T]) -> T {
    const LANES: usize = 16;
    let mut lanes = [T::ZERO; LANES];
    let (blocks_a, blocks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = blocks_a.remainder().iter().zip(blocks_b.remainder());
    let rest = rest.fold(T::ZERO, |sum, (a, b)| sum + *a * *b);
    for (a, b) in blocks_a.zip(blocks_b) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.into_iter().fold(rest, |sum, lane| sum + lane)
}
