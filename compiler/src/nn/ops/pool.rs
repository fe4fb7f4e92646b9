//! Average pools, and the parameter-free shortcut of the CIFAR residual networks.

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor, WithDType};

use super::support::{dtype_of, elements, for_dtype, image_dims, runs_kernels, tensor, view};
use crate::nn::kernels::pool::{self as kernel, SubsampleShape};
use crate::nn::tape::{apply1, reshape};

/// Mean over all pixels of each channel.
///
/// # Shapes
/// - `x`: `(N, C, H, W)`; returns `(N, C)`
///
/// # Errors
/// `x` is empty or has not four dimensions.
///
/// Source: ONNX GlobalAveragePool, opset 1.
pub fn global_average_pool(x: &Tensor) -> Result<Tensor> {
    if !runs_kernels(x) {
        return composition::global_average_pool(x);
    }
    let pooled = adaptive_average_pool(x, 1, 1)?;
    let (images, channels, _, _) = pooled.dims4()?;
    reshape(&pooled, (images, channels))
}

/// Mean over each of `height` by `width` bins that cover the image; bin `i` of `n` takes rows
/// `floor(i H / n) .. ceil((i + 1) H / n)`, so that neighbours may share some.
///
/// # Shapes
/// - `x`: `(N, C, H, W)`; returns `(N, C, height, width)`
///
/// # Errors
/// `x` is empty or has not four dimensions; `height` or `width` is 0.
///
/// Source: PyTorch `AdaptiveAvgPool2d`.
pub fn adaptive_average_pool(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
    let input = check_bins(x, height, width)?;
    if !runs_kernels(x) {
        return composition::adaptive_average_pool(x, height, width);
    }
    let pool = AdaptiveAveragePool {
        input,
        output: (height, width),
    };
    apply1(&x.contiguous()?, pool)
}

fn check_bins(x: &Tensor, height: usize, width: usize) -> Result<(usize, usize)> {
    let (_, _, h, w) = image_dims("adaptive_average_pool", x)?;
    if height == 0 || width == 0 {
        let message = format!("adaptive_average_pool: {height} by {width} bins for {:?}", x.shape());
        return Err(Error::Msg(message).bt());
    }
    Ok((h, w))
}

/// Every `stride`-th row and column, between zero channels: the shortcut without parameters.
///
/// # Shapes
/// - `x`: `(N, C, H, W)`
/// - returns: `(N, channels_before + C + channels_after, ceil(H / stride), ceil(W / stride))`
///
/// # Errors
/// `x` is empty or has not four dimensions; `stride` is 0.
///
/// Source: He et al. 2015, arXiv:1512.03385, section 3.3, option A.
pub fn subsample_pad(x: &Tensor, stride: usize, channels_before: usize, channels_after: usize) -> Result<Tensor> {
    let shape = check_subsample(x, stride, channels_before, channels_after)?;
    if !runs_kernels(x) {
        return composition::subsample_pad(x, stride, channels_before, channels_after);
    }
    apply1(&x.contiguous()?, SubsamplePad(shape))
}

fn check_subsample(x: &Tensor, stride: usize, before: usize, after: usize) -> Result<SubsampleShape> {
    let (_, channels, h, w) = image_dims("subsample_pad", x)?;
    if stride == 0 {
        return Err(Error::Msg(format!("subsample_pad: stride 0 for {:?}", x.shape())).bt());
    }
    Ok(SubsampleShape {
        channels,
        input: (h, w),
        stride,
        before,
        after,
    })
}

struct AdaptiveAveragePool {
    input: (usize, usize),
    output: (usize, usize),
}

impl CustomOp1 for AdaptiveAveragePool {
    fn name(&self) -> &'static str {
        "adaptive_average_pool"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, c, _, _) = layout.shape().dims4()?;
        for_dtype!(dtype_of(x), self.name(), T => {
            let y = kernel::adaptive_average::<T>(elements(x, layout, self.name())?, self.input, self.output);
            Ok((T::to_cpu_storage_owned(y), Shape::from((n, c, self.output.0, self.output.1))))
        })
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.contiguous()?;
        let values = view(&dy, self.name());
        for_dtype!(x.dtype(), self.name(), T => {
            let dx = kernel::adaptive_average_backward::<T>(values.elements()?, self.input, self.output);
            tensor(dx, x).map(Some)
        })
    }
}

struct SubsamplePad(SubsampleShape);

impl CustomOp1 for SubsamplePad {
    fn name(&self) -> &'static str {
        "subsample_pad"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (n, _, _, _) = layout.shape().dims4()?;
        let (h, w) = self.0.output();
        for_dtype!(dtype_of(x), self.name(), T => {
            let y = kernel::subsample_pad::<T>(&self.0, elements(x, layout, self.name())?);
            Ok((T::to_cpu_storage_owned(y), Shape::from((n, self.0.channels_out(), h, w))))
        })
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let dy = dy.contiguous()?;
        let values = view(&dy, self.name());
        for_dtype!(x.dtype(), self.name(), T => {
            tensor(kernel::subsample_pad_backward::<T>(&self.0, values.elements()?), x).map(Some)
        })
    }
}

pub(super) mod composition {
    use super::*;

    /// [`super::global_average_pool`] by candle's own operations.
    pub fn global_average_pool(x: &Tensor) -> Result<Tensor> {
        image_dims("global_average_pool", x)?;
        x.mean((2, 3))
    }

    /// [`super::adaptive_average_pool`] by candle's own operations.
    pub fn adaptive_average_pool(x: &Tensor, height: usize, width: usize) -> Result<Tensor> {
        let (h, w) = check_bins(x, height, width)?;
        let (n, c, _, _) = x.dims4()?;
        let mut bins = Vec::with_capacity(height * width);
        for row in 0..height {
            let rows = kernel::bin_range(row, height, h);
            let band = x.narrow(2, rows.start, rows.len())?;
            for column in 0..width {
                let columns = kernel::bin_range(column, width, w);
                bins.push(band.narrow(3, columns.start, columns.len())?.mean((2, 3))?);
            }
        }
        Tensor::stack(&bins, 2)?.reshape((n, c, height, width))
    }

    /// [`super::subsample_pad`] by candle's own operations.
    pub fn subsample_pad(x: &Tensor, stride: usize, channels_before: usize, channels_after: usize) -> Result<Tensor> {
        let shape = check_subsample(x, stride, channels_before, channels_after)?;
        let kept = |size: usize| {
            let indices: Vec<u32> = (0..size as u32).step_by(stride).collect();
            Tensor::new(indices, x.device())
        };
        let rows = x.contiguous()?.index_select(&kept(shape.input.0)?, 2)?;
        let pixels = rows.index_select(&kept(shape.input.1)?, 3)?;
        pixels.pad_with_zeros(1, channels_before, channels_after)
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
        fn gradients_match(
            n in 1usize..4,
            c in 1usize..4,
            (h, w) in (1usize..9, 1usize..9),
            (bins_h, bins_w) in (1usize..5, 1usize..5),
            (stride, before, after) in (1usize..4, 0usize..3, 0usize..3),
        ) {
            let shape: &[usize] = &[n, c, h, w];
            check(&[shape], |t| global_average_pool(&t[0]), |t| composition::global_average_pool(&t[0]));
            check(
                &[shape],
                |t| adaptive_average_pool(&t[0], bins_h, bins_w),
                |t| composition::adaptive_average_pool(&t[0], bins_h, bins_w),
            );
            check(
                &[shape],
                |t| subsample_pad(&t[0], stride, before, after),
                |t| composition::subsample_pad(&t[0], stride, before, after),
            );
        }
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        assert_same_bits(&[&[9, 8, 10, 10]], |t| adaptive_average_pool(&t[0], 3, 3));
        assert_same_bits(&[&[9, 8, 10, 10]], |t| subsample_pad(&t[0], 2, 4, 4));
    }

    #[test]
    fn mismatches_are_errors() {
        let x = random::<f32>(&[2, 3, 4], 0);
        for error in [
            global_average_pool(&x),
            adaptive_average_pool(&x, 2, 2),
            subsample_pad(&x, 2, 1, 1),
        ] {
            let error = error.unwrap_err().to_string();
            assert!(error.contains("[2, 3, 4]"), "{error}");
        }
        let x = random::<f32>(&[2, 3, 4, 4], 0);
        assert!(adaptive_average_pool(&x, 0, 2).is_err());
        assert!(subsample_pad(&x, 0, 0, 0).is_err());
    }
}
