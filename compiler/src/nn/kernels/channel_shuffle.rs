//! Channels of several groups dealt out in turn.

use rayon::prelude::*;

use super::element::Element;

/// Channel `(i, j)` of `(groups, C / groups)` becomes channel `(j, i)` of `(C / groups, groups)`.
///
/// Its gradient, and its inverse, is the same with `C / groups` groups.
///
/// # Shapes
/// - `x`: `(N, C, pixels)`; returns the same
///
/// Source: Zhang et al. 2017, arXiv:1707.01083, section 3.1.
pub fn channel_shuffle<T: Element>(x: &[T], channels: usize, groups: usize, pixels: usize) -> Vec<T> {
    let image = (channels * pixels).max(1);
    let each = channels / groups.max(1);
    let mut y = vec![T::ZERO; x.len()];
    y.par_chunks_exact_mut(image)
        .zip(x.par_chunks_exact(image))
        .for_each(|(y, x)| {
            for (channel, y) in y.chunks_exact_mut(pixels).enumerate() {
                let from = channel % groups * each + channel / groups;
                y.copy_from_slice(&x[from * pixels..][..pixels]);
            }
        });
    y
}
