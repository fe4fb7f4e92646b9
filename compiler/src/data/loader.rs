//! Batches in a seeded order, prepared beside the training step.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

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
        let thread = std::thread::Builder::new().name("loader".to_owned()).spawn(work);
        Ok(Batches {
            receiver: Some(receiver),
            thread: Some(thread.map_err(Error::io("loader thread"))?),
            waited: Duration::ZERO,
        })
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
            positions: positions.iter().map(|position| *position as u32).collect(),
        })
    }
}

/// A generator of its own for every batch.
fn generator(seed: u64, epoch: usize, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ (epoch as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    rng.set_stream(number);
    rng
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread::sleep;

    use super::*;
    use crate::bundle::input_of;
    use crate::data::{DataSpec, Part};

    fn loader() -> Loader {
        let set = DataSpec::embedded().load(Part::Test).unwrap();
        Loader {
            set: set.select(0..500),
            preprocess: Preprocess::new(&input_of([1, 28, 28], &[0.0], &[1.0])).unwrap(),
            augmentation: Some(Augmentation {
                crop_padding: 2,
                horizontal_flip: true,
            }),
            batch: 64,
            seed: Some(1),
        }
    }

    fn all(batches: Batches) -> Vec<(Vec<f32>, Vec<u32>)> {
        let batch = |batch: Result<Batch>| batch.map(|batch| (batch.images, batch.labels)).unwrap();
        batches.map(batch).collect()
    }

    #[test]
    fn an_epoch_is_the_same_however_it_is_read() {
        let loader = loader();
        let whole = all(loader.epoch(3, 0).unwrap());
        assert_eq!(whole.len(), loader.batches_per_epoch());
        assert_eq!(whole.iter().map(|batch| batch.1.len()).sum::<usize>(), 500);
        assert!(whole != all(loader.epoch(4, 0).unwrap()));
        // entered in the middle, beside another epoch, by a reader that lags behind
        let other = loader.epoch(4, 0).unwrap();
        let slow = loader.epoch(3, 5).unwrap().map(|batch| {
            sleep(Duration::from_millis(2));
            batch.unwrap().images
        });
        assert!(slow.eq(whole[5..].iter().map(|batch| batch.0.clone())));
        drop(other);
    }

    #[test]
    fn a_reader_that_leaves_ends_the_thread() {
        let loader = loader();
        for taken in 0..4 {
            let mut batches = loader.epoch(0, 0).unwrap();
            assert_eq!(batches.by_ref().take(taken).count(), taken);
            // by then the thread waits for room in the queue; else it is busy
            if taken % 2 == 0 {
                sleep(Duration::from_millis(20));
            }
            drop(batches);
            assert_eq!(
                Arc::strong_count(&loader.set.entries),
                1,
                "the thread still holds its images"
            );
        }
    }

    #[test]
    fn waiting_is_counted() {
        let mut batches = loader().epoch(0, 0).unwrap();
        batches.next().unwrap().unwrap();
        let first = batches.waited();
        assert!(first > Duration::ZERO);
        // whatever the machine does meanwhile, batches in the queue need no waiting
        sleep(Duration::from_millis(300));
        for _ in 0..QUEUED_BATCHES {
            batches.next().unwrap().unwrap();
        }
        assert!(
            batches.waited() - first < Duration::from_millis(100),
            "{:?}",
            batches.waited()
        );
        assert!(batches.by_ref().count() > 0);
        assert!(batches.next().is_none(), "an ended epoch stays ended");
    }
}
