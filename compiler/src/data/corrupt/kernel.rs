//! Blurs: weights of a pixel's neighbours, made of points of light.

use super::picture::Picture;

/// Points on a disk's radius: as many give the weights to a hundredth.
const POINTS_PER_RADIUS: i32 = 24;

/// Points on a pixel of a line.
const POINTS_PER_PIXEL: f32 = 4.0;

/// Standard deviations after which a Gaussian is cut off.
const GAUSSIAN_REACH: f32 = 3.0;

/// Weights of the `(2 reach + 1)^2` pixels about one, which sum to 1.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    reach: usize,
    weights: Vec<f32>,
}

impl Kernel {
    /// A disk of that radius in pixels.
    pub(super) fn disk(radius: f32) -> Self {
        let axis = || (-POINTS_PER_RADIUS..=POINTS_PER_RADIUS).map(|step| step as f32 / POINTS_PER_RADIUS as f32);
        let points = axis().flat_map(|y| axis().map(move |x| [y, x]));
        let inside = points.filter(|[y, x]| y * y + x * x <= 1.0);
        Self::of_points(radius, inside.map(|point| point.map(|part| part * radius)))
    }

    /// A line of that length in pixels, its middle on the pixel; `direction` is a row and a column step of length 1.
    pub(super) fn line(length: f32, direction: [f32; 2]) -> Self {
        let half = (length * POINTS_PER_PIXEL / 2.0).ceil() as i32;
        let places = (-half..=half).map(|step| 0.5 * length * step as f32 / half.max(1) as f32);
        Self::of_points(length / 2.0, places.map(|place| direction.map(|part| part * place)))
    }

    /// A Gaussian of that standard deviation in pixels.
    pub(super) fn gaussian(sigma: f32) -> Self {
        let reach = (GAUSSIAN_REACH * sigma).ceil() as usize;
        let axis = || (0..=2 * reach).map(move |at| at as f32 - reach as f32);
        // a narrow one is a point, where the quotient has no value
        let weight = |square: f32| (-square / (2.0 * sigma * sigma).max(f32::MIN_POSITIVE)).exp();
        let weights = axis().flat_map(|y| axis().map(move |x| weight(y * y + x * x)));
        Self::new(reach, weights.collect())
    }

    /// Points of equal light, each a row and a column at most `radius` from the middle, and each shared by the four pixels about it.
    fn of_points(radius: f32, points: impl Iterator<Item = [f32; 2]>) -> Self {
        let reach = radius.ceil() as usize + 1;
        let mut weights = vec![0.0; (2 * reach + 1).pow(2)];
        for point in points {
            let [row, column] = point.map(|part| part + reach as f32);
            let [top, left] = [row.floor(), column.floor()];
            for (y, down) in [(top, 1.0 - (row - top)), (top + 1.0, row - top)] {
                for (x, along) in [(left, 1.0 - (column - left)), (left + 1.0, column - left)] {
                    weights[y as usize * (2 * reach + 1) + x as usize] += down * along;
                }
            }
        }
        Self::new(reach, weights)
    }

    fn new(reach: usize, mut weights: Vec<f32>) -> Self {
        let sum: f32 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        Self { reach, weights }
    }

    /// Blurs a picture, whose border goes on beyond it.
    pub(super) fn blur(&self, picture: &mut Picture) {
        let (channels, diameter) = (picture.channels, 2 * self.reach + 1);
        let padded = self.padded(picture);
        let (row, padded_row) = (picture.width * channels, (picture.width + 2 * self.reach) * channels);
        picture.values.fill(0.0);
        for (place, weight) in self.weights.iter().enumerate().filter(|(_, weight)| **weight > 0.0) {
            let (down, along) = (place / diameter, place % diameter * channels);
            for (y, out) in picture.values.chunks_exact_mut(row).enumerate() {
                let source = &padded[(y + down) * padded_row + along..][..row];
                for (value, other) in out.iter_mut().zip(source) {
                    *value += weight * other;
                }
            }
        }
    }

    /// A picture's values with its border repeated on every side.
    fn padded(&self, picture: &Picture) -> Vec<f32> {
        let Picture {
            ref values,
            height,
            width,
            channels,
        } = *picture;
        let inner = |at: usize, length: usize| at.saturating_sub(self.reach).min(length - 1);
        let mut padded = Vec::with_capacity((height + 2 * self.reach) * (width + 2 * self.reach) * channels);
        for y in 0..height + 2 * self.reach {
            let row = &values[inner(y, height) * width * channels..][..width * channels];
            for x in 0..width + 2 * self.reach {
                padded.extend_from_slice(&row[inner(x, width) * channels..][..channels]);
            }
        }
        padded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean square of the distance from the middle, in pixels.
    fn spread(kernel: &Kernel) -> f32 {
        let diameter = 2 * kernel.reach + 1;
        let far = |at: usize| (at as f32 - kernel.reach as f32).powi(2);
        let square = |place: usize| far(place / diameter) + far(place % diameter);
        let weighted = kernel.weights.iter().enumerate();
        weighted.map(|(place, weight)| weight * square(place)).sum()
    }

    /// The second moments of disk, line and Gaussian; a point shared by two pixels adds p(1-p) on each axis, 1/6 in the mean.
    #[test]
    fn kernels_are_as_wide_as_they_say() {
        let shared = 2.0 / 6.0;
        for radius in [2.5, 4.0, 9.0_f32] {
            let (got, want) = (spread(&Kernel::disk(radius)), radius * radius / 2.0 + shared);
            assert!((got / want - 1.0).abs() < 0.03, "{radius}: {got} {want}");
        }
        for length in [4.0, 10.0_f32] {
            let (got, want) = (
                spread(&Kernel::line(length, [0.6, 0.8])),
                length * length / 12.0 + shared,
            );
            assert!((got / want - 1.0).abs() < 0.1, "{length}: {got} {want}");
        }
        for sigma in [1.0, 2.0_f32] {
            let (got, want) = (spread(&Kernel::gaussian(sigma)), 2.0 * sigma * sigma);
            assert!((got / want - 1.0).abs() < 0.03, "{sigma}: {got} {want}");
        }
        assert_eq!(Kernel::gaussian(0.0).weights, [1.0]);
    }

    #[test]
    fn a_blur_keeps_an_even_picture_and_spreads_a_point() {
        let mut picture = Picture {
            values: vec![0.5; 5 * 7 * 3],
            height: 5,
            width: 7,
            channels: 3,
        };
        Kernel::disk(2.0).blur(&mut picture);
        assert!(picture.values.iter().all(|value| (value - 0.5).abs() < 1e-5));
        picture.values.fill(0.0);
        // the green of the middle
        picture.values[(2 * 7 + 3) * 3 + 1] = 1.0;
        Kernel::line(3.0, [0.0, 1.0]).blur(&mut picture);
        let lit: Vec<_> = (0..105).filter(|at| picture.values[*at] > 0.0).collect();
        assert_eq!(
            lit,
            [2 * 7 + 1, 2 * 7 + 2, 2 * 7 + 3, 2 * 7 + 4, 2 * 7 + 5].map(|pixel| pixel * 3 + 1)
        );
    }
}
