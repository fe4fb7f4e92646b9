//! A set of images, corrupted.

use askd_runtime::Preprocess;
use rayon::prelude::*;

use super::{Corruption, Severity};
use crate::data::ImageSet;
use crate::data::records::{Bytes, Layout, Order, Records};
use crate::{Error, Result};

/// Images stand one after the other.
const LAYOUT: Layout = Layout {
    header: 0,
    label: 0,
    order: Order::Interleaved,
};

/// The images of a set as a network sees them, to be corrupted: in memory, at the size and with the channels that its preprocessing gives
/// them.
pub(crate) struct Prepared {
    images: ImageSet,
    /// Each image's number in the data set, by which a corruption draws.
    numbers: Vec<u64>,
    shape: [usize; 3],
}

impl Prepared {
    /// Reads all of `images`. Files that cannot be decoded are left out where the set skips those.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] and [`crate::Error::Io`] if an image cannot be had.
    pub(crate) fn new(images: &ImageSet, preprocess: &Preprocess) -> Result<Self> {
        let prepare = |(preprocess, buffer): &mut (Preprocess, Vec<u8>), position: usize| -> Result<Option<Vec<u8>>> {
            let Some(image) = images.image(position, buffer)? else {
                return Ok(None);
            };
            let mut pixels = vec![0; preprocess.elements()];
            preprocess.apply_u8(&image, &mut pixels)?;
            Ok(Some(pixels))
        };
        let made: Vec<Result<Option<Vec<u8>>>> = (0..images.len())
            .into_par_iter()
            .map_init(
                || (preprocess.clone(), Vec::new()),
                |bench, position| prepare(bench, position),
            )
            .collect();
        let mut bytes = Vec::with_capacity(images.len() * preprocess.elements());
        let (mut labels, mut numbers) = (Vec::new(), Vec::new());
        for (position, pixels) in made.into_iter().enumerate() {
            if let Some(pixels) = pixels? {
                bytes.extend_from_slice(&pixels);
                labels.push(images.label(position));
                numbers.push(images.number(position));
            }
        }
        let [height, width] = preprocess.size();
        let shape = [preprocess.elements() / (height * width), height, width];
        Ok(Self {
            images: in_memory(bytes, labels, shape, images.classes.to_vec()),
            numbers,
            shape,
        })
    }

    /// The images as they are.
    pub(crate) fn images(&self) -> &ImageSet {
        &self.images
    }

    /// The images, corrupted. An image keeps its bits whatever part of the data set was taken, and whatever the number of threads.
    ///
    /// # Errors
    /// Those of [`Corruption::apply`].
    pub(crate) fn corrupted(&self, corruption: Corruption, severity: Severity, seed: u64) -> Result<ImageSet> {
        let make = |(position, number): (usize, &u64)| -> Result<Vec<u8>> {
            let mut buffer = Vec::new();
            let image = self.images.image(position, &mut buffer)?;
            let image = image.ok_or_else(|| Error::invalid("image to corrupt", "pixels", "none"))?;
            corruption.apply(&image, severity, seed, *number)
        };
        let made: Result<Vec<Vec<u8>>> = self.numbers.par_iter().enumerate().map(make).collect();
        let labels = (0..self.images.len()).map(|position| self.images.label(position));
        let classes = self.images.classes.to_vec();
        Ok(in_memory(made?.concat(), labels.collect(), self.shape, classes))
    }
}

/// Images of pixels that stand one after the other.
fn in_memory(bytes: Vec<u8>, labels: Vec<u32>, shape: [usize; 3], classes: Vec<String>) -> ImageSet {
    let records = Records::new(Bytes::Owned(bytes), LAYOUT, shape);
    ImageSet::new(shape, vec![(records, labels)], classes)
}
