//! ReLU, alone and after an addition, and ReLU6.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, WithDType};

use super::support::{check_pair, dtype_of, elements, for_dtype, runs_kernels, shape_mismatch, tensor, view};
use crate::nn::kernels::activation as kernel;
use crate::nn::tape::{apply1, apply2};

/// `max(0, x)`, element by element; NaN stays NaN.
///
/// # Shapes
/// Any; the output has that of `x`.
///
/// Source: ONNX Relu, opset 14.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    if !runs_kernels(x) {
        return composition::relu(x);
    }
    apply1(&x.contiguous()?, Relu)
}

/// `min(max(0, x), 6)`, element by element; NaN stays NaN.
///
/// # Shapes
/// Any; the output has that of `x`.
///
/// Source: PyTorch `ReLU6`; ONNX Clip, opset 13.
pub fn relu6(x: &Tensor) -> Result<Tensor> {
    if !runs_kernels(x) {
        return composition::relu6(x);
    }
    apply1(&x.contiguous()?, Relu6)
}

/// `x + y`, element by element.
///
/// # Shapes
/// Any; `x`, `y` and the output have the same. Nothing is broadcast.
///
/// # Errors
/// Different shapes, number types or devices.
///
/// Source: ONNX Add, opset 14.
pub fn add(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    check_sum("add", x, y)?;
    if !runs_kernels(x) {
        return x.add(y);
    }
    apply2(&x.contiguous()?, &y.contiguous()?, Add { rectified: false })
}

/// `max(0, x + y)`, element by element, in one pass: the end of a residual block.
///
/// # Shapes
/// Any; `x`, `y` and the output have the same. Nothing is broadcast.
///
/// # Errors
/// Different shapes, number types or devices.
///
/// Source: He et al. 2015, arXiv:1512.03385, figure 2.
pub fn add_relu(x: &Tensor, y: &Tensor) -> Result<Tensor> {
    check_sum("add_relu", x, y)?;
    if !runs_kernels(x) {
        return composition::add_relu(x, y);
    }
    apply2(&x.contiguous()?, &y.contiguous()?, Add { rectified: true })
}

fn check_sum(op: &'static str, x: &Tensor, y: &Tensor) -> Result<()> {
    check_pair(op, x, y)?;
    if x.dims() != y.dims() {
        Err(shape_mismatch(op, x, y))
    } else {
        Ok(())
    }
}

/// Gradient of the argument of a ReLU whose output was `y`.
fn masked(op: &'static str, y: &Tensor, dy: &Tensor) -> Result<Tensor> {
    let dy = dy.contiguous()?;
    let (y_view, dy_view) = (view(y, op), view(&dy, op));
    for_dtype!(y.dtype(), op, T => tensor(kernel::relu_backward::<T>(y_view.elements()?, dy_view.elements()?), y))
}

struct Relu;

impl CustomOp1 for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        for_dtype!(dtype_of(x), self.name(), T => {
            let y = kernel::relu::<T>(elements(x, layout, self.name())?);
            Ok((T::to_cpu_storage_owned(y), layout.shape().clone()))
        })
    }

    fn bwd(&self, _x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        masked(self.name(), y, dy).map(Some)
    }
}

struct Relu6;

impl CustomOp1 for Relu6 {
    fn name(&self) -> &'static str {
        "relu6"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        for_dtype!(dtype_of(x), self.name(), T => {
            let y = kernel::relu6::<T>(elements(x, layout, self.name())?);
            Ok((T::to_cpu_storage_owned(y), layout.shape().clone()))
        })
    }

    fn bwd(&self, _x: &Tensor, y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.contiguous()?;
        let (y_view, dy_view) = (view(y, self.name()), view(&dy, self.name()));
        for_dtype!(y.dtype(), self.name(), T => {
            tensor(kernel::relu6_backward::<T>(y_view.elements()?, dy_view.elements()?), y).map(Some)
        })
    }
}

/// The sum of two maps, rectified or as it is.
struct Add {
    rectified: bool,
}

impl CustomOp2 for Add {
    fn name(&self) -> &'static str {
        if self.rectified { "add_relu" } else { "add" }
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
            let y = if self.rectified { kernel::add_relu(a, b) } else { kernel::add(a, b) };
            Ok((T::to_cpu_storage_owned(y), a_layout.shape().clone()))
        })
    }

    fn bwd(&self, _a: &Tensor, _b: &Tensor, y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = if self.rectified {
            masked(self.name(), y, dy)?
        } else {
            dy.clone()
        };
        Ok((Some(gradient.clone()), Some(gradient)))
    }
}

pub(super) mod composition {
    use super::*;

    /// [`super::relu`] by candle's own operations; candle 0.11's `relu` has a gradient of 1 at 0.
    pub fn relu(x: &Tensor) -> Result<Tensor> {
        let zeros = x.zeros_like()?;
        x.le(&zeros)?.where_cond(&zeros, x)
    }

    /// [`super::relu6`] by candle's own operations; candle 0.11's `clamp` has a gradient of 1/2 at 0 and at 6.
    pub fn relu6(x: &Tensor) -> Result<Tensor> {
        let sixes = (x.zeros_like()? + 6.0)?;
        relu(&x.ge(&sixes)?.where_cond(&sixes, x)?)
    }

    /// [`super::add_relu`] by candle's own operations.
    pub fn add_relu(x: &Tensor, y: &Tensor) -> Result<Tensor> {
        super::check_sum("add_relu", x, y)?;
        relu(&(x + y)?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};
    use proptest::prelude::*;

    use super::super::testing::{assert_same_bits, check, config, random};
    use super::*;

    proptest! {
        #![proptest_config(config(8))]
        #[test]
        fn gradients_match(n in 1usize..4, c in 1usize..5, h in 1usize..7, w in 1usize..7) {
            check(&[&[n, c, h, w]], |t| relu(&t[0]), |t| composition::relu(&t[0]));
            // of values in -8..8
            check(&[&[n, c, h, w]], |t| relu6(&(&t[0] * 8.0)?), |t| composition::relu6(&(&t[0] * 8.0)?));
            let shape: &[usize] = &[n, c, h, w];
            check(&[shape, shape], |t| add(&t[0], &t[1]), |t| &t[0] + &t[1]);
            check(&[shape, shape], |t| add_relu(&t[0], &t[1]), |t| composition::add_relu(&t[0], &t[1]));
        }
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        assert_same_bits(&[&[5, 7, 31, 31]], |t| relu(&t[0]));
        assert_same_bits(&[&[5, 7, 31, 31]], |t| relu6(&(&t[0] * 8.0)?));
        assert_same_bits(&[&[5, 7, 31, 31], &[5, 7, 31, 31]], |t| add_relu(&t[0], &t[1]));
    }

    #[test]
    fn strided_inputs_and_not_a_number() {
        let x = random::<f32>(&[3, 5], 0);
        let y = relu(&x.t().unwrap()).unwrap().t().unwrap().contiguous().unwrap();
        assert_eq!(y.to_vec2::<f32>().unwrap(), x.relu().unwrap().to_vec2::<f32>().unwrap());
        let nan = Tensor::new(&[f32::NAN, -1.0], x.device()).unwrap();
        for op in [relu, relu6, composition::relu, composition::relu6] {
            assert!(op(&nan).unwrap().to_vec1::<f32>().unwrap()[0].is_nan());
        }
    }

    /// At a kink the gradient is 0, as in PyTorch.
    #[test]
    fn kinks_have_no_gradient() {
        let x = Var::new(&[-1f32, 0.0, 3.0, 6.0, 7.0], &Device::Cpu).unwrap();
        let gradient = |op: fn(&Tensor) -> Result<Tensor>| {
            let gradients = op(x.as_tensor()).unwrap().backward().unwrap();
            gradients.get(&x).unwrap().to_vec1::<f32>().unwrap()
        };
        for op in [relu, composition::relu] {
            assert_eq!(gradient(op), [0.0, 0.0, 1.0, 1.0, 1.0]);
        }
        for op in [relu6, composition::relu6] {
            assert_eq!(gradient(op), [0.0, 0.0, 1.0, 0.0, 0.0]);
        }
    }

    #[test]
    fn mismatches_are_errors() {
        let error = add_relu(&random::<f32>(&[2, 3], 0), &random::<f32>(&[3, 2], 0))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("shape mismatch in add_relu, lhs: [2, 3], rhs: [3, 2]"),
            "{error}"
        );
        let integers = random::<f32>(&[2], 0).to_dtype(candle_core::DType::U32).unwrap();
        assert!(relu(&integers).is_err() && relu6(&integers).is_err());
    }
}
