//! The same filtering for small maps with many channels: a task is a few channels of all images.
//!
//! There the filters are the largest thing by far. Each task takes its own ones to the points, uses them on all tiles while they
//! are in its cache, and drops them; a weight gradient is one product over all tiles, so that there are no partial sums.

use rayon::prelude::*;

use super::super::conv2d::ConvShape;
use super::super::element::Element;
use super::super::gemm::{MatrixMut, MatrixRef, matmul_into};
use super::super::layout::images_first;
use super::super::simd::vectorised;
use super::tiles::{Planes, Tiling};
use super::{
    POINTS, TAPS, at_point, at_point_mut, filter_at_points, filter_gradients, filters_at, planes, tiles_of_batch,
    with_parts,
};

/// Channels of a task: their filters at the points fit a second-level cache for some hundred channels on the other side.
const CHANNELS: usize = 16;

/// Channels of a task that only takes planes to the points.
const PLANES: usize = 8;

/// Fewest tiles of a batch for which taking a filter to the points is worth it.
const FEWEST_TILES: usize = 32;

/// Whether this beats an unfolded product: tiles that the maps fill, and enough of them.
pub(super) fn pays(shape: &ConvShape) -> bool {
    let (multiplied, unfolded) = (
        POINTS * Tiling::new(&shape.window, 1).tiles_per_image(),
        TAPS * shape.window.output_pixels(),
    );
    tiles_of_batch(shape) >= FEWEST_TILES && 2 * multiplied <= unfolded
}

/// As [`super::forward`].
pub(super) fn forward<T: Element>(shape: &ConvShape, x: &[T], w: &[T], y: &mut [T]) {
    let (inputs, pixels) = (shape.channels_in, shape.window.output_pixels());
    let tiling = Tiling::new(&shape.window, shape.images);
    let v = inputs_at_points(shape, &tiling, x);
    let mut joined = vec![T::ZERO; y.len()];
    let planes = Planes::channel_by_channel(shape.images, pixels);
    joined
        .par_chunks_mut(CHANNELS * planes.channel)
        .zip(w.par_chunks(CHANNELS * inputs * TAPS))
        .for_each(|(joined, w)| {
            let channels = joined.len() / planes.channel;
            let lengths = [
                channels * POINTS * inputs,
                channels * POINTS * tiling.tiles(),
                tiling.scratch_len(),
            ];
            with_parts(lengths, |[u, m, scratch]| {
                let filters = u.chunks_exact_mut(POINTS * inputs).zip(w.chunks_exact(TAPS * inputs));
                vectorised(
                    #[inline(always)]
                    || filters.for_each(|(u, w)| filter_at_points(w, u, inputs)),
                );
                for point in 0..POINTS {
                    matmul_into(
                        (channels, tiling.tiles(), inputs),
                        at_point_mut(m, &tiling, point),
                        filters_at(u, inputs, point),
                        at_point(&v, &tiling, point),
                        false,
                    );
                }
                vectorised(
                    #[inline(always)]
                    || tiling.points_to_outputs(m, channels, (joined, planes), scratch),
                );
            });
        });
    images_first(&joined, shape.images, pixels, y);
}

/// As [`super::backward`].
pub(super) fn backward<T: Element>(shape: &ConvShape, x: &[T], w: &[T], dy: &[T], dx: Option<&mut [T]>) -> Vec<T> {
    let tiling = Tiling::new(&shape.window, shape.images);
    let v = inputs_at_points(shape, &tiling, x);
    let mut dm = vec![T::ZERO; shape.channels_out * POINTS * tiling.tiles()];
    let (_, y_planes) = planes(shape);
    dm.par_chunks_mut(PLANES * POINTS * tiling.tiles())
        .zip((0..shape.channels_out).into_par_iter().step_by(PLANES))
        .for_each(|(dm, first)| {
            let channels = PLANES.min(shape.channels_out - first);
            let dy = &dy[first * y_planes.channel..];
            T::with_scratch(tiling.scratch_len(), |scratch| {
                vectorised(
                    #[inline(always)]
                    || tiling.output_gradients_to_points((dy, y_planes), channels, dm, scratch),
                );
            });
        });
    if let Some(dx) = dx {
        input_gradient(shape, &tiling, w, &dm, dx);
    }
    weight_gradient(shape, &tiling, &v, &dm)
}

fn inputs_at_points<T: Element>(shape: &ConvShape, tiling: &Tiling, x: &[T]) -> Vec<T> {
    let mut v = vec![T::ZERO; shape.channels_in * POINTS * tiling.tiles()];
    let (x_planes, _) = planes(shape);
    v.par_chunks_mut(PLANES * POINTS * tiling.tiles())
        .zip((0..shape.channels_in).into_par_iter().step_by(PLANES))
        .for_each(|(v, first)| {
            let channels = PLANES.min(shape.channels_in - first);
            let x = &x[first * x_planes.channel..];
            T::with_scratch(tiling.scratch_len(), |scratch| {
                vectorised(
                    #[inline(always)]
                    || tiling.inputs_to_points((x, x_planes), channels, v, scratch),
                );
            });
        });
    v
}

fn weight_gradient<T: Element>(shape: &ConvShape, tiling: &Tiling, v: &[T], dm: &[T]) -> Vec<T> {
    let inputs = shape.channels_in;
    let mut dw = vec![T::ZERO; shape.weights_len()];
    dw.par_chunks_mut(CHANNELS * inputs * TAPS)
        .zip(dm.par_chunks(CHANNELS * POINTS * tiling.tiles()))
        .for_each(|(dw, dm)| {
            let channels = dw.len() / (inputs * TAPS);
            T::with_scratch(channels * POINTS * inputs, |du| {
                for point in 0..POINTS {
                    let of_filters = MatrixMut {
                        data: &mut du[point * inputs..],
                        row_stride: POINTS * inputs,
                    };
                    matmul_into(
                        (channels, inputs, tiling.tiles()),
                        of_filters,
                        at_point(dm, tiling, point),
                        at_point(v, tiling, point).transposed(),
                        false,
                    );
                }
                vectorised(
                    #[inline(always)]
                    || filter_gradients(du, dw, inputs),
                );
            });
        });
    dw
}

fn input_gradient<T: Element>(shape: &ConvShape, tiling: &Tiling, w: &[T], dm: &[T], dx: &mut [T]) {
    let (inputs, outputs, pixels) = (shape.channels_in, shape.channels_out, shape.window.input_pixels());
    let planes = Planes::channel_by_channel(shape.images, pixels);
    let mut joined = vec![T::ZERO; dx.len()];
    joined
        .par_chunks_mut(CHANNELS * planes.channel)
        .enumerate()
        .for_each(|(block, joined)| {
            let (first, channels) = (block * CHANNELS, joined.len() / planes.channel);
            let lengths = [
                outputs * POINTS * channels,
                channels * POINTS * tiling.tiles(),
                tiling.scratch_len(),
            ];
            with_parts(lengths, |[u, v, scratch]| {
                let filters = u.chunks_exact_mut(POINTS * channels).zip(w.chunks_exact(TAPS * inputs));
                vectorised(
                    #[inline(always)]
                    || {
                        for (u, w) in filters {
                            filter_at_points(&w[first * TAPS..][..channels * TAPS], u, channels);
                        }
                    },
                );
                for point in 0..POINTS {
                    let filters = MatrixRef {
                        data: &u[point * channels..],
                        row_stride: 1,
                        col_stride: POINTS * channels,
                    };
                    matmul_into(
                        (channels, tiling.tiles(), outputs),
                        at_point_mut(v, tiling, point),
                        filters,
                        at_point(dm, tiling, point),
                        false,
                    );
                }
                vectorised(
                    #[inline(always)]
                    || tiling.points_to_input_gradients(v, channels, (joined, planes), scratch),
                );
            });
        });
    images_first(&joined, shape.images, pixels, dx);
}
