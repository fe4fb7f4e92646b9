//! Random crops of random size and proportions, of images of any size.

use askd_runtime::Image;
use rand::Rng;

use super::Augmentation;

/// Tries before the largest crop in the middle is taken.
const ATTEMPTS: usize = 10;

/// A part of an image, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Crop {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Crop {
    /// A crop whose share of the area is uniform in `crop_scale` and whose logarithm of width over height is in `crop_ratio`'s;
    /// where ten of them do not fit the image, the largest in the middle that has a ratio within.
    ///
    /// Source: Szegedy et al. 2014, arXiv:1409.4842, section 6, as torchvision's `RandomResizedCrop.get_params`.
    pub(super) fn random([height, width]: [usize; 2], augmentation: &Augmentation, rng: &mut impl Rng) -> Self {
        let Augmentation {
            crop_scale: [least, most],
            crop_ratio: ratio @ [narrow, wide],
            ..
        } = *augmentation;
        let area = (height * width) as f64;
        let logarithms = ratio.map(f64::ln);
        for _ in 0..ATTEMPTS {
            let target = area * rng.random_range(least..=most);
            let ratio = rng.random_range(logarithms[0]..=logarithms[1]).exp();
            let [rows, columns] =
                [target / ratio, target * ratio].map(|square| square.sqrt().round_ties_even() as usize);
            if (1..=height).contains(&rows) && (1..=width).contains(&columns) {
                return Self {
                    top: rng.random_range(0..=height - rows),
                    left: rng.random_range(0..=width - columns),
                    height: rows,
                    width: columns,
                };
            }
        }
        let (tall, broad) = (height as f64, width as f64);
        let rows = tall.min((broad / narrow).round_ties_even()).max(1.0) as usize;
        let columns = broad.min((tall * wide).round_ties_even()).max(1.0) as usize;
        Self {
            top: (height - rows) / 2,
            left: (width - columns) / 2,
            height: rows,
            width: columns,
        }
    }

    /// `[height, width]`.
    pub(super) fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Copies this part of `image` to `out`, mirrored or not.
    pub(super) fn cut(&self, image: &Image<'_>, mirrored: bool, out: &mut Vec<u8>) {
        let channels = image.format().channels();
        out.clear();
        let rows = image.pixels().chunks_exact(image.width() * channels);
        for row in rows.skip(self.top).take(self.height) {
            let row = &row[self.left * channels..][..self.width * channels];
            if mirrored {
                row.chunks_exact(channels).rev().for_each(|pixel| out.extend(pixel));
            } else {
                out.extend(row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use askd_runtime::PixelFormat;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn crops_lie_inside_and_keep_scale_and_ratio() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let augmentation = Augmentation::default();
        let (mut areas, mut ratios) = (Vec::new(), Vec::new());
        for _ in 0..4000 {
            let Crop {
                top,
                left,
                height,
                width,
            } = Crop::random([300, 400], &augmentation, &mut rng);
            assert!(top + height <= 300 && left + width <= 400);
            areas.push((height * width) as f64 / 120_000.0);
            ratios.push(width as f64 / height as f64);
        }
        // a pixel more or less on each side
        let inside = |values: &[f64], [least, most]: [f64; 2]| {
            values.iter().all(|value| (least * 0.98..=most * 1.02).contains(value))
        };
        assert!(inside(&areas, augmentation.crop_scale) && inside(&ratios, augmentation.crop_ratio));
        // large and narrow ones fit less often: 40,000 crops by torchvision's algorithm in Python have a mean area of 0.432, and
        // 41.3 % of them are narrow; here 4 standard errors about that
        let mean = areas.iter().sum::<f64>() / 4000.0;
        assert!((0.417..0.447).contains(&mean), "{mean}");
        let narrow = ratios.iter().filter(|ratio| **ratio < 1.0).count();
        assert!((1525..1775).contains(&narrow), "{narrow}");
    }

    #[test]
    fn where_no_crop_fits_it_is_the_largest_in_the_middle() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let whole = Augmentation {
            crop_scale: [1.0, 1.0],
            ..Augmentation::default()
        };
        for (image, [top, left, height, width]) in [
            ([10, 100], [0, 43, 10, 13]),
            ([100, 10], [43, 0, 13, 10]),
            ([1, 1], [0, 0, 1, 1]),
            ([1, 9], [0, 4, 1, 1]),
        ] {
            let crop = Crop::random(image, &whole, &mut rng);
            let expected = Crop {
                top,
                left,
                height,
                width,
            };
            assert_eq!(crop, expected, "{image:?}");
        }
    }

    #[test]
    fn a_part_is_copied_or_mirrored() {
        let pixels: Vec<u8> = (0..36).collect();
        let image = Image::new(&pixels, 3, 4, PixelFormat::Rgb8).unwrap();
        let crop = Crop {
            top: 1,
            left: 2,
            height: 2,
            width: 2,
        };
        let mut out = vec![9];
        crop.cut(&image, false, &mut out);
        assert_eq!(out, [18, 19, 20, 21, 22, 23, 30, 31, 32, 33, 34, 35]);
        crop.cut(&image, true, &mut out);
        assert_eq!(out, [21, 22, 23, 18, 19, 20, 33, 34, 35, 30, 31, 32]);
    }
}
