//! One value a channel added to all its pixels.

use rayon::prelude::*;

use super::element::Element;

/// `x` plus the bias of each channel.
///
/// # Shapes
/// - `x`: `(N, C, pixels)`; `bias`: C; returns as `x`
pub fn add<T: Element>(x: &[T], bias: &[T], pixels: usize) -> Vec<T> {
    let pixels = pixels.max(1);
    let mut y = vec![T::ZERO; x.len()];
    y.par_chunks_exact_mut(pixels)
        .zip(x.par_chunks_exact(pixels))
        .enumerate()
        .with_min_len(8)
        .for_each(|(plane, (y, x))| {
            let bias = bias[plane % bias.len()];
            y.iter_mut().zip(x).for_each(|(y, x)| *y = *x + bias);
        });
    y
}

/// Gradient of the bias: the sum of `dy` over images and pixels, kept in `f64`, one for each plane, then image by image.
///
/// # Shapes
/// - `dy`: `(N, C, pixels)`; returns C
pub fn backward<T: Element>(dy: &[T], channels: usize, pixels: usize) -> Vec<T> {
    const LANES: usize = 8;
    let planes: Vec<f64> = dy
        .par_chunks_exact(pixels.max(1))
        .with_min_len(8)
        .map(|dy| {
            let mut lanes = [0.0; LANES];
            let blocks = dy.chunks_exact(LANES);
            let rest: f64 = blocks.remainder().iter().map(|dy| dy.to_f64()).sum();
            for block in blocks {
                lanes.iter_mut().zip(block).for_each(|(lane, dy)| *lane += dy.to_f64());
            }
            lanes.into_iter().fold(rest, |sum, lane| sum + lane)
        })
        .collect();
    let mut sums = vec![0.0; channels];
    for (plane, sum) in planes.into_iter().enumerate() {
        sums[plane % channels] += sum;
    }
    sums.into_iter().map(T::from_f64).collect()
}
