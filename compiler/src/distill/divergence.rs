//! How far predictions are from one another, and small helpers of losses.

use candle_core::{D, DType, Tensor};

use crate::Result;

/// `T^2 KL(softmax(target / T) || softmax(learner / T))` of each sample, `(N)`; gradients flow to both.
///
/// # Shapes
/// - `learner`, `target`: `(N, K)` logits
///
/// Source: G. Hinton et al. 2015, arXiv:1503.02531, section 2.
pub(super) fn kl_of_samples(learner: &Tensor, target: &Tensor, temperature: f64) -> Result<Tensor> {
    let (learner, target) = (
        log_softmax(&(learner / temperature)?)?,
        log_softmax(&(target / temperature)?)?,
    );
    let divergence = (target.exp()? * (target - learner)?)?.sum(D::Minus1)?;
    Ok((divergence * (temperature * temperature))?)
}

/// Logarithm of the softmax of each row.
pub(super) fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    Ok(logits.broadcast_sub(&logits.log_sum_exp(D::Minus1)?.unsqueeze(D::Minus1)?)?)
}

/// A tensor of one element as a number.
pub(super) fn scalar(x: &Tensor) -> Result<f64> {
    Ok(x.to_dtype(DType::F64)?.to_scalar::<f64>()?)
}
