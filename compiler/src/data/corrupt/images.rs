//! A set of images, corrupted.

use askd_runtime::{Image, Preprocess};
use rayon::prelude::*;

use super::{Corruption, Severity};
use crate::Result;
use crate::data::ImageSet;
use crate::data::records::{Bytes, Layout, Order, Records};

/// Images stand one after the other.
const LAYOUT: Layout = Layout {
    header: 0,
    label: 0,
    order: Order::Interleaved,
};

/// The images of a set as a network sees them, and then corrupted, if they are to be: in memory, at the size and with the channels that
/// `preprocess` gives them. Files that cannot be decoded are left out where the set skips those.
///
/// An image keeps its bits whatever part of the data set is taken, and whatever the number of threads.
///
/// # Errors
/// [`crate::Error::Malformed`] and [`crate::Error::Io`] if an image cannot be had, and as [`Corruption::apply`].
pub(crate) fn corrupted(
    images: &ImageSet,
    preprocess: &Preprocess,
    corruption: Option<(Corruption, Severity)>,
    seed: u64,
) -> Result<ImageSet> {
    let [height, width] = preprocess.size();
    let channels = preprocess.elements() / (height * width);
    let make = |(preprocess, buffer): &mut (Preprocess, Vec<u8>), position: usize| -> Result<Option<Vec<u8>>> {
        let Some(image) = images.image(position, buffer)? else {
            return Ok(None);
        };
        let mut pixels = vec![0; preprocess.elements()];
        preprocess.apply_u8(&image, &mut pixels)?;
        let Some((corruption, severity)) = corruption else {
            return Ok(Some(pixels));
        };
        let format = Records::format(channels);
        let image = Image::new(&pixels, height, width, format)?;
        corruption
            .apply(&image, severity, seed, images.number(position))
            .map(Some)
    };
    let made: Vec<Result<Option<Vec<u8>>>> = (0..images.len())
        .into_par_iter()
        .map_init(
            || (preprocess.clone(), Vec::new()),
            |bench, position| make(bench, position),
        )
        .collect();
    let (mut bytes, mut labels) = (Vec::new(), Vec::new());
    for (position, pixels) in made.into_iter().enumerate() {
        if let Some(pixels) = pixels? {
            bytes.extend_from_slice(&pixels);
            labels.push(images.label(position));
        }
    }
    let shape = [channels, height, width];
    let records = Records::new(Bytes::Owned(bytes), LAYOUT, shape);
    Ok(ImageSet::new(shape, vec![(records, labels)], images.classes.to_vec()))
}
