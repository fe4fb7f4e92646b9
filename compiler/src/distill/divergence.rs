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

/// Mean squared difference of each sample's maps, `(N)`; gradients flow to both.
///
/// # Shapes
/// - `a`, `b`: `(N, C, H, W)`
pub(super) fn squared_error_of_samples(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    Ok((a - b)?.sqr()?.flatten_from(1)?.mean(1)?)
}

/// Beyond this `ln (e^x + 1)` is x, in floats of 64 bits too, and not far beyond `e^x` is no float of 32 bits.
const LINEAR: f64 = 80.0;

/// `ln (e^x + 1)` of each element, whatever its size.
pub(super) fn softplus(x: &Tensor) -> Result<Tensor> {
    let curved = (x.minimum(LINEAR)?.exp()? + 1.0)?.log()?;
    Ok((curved + (x - LINEAR)?.relu()?)?)
}

/// Logarithm of the softmax of each row.
pub(super) fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    Ok(logits.broadcast_sub(&logits.log_sum_exp(D::Minus1)?.unsqueeze(D::Minus1)?)?)
}

/// Each row over its Euclidean norm; a row of zeros stays one, and has no gradient.
///
/// # Shapes
/// - `rows`: `(N, D)`; returns the same
///
/// Source: `torch.nn.functional.normalize`, whose smallest norm is 1e-12.
pub(super) fn unit_rows(rows: &Tensor) -> Result<Tensor> {
    let squares = rows.sqr()?.sum_keepdim(1)?.maximum(1e-24)?;
    Ok(rows.broadcast_div(&squares.sqrt()?)?)
}

/// A tensor of one element as a number.
pub(super) fn scalar(x: &Tensor) -> Result<f64> {
    Ok(x.to_dtype(DType::F64)?.to_scalar::<f64>()?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn apart(learner: [f64; 2], target: [f64; 2], temperature: f64) -> f64 {
        let row = |logits| Tensor::new(&[logits], &Device::Cpu).unwrap();
        let divergence = kl_of_samples(&row(learner), &row(target), temperature).unwrap();
        assert_eq!(divergence.dims(), [1]);
        divergence.to_vec1().unwrap()[0]
    }

    /// q = (3/4, 1/4) from p = (1/2, 1/2), at a temperature that halves the target's logits.
    #[test]
    fn value_is_that_of_the_formula() {
        let expected = 4.0 * (0.75 * 1.5f64.ln() + 0.25 * 0.5f64.ln());
        assert!((apart([5.0, 5.0], [2.0 * 3f64.ln(), 0.0], 2.0) - expected).abs() < 1e-14);
    }

    #[test]
    fn a_row_of_zeros_is_no_division_by_zero() {
        let rows = candle_core::Var::new(&[[3.0f64, 4.0], [0.0, 0.0]], &Device::Cpu).unwrap();
        let unit = unit_rows(&rows).unwrap();
        assert_eq!(unit.to_vec2::<f64>().unwrap(), [[0.6, 0.8], [0.0, 0.0]]);
        let gradients = unit.sum_all().unwrap().backward().unwrap();
        let gradient = gradients.get(&rows).unwrap().to_vec2::<f64>().unwrap();
        assert!((gradient[0][0] - 0.8 * 0.04).abs() < 1e-12, "{gradient:?}");
        assert!(gradient[1].iter().all(|value| value.is_finite()), "{gradient:?}");
    }

    #[test]
    fn softplus_is_finite_and_has_the_slope_of_the_formula() {
        let values = [-1e4f32, -100.0, -1.0, 0.0, 1.0, 20.0, 79.0, 81.0, 90.0, 1e4];
        let x = candle_core::Var::new(&values, &Device::Cpu).unwrap();
        let y = softplus(&x).unwrap();
        let slopes = y.sum_all().unwrap().backward().unwrap();
        let slopes = slopes.get(&x).unwrap().to_vec1::<f32>().unwrap();
        for ((x, y), slope) in values.iter().zip(y.to_vec1::<f32>().unwrap()).zip(slopes) {
            let wide = f64::from(*x);
            let expected = wide.max(0.0) + (-wide.abs()).exp().ln_1p();
            assert!(
                (f64::from(y) - expected).abs() <= 2e-7 * expected.max(1.0),
                "{x}: {y} {expected}"
            );
            let expected = 1.0 / (1.0 + (-wide).exp());
            assert!(
                (f64::from(slope) - expected).abs() < 2e-7,
                "{x}: slope {slope} {expected}"
            );
        }
    }

    #[test]
    fn large_logits_do_not_overflow() {
        assert_eq!(apart([1000.0, 0.0], [1000.0, 0.0], 1.0), 0.0);
        assert_eq!(apart([0.0, 1000.0], [1000.0, 0.0], 1.0), 1000.0);
    }
}
