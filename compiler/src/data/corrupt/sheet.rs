//! A picture to look at: one image under every corruption.

use std::io::Cursor;

use askd_runtime::Preprocess;
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};

use super::{Corruption, Prepared, Severity};
use crate::data::ImageSet;
use crate::{Error, Result};

/// Pixels between two images.
const GAP: usize = 2;

/// A PNG file with a row for each corruption: the set's first image as a network sees it, then at each severity.
///
/// # Errors
/// [`Error::InvalidValue`] if the set has no first image, or the picture would be too large for a PNG file; [`Error::Malformed`] and
/// [`Error::Io`] if the image cannot be had.
pub fn contact_sheet(
    images: &ImageSet,
    preprocess: &Preprocess,
    corruptions: &[Corruption],
    severities: &[Severity],
    seed: u64,
) -> Result<Vec<u8>> {
    let first = Prepared::new(&images.select((0..images.len()).take(1)), preprocess)?;
    let [height, width] = preprocess.size();
    let channels = preprocess.elements() / (height * width);
    let [tall, wide] = [
        corruptions.len() * (height + GAP),
        (severities.len() + 1) * (width + GAP),
    ];
    let mut sheet = vec![u8::MAX; tall * wide * channels];
    for (row, corruption) in corruptions.iter().enumerate() {
        let cases = std::iter::once(None).chain(severities.iter().map(|severity| Some((*corruption, *severity))));
        for (column, case) in cases.enumerate() {
            let cell = match case {
                Some((corruption, severity)) => &first.corrupted(corruption, severity, seed)?,
                None => first.images(),
            };
            let mut buffer = Vec::new();
            let image = (!cell.is_empty())
                .then(|| cell.image(0, &mut buffer))
                .transpose()?
                .flatten();
            let image = image.ok_or_else(|| Error::invalid("--data", "a first image that can be decoded", "none"))?;
            for (y, line) in image.pixels().chunks_exact(width * channels).enumerate() {
                let start = ((row * (height + GAP) + y) * wide + column * (width + GAP)) * channels;
                sheet[start..start + line.len()].copy_from_slice(line);
            }
        }
    }
    let [rows, columns] = [tall, wide].map(|length| length as u32);
    let picture = match channels {
        1 => GrayImage::from_raw(columns, rows, sheet).map(DynamicImage::from),
        _ => RgbImage::from_raw(columns, rows, sheet).map(DynamicImage::from),
    };
    let mut file = Cursor::new(Vec::new());
    match picture.map(|picture| picture.write_to(&mut file, ImageFormat::Png)) {
        Some(Ok(())) => Ok(file.into_inner()),
        _ => {
            let expected = "corruptions and severities that fit a PNG file";
            Err(Error::invalid(
                "--contact-sheet",
                expected,
                format!("{rows} x {columns} pixels"),
            ))
        }
    }
}
