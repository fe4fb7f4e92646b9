//! Batches in a seeded order, prepared beside the training step.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use askd_runtime::{Image, PixelFormat, Preprocess};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::crop::Crop;
use super::{Augmentation, ImageSet};
use crate::{Error, Result};

/// Batches made ahead of the step that uses them.
const QUEUED_BATCHES: usize = 3;

/// Most numbers in an evaluation's batch: images of 64x64 pixels are all taken that a caller wants, of larger ones fewer.
const EVALUATION_ELEMENTS: usize = 250 * 3 * 64 * 64;

/// Images and labels of one step.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Place in its epoch, from 0: one that follows by more than 1 stands behind batches of which no image could be decoded.
    pub number: usize,
    /// Normalised images, N x C x H x W.
    pub images: Vec<f32>,
    /// Classes, N.
    pub labels: Vec<u32>,
    /// Positions in the set, N.
    pub positions: Vec<u32>,
}

impl Batch {
    /// Number of images N.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are no images.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }
}

/// Gives the batches of an epoch. Order and augmentation follow from seed, epoch and position alone, so an epoch can be
/// entered anywhere and gives the same bits on any number of threads.
#[derive(Debug, Clone)]
pub struct Loader {
    /// The images.
    pub set: ImageSet,
    /// Pixels to floats.
    pub preprocess: Preprocess,
    /// Floats of pixels that [`Self::preprocess`] has brought to the network's size and rounded, as a model of pixels gets them;
    /// none where floats are made at once.
    pub rounded: Option<Preprocess>,
    /// What is done at random, if anything.
    pub augmentation: Option<Augmentation>,
    /// Images a batch; the last of an epoch may have fewer.
    pub batch: usize,
    /// Seed of order and augmentation; none keeps the set's order.
    pub seed: Option<u64>,
}

/// The batches of one epoch, as they become ready. Dropped early, it ends its thread after the batch at hand.
#[derive(Debug)]
pub struct Batches {
    receiver: Option<Receiver<Result<Batch>>>,
    thread: Option<JoinHandle<()>>,
    waited: Duration,
}

impl Batches {
    /// How long `next` has waited so far: 0 where every batch was ready when it was asked for.
    pub fn waited(&self) -> Duration {
        self.waited
    }
}

impl Iterator for Batches {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Self::Item> {
        let asked = Instant::now();
        let batch = self.receiver.as_ref()?.recv().ok();
        self.waited += asked.elapsed();
        // a thread that died is no end of an epoch
        if batch.is_none()
            && let Some(Err(panic)) = self.thread.take().map(JoinHandle::join)
        {
            std::panic::resume_unwind(panic);
        }
        batch
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        // a thread that waits for room in the queue learns that nobody reads on
        self.receiver = None;
        if let Some(thread) = self.thread.take() {
            // a panic has told its message already, and must not become a second one here
            let _ = thread.join();
        }
    }
}

fn none_decoded(images: usize) -> Error {
    Error::invalid("--data", format!("an image that can be decoded among {images}"), "none")
}

impl Loader {
    /// A loader that keeps order and images, for evaluation; of large images fewer than `batch` at once.
    pub fn plain(set: ImageSet, preprocess: Preprocess, batch: usize) -> Self {
        let most = EVALUATION_ELEMENTS / preprocess.elements().max(1);
        Self {
            set,
            batch: batch.min(most.max(1)),
            preprocess,
            rounded: None,
            augmentation: None,
            seed: None,
        }
    }

    /// Batches in an epoch.
    pub fn batches_per_epoch(&self) -> usize {
        self.set.len().div_ceil(self.batch)
    }

    /// The batches of `epoch`, from batch number `first` on, made on a thread of their own. Where corrupt files are skipped, a batch
    /// of nothing else is left out.
    ///
    /// # Errors
    /// [`Error::Io`] if the thread cannot be started; later errors come in the stream.
    pub fn epoch(&self, epoch: usize, first: usize) -> Result<Batches> {
        let (sender, receiver) = sync_channel(QUEUED_BATCHES);
        let loader = self.clone();
        let work = move || {
            let order = loader.order(epoch);
            let mut empty = 0;
            for (number, positions) in order.chunks(loader.batch).enumerate().skip(first) {
                let batch = loader.make(epoch, number, positions);
                if batch.as_ref().is_ok_and(Batch::is_empty) {
                    empty += 1;
                } else if sender.send(batch).is_err() {
                    // the receiver leaves early when training stops
                    return;
                }
            }
            if empty > 0 && empty == loader.batches_per_epoch() {
                // a receiver that has left asks for no error either
                let _ = sender.send(Err(none_decoded(order.len())));
            }
        };
        let thread = std::thread::Builder::new().name("loader".to_owned()).spawn(work);
        Ok(Batches {
            receiver: Some(receiver),
            thread: Some(thread.map_err(Error::io("loader thread"))?),
            waited: Duration::ZERO,
        })
    }

    /// Shows each image as a model of pixels takes it, H x W x C, with its class, in the set's order.
    ///
    /// # Errors
    /// What the set's files and `see` give.
    pub fn for_each_pixels(&self, mut see: impl FnMut(&[u8], u32) -> Result<()>) -> Result<()> {
        let mut preprocess = self.preprocess.clone();
        let (mut buffer, mut pixels) = (Vec::new(), vec![0; preprocess.elements()]);
        let mut seen = 0;
        for position in 0..self.set.len() {
            if let Some(image) = self.set.image(position, &mut buffer)? {
                preprocess.apply_u8(&image, &mut pixels)?;
                see(&pixels, self.set.label(position))?;
                seen += 1;
            }
        }
        match (seen, self.set.len()) {
            (0, 1..) => Err(none_decoded(self.set.len())),
            _ => Ok(()),
        }
    }

    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.set.len()).collect();
        if let Some(seed) = self.seed {
            order.shuffle(&mut generator(seed, epoch, u64::MAX));
        }
        order
    }

    fn make(&self, epoch: usize, number: usize, positions: &[usize]) -> Result<Batch> {
        let rng = self.seed.map(|seed| generator(seed, epoch, number as u64));
        match self.set.shape {
            Some(shape) => self.make_of_one_size(shape, number, rng, positions),
            None => self.make_of_files(number, rng, positions),
        }
    }

    fn make_of_one_size(
        &self,
        shape: [usize; 3],
        number: usize,
        mut rng: Option<ChaCha8Rng>,
        positions: &[usize],
    ) -> Result<Batch> {
        let mut preprocess = self.preprocess.clone();
        let mut images = vec![0.0; positions.len() * preprocess.elements()];
        let (mut buffer, mut augmented) = (Vec::new(), vec![0; shape.iter().product()]);
        for (position, out) in positions.iter().zip(images.chunks_exact_mut(preprocess.elements())) {
            let Some(mut image) = self.set.image(*position, &mut buffer)? else {
                continue;
            };
            if let (Some(augmentation), Some(rng)) = (&self.augmentation, &mut rng) {
                augmentation.apply(image.pixels(), shape, rng, &mut augmented);
                image = Image::new(&augmented, image.height(), image.width(), image.format())?;
            }
            preprocess.apply(&image, out)?;
        }
        Ok(self.batch_of(number, images, positions))
    }

    fn batch_of(&self, number: usize, images: Vec<f32>, positions: &[usize]) -> Batch {
        Batch {
            number,
            images,
            labels: positions.iter().map(|position| self.set.label(*position)).collect(),
            positions: positions.iter().map(|position| *position as u32).collect(),
        }
    }

    /// Decodes on all cores. Each image has a seed of its own, so that it does not matter which core takes it.
    fn make_of_files(&self, number: usize, rng: Option<ChaCha8Rng>, positions: &[usize]) -> Result<Batch> {
        let elements = self.preprocess.elements();
        let mut images = vec![0.0; positions.len() * elements];
        let seeds: Vec<Option<u64>> = match rng {
            Some(mut rng) => positions.iter().map(|_| Some(rng.random())).collect(),
            None => vec![None; positions.len()],
        };
        let work = positions
            .par_iter()
            .zip(seeds)
            .zip(images.par_chunks_exact_mut(elements));
        let made: Vec<Result<bool>> = work
            .map_init(
                || Workbench::new(self),
                |workbench, ((position, seed), out)| workbench.make(*position, seed, out),
            )
            .collect();
        let mut kept: Vec<usize> = Vec::with_capacity(positions.len());
        for (index, made) in made.into_iter().enumerate() {
            if made? {
                images.copy_within(index * elements..(index + 1) * elements, kept.len() * elements);
                kept.push(positions[index]);
            }
        }
        images.truncate(kept.len() * elements);
        Ok(self.batch_of(number, images, &kept))
    }
}

/// What one thread needs to make images of files.
struct Workbench<'a> {
    loader: &'a Loader,
    preprocess: Preprocess,
    rounded: Option<Preprocess>,
    decoded: Vec<u8>,
    cut: Vec<u8>,
}

impl<'a> Workbench<'a> {
    fn new(loader: &'a Loader) -> Self {
        Self {
            loader,
            preprocess: loader.preprocess.clone(),
            rounded: loader.rounded.clone(),
            decoded: Vec::new(),
            cut: Vec::new(),
        }
    }

    /// Writes the image to `out`, unless its file is skipped; tells whether it did.
    fn make(&mut self, position: usize, seed: Option<u64>, out: &mut [f32]) -> Result<bool> {
        let Some(mut image) = self.loader.set.image(position, &mut self.decoded)? else {
            return Ok(false);
        };
        if let (Some(augmentation), Some(seed)) = (&self.loader.augmentation, seed) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let crop = Crop::random([image.height(), image.width()], augmentation, &mut rng);
            let mirrored = augmentation.horizontal_flip && rng.random_bool(0.5);
            crop.cut(&image, mirrored, &mut self.cut);
            let [height, width] = crop.size();
            image = Image::new(&self.cut, height, width, PixelFormat::Rgb8)?;
        }
        let Some(rounded) = &mut self.rounded else {
            self.preprocess.apply(&image, out)?;
            return Ok(true);
        };
        let mut pixels = vec![0; self.preprocess.elements()];
        self.preprocess.apply_u8(&image, &mut pixels)?;
        let [height, width] = self.preprocess.size();
        let format = if out.len() == height * width {
            PixelFormat::Gray8
        } else {
            PixelFormat::Rgb8
        };
        rounded.apply(&Image::new(&pixels, height, width, format)?, out)?;
        Ok(true)
    }
}

/// A generator of its own for every batch.
fn generator(seed: u64, epoch: usize, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (epoch as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    rng.set_stream(number);
    rng
}

#[cfg(test)]
mod tests;
