//! Accuracy of a network on a data set.

use askd_models::LOGITS;
use askd_runtime::{ElementType, Model, Preprocess, Session};
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use crate::data::{ImageSet, Loader};
use crate::nn::{Network, PassMode};
use crate::{Error, Result};

/// Images an evaluation pass takes at once.
pub const EVALUATION_BATCH: usize = 250;

/// Accuracy and loss on a set of images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Percent of images whose largest logit is their class's.
    pub top1: f64,
    /// Percent of images whose class is among the five largest logits.
    pub top5: f64,
    /// Mean cross-entropy, nats.
    pub loss: f64,
    /// Number of images.
    pub images: usize,
}

/// Logits of a whole set.
#[derive(Debug, Clone, Default)]
pub struct Predictions {
    /// N x K raw logits.
    pub logits: Vec<f32>,
    /// Classes, N.
    pub labels: Vec<u32>,
}

impl Predictions {
    /// Number of classes K; 0 for no images.
    pub fn classes(&self) -> usize {
        self.logits.len().checked_div(self.labels.len()).unwrap_or(0)
    }

    /// Adds those of further images of the same classes.
    pub(crate) fn extend(&mut self, further: Self) {
        self.logits.extend(further.logits);
        self.labels.extend(further.labels);
    }

    /// Each image's logits with its class.
    pub fn rows(&self) -> impl Iterator<Item = (&[f32], u32)> {
        self.logits
            .chunks_exact(self.classes().max(1))
            .zip(self.labels.iter().copied())
    }

    /// The class that each image is taken for: that of its largest logit, of equals the lower one; none where that is no number.
    pub fn decisions(&self) -> impl Iterator<Item = Option<u32>> {
        self.rows().map(|(logits, _)| {
            let class = argmax(logits)?;
            (!logits[class].is_nan()).then_some(class as u32)
        })
    }

    /// Accuracy and loss.
    pub fn evaluation(&self) -> Evaluation {
        let mut tally = Tally::default();
        tally.add(self);
        tally.evaluation()
    }

    /// The divisor of the logits that minimises the mean cross-entropy: golden-section search over its logarithm.
    ///
    /// Source: Guo et al. 2017, arXiv:1706.04599, section 4.2.
    pub fn fit_temperature(&self) -> f32 {
        if self.labels.is_empty() {
            return 1.0;
        }
        let loss = |log: f64| {
            self.rows()
                .map(|(logits, label)| cross_entropy(logits, label, log.exp()))
                .sum::<f64>()
        };
        let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
        let (mut low, mut high) = (0.05_f64.ln(), 20.0_f64.ln());
        let (mut a, mut b) = (high - ratio * (high - low), low + ratio * (high - low));
        let (mut loss_a, mut loss_b) = (loss(a), loss(b));
        while high - low > 1e-4 {
            if loss_a < loss_b {
                (high, b, loss_b) = (b, a, loss_a);
                a = high - ratio * (high - low);
                loss_a = loss(a);
            } else {
                (low, a, loss_a) = (a, b, loss_b);
                b = low + ratio * (high - low);
                loss_b = loss(b);
            }
        }
        f64::midpoint(low, high).exp() as f32
    }
}

/// What an [`Evaluation`] is the mean of, for images that come in parts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    top1: usize,
    top5: usize,
    loss: f64,
    images: usize,
}

impl Tally {
    /// Counts further images.
    pub(crate) fn add(&mut self, predictions: &Predictions) {
        for (logits, label) in predictions.rows() {
            let own = logits[label as usize];
            // ties go to the lower class, as argmax does; a NaN is never right
            let ahead = |(class, other): (usize, &f32)| *other > own || (*other == own && class < label as usize);
            let rank = logits.iter().enumerate().filter(|pair| ahead(*pair)).count();
            let right = !own.is_nan();
            self.top1 += usize::from(right && rank == 0);
            self.top5 += usize::from(right && rank < 5);
            self.loss += cross_entropy(logits, label, 1.0);
            self.images += 1;
        }
    }

    /// Of all images so far.
    pub(crate) fn evaluation(self) -> Evaluation {
        let images = self.images.max(1) as f64;
        let percent = |count: usize| 100.0 * count as f64 / images;
        Evaluation {
            top1: percent(self.top1),
            top5: percent(self.top5),
            loss: self.loss / images,
            images: self.images,
        }
    }
}

/// The first class of the largest logit.
pub(crate) fn argmax(logits: &[f32]) -> Option<usize> {
    (0..logits.len()).reduce(|best, class| if logits[class] > logits[best] { class } else { best })
}

/// Cross-entropy in nats of one image's logits over `temperature`.
fn cross_entropy(logits: &[f32], label: u32, temperature: f64) -> f64 {
    let scaled = |logit: f32| f64::from(logit) / temperature;
    let largest = logits.iter().copied().map(scaled).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = logits.iter().map(|logit| (scaled(*logit) - largest).exp()).sum();
    largest + sum.ln() - scaled(logits[label as usize])
}

/// Logits of all images of a loader, in its order, with running statistics.
///
/// # Errors
/// [`crate::Error::Tensor`], and what the loader meets.
pub fn predict(network: &mut Network, loader: &Loader) -> Result<Predictions> {
    let [channels, height, width] = network.graph().input_shape();
    let mut predictions = Predictions {
        logits: Vec::new(),
        labels: Vec::new(),
    };
    for batch in loader.epoch(0, 0)? {
        let batch = batch?;
        let shape = (batch.labels.len(), channels, height, width);
        let images = Tensor::from_vec(batch.images, shape, &network.device())?;
        let logits = network
            .forward(&images.to_dtype(network.dtype())?, PassMode::Inference, &[LOGITS])?
            .remove(0);
        predictions
            .logits
            .extend(logits.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>()?);
        predictions.labels.extend(batch.labels);
    }
    Ok(predictions)
}

/// Logits of all images of a loader through ONNX Runtime, one image at a time; as pixels, where the model takes those.
///
/// # Errors
/// [`crate::Error::Runtime`], and what the loader meets.
pub fn predict_session(session: &mut Session, loader: &Loader) -> Result<Predictions> {
    let mut logits = Vec::new();
    let labels = run_images(session, loader, |output| {
        logits.extend(output);
        Ok(())
    })?;
    Ok(Predictions { logits, labels })
}

/// Runs each image of a loader, shows `see` what the model gives for it, and gives the labels.
///
/// # Errors
/// [`crate::Error::Runtime`], what the loader meets, and what `see` gives.
pub(crate) fn run_images(
    session: &mut Session,
    loader: &Loader,
    mut see: impl FnMut(&[f32]) -> Result<()>,
) -> Result<Vec<u32>> {
    let mut output = vec![0.0; session.interface().classes];
    let mut labels = Vec::new();
    if session.interface().data_type == ElementType::U8 {
        loader.for_each_pixels(|pixels, label| {
            session.run_u8(pixels, &mut output)?;
            labels.push(label);
            see(&output)
        })?;
        return Ok(labels);
    }
    for batch in loader.epoch(0, 0)? {
        let batch = batch?;
        for image in batch.images.chunks_exact(batch.images.len() / batch.len().max(1)) {
            session.run(image, &mut output)?;
            see(&output)?;
        }
        labels.extend(batch.labels);
    }
    Ok(labels)
}

/// Logits of a set of images through a bundle's variant: its preprocessing, then `session`, which is its model's.
///
/// # Errors
/// [`Error::Runtime`] if the model cannot be run, [`Error::InvalidValue`] if it has another number of classes.
pub fn predict_bundle(model: &Model, session: &mut Session, images: &ImageSet) -> Result<Predictions> {
    check_classes(model, images)?;
    let preprocess = Preprocess::new(&model.manifest().input)?;
    predict_session(session, &Loader::plain(images.clone(), preprocess, EVALUATION_BATCH))
}

/// Refuses images of another number of classes than a bundle has.
pub(crate) fn check_classes(model: &Model, images: &ImageSet) -> Result<()> {
    let (expected, got) = (model.manifest().output.classes, images.classes.len());
    if expected == got {
        return Ok(());
    }
    let expected = format!("images of {expected} classes");
    Err(Error::invalid("--data", expected, format!("{got} classes")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions(scale: f32) -> Predictions {
        let rows = [[2.0, 1.0, 0.0], [0.0, 3.0, 1.0], [1.0, 0.0, 2.0], [2.0, 0.0, 1.0]];
        let logits = rows.iter().flatten().map(|value| value * scale).collect();
        Predictions {
            logits,
            labels: vec![0, 1, 2, 2],
        }
    }

    #[test]
    fn counts_are_percent() {
        let evaluation = predictions(1.0).evaluation();
        assert_eq!((evaluation.top1, evaluation.top5, evaluation.images), (75.0, 100.0, 4));
        let losses = [0.407_606, 0.169_846, 0.407_606, 1.407_606];
        assert!(
            (evaluation.loss - losses.iter().sum::<f64>() / 4.0).abs() < 1e-5,
            "{}",
            evaluation.loss
        );
    }

    #[test]
    fn nan_is_never_right() {
        let predictions = Predictions {
            logits: vec![f32::NAN, 0.0],
            labels: vec![0],
        };
        assert_eq!(predictions.evaluation().top1, 0.0);
        assert!(predictions.decisions().eq([None]));
    }

    #[test]
    fn temperature_undoes_a_scale() {
        let (one, five) = (predictions(1.0).fit_temperature(), predictions(5.0).fit_temperature());
        assert!((five / one - 5.0).abs() < 0.01, "{one} {five}");
    }
}
