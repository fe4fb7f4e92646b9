//! ReLU, alone and after the addition that ends a residual block.

use rayon::prelude::*;

use super::element::Element;
use super::simd::vectorised;

/// Elements below which a task is not worth handing to another thread.
pub(super) const GRAIN: usize = 8192;

/// `max(0, x)`; NaN stays NaN, so that a diverged network does not look alive.
pub fn relu<T: Element>(x: &[T]) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len()];
    y.par_chunks_mut(GRAIN).zip(x.par_chunks(GRAIN)).for_each(|(y, x)| {
        vectorised(|| {
            y.iter_mut()
                .zip(x)
                .for_each(|(y, x)| *y = if *x < T::ZERO { T::ZERO } else { *x });
        });
    });
    y
}

/// Gradient of [`relu`] from its output `y`: `dy` where `y > 0`, else zero.
pub fn relu_backward<T: Element>(y: &[T], dy: &[T]) -> Vec<T> {
    let mut dx = vec![T::ZERO; y.len()];
    dx.par_chunks_mut(GRAIN)
        .zip(y.par_chunks(GRAIN).zip(dy.par_chunks(GRAIN)))
        .for_each(|(dx, (y, dy))| {
            vectorised(|| {
                let terms = dx.iter_mut().zip(y.iter().zip(dy));
                terms.for_each(|(dx, (y, dy))| *dx = if *y > T::ZERO { *dy } else { T::ZERO });
            });
        });
    dx
}

/// `max(0, a + b)`, element by element.
pub fn add_relu<T: Element>(a: &[T], b: &[T]) -> Vec<T> {
    let mut y = vec![T::ZERO; a.len()];
    y.par_chunks_mut(GRAIN)
        .zip(a.par_chunks(GRAIN).zip(b.par_chunks(GRAIN)))
        .for_each(|(y, (a, b))| {
            vectorised(|| {
                y.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (a, b))| {
                    let sum = *a + *b;
                    *y = if sum < T::ZERO { T::ZERO } else { sum };
                });
            });
        });
    y
}
