//! Maximum over windows.

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor, WithDType};

use super::support::{dtype_of, elements, for_dtype, image_dims, runs_kernels, tensor, view};
use super::taps::taps;
use crate::nn::kernels::im2col::Window;
use crate::nn::kernels::max_pool as kernel;
use crate::nn::tape::apply1;

const NAME: &str = "max_pool";

/// How a window slides over the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MaxPoolConfig {
    /// Height and width of the window, in pixels.
    pub kernel: usize,
    /// Step between windows in both directions, in pixels.
    pub stride: usize,
    /// Pixels of minus infinity on each of the four sides; fewer than `kernel`.
    pub padding: usize,
}

/// Maximum over windows of every channel. The gradient goes to the first maximum in row order; on a CPU NaN wins.
///
/// # Shapes
/// - `x`: `(N, C, H, W)`
/// - returns: `(N, C, (H + 2 padding - kernel) / stride + 1, (W + 2 padding - kernel) / stride + 1)`, divisions rounded
///   down
///
/// # Errors
/// `x` is empty or has not four dimensions, a kernel larger than the padded image or not above the padding, a stride
/// of 0.
///
/// Source: ONNX MaxPool, opset 12; PyTorch `MaxPool2d`, without `ceil_mode` and dilation.
pub fn max_pool(x: &Tensor, config: &MaxPoolConfig) -> Result<Tensor> {
    let window = window_of(x, config)?;
    if !runs_kernels(x) {
        return composition::max_pool(x, config);
    }
    apply1(&x.contiguous()?, MaxPool(window))
}

fn window_of(x: &Tensor, config: &MaxPoolConfig) -> Result<Window> {
    let (_, _, h, w) = image_dims(NAME, x)?;
    let MaxPoolConfig {
        kernel,
        stride,
        padding,
    } = *config;
    let outputs = |input: usize| {
        let padded = padding.checked_mul(2).and_then(|p| p.checked_add(input));
        let room = padded.and_then(|p| p.checked_sub(kernel));
        room.and_then(|room| room.checked_div(stride)).map(|steps| steps + 1)
    };
    let (Some(oh), Some(ow), true) = (outputs(h), outputs(w), padding < kernel) else {
        return Err(Error::Msg(format!("{NAME}: {config:?} does not fit {:?}", x.shape())).bt());
    };
    Ok(Window {
        input: (h, w),
        kernel: (kernel, kernel),
        stride,
        padding: (padding, padding),
        output: (oh, ow),
    })
}

struct MaxPool(Window);

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, _, _) = layout.shape().dims4()?;
        for_dtype!(dtype_of(x), NAME, T => {
            let y = kernel::forward::<T>(&self.0, elements(x, layout, NAME)?);
            Ok((T::to_cpu_storage_owned(y), Shape::from((n, c, self.0.output.0, self.0.output.1))))
        })
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.contiguous()?;
        let (x_view, dy_view) = (view(x, NAME), view(&dy, NAME));
        for_dtype!(x.dtype(), NAME, T => {
            tensor(kernel::backward::<T>(&self.0, x_view.elements()?, dy_view.elements()?), x).map(Some)
        })
    }
}

pub(super) mod composition {
    use super::*;

    /// [`super::max_pool`] by candle's own operations: the largest of `kernel` times `kernel` shifted maps.
    ///
    /// Candle 0.11's own max pool does not serve: its backward wants equal kernel and stride, and then divides the
    /// gradient by the pixels of a window. Its `maximum` shares the gradient out between equal maxima.
    pub fn max_pool(x: &Tensor, config: &MaxPoolConfig) -> Result<Tensor> {
        let window = super::window_of(x, config)?;
        let padded = pad(&pad(x, 2, config.padding)?, 3, config.padding)?;
        let none = || Error::Msg(format!("{NAME}: a kernel of 0")).bt();
        let larger = |largest: Tensor, map: Tensor| map.gt(&largest)?.where_cond(&map, &largest);
        let mut maps = taps(&padded, &window)?.into_iter();
        let first = maps.next().ok_or_else(none)?;
        maps.try_fold(first, larger)
    }

    /// `x` with `count` slices of minus infinity on both sides of `dim`.
    fn pad(x: &Tensor, dim: usize, count: usize) -> Result<Tensor> {
        if count == 0 {
            return x.contiguous();
        }
        let mut dims = x.dims().to_vec();
        dims[dim] = count;
        let border = Tensor::full(f32::NEG_INFINITY, dims, x.device())?.to_dtype(x.dtype())?;
        Tensor::cat(&[&border, x, &border], dim)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{DType, Device, Var};
    use proptest::prelude::*;

    use super::super::testing::{assert_same_bits, check, config as cases, random};
    use super::*;

    proptest! {
        #![proptest_config(cases(24))]
        #[test]
        fn gradients_match(
            (n, c) in (1usize..4, 1usize..4),
            (h, w) in (3usize..9, 3usize..9),
            kernel in 1usize..4,
            stride in 1usize..4,
            padding in 0usize..3,
        ) {
            let config = MaxPoolConfig { kernel, stride, padding: padding.min(kernel - 1) };
            check(&[&[n, c, h, w]], |t| max_pool(&t[0], &config), |t| composition::max_pool(&t[0], &config));
        }
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        for (kernel, stride, padding) in [(2, 2, 0), (3, 2, 1)] {
            let config = MaxPoolConfig {
                kernel,
                stride,
                padding,
            };
            assert_same_bits(&[&[9, 8, 11, 11]], |t| max_pool(&t[0], &config));
        }
    }

    /// `torch.nn.functional.max_pool2d` and its gradient: the first of equals, the last of several NaN.
    #[test]
    fn one_pixel_of_a_window_takes_the_gradient() {
        let halves = MaxPoolConfig {
            kernel: 2,
            stride: 2,
            padding: 0,
        };
        let nan = f32::NAN;
        let rows = [[1.0, 1.0, nan, 5.0], [1.0, 1.0, 7.0, nan]];
        let x = Var::new(&[[rows]], &Device::Cpu).unwrap();
        let y = max_pool(x.as_tensor(), &halves).unwrap();
        let maxima = y.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert!(maxima[0] == 1.0 && maxima[1].is_nan(), "{maxima:?}");
        let gradients = y.backward().unwrap();
        let dx = gradients.get(&x).unwrap().flatten_all().unwrap();
        assert_eq!(dx.to_vec1::<f32>().unwrap(), [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);

        let equal = Var::ones((1, 1, 2, 2), DType::F32, &Device::Cpu).unwrap();
        for op in [max_pool, composition::max_pool] {
            let gradients = op(equal.as_tensor(), &halves).unwrap().backward().unwrap();
            let dx = gradients.get(&equal).unwrap().flatten_all().unwrap();
            assert_eq!(dx.to_vec1::<f32>().unwrap(), [1.0, 0.0, 0.0, 0.0]);
        }
    }

    #[test]
    fn mismatches_are_errors() {
        let x = random::<f32>(&[2, 3, 4, 5], 0);
        let refused = |x: &Tensor, kernel, stride, padding| {
            let config = MaxPoolConfig {
                kernel,
                stride,
                padding,
            };
            max_pool(x, &config).unwrap_err().to_string()
        };
        for (kernel, stride, padding) in [(5, 1, 0), (2, 0, 0), (2, 1, 2), (0, 1, 0), (3, 1, usize::MAX)] {
            let error = refused(&x, kernel, stride, padding);
            assert!(error.contains("max_pool") && error.contains("[2, 3, 4, 5]"), "{error}");
        }
        let error = refused(&random::<f32>(&[2, 3, 4], 0), 2, 2, 0);
        assert!(error.contains("[2, 3, 4]"), "{error}");
    }
}
