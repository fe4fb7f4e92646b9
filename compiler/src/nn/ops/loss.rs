//! Loss functions of a batch.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, DType, Error, Layout, Result, Shape, Tensor, WithDType};

use super::support::{check_pair, dtype_of, elements, for_dtype, runs_kernels, shape_mismatch, tensor, view};
use crate::nn::kernels::loss as kernel;
use crate::nn::tape::{apply1, apply2};

/// Cross-entropy between the softmax of `logits` and the labels.
///
/// # Shapes
/// - `logits`: `(N, K)` raw; `labels`: `(N)` u32, each below K
/// - returns: scalar, in nats, mean over N
///
/// # Errors
/// Shapes that do not fit, empty logits, labels of another type than u32, a label of K or more.
///
/// Source: ONNX SoftmaxCrossEntropyLoss, opset 13.
pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let labels_vec = check_labels(logits, labels)?;
    if !runs_kernels(logits) {
        return composition::cross_entropy(logits, labels);
    }
    apply1(&logits.contiguous()?, CrossEntropy { labels: labels_vec })
}

fn check_labels(logits: &Tensor, labels: &Tensor) -> Result<Vec<u32>> {
    const OP: &str = "cross_entropy";
    if labels.dtype() != DType::U32 {
        let (msg, expected, got) = ("cross_entropy: labels", DType::U32, labels.dtype());
        return Err(Error::UnexpectedDType { msg, expected, got }.bt());
    }
    match (logits.dims(), labels.dims()) {
        (&[n, classes], &[m]) if n == m && n * classes > 0 => {
            let labels: Vec<u32> = labels.to_vec1()?;
            match labels.iter().find(|label| **label as usize >= classes) {
                Some(label) => Err(Error::InvalidIndex {
                    op: OP,
                    index: *label as usize,
                    size: classes,
                }
                .bt()),
                None => Ok(labels),
            }
        }
        _ => Err(shape_mismatch(OP, logits, labels)),
    }
}

/// Mean over all elements of `(a - b)^2`; gradients flow to both.
///
/// # Shapes
/// - `a`, `b`: any, the same; returns a scalar
///
/// # Errors
/// Different shapes, number types or devices; empty inputs.
pub fn mean_squared_error(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    check_difference(a, b)?;
    if !runs_kernels(a) {
        return composition::mean_squared_error(a, b);
    }
    apply2(&a.contiguous()?, &b.contiguous()?, MeanSquaredError)
}

fn check_difference(a: &Tensor, b: &Tensor) -> Result<()> {
    const OP: &str = "mean_squared_error";
    check_pair(OP, a, b)?;
    if a.dims() != b.dims() || a.elem_count() == 0 {
        Err(shape_mismatch(OP, a, b))
    } else {
        Ok(())
    }
}

/// The one number that a loss's own gradient is.
fn scalar(gradient: &Tensor) -> Result<f64> {
    gradient.to_dtype(DType::F64)?.to_scalar()
}

struct CrossEntropy {
    labels: Vec<u32>,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, classes) = layout.shape().dims2()?;
        for_dtype!(dtype_of(logits), self.name(), T => {
            let loss = kernel::cross_entropy::<T>(elements(logits, layout, self.name())?, &self.labels, classes);
            Ok((T::to_cpu_storage_owned(vec![T::from_f64(loss)]), Shape::from(())))
        })
    }

    fn bwd(&self, logits: &Tensor, _loss: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (_, classes) = logits.dims2()?;
        let factor = scalar(gradient)?;
        let values = view(logits, self.name());
        for_dtype!(logits.dtype(), self.name(), T => {
            let gradient = kernel::cross_entropy_backward::<T>(values.elements()?, &self.labels, classes, factor);
            tensor(gradient, logits).map(Some)
        })
    }
}

struct MeanSquaredError;

impl CustomOp2 for MeanSquaredError {
    fn name(&self) -> &'static str {
        "mean_squared_error"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        for_dtype!(dtype_of(a), self.name(), T => {
            let [a, b] = [elements::<T>(a, a_layout, self.name())?, elements(b, b_layout, self.name())?];
            Ok((T::to_cpu_storage_owned(vec![T::from_f64(kernel::mean_squared_error(a, b))]), Shape::from(())))
        })
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _loss: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let factor = 2.0 * scalar(gradient)? / a.elem_count() as f64;
        let (a_view, b_view) = (view(a, self.name()), view(b, self.name()));
        for_dtype!(a.dtype(), self.name(), T => {
            let (a_values, b_values) = (a_view.elements::<T>()?, b_view.elements()?);
            let towards = |wanted: bool, sign: f64| {
                wanted.then(|| tensor(kernel::scaled_difference(a_values, b_values, sign * factor), a)).transpose()
            };
            Ok((towards(a.track_op(), 1.0)?, towards(b.track_op(), -1.0)?))
        })
    }
}

pub(super) mod composition {
    use super::*;

    /// [`super::cross_entropy`] by candle's own operations.
    pub fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
        check_labels(logits, labels)?;
        // A constant shift of each row changes nothing but the range of exp.
        let shifted = logits.broadcast_sub(&logits.detach().max_keepdim(1)?)?;
        let log_sum = shifted.exp()?.sum_keepdim(1)?.log()?;
        let own = shifted.gather(&labels.unsqueeze(1)?, 1)?;
        (log_sum - own)?.mean_all()
    }

    /// [`super::mean_squared_error`] by candle's own operations.
    pub fn mean_squared_error(a: &Tensor, b: &Tensor) -> Result<Tensor> {
        check_difference(a, b)?;
        (a - b)?.sqr()?.mean_all()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use proptest::prelude::*;

    use super::super::testing::{assert_same_bits, check, config, random};
    use super::*;

    fn labels(n: usize, classes: usize) -> Tensor {
        let labels: Vec<u32> = (0..n).map(|i| (i * 7 % classes) as u32).collect();
        Tensor::new(labels, &Device::Cpu).unwrap()
    }

    proptest! {
        #![proptest_config(config(12))]
        #[test]
        fn gradients_match(n in 1usize..9, k in 1usize..12) {
            let labels = labels(n, k);
            check(
                &[&[n, k]],
                |t| cross_entropy(&t[0], &labels),
                |t| composition::cross_entropy(&t[0], &labels),
            );
            check(
                &[&[n, k], &[n, k]],
                |t| mean_squared_error(&t[0], &t[1]),
                |t| composition::mean_squared_error(&t[0], &t[1]),
            );
        }
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let logits = Tensor::new(&[[1000f32, 0.0], [-1000.0, 0.0]], &Device::Cpu).unwrap();
        let loss = cross_entropy(&logits, &Tensor::new(&[1u32, 1], &Device::Cpu).unwrap()).unwrap();
        assert_eq!(loss.to_scalar::<f32>().unwrap(), 500.0);
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        let labels = labels(65, 10);
        assert_same_bits(&[&[65, 10]], |t| cross_entropy(&t[0], &labels));
        assert_same_bits(&[&[65, 999], &[65, 999]], |t| mean_squared_error(&t[0], &t[1]));
    }

    #[test]
    fn mismatches_are_errors() {
        let logits = random::<f32>(&[2, 3], 0);
        let message = |labels: Tensor| cross_entropy(&logits, &labels).unwrap_err().to_string();
        let label = |values: &[u32]| Tensor::new(values, &Device::Cpu).unwrap();
        assert!(message(label(&[0, 1, 2])).contains("shape mismatch in cross_entropy, lhs: [2, 3], rhs: [3]"));
        assert!(message(label(&[0, 3])).contains("cross_entropy"));
        assert!(message(label(&[0, 1]).to_dtype(DType::I64).unwrap()).contains("cross_entropy: labels"));
        let error = mean_squared_error(&logits, &random::<f32>(&[3, 2], 0))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("shape mismatch in mean_squared_error, lhs: [2, 3], rhs: [3, 2]"),
            "{error}"
        );
    }
}
