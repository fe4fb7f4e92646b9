//! Noise of a sensor: every value by itself, a pixel's size whatever the image's.

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson, StandardNormal};

use super::picture::Picture;

/// Adds normal noise; `deviation` is its standard deviation, white being 1.
pub(super) fn gaussian(picture: &mut Picture, deviation: f32, rng: &mut ChaCha8Rng) {
    for value in &mut picture.values {
        let noise: f32 = StandardNormal.sample(rng);
        *value += deviation * noise;
    }
}

/// Counts photons, of which white has `photons` in the mean.
pub(super) fn shot(picture: &mut Picture, photons: f32, rng: &mut ChaCha8Rng) {
    for value in &mut picture.values {
        // of black, and only of black, there is no distribution: it has no photons
        if let Ok(counts) = Poisson::new(*value * photons) {
            *value = counts.sample(rng) / photons;
        }
    }
}

/// Makes this share of the values black or white, either as likely.
pub(super) fn impulse(picture: &mut Picture, share: f32, rng: &mut ChaCha8Rng) {
    for value in &mut picture.values {
        // both are drawn for every value, so that more of them are changed by a larger share and none otherwise
        let (hit, white) = (rng.random::<f32>() < share, rng.random::<bool>());
        if hit {
            *value = f32::from(u8::from(white));
        }
    }
}
