//! Loss functions: one number for a batch, summed in `f64`.

use rayon::prelude::*;

use super::activation::GRAIN;
use super::element::Element;

/// Mean over images of `log(sum(exp(logits))) - logits[label]`, in nats. Every label must be below `classes`.
///
/// # Shapes
/// - `logits`: `(N, K)`; `labels`: `(N)`
pub fn cross_entropy<T: Element>(logits: &[T], labels: &[u32], classes: usize) -> f64 {
    let rows = logits.chunks_exact(classes).zip(labels);
    let total: f64 = rows
        .map(|(row, label)| {
            let (largest, sum) = exponentials(row);
            sum.ln() + largest - row[*label as usize].to_f64()
        })
        .sum();
    total / labels.len().max(1) as f64
}

/// Gradient of [`cross_entropy`] for the logits, times `factor`.
pub fn cross_entropy_backward<T: Element>(logits: &[T], labels: &[u32], classes: usize, factor: f64) -> Vec<T> {
    let factor = factor / labels.len().max(1) as f64;
    let mut gradient = Vec::with_capacity(logits.len());
    for (row, label) in logits.chunks_exact(classes).zip(labels) {
        let (largest, sum) = exponentials(row);
        gradient.extend(row.iter().enumerate().map(|(class, logit)| {
            let target = if class == *label as usize { 1.0 } else { 0.0 };
            T::from_f64(((logit.to_f64() - largest).exp() / sum - target) * factor)
        }));
    }
    gradient
}

/// The largest logit, without which taken off exp would overflow, and the sum of the exponentials of what is left.
fn exponentials<T: Element>(row: &[T]) -> (f64, f64) {
    let largest = row.iter().map(|v| v.to_f64()).fold(f64::NEG_INFINITY, f64::max);
    (largest, row.iter().map(|v| (v.to_f64() - largest).exp()).sum())
}

/// Mean of the squared differences.
pub fn mean_squared_error<T: Element>(a: &[T], b: &[T]) -> f64 {
    // Chunks of a fixed size, added in order: the same bits with any number of threads.
    let sums: Vec<f64> = a
        .par_chunks(GRAIN)
        .zip(b.par_chunks(GRAIN))
        .map(|(a, b)| {
            let squares = a.iter().zip(b).map(|(a, b)| (a.to_f64() - b.to_f64()).powi(2));
            squares.sum::<f64>()
        })
        .collect();
    sums.iter().sum::<f64>() / a.len().max(1) as f64
}

/// `(a - b) * factor`: the gradient of [`mean_squared_error`] for `a` with `factor = 2 / len` times the loss's own gradient.
pub fn scaled_difference<T: Element>(a: &[T], b: &[T], factor: f64) -> Vec<T> {
    let factor = T::from_f64(factor);
    let mut out = vec![T::ZERO; a.len()];
    out.par_chunks_mut(GRAIN)
        .zip(a.par_chunks(GRAIN).zip(b.par_chunks(GRAIN)))
        .for_each(|(out, (a, b))| {
            out.iter_mut()
                .zip(a.iter().zip(b))
                .for_each(|(out, (a, b))| *out = (*a - *b) * factor);
        });
    out
}
