//! Filter weights for scaling one axis of an image.
//!
//! Source: Pillow, `src/libImaging/Resample.c`, `precompute_coeffs` with the triangle filter; the same as PyTorch's
//! antialiased bilinear interpolation with half-pixel centres.

/// The weights that make each wanted pixel along one axis.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    /// Pixels of the centre that are wanted.
    wanted: usize,
    /// Pixels of the image the weights below are for, and those it is scaled to; 0 before the first.
    input: usize,
    size: usize,
    /// For each wanted pixel: the first source pixel, and where its weights start.
    starts: Vec<(usize, usize)>,
    weights: Vec<f32>,
}

impl Axis {
    pub(super) fn new(wanted: usize) -> Self {
        Self {
            wanted,
            input: 0,
            size: 0,
            starts: Vec::new(),
            weights: Vec::new(),
        }
    }

    /// Makes the weights for images of `input` pixels along this axis, scaled to `size`, unless they are there.
    pub(super) fn prepare(&mut self, input: usize, size: usize) {
        if (self.input, self.size) == (input, size) {
            return;
        }
        (self.input, self.size) = (input, size);
        self.starts.clear();
        self.weights.clear();
        let scale = input as f64 / self.size as f64;
        // Half the triangle's base: one source pixel when growing, more when shrinking.
        let support = scale.max(1.0);
        let offset = crop_offset(self.size, self.wanted);
        for place in offset..offset + self.wanted {
            let centre = (place as f64 + 0.5) * scale;
            // Casts of negative numbers to `usize` give 0, the image's edge.
            let first = ((centre - support + 0.5) as usize).min(input - 1);
            let end = ((centre + support + 0.5) as usize).clamp(first + 1, input);
            let triangle = |at: usize| (1.0 - ((at as f64 - centre + 0.5) / support).abs()).max(0.0);
            // Positive: the pixel under the centre is always among them, at less than `support` from it.
            let sum: f64 = (first..end).map(triangle).sum();
            self.starts.push((first, self.weights.len()));
            self.weights.extend((first..end).map(|at| (triangle(at) / sum) as f32));
        }
    }

    /// The first source pixel of wanted pixel `place`, and the weights from there on.
    pub(super) fn taps(&self, place: usize) -> (usize, &[f32]) {
        let (first, start) = self.starts[place];
        let end = self.starts.get(place + 1).map_or(self.weights.len(), |next| next.1);
        (first, &self.weights[start..end])
    }
}

/// First pixel of the `wanted` in the middle of `size`.
///
/// Source: torchvision `center_crop`, which rounds half to even.
pub(super) fn crop_offset(size: usize, wanted: usize) -> usize {
    ((size - wanted) as f64 / 2.0).round_ties_even() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_and_stay_inside() {
        for input in [1, 2, 3, 7, 32, 100, 1001] {
            for size in [1, 2, 5, 32, 224] {
                let mut axis = Axis::new(size);
                axis.prepare(input, size);
                for place in 0..size {
                    let (first, weights) = axis.taps(place);
                    assert!(first + weights.len() <= input && !weights.is_empty());
                    assert!(
                        (weights.iter().sum::<f32>() - 1.0).abs() < 1e-5,
                        "{input} {size} {place}"
                    );
                }
            }
        }
    }

    #[test]
    fn halving_by_hand() {
        // Centre 1, support 2: distances 0.5, 0.5, 1.5 of pixels 0, 1, 2 give 0.75, 0.75, 0.25 of 1.75.
        let mut axis = Axis::new(2);
        axis.prepare(4, 2);
        let (first, weights) = axis.taps(0);
        assert_eq!(first, 0);
        for (got, want) in weights.iter().zip([3.0 / 7.0, 3.0 / 7.0, 1.0 / 7.0]) {
            assert!((got - want).abs() < 1e-7);
        }
    }

    #[test]
    fn crop_offsets_round_half_to_even() {
        assert_eq!(
            [(256, 224), (33, 32), (35, 32), (37, 32), (5, 5)].map(|(a, b)| crop_offset(a, b)),
            [16, 0, 2, 2, 0]
        );
    }
}
