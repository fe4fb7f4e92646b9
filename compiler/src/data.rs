//! Image data sets: reading them, splitting off validation data, augmenting, batching.
//!
//! Images stay `u8` until a batch is made, plain files even where they are on disk, and image files are decoded only then; only
//! [`askd_runtime`]'s preprocessing turns them into floats, so that the device sees what the trainer saw.

mod archive;
mod augment;
mod cifar;
mod corrupt;
mod crop;
mod degrade;
mod folder;
mod idx;
mod loader;
mod map;
#[cfg(test)]
mod pillow_tests;
mod records;
mod spec;
mod split;

use std::sync::Arc;

use askd_runtime::{Image, PixelFormat};
use sha2::{Digest, Sha256};

pub use augment::Augmentation;
pub(crate) use corrupt::Prepared;
pub use corrupt::{Corruption, Severity, contact_sheet};
pub use degrade::{first_of_each_class, subset, with_label_noise};
pub use folder::CorruptFiles;
pub use loader::{Batch, Batches, Loader};
pub use spec::{DataKind, DataSpec, Part};
pub use split::split_validation;

use self::folder::Files;
use self::records::Records;
use crate::Result;

/// Labelled images, where they came from: cheap to clone and to take parts of.
#[derive(Debug, Clone)]
pub struct ImageSet {
    /// `(C, H, W)` of every image; none where they are files of any size.
    pub shape: Option<[usize; 3]>,
    /// Class names, K of them.
    pub classes: Arc<Vec<String>>,
    /// What the images are in.
    source: Source,
    /// The images of this set, in order.
    entries: Arc<[Entry]>,
}

/// What a set's images are in.
#[derive(Debug, Clone)]
enum Source {
    /// Files of many images of one size.
    Records(Arc<[Records]>),
    /// Files of one image each, and what becomes of those that cannot be decoded.
    Files(Arc<Files>, CorruptFiles),
}

/// One image of a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// Its file, and its record in there; or its directory, and its file in there.
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
            shape: Some(shape),
            classes: Arc::new(classes),
            entries: entries.collect(),
            source: Source::Records(files.into_iter().map(|(records, _)| records).collect()),
        }
    }

    /// A set of all these image files, each directory with its files' class.
    fn of_files(files: Files, labels: &[u32], classes: Vec<String>) -> Self {
        let entry = |file, record, label| Entry { file, record, label };
        let entries = (0..)
            .zip(files.counts())
            .zip(labels)
            .flat_map(|((file, count), label)| (0..count as u32).map(move |record| entry(file, record, *label)));
        Self {
            shape: None,
            classes: Arc::new(classes),
            entries: entries.collect(),
            source: Source::Files(Arc::new(files), CorruptFiles::Refuse),
        }
    }

    /// The same images, of which those that cannot be decoded are treated so.
    pub fn with_corrupt_files(self, corrupt_files: CorruptFiles) -> Self {
        let source = match self.source {
            Source::Files(files, _) => Source::Files(files, corrupt_files),
            source => source,
        };
        Self { source, ..self }
    }

    /// How many files have been skipped so far because they could not be decoded, by this set and what shares its files.
    pub fn skipped_files(&self) -> usize {
        match &self.source {
            Source::Files(files, _) => files.skipped(),
            Source::Records(_) => 0,
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

    /// The `position`-th image: where it lies, or brought into order or decoded in `buffer`. None where its file cannot be
    /// decoded and such files are skipped, which is told on standard error once.
    ///
    /// # Errors
    /// [`crate::Error::Malformed`] if its file cannot be decoded, [`crate::Error::Io`] if it cannot be read.
    pub fn image<'a>(&'a self, position: usize, buffer: &'a mut Vec<u8>) -> Result<Option<Image<'a>>> {
        let Entry { file, record, .. } = self.entries[position];
        let (pixels, [height, width], format) = match &self.source {
            Source::Records(files) => files[file as usize].image(record as usize, buffer),
            Source::Files(files, corrupt_files) => {
                let Some(size) = files.decode([file, record], *corrupt_files, buffer)? else {
                    return Ok(None);
                };
                (buffer.as_slice(), size, PixelFormat::Rgb8)
            }
        };
        Ok(Some(Image::new(pixels, height, width, format)?))
    }

    /// Class of the `position`-th image.
    pub fn label(&self, position: usize) -> u32 {
        self.entries[position].label
    }

    /// A number of the `position`-th image by which no other of its data set goes, whatever part of it this set is.
    pub fn number(&self, position: usize) -> u64 {
        let Entry { file, record, .. } = self.entries[position];
        u64::from(file) << 32 | u64::from(record)
    }

    /// The images at these positions of this set.
    pub fn select(&self, positions: impl IntoIterator<Item = usize>) -> Self {
        let entries = positions.into_iter().map(|position| self.entries[position]).collect();
        Self {
            entries,
            ..self.clone()
        }
    }

    /// SHA-256 over shape, pixels and labels of the images in this set, as hexadecimal digits; of image files over their names,
    /// sizes in bytes and labels, since there may be too many to read for it.
    ///
    /// # Errors
    /// [`crate::Error::Io`] if a file's size cannot be told.
    pub fn digest(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let number = |hash: &mut Sha256, number: usize| hash.update((number as u64).to_le_bytes());
        let dims = self.shape.iter().flatten();
        dims.for_each(|dim| number(&mut hash, *dim));
        let mut buffer = Vec::new();
        for Entry { file, record, label } in self.entries.iter() {
            match &self.source {
                Source::Records(files) => hash.update(files[*file as usize].image(*record as usize, &mut buffer).0),
                Source::Files(files, _) => {
                    let (name, size) = files.facts([*file, *record])?;
                    number(&mut hash, name.len());
                    hash.update(name);
                    number(&mut hash, size);
                }
            }
            hash.update(label.to_le_bytes());
        }
        Ok(format!("{:x}", hash.finalize()))
    }
}

/// Pixels of an image that is there.
#[cfg(test)]
fn pixels<'a>(set: &'a ImageSet, position: usize, buffer: &'a mut Vec<u8>) -> &'a [u8] {
    set.image(position, buffer).unwrap().unwrap().pixels()
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
            assert_eq!(DataSpec::embedded().load(part).unwrap().digest().unwrap(), digest);
        }
    }
}
