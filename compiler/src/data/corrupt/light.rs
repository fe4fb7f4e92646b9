//! Brightness and contrast.

use rand_chacha::ChaCha8Rng;

use super::picture::Picture;

/// Adds to the brightness, which is a pixel's largest value; hue and saturation stay.
pub(super) fn brightness(picture: &mut Picture, more: f32, _: &mut ChaCha8Rng) {
    for pixel in picture.pixels_mut() {
        let largest = pixel.iter().copied().fold(0.0, f32::max);
        let brighter = (largest + more).min(1.0);
        for value in pixel {
            // black has no hue to keep
            *value = if largest > 0.0 {
                *value * brighter / largest
            } else {
                brighter
            };
        }
    }
}

/// Brings every value to `factor` of its distance from its channel's mean.
pub(super) fn contrast(picture: &mut Picture, factor: f32, _: &mut ChaCha8Rng) {
    let channels = picture.channels;
    let pixels = (picture.height * picture.width) as f64;
    for channel in 0..channels {
        let own = picture.values.iter().skip(channel).step_by(channels);
        let mean = (own.map(|value| f64::from(*value)).sum::<f64>() / pixels) as f32;
        for value in picture.values.iter_mut().skip(channel).step_by(channels) {
            *value = mean + factor * (*value - mean);
        }
    }
}
