//! What storage and transmission do: coarse pixels, JPEG.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageFormat, ImageReader, ImageResult};
use rand_chacha::ChaCha8Rng;

use super::picture::Picture;

/// Makes pixels as large as this part of the side, each the mean of what it covers; always larger than they were.
pub(super) fn pixelate(picture: &mut Picture, block: f32, _: &mut ChaCha8Rng) {
    let block = block * picture.side();
    let cells = |length: usize| ((length as f32 / block).round() as usize).clamp(1, (length - 1).max(1));
    let cells = picture.size().map(cells);
    into_cells(picture, cells);
}

/// The mean of each of `[rows, columns]` cells, all of one size, in every pixel whose middle is in the cell.
pub(super) fn into_cells(picture: &mut Picture, [rows, columns]: [usize; 2]) {
    let source = picture.clone();
    let width = picture.width;
    let (down, along) = (shares(picture.height, rows), shares(width, columns));
    let mean = |row: usize, column: usize, channel: usize| -> f32 {
        let line = |y: usize| -> f32 {
            let values = along[column]
                .iter()
                .map(|(x, share)| share * source.values[(y * width + x) * source.channels + channel]);
            values.sum()
        };
        down[row].iter().map(|(y, share)| share * line(*y)).sum()
    };
    let channels = picture.channels;
    let means: Vec<f32> = (0..rows * columns * channels)
        .map(|at| mean(at / channels / columns, at / channels % columns, at % channels))
        .collect();
    let height = picture.height;
    for (index, pixel) in picture.pixels_mut().enumerate() {
        let [row, column] = [(index / width, rows, height), (index % width, columns, width)]
            .map(|(at, cells, length)| (2 * at + 1) * cells / (2 * length));
        pixel.copy_from_slice(&means[(row * columns + column) * channels..][..channels]);
    }
}

/// Of each of so many equal parts of an axis: its pixels, and their shares of it.
fn shares(length: usize, parts: usize) -> Vec<Vec<(usize, f32)>> {
    let size = length as f64 / parts as f64;
    let part = |number: usize| {
        let (from, to) = (number as f64 * size, (number + 1) as f64 * size);
        let pixels = from as usize..(to.ceil() as usize).min(length);
        let covered = |at: usize| (to.min(at as f64 + 1.0) - from.max(at as f64)).max(0.0);
        pixels.map(|at| (at, (covered(at) / size) as f32)).collect()
    };
    (0..parts).map(part).collect()
}

/// Writes and reads the picture as a JPEG file of that quality, 1 to 100; its blocks have 8 x 8 pixels at any size.
pub(super) fn jpeg(picture: &mut Picture, quality: f32, _: &mut ChaCha8Rng) {
    let pixels = picture.to_pixels();
    let recoded = recode(&pixels, picture.size(), picture.channels, quality as u8);
    // encoding fails only for sides above 65,535 pixels, decoding only for what no encoder writes
    let recoded = recoded.expect("the JPEG of an image whose sides were checked");
    picture.values = recoded.iter().map(|pixel| f32::from(*pixel) / 255.0).collect();
}

fn recode(pixels: &[u8], [height, width]: [usize; 2], channels: usize, quality: u8) -> ImageResult<Vec<u8>> {
    let mut file = Vec::new();
    let color = if channels == 1 {
        ExtendedColorType::L8
    } else {
        ExtendedColorType::Rgb8
    };
    JpegEncoder::new_with_quality(&mut file, quality).encode(pixels, width as u32, height as u32, color)?;
    let image = ImageReader::with_format(Cursor::new(file), ImageFormat::Jpeg).decode()?;
    Ok(match channels {
        1 => image.into_luma8().into_raw(),
        _ => image.into_rgb8().into_raw(),
    })
}
