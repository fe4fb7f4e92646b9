//! The one owner of preprocessing: from an image of any size to the model's input tensor.
//!
//! Training, evaluation and the device all call this, so that what a model saw in training is what it sees in use.

use crate::error::Error;
use crate::image::Image;
use crate::manifest::{Input, ResizeSize};

mod axis;
mod scaling;

use scaling::Scaling;

/// Turns `u8` images into normalised CHW tensors, as the manifest's [`Input`] says; or into pixels of the model's size, for a
/// model that normalises them itself.
///
/// In order:
/// 1. channels: gray becomes RGB by repetition; RGB becomes gray by ITU-R BT.601 luma, rounded to `0..=255`
/// 2. resize to [`Resize::size`](crate::Resize::size): triangle filter, half-pixel centres, widened when shrinking; in
///    f32 without rounding in between; skipped where the image has that size already
/// 3. centre crop to [`Resize::crop`](crate::Resize::crop), if there is one
/// 4. `(p / 255 - mean) / std`, for each channel, in f32; for pixels, p rounded to `0..=255`
///
/// Keeps its tables and its scratch row from call to call: no allocation while the images' size stays the same.
#[derive(Debug, Clone)]
pub struct Preprocess {
    /// C, H and W of the result.
    channels: usize,
    height: usize,
    width: usize,
    /// What the whole image is scaled to.
    resized: ResizeSize,
    mean: Vec<f32>,
    std: Vec<f32>,
    /// For each channel, what becomes of each of the 256 pixel values: the unscaled case, without arithmetic.
    table: Vec<[f32; 256]>,
    scaling: Scaling,
}

impl Preprocess {
    /// Preprocessing for `input`.
    ///
    /// # Errors
    /// [`Error::ManifestField`] if `input` breaks a rule of the manifest.
    pub fn new(input: &Input) -> Result<Self, Error> {
        input.validate()?;
        let [channels, height, width] = input.shape;
        let mut table = vec![[0.0; 256]; channels];
        for ((table, &mean), &std) in table.iter_mut().zip(&input.mean).zip(&input.std) {
            for (entry, pixel) in table.iter_mut().zip(0u8..=255) {
                *entry = normalise(f32::from(pixel), mean, std);
            }
        }
        Ok(Self {
            channels,
            height,
            width,
            resized: input.resize.size,
            mean: input.mean.clone(),
            std: input.std.clone(),
            table,
            scaling: Scaling::new(input.shape),
        })
    }

    /// Elements of the result: C*H*W.
    pub fn elements(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// `[height, width]` of the result.
    pub fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Preprocesses `image` into `output`.
    ///
    /// # Shapes
    /// - `image`: HWC, `u8`, any size, gray or RGB
    /// - `output`: `(C, H, W)` f32, normalised; C*H*W elements, all written
    ///
    /// # Errors
    /// [`Error::OutputLength`] if `output` has another length; it is unchanged then.
    pub fn apply(&mut self, image: &Image<'_>, output: &mut [f32]) -> Result<(), Error> {
        if output.len() != self.elements() {
            return Err(Error::OutputLength {
                expected: self.elements(),
                found: output.len(),
            });
        }
        let own = [image.height(), image.width()];
        let size = self.resized.of(own);
        if own == size {
            self.copy(image, output);
        } else {
            let plane = self.height * self.width;
            self.scaling.apply(image, size, |channel, at, pixel| {
                output[channel * plane + at] = normalise(pixel, self.mean[channel], self.std[channel]);
            });
        }
        Ok(())
    }

    /// Brings `image` to the model's size and channels, as pixels.
    ///
    /// Scaled pixels are rounded to whole numbers: the one thing in which a model of pixels sees another image than a model
    /// of normalised ones.
    ///
    /// # Shapes
    /// - `image`: HWC, `u8`, any size, gray or RGB
    /// - `output`: `(H, W, C)` u8; C*H*W elements, all written
    ///
    /// # Errors
    /// [`Error::OutputLength`] if `output` has another length; it is unchanged then.
    pub fn apply_u8(&mut self, image: &Image<'_>, output: &mut [u8]) -> Result<(), Error> {
        if output.len() != self.elements() {
            return Err(Error::OutputLength {
                expected: self.elements(),
                found: output.len(),
            });
        }
        let own = [image.height(), image.width()];
        let size = self.resized.of(own);
        if own == size {
            self.copy_u8(image, output);
        } else {
            let channels = self.channels;
            // a conversion to u8 keeps within its range
            self.scaling.apply(image, size, |channel, at, pixel| {
                output[at * channels + channel] = (pixel + 0.5) as u8
            });
        }
        Ok(())
    }

    /// The unscaled case: crop and table look-up.
    fn copy(&self, image: &Image<'_>, output: &mut [f32]) {
        let stride = image.format().channels();
        let (top, left) = (
            axis::crop_offset(image.height(), self.height),
            axis::crop_offset(image.width(), self.width),
        );
        let planes = output.chunks_exact_mut(self.height * self.width);
        for (channel, (plane, table)) in planes.zip(&self.table).enumerate() {
            let source_rows = image.pixels().chunks_exact(image.width() * stride).skip(top);
            for (row, source) in plane.chunks_exact_mut(self.width).zip(source_rows) {
                let pixels = source.chunks_exact(stride).skip(left);
                for (value, pixel) in row.iter_mut().zip(pixels) {
                    *value = table[usize::from(sample(pixel, channel, self.channels))];
                }
            }
        }
    }

    /// The unscaled case of pixels: crop.
    fn copy_u8(&self, image: &Image<'_>, output: &mut [u8]) {
        let stride = image.format().channels();
        let (top, left) = (
            axis::crop_offset(image.height(), self.height),
            axis::crop_offset(image.width(), self.width),
        );
        let source_rows = image.pixels().chunks_exact(image.width() * stride).skip(top);
        for (row, source) in output.chunks_exact_mut(self.width * self.channels).zip(source_rows) {
            let pixels = source.chunks_exact(stride).skip(left);
            for (target, pixel) in row.chunks_exact_mut(self.channels).zip(pixels) {
                for (channel, value) in target.iter_mut().enumerate() {
                    *value = sample(pixel, channel, self.channels);
                }
            }
        }
    }
}

fn normalise(pixel: f32, mean: f32, std: f32) -> f32 {
    (pixel / 255.0 - mean) / std
}

/// The value of one pixel of an image in a tensor of `channels` channels.
fn sample(pixel: &[u8], channel: usize, channels: usize) -> u8 {
    match *pixel {
        [red, green, blue] if channels == 1 => luma(red, green, blue),
        [gray] => gray,
        // `Image` has 1 or 3 bytes a pixel, and a tensor of 3 channels takes each of its own.
        _ => pixel.get(channel).copied().unwrap_or_default(),
    }
}

/// `0.299 R + 0.587 G + 0.114 B` in 16-bit fixed point, rounded.
///
/// Source: ITU-R BT.601; the coefficients are Pillow's (`Convert.c`), which makes the same gray images.
fn luma(red: u8, green: u8, blue: u8) -> u8 {
    let sum = u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471 + 0x8000;
    // The coefficients sum to 2^16, so this is at most 255.
    (sum >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::PixelFormat;
    use crate::manifest::{ElementType, Layout, Resize, ResizeMethod};

    fn contract(channels: usize, size: [usize; 2], crop: Option<[usize; 2]>) -> Input {
        let [height, width] = crop.unwrap_or(size);
        Input {
            name: "image".into(),
            layout: Layout::Nchw,
            data_type: ElementType::F32,
            shape: [channels, height, width],
            mean: [0.485, 0.456, 0.406][..channels].to_vec(),
            std: [0.229, 0.224, 0.225][..channels].to_vec(),
            resize: Resize {
                method: ResizeMethod::BilinearAntialias,
                size: ResizeSize::Exactly(size),
                crop,
            },
        }
    }

    /// Preprocesses without normalisation: the result is in pixel values `0..=255`.
    fn pixels(image: &Image<'_>, channels: usize, size: [usize; 2], crop: Option<[usize; 2]>) -> Vec<f32> {
        let mut input = contract(channels, size, crop);
        input.mean.fill(0.0);
        input.std.fill(1.0 / 255.0);
        let mut preprocess = Preprocess::new(&input).unwrap();
        let mut output = vec![f32::NAN; preprocess.elements()];
        preprocess.apply(image, &mut output).unwrap();
        output
    }

    fn ramp(height: usize, width: usize) -> Vec<u8> {
        let value = |x, y| ((x * 37 + y * 91 + x * y * 13) % 256) as u8;
        (0..height).flat_map(|y| (0..width).map(move |x| value(x, y))).collect()
    }

    fn assert_close(got: &[f32], want: &[f32]) {
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() < 1e-3, "{got} {want}");
        }
    }

    /// Numbers from Pillow 13.0.0:
    /// ```python
    /// from PIL import Image
    /// def run(h, w, oh, ow):
    ///     image = Image.new("F", (w, h))
    ///     for y in range(h):
    ///         for x in range(w):
    ///             image.putpixel((x, y), float((x * 37 + y * 91 + x * y * 13) % 256))
    ///     out = image.resize((ow, oh), Image.BILINEAR)
    ///     print([round(out.getpixel((x, y)), 4) for y in range(oh) for x in range(ow)])
    /// run(5, 7, 2, 3); run(2, 3, 4, 5); run(3, 8, 4, 3)
    /// ```
    #[test]
    fn resize_agrees_with_pillow() {
        let shrink = ramp(5, 7);
        let image = Image::new(&shrink, 5, 7, PixelFormat::Gray8).unwrap();
        let want = [109.7533, 140.3797, 141.1818, 122.039, 144.3797, 136.8961];
        assert_close(&pixels(&image, 1, [2, 3], None), &want);
        let grow = ramp(2, 3);
        let image = Image::new(&grow, 2, 3, PixelFormat::Gray8).unwrap();
        let want = [
            0.0, 14.8, 37.0, 59.2, 74.0, 22.75, 38.85, 63.0, 87.15, 103.25, 68.25, 86.95, 115.0, 143.05, 161.75, 91.0,
            111.0, 141.0, 171.0, 191.0,
        ];
        assert_close(&pixels(&image, 1, [4, 5], None), &want);
        let both = ramp(3, 8);
        let image = Image::new(&both, 3, 8, PixelFormat::Gray8).unwrap();
        let want = [
            40.8947, 129.5, 144.0, 106.75, 134.8125, 135.0855, 155.4605, 141.1875, 126.9145, 170.7895, 146.5, 122.2105,
        ];
        assert_close(&pixels(&image, 1, [4, 3], None), &want);
        // Gray for a model of three channels: three times the same plane.
        assert_close(&pixels(&image, 3, [4, 3], None), &[want, want, want].concat());
    }

    /// Pillow 13.0.0: `Image.convert("L")` of (255, 0, 0), (10, 200, 31), (1, 2, 254) gives 76, 124, 30.
    #[test]
    fn rgb_to_gray_agrees_with_pillow() {
        let bytes = [255, 0, 0, 10, 200, 31, 1, 2, 254];
        let image = Image::new(&bytes, 1, 3, PixelFormat::Rgb8).unwrap();
        assert_close(&pixels(&image, 1, [1, 3], None), &[76.0, 124.0, 30.0]);
        // Scaling comes after: the same as scaling the gray image.
        let gray = [76, 124, 30];
        let gray = Image::new(&gray, 1, 3, PixelFormat::Gray8).unwrap();
        assert_eq!(pixels(&image, 1, [2, 2], None), pixels(&gray, 1, [2, 2], None));
        assert_eq!((luma(255, 255, 255), luma(0, 0, 0)), (255, 0));
    }

    #[test]
    fn an_image_of_the_right_size_is_only_normalised_to_the_bit() {
        let bytes: Vec<u8> = (0..=255).chain(0..=255).chain(0..=255).collect();
        let image = Image::new(&bytes, 16, 16, PixelFormat::Rgb8).unwrap();
        let input = contract(3, [16, 16], None);
        let mut output = vec![0.0; 768];
        Preprocess::new(&input).unwrap().apply(&image, &mut output).unwrap();
        for (at, value) in output.iter().enumerate() {
            let (channel, place) = (at / 256, at % 256);
            let want = (f32::from(bytes[place * 3 + channel]) / 255.0 - input.mean[channel]) / input.std[channel];
            assert_eq!(value.to_bits(), want.to_bits());
        }
    }

    #[test]
    fn the_crop_is_the_middle_of_the_scaled_image() {
        let bytes = ramp(9, 7);
        let image = Image::new(&bytes, 9, 7, PixelFormat::Gray8).unwrap();
        for size in [[9, 7], [8, 12], [5, 5]] {
            let whole = pixels(&image, 1, size, None);
            let cropped = pixels(&image, 1, size, Some([4, 2]));
            let (top, left) = (axis::crop_offset(size[0], 4), axis::crop_offset(size[1], 2));
            let want: Vec<f32> = (0..4)
                .flat_map(|y| (0..2).map(move |x| (y, x)))
                .map(|(y, x)| whole[(y + top) * size[1] + x + left])
                .collect();
            assert_eq!(cropped, want, "{size:?}");
        }
    }

    #[test]
    fn the_shorter_side_keeps_the_proportions() {
        let mut input = contract(1, [6, 6], Some([4, 4]));
        input.resize.size = ResizeSize::ShorterSide(6);
        (input.mean, input.std) = (vec![0.0], vec![1.0 / 255.0]);
        let mut preprocess = Preprocess::new(&input).unwrap();
        for (own, scaled) in [
            ([9, 12], [6, 8]),
            ([13, 9], [8, 6]),
            ([6, 11], [6, 11]),
            ([3, 3], [6, 6]),
        ] {
            let bytes = ramp(own[0], own[1]);
            let image = Image::new(&bytes, own[0], own[1], PixelFormat::Gray8).unwrap();
            let mut got = vec![f32::NAN; 16];
            preprocess.apply(&image, &mut got).unwrap();
            assert_eq!(got, pixels(&image, 1, scaled, Some([4, 4])), "{own:?}");
        }
    }

    #[test]
    fn one_value_reused_for_many_sizes_gives_what_a_fresh_one_gives() {
        let mut reused = Preprocess::new(&contract(3, [4, 6], None)).unwrap();
        for (height, width) in [(7, 5), (4, 6), (1, 1), (7, 5), (30, 2)] {
            let bytes = ramp(height, width * 3);
            let image = Image::new(&bytes, height, width, PixelFormat::Rgb8).unwrap();
            let (mut got, mut want) = (vec![0.0; 72], vec![0.0; 72]);
            reused.apply(&image, &mut got).unwrap();
            Preprocess::new(&contract(3, [4, 6], None))
                .unwrap()
                .apply(&image, &mut want)
                .unwrap();
            assert_eq!(got, want);
        }
    }

    #[test]
    fn pixels_are_what_is_normalised_rounded_and_interleaved() {
        for (format, channels) in [
            (PixelFormat::Rgb8, 3),
            (PixelFormat::Rgb8, 1),
            (PixelFormat::Gray8, 3),
            (PixelFormat::Gray8, 1),
        ] {
            let bytes = ramp(9, 7 * format.channels());
            let image = Image::new(&bytes, 9, 7, format).unwrap();
            for (size, crop) in [
                ([9, 7], None),
                ([9, 7], Some([4, 3])),
                ([5, 12], None),
                ([5, 12], Some([3, 6])),
            ] {
                let planes = pixels(&image, channels, size, crop);
                let mut preprocess = Preprocess::new(&contract(channels, size, crop)).unwrap();
                let mut got = vec![9; planes.len()];
                preprocess.apply_u8(&image, &mut got).unwrap();
                let area = planes.len() / channels;
                for (at, got) in got.iter().enumerate() {
                    let want = planes[at % channels * area + at / channels];
                    // `pixels` divides by 255 and multiplies again
                    assert!((f32::from(*got) - want).abs() <= 0.5 + 1e-3, "{got} {want}");
                }
                if [9, 7] == size && crop.is_none() && format.channels() == channels {
                    assert_eq!(got, bytes);
                }
            }
        }
    }

    #[test]
    fn a_wrong_buffer_is_an_error_and_stays_unchanged() {
        let image = Image::new(&[9], 1, 1, PixelFormat::Gray8).unwrap();
        let mut output = [7.0; 3];
        let error = Preprocess::new(&contract(1, [2, 2], None))
            .unwrap()
            .apply(&image, &mut output)
            .unwrap_err();
        assert!(matches!(error, Error::OutputLength { expected: 4, found: 3 }));
        assert_eq!(output, [7.0; 3]);
        let mut output = [7; 5];
        let mut preprocess = Preprocess::new(&contract(1, [2, 2], None)).unwrap();
        let error = preprocess.apply_u8(&image, &mut output).unwrap_err();
        assert!(matches!(error, Error::OutputLength { expected: 4, found: 5 }));
        assert_eq!(output, [7; 5]);
    }
}
