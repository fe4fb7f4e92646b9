//! Blurs of a lens out of focus, of rough glass, of motion and of a zoom.

use std::f32::consts::PI;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::kernel::Kernel;
use super::picture::Picture;

/// Width of the Gaussian through which glass is seen, in parts of its roughness.
const GLASS_BLUR: f32 = 0.25;

/// Makes of every point a disk, whose radius is this part of the side.
pub(super) fn defocus(picture: &mut Picture, radius: f32, _: &mut ChaCha8Rng) {
    Kernel::disk(radius * picture.side()).blur(picture);
}

/// Takes every pixel from anywhere in the square about it that reaches this part of the side, after a slight Gaussian blur.
pub(super) fn glass(picture: &mut Picture, reach: f32, rng: &mut ChaCha8Rng) {
    let reach = reach * picture.side();
    Kernel::gaussian(GLASS_BLUR * reach).blur(picture);
    picture.warp(|_, place| place.map(|part| part + reach * rng.random_range(-1.0..=1.0_f32)));
}

/// Makes of every point a line in a random direction, whose length is this part of the side.
pub(super) fn motion(picture: &mut Picture, length: f32, rng: &mut ChaCha8Rng) {
    let (row, column) = rng.random_range(0.0..PI).sin_cos();
    Kernel::line(length * picture.side(), [row, column]).blur(picture);
}

/// The mean of the picture at all magnifications from 1 to `zoom`, about its middle.
pub(super) fn zoom(picture: &mut Picture, zoom: f32, _: &mut ChaCha8Rng) {
    let size = picture.size().map(|length| length as f32);
    // so many that the border moves half a pixel from one to the next
    let steps = ((zoom - 1.0) * size[0].max(size[1])).ceil().max(1.0);
    let middle = size.map(|length| (length - 1.0) / 2.0);
    let source = picture.clone();
    let mut sum = vec![0.0; picture.values.len()];
    for step in 0..=steps as usize {
        let shrink = 1.0 / (1.0 + (zoom - 1.0) * step as f32 / steps);
        picture.values.clone_from(&source.values);
        picture.warp(|_, place| [0, 1].map(|axis: usize| middle[axis] + shrink * (place[axis] - middle[axis])));
        sum.iter_mut()
            .zip(&picture.values)
            .for_each(|(sum, value)| *sum += value);
    }
    let parts = steps + 1.0;
    picture.values = sum.into_iter().map(|sum| sum / parts).collect();
}
