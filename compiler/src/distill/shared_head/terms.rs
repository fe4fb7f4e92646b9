//! The terms of a step's loss, and the teachers' shares in them.
//!
//! Formulas: `tests/fixtures/distillation/README.md`, from arXiv:2406.08528, section 3, and arXiv:2201.00007.

use candle_core::Tensor;

use super::{Normalise, Weighting};
use crate::distill::divergence::{log_softmax, squared_error_of_samples};
use crate::distill::settings::TEACHERS;
use crate::nn::ops;
use crate::{Error, Result};

/// A weighted sum of terms.
#[derive(Default)]
pub(super) struct Total(Option<Tensor>);

impl Total {
    /// Adds `weight * term`.
    pub(super) fn add(&mut self, term: Tensor, weight: f64) -> Result<()> {
        let weighted = (term * weight)?;
        self.0 = Some(match self.0.take() {
            Some(sum) => (sum + weighted)?,
            None => weighted,
        });
        Ok(())
    }

    /// The sum; an error where nothing was added.
    pub(super) fn sum(self) -> Result<Tensor> {
        self.0.ok_or_else(no_teacher)
    }
}

fn no_teacher() -> Error {
    Error::invalid(TEACHERS, "a teacher", "none")
}

/// The share of each teacher in a weighted mean; constants to every gradient.
pub(super) enum Shares {
    /// The same for each of so many teachers.
    Equal(usize),
    /// One for each teacher, `(N)`: each image has its own.
    OfSamples(Vec<Tensor>),
}

/// The share of one teacher.
pub(super) enum Share<'a> {
    Equal(f64),
    OfSamples(&'a Tensor),
}

impl Shares {
    /// The shares for a batch, from the teachers' logits `(N, K)` as they come.
    ///
    /// Confidence: `(1 - softmax over teachers of CE) / (M - 1)`; of a lone teacher it is 1.
    pub(super) fn new(weighting: Weighting, logits: &[&Tensor], labels: &Tensor) -> Result<Self> {
        let count = logits.len();
        if weighting == Weighting::Uniform || count < 2 {
            return Ok(Self::Equal(count));
        }
        let logits: Vec<Tensor> = logits.iter().map(|logits| logits.detach()).collect();
        Ok(Self::OfSamples(confidence(&logits, labels)?))
    }

    /// The share of teacher `m`.
    pub(super) fn of(&self, m: usize) -> Result<Share<'_>> {
        Ok(match self {
            Self::Equal(count) => Share::Equal(1.0 / *count as f64),
            Self::OfSamples(shares) => Share::OfSamples(&shares[m]),
        })
    }

    /// Mean over the batch of teacher `m`'s values `(N)`, times its share.
    pub(super) fn mean(&self, m: usize, values: &Tensor) -> Result<Tensor> {
        Ok(match self.of(m)? {
            Share::Equal(share) => (values.mean_all()? * share)?,
            Share::OfSamples(shares) => (values * shares)?.mean_all()?,
        })
    }

    /// The cross-entropy of teacher `m`'s logits, mean over the batch, times its share.
    pub(super) fn cross_entropy(&self, m: usize, logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
        match self {
            Self::Equal(1) => Ok(ops::cross_entropy(logits, labels)?),
            Self::Equal(count) => Ok((ops::cross_entropy(logits, labels)? / *count as f64)?),
            Self::OfSamples(_) => self.mean(m, &cross_entropy_of_samples(logits, labels)?),
        }
    }

    /// The weighted mean of the student's logits `(N, K)` through each classifier.
    pub(super) fn mean_logits(&self, logits: &[Tensor]) -> Result<Tensor> {
        if let (Self::Equal(1), [only]) = (self, logits) {
            return Ok(only.clone());
        }
        let mut total = Total::default();
        for (m, logits) in logits.iter().enumerate() {
            match self.of(m)? {
                Share::Equal(share) => total.add(logits.clone(), share)?,
                Share::OfSamples(shares) => total.add(logits.broadcast_mul(&shares.unsqueeze(1)?)?, 1.0)?,
            }
        }
        total.sum()
    }
}

/// `(1 - softmax over teachers of CE) / (M - 1)` of each of two or more teachers, `(N)`; gradients flow to their logits.
///
/// Source: H. Zhang et al. 2022, arXiv:2201.00007, equation 3.
pub(in crate::distill) fn confidence(logits: &[Tensor], labels: &Tensor) -> Result<Vec<Tensor>> {
    let losses = logits.iter().map(|logits| cross_entropy_of_samples(logits, labels));
    let losses = Tensor::stack(&losses.collect::<Result<Vec<_>>>()?, 0)?;
    let softmax = losses.broadcast_sub(&losses.log_sum_exp(0)?.unsqueeze(0)?)?.exp()?;
    let shares = ((1.0 - softmax)? / (logits.len() - 1) as f64)?;
    (0..logits.len()).map(|m| Ok(shares.get(m)?)).collect()
}

/// L_F of one teacher, not normalised: mean over the batch of share times mean squared difference.
///
/// # Shapes
/// - `projected`, `target`: `(N, C, H, W)`; gradients flow to both
pub(super) fn feature_loss(projected: &Tensor, target: &Tensor, share: Share<'_>) -> Result<Tensor> {
    Ok(match share {
        Share::Equal(1.0) => ops::mean_squared_error(projected, target)?,
        Share::Equal(share) => (ops::mean_squared_error(projected, target)? * share)?,
        Share::OfSamples(shares) => (squared_error_of_samples(projected, target)? * shares)?.mean_all()?,
    })
}

/// The teacher's map, average-pooled to the projected one's size where it is the larger one.
pub(in crate::distill) fn pooled_to(features: &Tensor, projected: &Tensor) -> Result<Tensor> {
    let (_, _, height, width) = projected.dims4()?;
    if features.dims() == projected.dims() {
        return Ok(features.clone());
    }
    Ok(ops::adaptive_average_pool(features, height, width)?)
}

/// Variance over all elements, or over the samples at each element and then the mean; 1 for [`Normalise::None`].
pub(in crate::distill) fn variance(x: &Tensor, over: Normalise) -> Result<Tensor> {
    Ok(match over {
        Normalise::None => Tensor::ones((), x.dtype(), x.device())?,
        Normalise::Samples if x.dim(0)? > 1 => x.broadcast_sub(&x.mean_keepdim(0)?)?.sqr()?.mean_all()?,
        // of a lone image, as at the end of an epoch, no sample differs from another
        Normalise::Samples | Normalise::Elements => x.broadcast_sub(&x.mean_all()?)?.sqr()?.mean_all()?,
    })
}

/// Cross-entropy of each sample, `(N)`.
fn cross_entropy_of_samples(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let picked = log_softmax(logits)?.gather(&labels.unsqueeze(1)?, 1)?;
    Ok(picked.squeeze(1)?.neg()?)
}
