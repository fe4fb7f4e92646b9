//! Random crops and flips of one image.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What is done at random to a training image, before normalisation.
///
/// Sources: for images of one size the CIFAR recipe of He et al. 2015, arXiv:1512.03385, section 4.2; for image files the crops of
/// Szegedy et al. 2014, arXiv:1409.4842, section 6.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Augmentation {
    /// Of images of one size: black pixels added on every side before a crop of the original size; 0 for no crop.
    pub crop_padding: usize,
    /// Of image files: least and most share of the image's area that is cut out and scaled to the network's size.
    #[serde(default = "crop_scale")]
    pub crop_scale: [f64; 2],
    /// Of image files: least and most width over height of what is cut out.
    #[serde(default = "crop_ratio")]
    pub crop_ratio: [f64; 2],
    /// Whether half of the images are mirrored.
    pub horizontal_flip: bool,
}

fn crop_scale() -> [f64; 2] {
    [0.08, 1.0]
}

fn crop_ratio() -> [f64; 2] {
    [3.0 / 4.0, 4.0 / 3.0]
}

impl Default for Augmentation {
    /// A crop with 4 pixels of padding, for images of 32 x 32 pixels; crops as ImageNet is trained with; flips.
    fn default() -> Self {
        Self {
            crop_padding: 4,
            crop_scale: crop_scale(),
            crop_ratio: crop_ratio(),
            horizontal_flip: true,
        }
    }
}

impl Augmentation {
    /// Checks the ranges of crops.
    ///
    /// # Errors
    /// [`Error::InvalidValue`].
    pub(crate) fn check(&self) -> Result<()> {
        let Self {
            crop_scale: [least, most],
            crop_ratio: [narrow, wide],
            ..
        } = *self;
        if !(least > 0.0 && least <= most && most <= 1.0) {
            let (expected, got) = ("two shares above 0 to 1, rising", format!("{:?}", self.crop_scale));
            return Err(Error::invalid("augmentation.crop_scale", expected, got));
        }
        if !(narrow >= 0.01 && narrow <= wide && wide <= 100.0) {
            let (expected, got) = ("two ratios from 0.01 to 100, rising", format!("{:?}", self.crop_ratio));
            return Err(Error::invalid("augmentation.crop_ratio", expected, got));
        }
        Ok(())
    }

    /// Writes an augmented copy of `image` (H x W x C) to `out`, drawing from `rng`.
    pub(super) fn apply(
        &self,
        image: &[u8],
        [channels, height, width]: [usize; 3],
        rng: &mut impl Rng,
        out: &mut [u8],
    ) {
        let shift = |rng: &mut dyn rand::RngCore| {
            rng.random_range(0..=2 * self.crop_padding) as isize - self.crop_padding as isize
        };
        let (down, right) = (shift(rng), shift(rng));
        let mirrored = self.horizontal_flip && rng.random_bool(0.5);
        for (y, row) in out.chunks_exact_mut(width * channels).enumerate() {
            let source_y = y as isize + down;
            if !(0..height as isize).contains(&source_y) {
                row.fill(0);
                continue;
            }
            let source_row = &image[source_y as usize * width * channels..][..width * channels];
            for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
                let column = if mirrored { width - 1 - x } else { x };
                let source_x = column as isize + right;
                if (0..width as isize).contains(&source_x) {
                    pixel.copy_from_slice(&source_row[source_x as usize * channels..][..channels]);
                } else {
                    pixel.fill(0);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn without_options_the_image_stays() {
        let image: Vec<u8> = (0..27).collect();
        let mut out = vec![0; 27];
        let none = Augmentation {
            crop_padding: 0,
            horizontal_flip: false,
            ..Augmentation::default()
        };
        none.apply(&image, [3, 3, 3], &mut ChaCha8Rng::seed_from_u64(1), &mut out);
        assert_eq!(out, image);
    }

    #[test]
    fn crops_move_and_flips_mirror() {
        let image: Vec<u8> = (1..=9).collect();
        let all = Augmentation {
            crop_padding: 1,
            ..Augmentation::default()
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..500 {
            let mut out = vec![0; 9];
            all.apply(&image, [1, 3, 3], &mut rng, &mut out);
            seen.insert(out);
        }
        // 3 x 3 shifts, mirrored or not
        assert_eq!(seen.len(), 18);
        assert!(seen.contains(&vec![3, 2, 1, 6, 5, 4, 9, 8, 7]));
        assert!(seen.contains(&vec![5, 6, 0, 8, 9, 0, 0, 0, 0]));
    }
}
