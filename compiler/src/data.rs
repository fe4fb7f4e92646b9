//! Image data sets: reading them, splitting off validation data, augmenting, batching.
//!
//! Images stay `u8` until a batch is made; only [`askd_runtime`]'s preprocessing turns them into floats, so that the
//! device sees what the trainer saw.

mod archive;
mod augment;
mod cifar;
mod idx;
mod loader;
mod spec;
mod split;

use std::sync::Arc;

use askd_runtime::{Image, PixelFormat};
use sha2::{Digest, Sha256};

pub use augment::Augmentation;
pub use loader::{Batch, Batches, Loader};
pub use spec::{DataKind, DataSpec, Part};
pub use split::split_validation;

use crate::Result;

/// Labelled images of one size, held as they came.
#[derive(Debug, Clone)]
pub struct ImageSet {
    /// `(C, H, W)` of every image.
    pub shape: [usize; 3],
    /// Pixels `0..=255`, N x H x W x C.
    pub pixels: Arc<Vec<u8>>,
    /// Class of every image, below the number of classes.
    pub labels: Vec<u32>,
    /// Which images of `pixels` belong to this set, in order; lets parts share one buffer.
    pub indices: Vec<u32>,
    /// Class names, K of them.
    pub classes: Arc<Vec<String>>,
}

impl ImageSet {
    /// A set of all of `labels.len()` images.
    pub(crate) fn new(shape: [usize; 3], pixels: Vec<u8>, labels: Vec<u32>, classes: Vec<String>) -> Self {
        let indices = (0..labels.len() as u32).collect();
        Self {
            shape,
            pixels: Arc::new(pixels),
            labels,
            indices,
            classes: Arc::new(classes),
        }
    }

    /// Number of images N.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether the set has no images.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Pixels of the `position`-th image, H x W x C.
    pub fn image(&self, position: usize) -> &[u8] {
        let size = self.shape.iter().product::<usize>();
        let start = self.indices[position] as usize * size;
        &self.pixels[start..start + size]
    }

    /// The `position`-th image as the runtime takes it.
    ///
    /// # Errors
    /// [`crate::Error::Runtime`] if the runtime does not know images of that shape.
    pub fn as_image(&self, position: usize) -> Result<Image<'_>> {
        as_image(self.image(position), self.shape)
    }

    /// Class of the `position`-th image.
    pub fn label(&self, position: usize) -> u32 {
        self.labels[self.indices[position] as usize]
    }

    /// The images at these positions of this set.
    pub fn select(&self, positions: impl IntoIterator<Item = usize>) -> Self {
        let indices = positions.into_iter().map(|position| self.indices[position]).collect();
        Self {
            indices,
            ..self.clone()
        }
    }

    /// SHA-256 over shape, pixels and labels of the images in this set, as hexadecimal digits.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        self.shape
            .iter()
            .for_each(|dim| hash.update((*dim as u64).to_le_bytes()));
        for position in 0..self.len() {
            hash.update(self.image(position));
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
