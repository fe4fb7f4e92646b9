//! Batch normalisation over `(N, C, H, W)`, optionally with a ReLU or ReLU6 on the way out.
//!
//! Sums over images and pixels are kept in `f64`: short ones of a plane, then plane by plane, then image by image.
//! Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1 and section 3.

mod sweep;

use super::activation::{clipped, rectified};
use super::element::Element;

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
    let [sum, squares] = sweep::sums(
        [x; 3],
        &pivots,
        pixels,
        #[inline(always)]
        |[x, _, _], pivot| {
            let d = x - pivot;
            [d, d * d]
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
    let scale: Vec<f64> = gamma.iter().zip(inv_std).map(|(g, s)| g.to_f64() * s).collect();
    let beta: Vec<f64> = beta.iter().map(|beta| beta.to_f64()).collect();
    let numbers = [&scale[..], mean, &beta];
    match activation {
        Activation::None => activated(
            x,
            numbers,
            pixels,
            #[inline(always)]
            |y| y,
        ),
        Activation::Relu => activated(x, numbers, pixels, rectified),
        Activation::Relu6 => activated(x, numbers, pixels, clipped),
    }
}

fn activated<T: Element>(
    x: &[T],
    numbers: [&[f64]; 3],
    pixels: usize,
    activation: impl Fn(T) -> T + Copy + Sync,
) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len()];
    sweep::each(
        &mut y,
        [x; 3],
        numbers,
        pixels.max(1),
        #[inline(always)]
        |[x, _, _], [scale, mean, beta]| activation((x - mean) * scale + beta),
    );
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
        Activation::None => masked_backward(
            values,
            &layer,
            #[inline(always)]
            |_| true,
        ),
        Activation::Relu => masked_backward(
            values,
            &layer,
            #[inline(always)]
            |y| y > T::ZERO,
        ),
        Activation::Relu6 => masked_backward(
            values,
            &layer,
            #[inline(always)]
            |y| y > T::ZERO && y < T::SIX,
        ),
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
    let masked = |y: T, dy: T| if passes(y) { dy } else { T::ZERO };
    let [sum, moment] = sweep::sums(
        [x, y, dy],
        mean,
        pixels,
        #[inline(always)]
        |[x, y, dy], mean| {
            let dy = masked(y, dy);
            [dy, dy * (x - mean)]
        },
    );
    let moment: Vec<f64> = moment.iter().zip(inv_std).map(|(m, s)| m * s).collect();
    let count = (x.len() / gamma.len().max(1)).max(1) as f64;
    // dx = scale * (dy - sum / count - (x - mean) * inv_std * moment / count)
    let scale: Vec<f64> = gamma.iter().zip(inv_std).map(|(g, s)| g.to_f64() * s).collect();
    let of_statistics = |c: usize| (-scale[c] * inv_std[c] * moment[c] / count, -scale[c] * sum[c] / count);
    let of_channel = |c| {
        if through_statistics {
            of_statistics(c)
        } else {
            (0.0, 0.0)
        }
    };
    let (slope, offset): (Vec<f64>, Vec<f64>) = (0..gamma.len()).map(of_channel).unzip();
    let mut dx = vec![T::ZERO; x.len()];
    sweep::each(
        &mut dx,
        [x, y, dy],
        [&scale, &slope, &offset, mean],
        pixels,
        #[inline(always)]
        |[x, y, dy], [scale, slope, offset, mean]| masked(y, dy) * scale + ((x - mean) * slope + offset),
    );
    Gradients {
        x: dx,
        gamma: moment.into_iter().map(T::from_f64).collect(),
        beta: sum.into_iter().map(T::from_f64).collect(),
    }
}
