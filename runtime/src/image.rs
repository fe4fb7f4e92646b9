//! An image as a camera or a decoder delivers it.

use crate::error::Error;

/// A borrowed image: `u8` pixels `0..=255`, rows from top to bottom without gaps, channels interleaved (HWC).
#[derive(Debug, Clone, Copy)]
pub struct Image<'a> {
    pixels: &'a [u8],
    height: usize,
    width: usize,
    format: PixelFormat,
}

/// What the bytes of a pixel mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PixelFormat {
    /// One byte: luma.
    Gray8,
    /// Three bytes: red, green, blue.
    Rgb8,
}

impl PixelFormat {
    /// Bytes of one pixel.
    pub fn channels(self) -> usize {
        match self {
            Self::Gray8 => 1,
            Self::Rgb8 => 3,
        }
    }
}

impl<'a> Image<'a> {
    /// An image of `height` by `width` pixels.
    ///
    /// # Shapes
    /// - `pixels`: height * width * channels bytes
    ///
    /// # Errors
    /// [`Error::ImageLength`] if `pixels` has another length, or height or width is zero.
    pub fn new(pixels: &'a [u8], height: usize, width: usize, format: PixelFormat) -> Result<Self, Error> {
        let channels = format.channels();
        let expected = height.checked_mul(width).and_then(|area| area.checked_mul(channels));
        if height == 0 || width == 0 || expected != Some(pixels.len()) {
            return Err(Error::ImageLength {
                height,
                width,
                channels,
                found: pixels.len(),
            });
        }
        Ok(Self {
            pixels,
            height,
            width,
            format,
        })
    }

    /// The bytes.
    pub fn pixels(&self) -> &'a [u8] {
        self.pixels
    }

    /// Height, in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Width, in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// What the bytes of a pixel mean.
    pub fn format(&self) -> PixelFormat {
        self.format
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_must_fit() {
        assert!(Image::new(&[0; 12], 2, 2, PixelFormat::Rgb8).is_ok());
        assert!(Image::new(&[0; 4], 2, 2, PixelFormat::Gray8).is_ok());
        for (height, width) in [(2, 3), (0, 2), (usize::MAX, usize::MAX)] {
            let error = Image::new(&[0; 12], height, width, PixelFormat::Rgb8).unwrap_err();
            assert!(matches!(error, Error::ImageLength { found: 12, .. }));
        }
        assert!(Image::new(&[], 0, 0, PixelFormat::Gray8).is_err());
    }
}
