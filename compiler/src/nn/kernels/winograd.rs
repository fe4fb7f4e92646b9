//! 3x3 convolution with stride 1 by minimal filtering F(4x4, 3x3): a quarter of the multiplications.
//!
//! The output is cut into tiles of 4x4 pixels. Input tiles (6x6, overlapping) and filters are taken to 36 points; there the
//! convolution is a product of `(Co, Ci)` by `(Ci, tiles)` matrices, one for each point. Backward is the transpose, step
//! by step: the output gradient is taken to the points once and serves both gradients.
//!
//! A task is a few images, as many as give the products enough columns: a function of the shape alone, so that the bits do
//! not depend on the threads. Where all images together have few tiles for so many channels, a task is a few channels
//! instead (`by_channels`).
//!
//! Source: Lavin and Gray 2015, arXiv:1509.09308.

mod by_channels;
mod tiles;
mod transform;

use rayon::prelude::*;

use self::tiles::{Planes, Tiling};
use self::transform::{LANES, Points};
use super::conv2d::{ConvShape, images_per_chunk, sum_chunks};
use super::element::Element;
use super::gemm::{MatrixMut, MatrixRef, matmul_into};
use super::simd::vectorised;

/// Points of a tile in the transformed domain.
const POINTS: usize = 36;

/// Taps of a filter.
const TAPS: usize = 9;

/// Fewest channels on either side for which the products outweigh the transforms.
const FEWEST_CHANNELS: usize = 8;

/// Tiles that a task's products have as columns, at least, if there are so many.
const TILES_TOGETHER: usize = 64;

/// Whether a convolution is one that this method computes, and faster than an unfolded product.
pub(super) fn applies(shape: &ConvShape) -> bool {
    let window = &shape.window;
    window.kernel == (3, 3)
        && window.stride == 1
        && window.padding.0 <= 2
        && window.padding.1 <= 2
        && shape.groups == 1
        && shape.channels_in.min(shape.channels_out) >= FEWEST_CHANNELS
        && (enough_tiles(shape) || by_channels::pays(shape))
}

/// Filters at the points are four times as large as they came: with few tiles to use them on, each task's moving them takes
/// longer than the multiplications they save.
fn enough_tiles(shape: &ConvShape) -> bool {
    2 * tiles_of_batch(shape) >= shape.channels_in.min(shape.channels_out)
}

fn tiles_of_batch(shape: &ConvShape) -> usize {
    shape.images * Tiling::new(&shape.window, 1).tiles_per_image()
}

fn images_together(shape: &ConvShape) -> usize {
    let tiles = Tiling::new(&shape.window, 1).tiles_per_image();
    TILES_TOGETHER.div_ceil(tiles).clamp(1, shape.images.max(1))
}

/// Convolution of a batch into `y`; shapes as in [`super::conv2d::forward`].
pub(super) fn forward<T: Element>(shape: &ConvShape, x: &[T], w: &[T], y: &mut [T]) {
    if !enough_tiles(shape) {
        return by_channels::forward(shape, x, w, y);
    }
    let (outputs, inputs) = (shape.channels_out, shape.channels_in);
    let filters = filters_at_points(w, inputs);
    let (x_planes, y_planes) = planes(shape);
    let together = images_together(shape);
    y.par_chunks_mut(together * shape.output_len())
        .zip(x.par_chunks(together * shape.input_len()))
        .for_each(|(y, x)| {
            let tiling = Tiling::new(&shape.window, x.len() / shape.input_len());
            let per_channel = POINTS * tiling.tiles();
            let lengths = [inputs * per_channel, outputs * per_channel, tiling.scratch_len()];
            with_parts(lengths, |[v, m, scratch]| {
                vectorised(
                    #[inline(always)]
                    || tiling.inputs_to_points((x, x_planes), inputs, v, scratch),
                );
                for point in 0..POINTS {
                    matmul_into(
                        (outputs, tiling.tiles(), inputs),
                        at_point_mut(m, &tiling, point),
                        filters_at(&filters, inputs, point),
                        at_point(v, &tiling, point),
                        false,
                    );
                }
                vectorised(
                    #[inline(always)]
                    || tiling.points_to_outputs(m, outputs, (y, y_planes), scratch),
                );
            });
        });
}

/// Gradients of [`forward`]: that of `w`, and that of `x` into `dx` where given.
pub(super) fn backward<T: Element>(shape: &ConvShape, x: &[T], w: &[T], dy: &[T], dx: Option<&mut [T]>) -> Vec<T> {
    if !enough_tiles(shape) {
        return by_channels::backward(shape, x, w, dy, dx);
    }
    let inputs = shape.channels_in;
    let together = images_together(shape);
    let per_task = images_per_chunk(shape.images, shape.weights_len()).next_multiple_of(together);
    let mut partial = vec![T::ZERO; shape.images.div_ceil(per_task) * w.len()];
    let tasks = partial.par_chunks_mut(w.len()).zip(
        x.par_chunks(per_task * shape.input_len())
            .zip(dy.par_chunks(per_task * shape.output_len())),
    );
    match dx {
        Some(dx) => {
            let filters = filters_at_points(w, inputs);
            tasks
                .zip(dx.par_chunks_mut(per_task * shape.input_len()))
                .for_each(|((dw, (x, dy)), dx)| backward_task(shape, together, x, dy, dw, Some((&filters, dx))));
        }
        None => tasks.for_each(|(dw, (x, dy))| backward_task(shape, together, x, dy, dw, None)),
    }
    sum_chunks(partial, w.len())
}

/// Gradients of one task's images, `together` at a time; with the filters at the points also `dx`.
fn backward_task<T: Element>(
    shape: &ConvShape,
    together: usize,
    x: &[T],
    dy: &[T],
    dw: &mut [T],
    mut input_gradient: Option<(&[T], &mut [T])>,
) {
    let (outputs, inputs) = (shape.channels_out, shape.channels_in);
    let (x_planes, y_planes) = planes(shape);
    let largest = Tiling::new(&shape.window, together.min(x.len() / shape.input_len()));
    let per_channel = POINTS * largest.tiles();
    let lengths = [
        POINTS * outputs * inputs,
        inputs * per_channel,
        outputs * per_channel,
        largest.scratch_len(),
    ];
    with_parts(lengths, |[du, v, dm, scratch]| {
        let parts = x
            .chunks(together * shape.input_len())
            .zip(dy.chunks(together * shape.output_len()));
        for (part, (x, dy)) in parts.enumerate() {
            let tiling = Tiling::new(&shape.window, x.len() / shape.input_len());
            vectorised(
                #[inline(always)]
                || {
                    tiling.inputs_to_points((x, x_planes), inputs, v, scratch);
                    tiling.output_gradients_to_points((dy, y_planes), outputs, dm, scratch);
                },
            );
            for point in 0..POINTS {
                let of_filters = MatrixMut {
                    data: &mut du[point * inputs..],
                    row_stride: POINTS * inputs,
                };
                matmul_into(
                    (outputs, inputs, tiling.tiles()),
                    of_filters,
                    at_point(dm, &tiling, point),
                    at_point(v, &tiling, point).transposed(),
                    part > 0,
                );
                if let Some((filters, _)) = &input_gradient {
                    // the inputs at this point have served: their gradient takes their place
                    matmul_into(
                        (inputs, tiling.tiles(), outputs),
                        at_point_mut(v, &tiling, point),
                        filters_at(filters, inputs, point).transposed(),
                        at_point(dm, &tiling, point),
                        false,
                    );
                }
            }
            if let Some((_, dx)) = &mut input_gradient {
                let dx = &mut dx[part * together * shape.input_len()..][..x.len()];
                vectorised(
                    #[inline(always)]
                    || tiling.points_to_input_gradients(v, inputs, (dx, x_planes), scratch),
                );
            }
        }
        vectorised(
            #[inline(always)]
            || filter_gradients(du, dw, inputs),
        );
    });
}

/// Where the planes of input and output lie.
fn planes(shape: &ConvShape) -> (Planes, Planes) {
    (
        Planes::image_by_image(shape.channels_in, shape.window.input_pixels()),
        Planes::image_by_image(shape.channels_out, shape.window.output_pixels()),
    )
}

/// The matrix of all channels at one point: a row a channel, a column a tile.
fn at_point<'a, T>(values: &'a [T], tiling: &Tiling, point: usize) -> MatrixRef<'a, T> {
    MatrixRef {
        data: &values[point * tiling.tiles()..],
        row_stride: POINTS * tiling.tiles(),
        col_stride: 1,
    }
}

fn at_point_mut<'a, T>(values: &'a mut [T], tiling: &Tiling, point: usize) -> MatrixMut<'a, T> {
    MatrixMut {
        data: &mut values[point * tiling.tiles()..],
        row_stride: POINTS * tiling.tiles(),
    }
}

/// The filters at one point: a row an output, a column an input.
fn filters_at<T>(filters: &[T], inputs: usize, point: usize) -> MatrixRef<'_, T> {
    MatrixRef {
        data: &filters[point * inputs..],
        row_stride: POINTS * inputs,
        col_stride: 1,
    }
}

/// Lends parts of one scratch buffer, of these lengths.
fn with_parts<T: Element, R, const N: usize>(lengths: [usize; N], body: impl FnOnce([&mut [T]; N]) -> R) -> R {
    // a cache line between the parts: lengths are often powers of two, which would compete for the same places in the cache
    const APART: usize = 16;
    T::with_scratch(lengths.iter().map(|length| length + APART).sum(), |mut rest| {
        body(lengths.map(|length| {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(length + APART);
            rest = after;
            &mut part[..length]
        }))
    })
}

/// Filters `(Co, Ci, 3, 3)` at the points: `(Co, 36, Ci)`.
fn filters_at_points<T: Element>(w: &[T], inputs: usize) -> Vec<T> {
    let mut u = vec![T::ZERO; w.len() / TAPS * POINTS];
    u.par_chunks_mut(POINTS * inputs)
        .zip(w.par_chunks(TAPS * inputs))
        .for_each(|(u, w)| {
            vectorised(
                #[inline(always)]
                || filter_at_points(w, u, inputs),
            )
        });
    u
}

/// The filters of one output.
#[inline(always)]
fn filter_at_points<T: Element>(w: &[T], u: &mut [T], inputs: usize) {
    let points = Points::<T>::new();
    for first in (0..inputs).step_by(LANES) {
        let count = LANES.min(inputs - first);
        let mut taps = [[T::ZERO; LANES]; TAPS];
        for (lane, w) in w[first * TAPS..][..count * TAPS].chunks_exact(TAPS).enumerate() {
            taps.iter_mut().zip(w).for_each(|(tap, w)| tap[lane] = *w);
        }
        let rows = [0, 3, 6].map(|row| points.filter(&[taps[row], taps[row + 1], taps[row + 2]]));
        for column in 0..6 {
            let values = points.filter(&[rows[0][column], rows[1][column], rows[2][column]]);
            for (row, values) in values.iter().enumerate() {
                u[(row * 6 + column) * inputs + first..][..count].copy_from_slice(&values[..count]);
            }
        }
    }
}

/// The transpose of [`filters_at_points`], on the calling thread: `(Co, 36, Ci)` to `(Co, Ci, 3, 3)`.
#[inline(always)]
fn filter_gradients<T: Element>(du: &[T], dw: &mut [T], inputs: usize) {
    let points = Points::<T>::new();
    for (du, dw) in du.chunks_exact(POINTS * inputs).zip(dw.chunks_exact_mut(TAPS * inputs)) {
        for first in (0..inputs).step_by(LANES) {
            let count = LANES.min(inputs - first);
            let mut columns = [[[T::ZERO; LANES]; 3]; 6];
            for (column, taps) in columns.iter_mut().enumerate() {
                let mut values = [[T::ZERO; LANES]; 6];
                for (row, values) in values.iter_mut().enumerate() {
                    values[..count].copy_from_slice(&du[(row * 6 + column) * inputs + first..][..count]);
                }
                *taps = points.filter_gradient(&values);
            }
            for row in 0..3 {
                let taps = points.filter_gradient(&columns.map(|taps| taps[row]));
                for (column, taps) in taps.iter().enumerate() {
                    let dw = dw[first * TAPS + row * 3 + column..].iter_mut().step_by(TAPS);
                    dw.zip(&taps[..count]).for_each(|(dw, tap)| *dw = *tap);
                }
            }
        }
    }
}
