//! An image as a camera or a decoder delivers it.

use askd_runtime::{Image, PixelFormat};

use crate::boundary::Caller;
use crate::error::Fault;

/// One byte a pixel: luma.
pub const ASKD_PIXEL_FORMAT_GRAY8: u32 = 1;
/// Three bytes a pixel: red, green, blue.
pub const ASKD_PIXEL_FORMAT_RGB8: u32 = 2;

/// An image in the caller's memory: pixels 0 to 255, rows from top to bottom without gaps, channels interleaved.
#[repr(C)]
pub struct askd_image {
    /// `size` bytes.
    pub pixels: *const u8,
    /// height * width * bytes of a pixel.
    pub size: usize,
    /// In pixels, not zero.
    pub height: usize,
    /// In pixels, not zero.
    pub width: usize,
    /// An `ASKD_PIXEL_FORMAT_` number.
    pub format: u32,
}

/// The image behind `pointer`, checked.
pub(crate) fn read<'a>(caller: &Caller<'a>, pointer: *const askd_image) -> Result<Image<'a>, Fault> {
    let image = caller.object("image", pointer)?;
    let format = match image.format {
        ASKD_PIXEL_FORMAT_GRAY8 => PixelFormat::Gray8,
        ASKD_PIXEL_FORMAT_RGB8 => PixelFormat::Rgb8,
        found => {
            return Err(Fault::UnknownValue {
                name: "image.format",
                expected: "an ASKD_PIXEL_FORMAT_ number",
                found,
            });
        }
    };
    let pixels = caller.slice("image.pixels", image.pixels, image.size)?;
    Ok(Image::new(pixels, image.height, image.width, format)?)
}
