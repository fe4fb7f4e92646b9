//! The bias of a convolution.

use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor, WithDType};

use super::support::{
    check_pair, dtype_of, elements, for_dtype, image_dims, runs_kernels, shape_mismatch, tensor, view,
};
use crate::nn::kernels::bias as kernel;
use crate::nn::tape::apply2;

const NAME: &str = "add_bias";

/// Adds one value a channel.
///
/// # Shapes
/// - `x`: `(N, C, H, W)`; `bias`: `(C)`; returns as `x`
///
/// # Errors
/// `x` is empty or has not four dimensions, shapes that do not fit, mixed number types or devices.
///
/// Source: ONNX Conv, opset 11, input `B`.
pub fn add_bias(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
    check(x, bias)?;
    if !runs_kernels(x) {
        return composition::add_bias(x, bias);
    }
    apply2(&x.contiguous()?, &bias.contiguous()?, AddBias)
}

fn check(x: &Tensor, bias: &Tensor) -> Result<()> {
    check_pair(NAME, x, bias)?;
    let (_, channels, _, _) = image_dims(NAME, x)?;
    if bias.dims() != [channels] {
        return Err(shape_mismatch(NAME, x, bias));
    }
    Ok(())
}

struct AddBias;

impl CustomOp2 for AddBias {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, _, h, w) = x_layout.shape().dims4()?;
        for_dtype!(dtype_of(x), NAME, T => {
            let y = kernel::add::<T>(elements(x, x_layout, NAME)?, elements(bias, bias_layout, NAME)?, h * w);
            Ok((T::to_cpu_storage_owned(y), x_layout.shape().clone()))
        })
    }

    fn bwd(&self, x: &Tensor, bias: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let (_, c, h, w) = x.dims4()?;
        let dy = dy.contiguous()?;
        let values = view(&dy, NAME);
        let gradient = for_dtype!(x.dtype(), NAME, T => {
            tensor(kernel::backward::<T>(values.elements()?, c, h * w), bias)
        })?;
        Ok((Some(dy.clone()), Some(gradient)))
    }
}

pub(super) mod composition {
    use super::*;

    /// [`super::add_bias`] by candle's own operations.
    pub fn add_bias(x: &Tensor, bias: &Tensor) -> Result<Tensor> {
        super::check(x, bias)?;
        x.broadcast_add(&bias.reshape((1, bias.elem_count(), 1, 1))?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_same_bits, check as check_op, config, random};
    use super::*;

    proptest! {
        #![proptest_config(config(8))]
        #[test]
        fn gradients_match(n in 1usize..4, c in 1usize..5, h in 1usize..7, w in 1usize..7) {
            let shapes: [&[usize]; 2] = [&[n, c, h, w], &[c]];
            check_op(&shapes, |t| add_bias(&t[0], &t[1]), |t| composition::add_bias(&t[0], &t[1]));
        }
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        assert_same_bits(&[&[13, 9, 11, 11], &[9]], |t| add_bias(&t[0], &t[1]));
    }

    #[test]
    fn mismatches_are_errors() {
        let x = random::<f32>(&[2, 3, 4, 4], 0);
        let error = add_bias(&x, &random::<f32>(&[4], 1)).unwrap_err().to_string();
        assert!(
            error.contains("shape mismatch in add_bias, lhs: [2, 3, 4, 4], rhs: [4]"),
            "{error}"
        );
        assert!(add_bias(&x, &random::<f64>(&[3], 1)).is_err());
        assert!(add_bias(&random::<f32>(&[2, 3], 0), &random::<f32>(&[3], 1)).is_err());
    }
}
