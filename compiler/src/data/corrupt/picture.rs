//! An image while it is corrupted.

use askd_runtime::Image;

/// Most channels that a pixel has.
const MOST_CHANNELS: usize = 3;

/// An image's values scaled to `0..=1`, H x W x C. Corruptions may leave the range: it is cut off in the end.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub(super) values: Vec<f32>,
    pub(super) height: usize,
    pub(super) width: usize,
    /// 1 or 3.
    pub(super) channels: usize,
}

impl Picture {
    pub(super) fn of(image: &Image<'_>) -> Self {
        Self {
            values: image.pixels().iter().map(|pixel| f32::from(*pixel) / 255.0).collect(),
            height: image.height(),
            width: image.width(),
            channels: image.format().channels(),
        }
    }

    /// Values as pixels, rounded and cut off at black and white.
    pub(super) fn to_pixels(&self) -> Vec<u8> {
        // a conversion to u8 keeps within its range
        let pixel = |value: &f32| (value * 255.0 + 0.5) as u8;
        self.values.iter().map(pixel).collect()
    }

    /// `[height, width]` in pixels.
    pub(super) fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Length of the shorter side in pixels, in parts of which strengths are given.
    pub(super) fn side(&self) -> f32 {
        self.height.min(self.width) as f32
    }

    /// Every pixel's values, changeable, row by row.
    pub(super) fn pixels_mut(&mut self) -> impl Iterator<Item = &mut [f32]> {
        self.values.chunks_exact_mut(self.channels)
    }

    /// Takes every pixel from another place, between pixels linearly, beyond the border from the border: `from` gets a pixel's number
    /// and its row and column, and gives the place's.
    pub(super) fn warp(&mut self, mut from: impl FnMut(usize, [f32; 2]) -> [f32; 2]) {
        let source = self.clone();
        let width = self.width;
        for (index, pixel) in self.pixels_mut().enumerate() {
            let place = from(index, [(index / width) as f32, (index % width) as f32]);
            pixel.copy_from_slice(&source.at(place)[..pixel.len()]);
        }
    }

    /// The values at a place, `[row, column]` in pixels.
    pub(super) fn at(&self, [row, column]: [f32; 2]) -> [f32; MOST_CHANNELS] {
        let [top, bottom, down] = neighbours(row, self.height);
        let [left, right, along] = neighbours(column, self.width);
        let pixel = |y: f32, x: f32| &self.values[(y as usize * self.width + x as usize) * self.channels..];
        let corners = [
            pixel(top, left),
            pixel(top, right),
            pixel(bottom, left),
            pixel(bottom, right),
        ];
        let mut values = [0.0; MOST_CHANNELS];
        for (channel, value) in values.iter_mut().enumerate().take(self.channels) {
            let [top_left, top_right, bottom_left, bottom_right] = corners.map(|corner| corner[channel]);
            *value = mix(
                mix(top_left, top_right, along),
                mix(bottom_left, bottom_right, along),
                down,
            );
        }
        values
    }
}

/// Two pixels about a place on an axis of so many, and how far it is from the first to the second.
fn neighbours(place: f32, length: usize) -> [f32; 3] {
    let last = (length - 1) as f32;
    let place = place.clamp(0.0, last);
    let before = place.floor();
    [before, (before + 1.0).min(last), place - before]
}

/// From `a` to `b` by `share`.
pub(super) fn mix(a: f32, b: f32, share: f32) -> f32 {
    a + share * (b - a)
}

/// From 0 at `low` to 1 at `high`, smoothly.
pub(super) fn smooth_step(low: f32, high: f32, value: f32) -> f32 {
    let share = ((value - low) / (high - low)).clamp(0.0, 1.0);
    share * share * (3.0 - 2.0 * share)
}

/// Luma of a pixel of 1 or 3 values.
///
/// Source: ITU-R BT.601.
pub(super) fn luma(pixel: &[f32]) -> f32 {
    match *pixel {
        [red, green, blue] => 0.299 * red + 0.587 * green + 0.114 * blue,
        _ => pixel[0],
    }
}

#[cfg(test)]
mod tests {
    use askd_runtime::PixelFormat;

    use super::*;

    #[test]
    fn between_pixels_values_are_linear_and_the_border_goes_on() {
        let image = Image::new(&[0, 51, 102, 255], 2, 2, PixelFormat::Gray8).unwrap();
        let picture = Picture::of(&image);
        for (place, value) in [
            ([0.0, 0.0], 0.0),
            ([0.0, 0.5], 0.1),
            ([0.5, 0.0], 0.2),
            ([0.5, 0.5], 0.4),
            ([-3.0, 9.0], 0.2),
        ] {
            assert!((picture.at(place)[0] - value).abs() < 1e-6, "{place:?}");
        }
        assert_eq!(picture.to_pixels(), image.pixels());
    }

    #[test]
    fn values_out_of_range_are_cut_off() {
        let image = Image::new(&[0, 255, 100], 1, 3, PixelFormat::Gray8).unwrap();
        let mut picture = Picture::of(&image);
        for (value, wanted) in picture.values.iter_mut().zip([-0.5, 1.5, f32::NAN]) {
            *value = wanted;
        }
        assert_eq!(picture.to_pixels(), [0, 255, 0]);
    }
}
