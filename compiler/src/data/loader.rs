//! Batches in a seeded order, prepared beside the training step.

use std::sync::mpsc::{Receiver, sync_channel};

use askd_runtime::Preprocess;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{Augmentation, ImageSet, as_image};
use crate::{Error, Result};

/// Batches made ahead of the step that uses them.
const QUEUED_BATCHES: usize = 3;

/// Images and labels of one step.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Normalised images, N x C x H x W.
    pub images: Vec<f32>,
    /// Classes, N.
    pub labels: Vec<u32>,
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
    /// What is done at random, if anything.
    pub augmentation: Option<Augmentation>,
    /// Images a batch; the last of an epoch may have fewer.
    pub batch: usize,
    /// Seed of order and augmentation; none keeps the set's order.
    pub seed: Option<u64>,
}

/// The batches of one epoch, as they become ready.
pub type Batches = Receiver<Result<Batch>>;

impl Loader {
    /// A loader that keeps order and images, for evaluation.
    pub fn plain(set: ImageSet, preprocess: Preprocess, batch: usize) -> Self {
        Self {
            set,
            preprocess,
            augmentation: None,
            batch,
            seed: None,
        }
    }

    /// Batches in an epoch.
    pub fn batches_per_epoch(&self) -> usize {
        self.set.len().div_ceil(self.batch)
    }

    /// The batches of `epoch`, from batch number `first` on, made on a thread of their own.
    ///
    /// # Errors
    /// [`Error::Io`] if the thread cannot be started; later errors come in the stream.
    pub fn epoch(&self, epoch: usize, first: usize) -> Result<Batches> {
        let (sender, receiver) = sync_channel(QUEUED_BATCHES);
        let loader = self.clone();
        let work = move || {
            let order = loader.order(epoch);
            for (number, positions) in order.chunks(loader.batch).enumerate().skip(first) {
                // the receiver leaves early when training stops
                if sender.send(loader.make(epoch, number, positions)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("loader".to_owned())
            .spawn(work)
            .map_err(Error::io("loader thread"))?;
        Ok(receiver)
    }

    fn order(&self, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.set.len()).collect();
        if let Some(seed) = self.seed {
            order.shuffle(&mut generator(seed, epoch, u64::MAX));
        }
        order
    }

    fn make(&self, epoch: usize, number: usize, positions: &[usize]) -> Result<Batch> {
        let size = self.set.shape.iter().product::<usize>();
        let mut preprocess = self.preprocess.clone();
        let mut images = vec![0.0; positions.len() * preprocess.elements()];
        let (mut buffer, mut augmented) = (Vec::new(), vec![0; size]);
        let mut rng = self.seed.map(|seed| generator(seed, epoch, number as u64));
        for (position, out) in positions
            .iter()
            .zip(images.chunks_exact_mut(self.preprocess.elements()))
        {
            let mut pixels = self.set.image(*position, &mut buffer);
            if let (Some(augmentation), Some(rng)) = (&self.augmentation, &mut rng) {
                augmentation.apply(pixels, self.set.shape, rng, &mut augmented);
                pixels = &augmented;
            }
            preprocess.apply(&as_image(pixels, self.set.shape)?, out)?;
        }
        Ok(Batch {
            images,
            labels: positions.iter().map(|position| self.set.label(*position)).collect(),
        })
    }
}

/// A generator of its own for every batch.
fn generator(seed: u64, epoch: usize, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (epoch as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    rng.set_stream(number);
    rng
}
