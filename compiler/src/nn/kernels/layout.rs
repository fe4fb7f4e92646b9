//! Batches channel by channel: `(C, N, pixels)` instead of a tensor's `(N, C, pixels)`.
//!
//! On maps of a few pixels one image alone fills neither a vector nor a matrix product; a channel of all images does.

use rayon::prelude::*;

use super::element::Element;

/// Pixels of a map up to which kernels take all images of a channel, or all channels of an image, together.
pub(super) const SMALL_MAP: usize = 16;

/// `(N, C, pixels)` to `(C, N, pixels)`.
pub(super) fn channels_first<T: Element>(x: &[T], images: usize, pixels: usize) -> Vec<T> {
    let mut joined = vec![T::ZERO; x.len()];
    exchange(x, x.len() / (images * pixels), pixels, &mut joined);
    joined
}

/// `(C, N, pixels)` to `(N, C, pixels)`.
pub(super) fn images_first<T: Element>(joined: &[T], images: usize, pixels: usize, y: &mut [T]) {
    exchange(joined, images, pixels, y);
}

/// `(A, B, pixels)` to `(B, A, pixels)`, where B is `inner`.
fn exchange<T: Element>(from: &[T], inner: usize, pixels: usize, to: &mut [T]) {
    let outer = from.len() / (inner * pixels);
    to.par_chunks_exact_mut(outer * pixels)
        .enumerate()
        .with_min_len(4)
        .for_each(|(b, to)| {
            for (a, to) in to.chunks_exact_mut(pixels).enumerate() {
                to.copy_from_slice(&from[(a * inner + b) * pixels..][..pixels]);
            }
        });
}
