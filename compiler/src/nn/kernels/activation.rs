//! ReLU, alone and after the addition that ends a residual block, and ReLU6.

use rayon::prelude::*;

use super::element::Element;
use super::simd::vectorised;

/// Elements below which a task is not worth handing to another thread.
pub(super) const GRAIN: usize = 8192;

/// `max(0, x)`; NaN stays NaN, so that a diverged network does not look alive.
pub fn relu<T: Element>(x: &[T]) -> Vec<T> {
    map(x, rectified)
}

/// Gradient of [`relu`] from its output `y`: `dy` where `y > 0`, else zero.
pub fn relu_backward<T: Element>(y: &[T], dy: &[T]) -> Vec<T> {
    mask(y, dy, |y| y > T::ZERO)
}

/// `min(max(0, x), 6)`; NaN stays NaN.
pub fn relu6<T: Element>(x: &[T]) -> Vec<T> {
    map(x, clipped)
}

/// Gradient of [`relu6`] from its output `y`: `dy` where `0 < y < 6`, else zero.
pub fn relu6_backward<T: Element>(y: &[T], dy: &[T]) -> Vec<T> {
    mask(y, dy, |y| y > T::ZERO && y < T::SIX)
}

/// One value of [`relu`], written so that NaN passes.
#[inline(always)]
pub(super) fn rectified<T: Element>(x: T) -> T {
    if x < T::ZERO { T::ZERO } else { x }
}

/// One value of [`relu6`], written so that NaN passes.
#[inline(always)]
pub(super) fn clipped<T: Element>(x: T) -> T {
    if x < T::ZERO {
        T::ZERO
    } else if x > T::SIX {
        T::SIX
    } else {
        x
    }
}

fn map<T: Element>(x: &[T], f: impl Fn(T) -> T + Sync) -> Vec<T> {
    let mut y = vec![T::ZERO; x.len()];
    y.par_chunks_mut(GRAIN).zip(x.par_chunks(GRAIN)).for_each(|(y, x)| {
        vectorised(
            #[inline(always)]
            || y.iter_mut().zip(x).for_each(|(y, x)| *y = f(*x)),
        )
    });
    y
}

/// `dy` where `passes(y)`, else zero.
fn mask<T: Element>(y: &[T], dy: &[T], passes: impl Fn(T) -> bool + Sync) -> Vec<T> {
    let mut dx = vec![T::ZERO; y.len()];
    dx.par_chunks_mut(GRAIN)
        .zip(y.par_chunks(GRAIN).zip(dy.par_chunks(GRAIN)))
        .for_each(|(dx, (y, dy))| {
            vectorised(
                #[inline(always)]
                || {
                    let terms = dx.iter_mut().zip(y.iter().zip(dy));
                    terms.for_each(|(dx, (y, dy))| *dx = if passes(*y) { *dy } else { T::ZERO });
                },
            );
        });
    dx
}

/// `a + b`, element by element.
pub fn add<T: Element>(a: &[T], b: &[T]) -> Vec<T> {
    combine(a, b, |a, b| a + b)
}

/// `max(0, a + b)`, element by element.
pub fn add_relu<T: Element>(a: &[T], b: &[T]) -> Vec<T> {
    combine(a, b, |a, b| rectified(a + b))
}

fn combine<T: Element>(a: &[T], b: &[T], f: impl Fn(T, T) -> T + Sync) -> Vec<T> {
    let mut y = vec![T::ZERO; a.len()];
    y.par_chunks_mut(GRAIN)
        .zip(a.par_chunks(GRAIN).zip(b.par_chunks(GRAIN)))
        .for_each(|(y, (a, b))| {
            vectorised(
                #[inline(always)]
                || {
                    let terms = y.iter_mut().zip(a.iter().zip(b));
                    terms.for_each(|(y, (a, b))| *y = f(*a, *b));
                },
            );
        });
    y
}
