//! Batch normalisation over `(N, C, H, W)`, optionally with a ReLU or ReLU6 on the way out.
//!
//! Sums over images and pixels are kept in `f64`: short ones of a plane, then plane by plane, then image by image.
//! Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1 and section 3.

use rayon::prelude::*;

use super::activation::{clipped, rectified};
use super::element::Element;
use super::simd::vectorised;

/// What follows the normalisation in the same pass over memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// Nothing.
    #[default]
    None,
    /// `max(0, x)`.
    Relu,
    /// `min(max(0, x), 6)`.
    Relu6,
}

/// Mean and biased variance of each channel over images and pixels.
///
/// # Shapes
/// - `x`: `(N, C, pixels)`; returns two vectors of C
pub fn statistics<T: Element>(x: &[T], channels: usize, pixels: usize) -> (Vec<f64>, Vec<f64>) {
    // Deviations from one value of the channel, not from zero: the difference of squares then cancels nothing.
    let pivots: Vec<f64> = (0..channels)
        .map(|c| x.get(c * pixels).map_or(0.0, |v| v.to_f64()))
        .collect();
    let [sum, squares] = sum_planes(
        x,
        channels,
        pixels,
        #[inline(always)]
        |plane, x| {
            let pivot = T::from_f64(pivots[plane % channels]);
            sums([x; 3], |x, _, _| {
                let d = x - pivot;
                [d, d * d]
            })
        },
    );
    let count = (x.len() / channels.max(1)).max(1) as f64;
    let shift = sum.iter().map(|s| s / count);
    let var = squares
        .iter()
        .zip(shift.clone())
        .map(|(s, shift)| (s / count - shift * shift).max(0.0))
        .collect();
    (pivots.iter().zip(shift).map(|(p, shift)| p + shift).collect(), var)
}

/// Two sums over images and pixels for each channel, of what `plane_sums(plane, elements)` gives for each plane.
fn sum_planes<T: Element>(
    x: &[T],
    channels: usize,
    pixels: usize,
    plane_sums: impl Fn(usize, &[T]) -> [f64; 2] + Sync,
) -> [Vec<f64>; 2] {
    let planes: Vec<[f64; 2]> = x
        .par_chunks_exact(pixels)
        .enumerate()
        .with_min_len(8)
        .map(|(plane, x)| {
            vectorised(
                #[inline(always)]
                || plane_sums(plane, x),
            )
        })
        .collect();
    let mut totals = [vec![0.0; channels], vec![0.0; channels]];
    for (plane, sums) in planes.iter().enumerate() {
        totals[0][plane % channels] += sums[0];
        totals[1][plane % channels] += sums[1];
    }
    totals
}

/// Two sums over three equally long slices, of what `term` gives for each three elements: short sums in the elements' own
/// type, which fit whole vectors, added up in `f64`.
#[inline(always)]
fn sums<T: Element>([a, b, c]: [&[T]; 3], term: impl Fn(T, T, T) -> [T; 2]) -> [f64; 2] {
    const LANES: usize = 16;
    /// Terms of a short sum: few enough that rounding does not show.
    const TERMS: usize = 16;
    let mut sums = [0.0; 2];
    let blocks = a
        .chunks(LANES * TERMS)
        .zip(b.chunks(LANES * TERMS).zip(c.chunks(LANES * TERMS)));
    for (a, (b, c)) in blocks {
        let mut lanes = [[T::ZERO; LANES]; 2];
        let whole = a.len() / LANES * LANES;
        let rows = a
            .chunks_exact(LANES)
            .zip(b.chunks_exact(LANES).zip(c.chunks_exact(LANES)));
        for (a, (b, c)) in rows {
            for lane in 0..LANES {
                let [first, second] = term(a[lane], b[lane], c[lane]);
                lanes[0][lane] += first;
                lanes[1][lane] += second;
            }
        }
        for ((a, b), c) in a[whole..].iter().zip(&b[whole..]).zip(&c[whole..]) {
            let [first, second] = term(*a, *b, *c);
            lanes[0][0] += first;
            lanes[1][0] += second;
        }
        for (sum, lanes) in sums.iter_mut().zip(&lanes) {
            *sum += lanes.iter().map(|lane| lane.to_f64()).sum::<f64>();
        }
    }
    sums
}

/// `1 / sqrt(var + eps)` for each channel.
pub fn inverse_deviation(var: &[f64], eps: f64) -> Vec<f64> {
    var.iter().map(|v| 1.0 / (v + eps).sqrt()).collect()
}

/// `gamma * (x - mean) * inv_std + beta`, then the activation.
///
/// # Shapes
/// - `x`: `(N, C, pixels)`; `gamma`, `beta`, `mean`, `inv_std`: C
/// - returns: as `x`
pub fn forward<T: Element>(
    x: &[T],
    (gamma, beta): (&[T], &[T]),
    (mean, inv_std): (&[f64], &[f64]),
    pixels: usize,
    activation: Activation,
) -> Vec<T> {
    let channels = gamma.len();
    let mut y = vec![T::ZERO; x.len()];
    y.par_chunks_exact_mut(pixels.max(1))
        .zip(x.par_chunks_exact(pixels.max(1)))
        .enumerate()
        .with_min_len(8)
        .for_each(|(plane, (y, x))| {
            let c = plane % channels;
            let scale = gamma[c].to_f64() * inv_std[c];
            let (scale, mean, beta) = (T::from_f64(scale), T::from_f64(mean[c]), beta[c]);
            vectorised(
                #[inline(always)]
                || {
                    let normalised = y.iter_mut().zip(x);
                    match activation {
                        Activation::None => normalised.for_each(|(y, x)| *y = (*x - mean) * scale + beta),
                        Activation::Relu => normalised.for_each(|(y, x)| *y = rectified((*x - mean) * scale + beta)),
                        Activation::Relu6 => normalised.for_each(|(y, x)| *y = clipped((*x - mean) * scale + beta)),
                    }
                },
            );
        });
    y
}

/// Gradients of [`forward`].
#[derive(Debug)]
pub struct Gradients<T> {
    /// Of the input, shaped as the input.
    pub x: Vec<T>,
    /// Of the scale, C.
    pub gamma: Vec<T>,
    /// Of the offset, C.
    pub beta: Vec<T>,
}

/// Gradients of [`forward`], where `y` is what it returned: ReLU lets through where `y > 0`, ReLU6 where `0 < y < 6`.
///
/// With `through_statistics` the mean and variance count as functions of `x` (training), else as constants.
pub fn backward<T: Element>(
    values: (&[T], &[T], &[T]),
    gamma: &[T],
    (mean, inv_std): (&[f64], &[f64]),
    pixels: usize,
    activation: Activation,
    through_statistics: bool,
) -> Gradients<T> {
    let layer = Layer {
        gamma,
        mean,
        inv_std,
        pixels: pixels.max(1),
        through_statistics,
    };
    match activation {
        Activation::None => masked_backward(values, &layer, |_| true),
        Activation::Relu => masked_backward(values, &layer, |y| y > T::ZERO),
        Activation::Relu6 => masked_backward(values, &layer, |y| y > T::ZERO && y < T::SIX),
    }
}

/// What [`backward`] knows of the layer.
struct Layer<'a, T> {
    gamma: &'a [T],
    mean: &'a [f64],
    inv_std: &'a [f64],
    pixels: usize,
    through_statistics: bool,
}

/// [`backward`] where the activation lets a gradient through if `passes(y)`.
fn masked_backward<T: Element>(
    (x, y, dy): (&[T], &[T], &[T]),
    layer: &Layer<'_, T>,
    passes: impl Fn(T) -> bool + Copy + Sync,
) -> Gradients<T> {
    let &Layer {
        gamma,
        mean,
        inv_std,
        pixels,
        through_statistics,
    } = layer;
    let channels = gamma.len();
    let masked = |y: T, dy: T| if passes(y) { dy } else { T::ZERO };
    let [sum, moment] = sum_planes(
        x,
        channels,
        pixels,
        #[inline(always)]
        |plane, x| {
            let [y, dy] = [y, dy].map(|values| &values[plane * pixels..][..pixels]);
            let mean = T::from_f64(mean[plane % channels]);
            sums([x, y, dy], |x, y, dy| {
                let dy = masked(y, dy);
                [dy, dy * (x - mean)]
            })
        },
    );
    let moment: Vec<f64> = moment.iter().zip(inv_std).map(|(m, s)| m * s).collect();
    let count = (x.len() / channels.max(1)).max(1) as f64;
    let mut dx = vec![T::ZERO; x.len()];
    dx.par_chunks_exact_mut(pixels)
        .zip(x.par_chunks_exact(pixels))
        .zip(y.par_chunks_exact(pixels).zip(dy.par_chunks_exact(pixels)))
        .enumerate()
        .with_min_len(8)
        .for_each(|(plane, ((dx, x), (y, dy)))| {
            let c = plane % channels;
            let scale = gamma[c].to_f64() * inv_std[c];
            // dx = scale * (dy - sum / count - (x - mean) * inv_std * moment / count)
            let (slope, offset) = if through_statistics {
                (-scale * inv_std[c] * moment[c] / count, -scale * sum[c] / count)
            } else {
                (0.0, 0.0)
            };
            let (scale, slope, offset) = (T::from_f64(scale), T::from_f64(slope), T::from_f64(offset));
            let mean = T::from_f64(mean[c]);
            vectorised(
                #[inline(always)]
                || {
                    let terms = dx.iter_mut().zip(x).zip(y.iter().zip(dy));
                    terms.for_each(|((dx, x), (y, dy))| {
                        *dx = masked(*y, *dy) * scale + ((*x - mean) * slope + offset);
                    });
                },
            );
        });
    Gradients {
        x: dx,
        gamma: moment.into_iter().map(T::from_f64).collect(),
        beta: sum.into_iter().map(T::from_f64).collect(),
    }
}
