//! Batch normalisation with the statistics of the batch or with given ones.

use candle_core::{CpuStorage, CustomOp3, DType, Device, Error, Layout, Result, Shape, Tensor, WithDType};

use super::support::{check_pair, dtype_of, elements, for_dtype, runs_kernels, shape_mismatch, tensor, view};
use crate::nn::kernels::batch_norm::{self as kernel, Activation};
use crate::nn::tape::apply3;

const NAME: &str = "batch_norm";

/// What a training pass saw: the caller folds it into its running averages.
#[derive(Debug, Clone)]
pub struct BatchStatistics {
    /// Mean of each channel, `(C)`.
    pub mean: Tensor,
    /// Biased variance of each channel, `(C)`: the sum of squared deviations over their number.
    pub var: Tensor,
}

/// Normalises with the mean and biased variance of this batch, scales, shifts, then applies `activation`.
///
/// # Shapes
/// - `x`: `(N, C, ...)`; `gamma`, `beta`: `(C)`
/// - returns: as `x`, and the statistics, which carry no gradient
///
/// # Errors
/// Shapes that do not fit, empty inputs, mixed number types or devices.
///
/// Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1; ONNX BatchNormalization, opset 15.
pub fn batch_norm_train(
    x: &Tensor,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f64,
    activation: Activation,
) -> Result<(Tensor, BatchStatistics)> {
    let (_, channels, pixels) = check(x, &[gamma, beta])?;
    if !runs_kernels(x) {
        return composition::batch_norm_train(x, gamma, beta, eps, activation);
    }
    let x = x.contiguous()?;
    let (mean, var) = {
        let values = view(&x, NAME);
        for_dtype!(x.dtype(), NAME, T => Ok(kernel::statistics::<T>(values.elements()?, channels, pixels)))?
    };
    let as_tensor = |values: &[f64]| Tensor::from_slice(values, channels, &Device::Cpu)?.to_dtype(x.dtype());
    let statistics = BatchStatistics {
        mean: as_tensor(&mean)?,
        var: as_tensor(&var)?,
    };
    let inv_std = kernel::inverse_deviation(&var, eps);
    let op = BatchNorm {
        mean,
        inv_std,
        pixels,
        activation,
        through_statistics: true,
    };
    Ok((apply3(&x, &gamma.contiguous()?, &beta.contiguous()?, op)?, statistics))
}

/// Normalises with given statistics, which count as constants: gradients flow to `x`, `gamma` and `beta`.
///
/// # Shapes
/// - `x`: `(N, C, ...)`; `gamma`, `beta`, `mean`, `var`: `(C)`; returns as `x`
///
/// # Errors
/// As [`batch_norm_train`].
///
/// Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 2; ONNX BatchNormalization, opset 15.
pub fn batch_norm_frozen(
    x: &Tensor,
    (gamma, beta): (&Tensor, &Tensor),
    (mean, var): (&Tensor, &Tensor),
    eps: f64,
    activation: Activation,
) -> Result<Tensor> {
    let (_, _, pixels) = check(x, &[gamma, beta, mean, var])?;
    if !runs_kernels(x) {
        return composition::batch_norm_frozen(x, (gamma, beta), (mean, var), eps, activation);
    }
    let as_vec = |t: &Tensor| t.detach().to_dtype(DType::F64)?.to_vec1();
    let inv_std = kernel::inverse_deviation(&as_vec(var)?, eps);
    let op = BatchNorm {
        mean: as_vec(mean)?,
        inv_std,
        pixels,
        activation,
        through_statistics: false,
    };
    apply3(&x.contiguous()?, &gamma.contiguous()?, &beta.contiguous()?, op)
}

/// Images, channels and pixels of `x`, after holding each parameter against it.
fn check(x: &Tensor, parameters: &[&Tensor]) -> Result<(usize, usize, usize)> {
    let &[images, channels, ref rest @ ..] = x.dims() else {
        return Err(Error::Msg(format!("{NAME}: expected (N, C, ...), got {:?}", x.shape())).bt());
    };
    for parameter in parameters {
        check_pair(NAME, x, parameter)?;
        if parameter.dims() != [channels] || x.elem_count() == 0 {
            return Err(shape_mismatch(NAME, x, parameter));
        }
    }
    Ok((images, channels, rest.iter().product()))
}

struct BatchNorm {
    mean: Vec<f64>,
    inv_std: Vec<f64>,
    pixels: usize,
    activation: Activation,
    through_statistics: bool,
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        gamma: &CpuStorage,
        gamma_layout: &Layout,
        beta: &CpuStorage,
        beta_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let statistics = (&self.mean[..], &self.inv_std[..]);
        for_dtype!(dtype_of(x), NAME, T => {
            let affine = (elements(gamma, gamma_layout, NAME)?, elements(beta, beta_layout, NAME)?);
            let x = elements::<T>(x, x_layout, NAME)?;
            let y = kernel::forward(x, affine, statistics, self.pixels, self.activation);
            Ok((T::to_cpu_storage_owned(y), x_layout.shape().clone()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let views = [x, y, &dy, gamma].map(|t| view(t, NAME));
        let statistics = (&self.mean[..], &self.inv_std[..]);
        for_dtype!(x.dtype(), NAME, T => {
            let values = (views[0].elements()?, views[1].elements()?, views[2].elements()?);
            let gradients = kernel::backward::<T>(
                values,
                views[3].elements()?,
                statistics,
                self.pixels,
                self.activation,
                self.through_statistics,
            );
            let dgamma = tensor(gradients.gamma, gamma)?;
            Ok((Some(tensor(gradients.x, x)?), Some(dgamma), Some(tensor(gradients.beta, beta)?)))
        })
    }
}

pub(super) mod composition {
    use super::super::activation::composition as rectified;
    use super::*;

    /// [`super::batch_norm_train`] by candle's own operations.
    pub fn batch_norm_train(
        x: &Tensor,
        gamma: &Tensor,
        beta: &Tensor,
        eps: f64,
        activation: Activation,
    ) -> Result<(Tensor, BatchStatistics)> {
        let (images, channels, pixels) = check(x, &[gamma, beta])?;
        let flat = x.reshape((images, channels, pixels))?;
        let mean = flat.mean_keepdim((0, 2))?;
        let var = flat.broadcast_sub(&mean)?.sqr()?.mean_keepdim((0, 2))?;
        let y = normalise(&flat, (gamma, beta), (&mean, &var), eps, activation)?;
        let statistics = BatchStatistics {
            mean: mean.detach().reshape(channels)?,
            var: var.detach().reshape(channels)?,
        };
        Ok((y.reshape(x.shape())?, statistics))
    }

    /// [`super::batch_norm_frozen`] by candle's own operations.
    pub fn batch_norm_frozen(
        x: &Tensor,
        affine: (&Tensor, &Tensor),
        (mean, var): (&Tensor, &Tensor),
        eps: f64,
        activation: Activation,
    ) -> Result<Tensor> {
        let (images, channels, pixels) = check(x, &[affine.0, affine.1, mean, var])?;
        let column = |t: &Tensor| t.detach().reshape((1, channels, 1));
        let flat = x.reshape((images, channels, pixels))?;
        normalise(&flat, affine, (&column(mean)?, &column(var)?), eps, activation)?.reshape(x.shape())
    }

    fn normalise(
        x: &Tensor,
        (gamma, beta): (&Tensor, &Tensor),
        (mean, var): (&Tensor, &Tensor),
        eps: f64,
        activation: Activation,
    ) -> Result<Tensor> {
        let column = |t: &Tensor| t.reshape((1, gamma.elem_count(), 1));
        let normalised = x.broadcast_sub(mean)?.broadcast_div(&(var + eps)?.sqrt()?)?;
        let y = normalised
            .broadcast_mul(&column(gamma)?)?
            .broadcast_add(&column(beta)?)?;
        match activation {
            Activation::None => Ok(y),
            Activation::Relu => rectified::relu(&y),
            Activation::Relu6 => rectified::relu6(&y),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_same_bits, check as check_op, config, random};
    use super::*;

    const EPS: f64 = 1e-5;

    proptest! {
        #![proptest_config(config(12))]
        #[test]
        fn gradients_match(
            (n, c, h, w) in (2usize..5, 1usize..5, 2usize..6, 1usize..6),
            activation in prop::sample::select(vec![Activation::None, Activation::Relu, Activation::Relu6]),
        ) {
            // a scale of -8..8 goes beyond the 6 of ReLU6
            check_op(
                &[&[n, c, h, w], &[c], &[c]],
                |t| Ok(batch_norm_train(&t[0], &(&t[1] * 8.0)?, &t[2], EPS, activation)?.0),
                |t| Ok(composition::batch_norm_train(&t[0], &(&t[1] * 8.0)?, &t[2], EPS, activation)?.0),
            );
            let (mean, var) = (random::<f64>(&[c], 5), (random::<f64>(&[c], 6) + 1.5).unwrap());
            let frozen = |t: &[Tensor]| {
                let (mean, var) = (mean.to_dtype(t[0].dtype())?, var.to_dtype(t[0].dtype())?);
                batch_norm_frozen(&t[0], (&(&t[1] * 8.0)?, &t[2]), (&mean, &var), EPS, activation)
            };
            let reference = |t: &[Tensor]| {
                composition::batch_norm_frozen(&t[0], (&(&t[1] * 8.0)?, &t[2]), (&mean, &var), EPS, activation)
            };
            check_op(&[&[n, c, h, w], &[c], &[c]], frozen, reference);
        }
    }

    #[test]
    fn statistics_far_from_zero() {
        let x = (random::<f32>(&[4, 3, 5, 5], 0) + 1000.0).unwrap();
        let (gamma, beta) = (random::<f32>(&[3], 1), random::<f32>(&[3], 2));
        let (_, got) = batch_norm_train(&x, &gamma, &beta, EPS, Activation::None).unwrap();
        let [x, gamma, beta] = [x, gamma, beta].map(|t| t.to_dtype(DType::F64).unwrap());
        let (_, expected) = composition::batch_norm_train(&x, &gamma, &beta, EPS, Activation::None).unwrap();
        for (got, expected) in [(got.mean, expected.mean), (got.var, expected.var)] {
            let got = got.to_dtype(DType::F64).unwrap().to_vec1::<f64>().unwrap();
            for (got, expected) in got.iter().zip(expected.to_vec1::<f64>().unwrap()) {
                assert!((got / expected - 1.0).abs() < 1e-6, "{got} instead of {expected}");
            }
        }
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        for activation in [Activation::None, Activation::Relu, Activation::Relu6] {
            let op = |t: &[Tensor]| Ok(batch_norm_train(&t[0], &t[1], &t[2], EPS, activation)?.0);
            assert_same_bits(&[&[13, 9, 11, 11], &[9], &[9]], op);
        }
    }

    #[test]
    fn mismatches_are_errors() {
        let [x, c, d] = [&[2, 3, 4, 4][..], &[3], &[4]].map(|shape| random::<f32>(shape, 0));
        let error = batch_norm_train(&x, &c, &d, EPS, Activation::None)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("shape mismatch in batch_norm, lhs: [2, 3, 4, 4], rhs: [4]"),
            "{error}"
        );
        assert!(batch_norm_frozen(&x, (&c, &c), (&c, &d), EPS, Activation::None).is_err());
        assert!(batch_norm_train(&c, &c, &c, EPS, Activation::None).is_err());
    }
}
