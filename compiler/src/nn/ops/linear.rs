//! Fully connected layer.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor, WithDType};

use super::support::{check_pair, dtype_of, elements, for_dtype, runs_kernels, shape_mismatch, tensor, view};
use crate::nn::kernels::linear as kernel;
use crate::nn::tape::{apply3, needs_gradient};

const NAME: &str = "linear";

/// `x * w^T + b`.
///
/// # Shapes
/// - `x`: `(N, I)`; `w`: `(O, I)`; `b`: `(O)`; returns `(N, O)`
///
/// # Errors
/// Shapes that do not fit, empty inputs, mixed number types or devices.
///
/// Source: ONNX Gemm, opset 13, with `transB = 1`.
pub fn linear(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<Tensor> {
    check(x, w, b)?;
    if !runs_kernels(x) {
        return composition::linear(x, w, b);
    }
    let wants_dx = needs_gradient(x);
    apply3(
        &x.contiguous()?,
        &w.contiguous()?,
        &b.contiguous()?,
        Linear { wants_dx },
    )
}

fn check(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<()> {
    check_pair(NAME, x, w)?;
    check_pair(NAME, w, b)?;
    match (x.dims(), w.dims(), b.dims()) {
        (&[n, inputs], &[outputs, depth], _) if inputs != depth || n * inputs * outputs == 0 => {
            Err(shape_mismatch(NAME, x, w))
        }
        (&[_, _], &[outputs, _], &[offsets]) if outputs == offsets => Ok(()),
        (&[_, _], &[_, _], _) => Err(shape_mismatch(NAME, w, b)),
        _ => Err(shape_mismatch(NAME, x, w)),
    }
}

struct Linear {
    wants_dx: bool,
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, inputs) = x_layout.shape().dims2()?;
        let outputs = b_layout.shape().dims1()?;
        for_dtype!(dtype_of(x), NAME, T => {
            let [x, w] = [elements::<T>(x, x_layout, NAME)?, elements(w, w_layout, NAME)?];
            let y = kernel::forward(x, w, elements(b, b_layout, NAME)?, inputs);
            Ok((T::to_cpu_storage_owned(y), Shape::from((rows, outputs))))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        dy: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (outputs, inputs) = w.dims2()?;
        let dy = dy.contiguous()?;
        let views = [x, w, &dy].map(|t| view(t, NAME));
        for_dtype!(x.dtype(), NAME, T => {
            let [x_values, w_values, dy_values] = [views[0].elements()?, views[1].elements()?, views[2].elements()?];
            let sizes = (inputs, outputs);
            let (dw, db, dx) = kernel::backward::<T>(x_values, w_values, dy_values, sizes, self.wants_dx);
            Ok((dx.map(|dx| tensor(dx, x)).transpose()?, Some(tensor(dw, w)?), Some(tensor(db, b)?)))
        })
    }
}

pub(super) mod composition {
    use super::*;

    /// [`super::linear`] by candle's own operations.
    pub fn linear(x: &Tensor, w: &Tensor, b: &Tensor) -> Result<Tensor> {
        super::check(x, w, b)?;
        x.matmul(&w.t()?)?.broadcast_add(b)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_same_bits, check, config, random};
    use super::*;

    proptest! {
        #![proptest_config(config(12))]
        #[test]
        fn gradients_match(n in 1usize..40, inputs in 1usize..9, outputs in 1usize..40) {
            check(
                &[&[n, inputs], &[outputs, inputs], &[outputs]],
                |t| linear(&t[0], &t[1], &t[2]),
                |t| composition::linear(&t[0], &t[1], &t[2]),
            );
        }
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        assert_same_bits(&[&[70, 33], &[45, 33], &[45]], |t| linear(&t[0], &t[1], &t[2]));
    }

    #[test]
    fn mismatches_are_errors() {
        let fails = |x: &[usize], w: &[usize], b: &[usize]| {
            let [x, w, b] = [x, w, b].map(|shape| random::<f32>(shape, 0));
            let error = linear(&x, &w, &b).unwrap_err().to_string();
            assert!(error.contains("shape mismatch in linear"), "{error}");
        };
        fails(&[2, 3], &[4, 5], &[4]);
        fails(&[2, 3], &[4, 3], &[5]);
        fails(&[2, 3, 1], &[4, 3], &[4]);
        fails(&[2, 3], &[4, 3], &[4, 1]);
        fails(&[0, 3], &[4, 3], &[4]);
    }
}
