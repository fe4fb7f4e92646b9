//! Image data sets: reading them, splitting off validation data, augmenting, batching.
//!
//! Images stay `u8` until a batch is made, plain files even where they are on disk; only [`askd_runtime`]'s preprocessing
//! turns them into floats, so that the device sees what the trainer saw.

mod archive;
mod augment;
mod cifar;
mod degrade;
mod idx;
mod loader;
mod map;
mod records;
mod spec;
mod split;

use std::sync::Arc;

use askd_runtime::{Image, PixelFormat};
use sha2::{Digest, Sha256};

pub use augment::Augmentation;
pub use degrade::{subset, with_label_noise};
pub use loader::{Batch, Batches, Loader};
pub use spec::{DataKind, DataSpec, Part};
pub use split::split_validation;

use self::records::Records;
use crate::Result;

/// Labelled images of one size, where they came from: cheap to clone and to take parts of.
#[derive(Debug, Clone)]
pub struct ImageSet {
    /// `(C, H, W)` of every image.
    pub shape: [usize; 3],
    /// Class names, K of them.
    pub classes: Arc<Vec<String>>,
    /// The files that the images are in.
    files: Arc<[Records]>,
    /// The images of this set, in order.
    entries: Arc<[Entry]>,
}

/// One image of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// Its file, and its record in there.
    file: u32,
    record: u32,
    /// Its class, below the number of classes.
    label: u32,
}

impl ImageSet {
    /// A set of all images of these files, each file with its images' labels.
    fn new(shape: [usize; 3], files: Vec<(Records, Vec<u32>)>, classes: Vec<String>) -> Self {
        let entry = |file, (record, label)| Entry { file, record, label };
        let entries = files.iter().zip(0..).flat_map(|((_, labels), file)| {
            let numbered = (0..).zip(labels.iter().copied());
            numbered.map(move |image| entry(file, image))
        });
        Self {
            shape,
            classes: Arc::new(classes),
            entries: entries.collect(),
            files: files.into_iter().map(|(records, _)| records).collect(),
        }
    }

    /// Number of images N.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the set has no images.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Pixels of the `position`-th image, H x W x C: where they lie, or brought into that order in `buffer`.
    pub fn image<'a>(&'a self, position: usize, buffer: &'a mut Vec<u8>) -> &'a [u8] {
        let entry = self.entries[position];
        self.files[entry.file as usize].pixels(entry.record as usize, buffer)
    }

    /// The `position`-th image as the runtime takes it; `buffer` as for [`Self::image`].
    ///
    /// # Errors
    /// [`crate::Error::Runtime`] if the runtime does not know images of that shape.
    pub fn as_image<'a>(&'a self, position: usize, buffer: &'a mut Vec<u8>) -> Result<Image<'a>> {
        as_image(self.image(position, buffer), self.shape)
    }

    /// Class of the `position`-th image.
    pub fn label(&self, position: usize) -> u32 {
        self.entries[position].label
    }

    /// The images at these positions of this set.
    pub fn select(&self, positions: impl IntoIterator<Item = usize>) -> Self {
        let entries = positions.into_iter().map(|position| self.entries[position]).collect();
        Self {
            entries,
            ..self.clone()
        }
    }

    /// SHA-256 over shape, pixels and labels of the images in this set, as hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        self.shape
            .iter()
            .for_each(|dim| hash.update((*dim as u64).to_le_bytes()));
        let mut buffer = Vec::new();
        for position in 0..self.len() {
            hash.update(self.image(position, &mut buffer));
            hash.update(self.label(position).to_le_bytes());
        }
        format!("{:x}", hash.finalize())
    }
}

/// Pixels H x W x C as the runtime takes them.
fn as_image(pixels: &[u8], [channels, height, width]: [usize; 3]) -> Result<Image<'_>> {
    let format = if channels == 1 {
        PixelFormat::Gray8
    } else {
        PixelFormat::Rgb8
    };
    Ok(Image::new(pixels, height, width, format)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Results record digests: they hold for good, however pixels are kept.
    ///
    /// Source: Python's `gzip` and `hashlib` over the same files: shape as three little-endian u64, then for each image its
    /// pixels and its label as a little-endian u32.
    #[test]
    fn digests_are_those_recorded() {
        for (part, digest) in [
            (
                Part::Train,
                "4bf1e9252522f7f8c43bc66040e9162436ad0d2468beb3ee1151f4383747173e",
            ),
            (
                Part::Test,
                "7d5a8394009cc68841cc6b19ea4122ff40f108f329eb6d87a4a73143987ebfbb",
            ),
        ] {
            assert_eq!(DataSpec::embedded().load(part).unwrap().digest(), digest);
        }
    }
}
