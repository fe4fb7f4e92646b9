//! The optimiser's arithmetic: one pass over a tensor, its gradient and its momentum.

use rayon::prelude::*;

use super::activation::GRAIN;
use super::element::Element;
use super::simd::vectorised;

/// What a step does to every element.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// Share of the last step kept.
    pub momentum: f64,
    /// Whether the gradient is taken ahead of the momentum.
    pub nesterov: bool,
    /// Pull towards zero.
    pub weight_decay: f64,
    /// Pull towards the anchor, as a loss: its gradient is twice that times the distance.
    pub anchor: f64,
    /// What the update is multiplied with.
    pub rate: f64,
}

/// Moves `weights` and `velocity` by one step; without an anchor `at` is empty, and in the first step `velocity` is zero.
pub fn step<T: Element>(weights: &mut [T], velocity: &mut [T], gradient: &[T], at: &[T], step: &Step) {
    let [momentum, decay, anchor, rate] =
        [step.momentum, step.weight_decay, 2.0 * step.anchor, step.rate].map(T::from_f64);
    let ahead = if step.nesterov { momentum } else { T::ZERO };
    weights
        .par_chunks_mut(GRAIN)
        .zip(velocity.par_chunks_mut(GRAIN).zip(gradient.par_chunks(GRAIN)))
        .enumerate()
        .for_each(|(chunk, (weights, (velocity, gradient)))| {
            let move_one = |w: &mut T, v: &mut T, g: T| {
                let g = g + decay * *w;
                *v = momentum * *v + g;
                let update = if step.nesterov { g + ahead * *v } else { *v };
                *w -= rate * update;
            };
            vectorised(
                #[inline(always)]
                || {
                    let terms = weights.iter_mut().zip(velocity).zip(gradient);
                    if at.is_empty() {
                        terms.for_each(|((w, v), g)| move_one(w, v, *g));
                    } else {
                        let at = &at[chunk * GRAIN..];
                        terms.zip(at).for_each(|(((w, v), g), at)| {
                            let g = *g + anchor * (*w - *at);
                            move_one(w, v, g);
                        });
                    }
                },
            );
        });
}

/// Sum of squares, in `f64`: by chunks, then chunk by chunk.
pub fn sum_of_squares<T: Element>(values: &[T]) -> f64 {
    const LANES: usize = 8;
    let chunks: Vec<f64> = values
        .par_chunks(GRAIN)
        .map(|chunk| {
            vectorised(
                #[inline(always)]
                || {
                    let mut lanes = [0.0; LANES];
                    let blocks = chunk.chunks_exact(LANES);
                    let rest: f64 = blocks.remainder().iter().map(|v| v.to_f64() * v.to_f64()).sum();
                    for block in blocks {
                        for lane in 0..LANES {
                            let value = block[lane].to_f64();
                            lanes[lane] += value * value;
                        }
                    }
                    lanes.iter().sum::<f64>() + rest
                },
            )
        })
        .collect();
    chunks.into_iter().sum()
}
