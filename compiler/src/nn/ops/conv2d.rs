//! Convolution.

use candle_core::{CpuStorage, CustomOp2, Error, Layout, Result, Shape, Tensor};

use super::support::{check_pair, dtype_of, elements, for_dtype, runs_kernels, shape_mismatch, tensor, view};
use super::taps::taps;
use crate::nn::kernels::conv2d::{self as kernel, ConvShape};
use crate::nn::kernels::im2col::Window;
use crate::nn::tape::{apply2, needs_gradient};

const NAME: &str = "conv2d";

/// How a convolution slides over the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv2dConfig {
    /// Step between outputs in both directions, in pixels.
    pub stride: usize,
    /// Zeros on each of the four sides, in pixels.
    pub padding: usize,
    /// Groups that channels are split into; as many as channels is a depthwise convolution.
    pub groups: usize,
}

impl Default for Conv2dConfig {
    fn default() -> Self {
        Conv2dConfig {
            stride: 1,
            padding: 0,
            groups: 1,
        }
    }
}

/// Convolution without bias.
///
/// # Shapes
/// - `x`: `(N, Ci, H, W)`; `w`: `(Co, Ci / groups, kh, kw)`
/// - returns: `(N, Co, (H + 2 padding - kh) / stride + 1, (W + 2 padding - kw) / stride + 1)`, divisions rounded down
///
/// # Errors
/// Shapes that do not fit, a kernel larger than the padded image, a stride or group count of 0, mixed number types.
///
/// Source: ONNX Conv, opset 11, without dilation.
pub fn conv2d(x: &Tensor, w: &Tensor, config: &Conv2dConfig) -> Result<Tensor> {
    let shape = shape_of(x, w, config)?;
    if !runs_kernels(x) {
        return composition::conv2d(x, w, config);
    }
    let wants_dx = needs_gradient(x);
    apply2(&x.contiguous()?, &w.contiguous()?, Conv2d { shape, wants_dx })
}

fn shape_of(x: &Tensor, w: &Tensor, config: &Conv2dConfig) -> Result<ConvShape> {
    check_pair(NAME, x, w)?;
    let Conv2dConfig {
        stride,
        padding,
        groups,
    } = *config;
    if stride == 0 || groups == 0 {
        return Err(Error::Msg(format!(
            "{NAME}: stride {stride} and groups {groups} must be at least 1"
        ))
        .bt());
    }
    let (&[n, ci, h, width], &[co, depth, kh, kw]) = (x.dims(), w.dims()) else {
        return Err(shape_mismatch(NAME, x, w));
    };
    let empty = x.elem_count() == 0 || w.elem_count() == 0;
    let outputs = |input: usize, kernel| {
        let padded = padding.checked_mul(2).and_then(|p| p.checked_add(input));
        padded.and_then(|p| p.checked_sub(kernel)).map(|room| room / stride + 1)
    };
    let (Some(oh), Some(ow), false) = (outputs(h, kh), outputs(width, kw), empty) else {
        return Err(shape_mismatch(NAME, x, w));
    };
    if depth.checked_mul(groups) != Some(ci) || !co.is_multiple_of(groups) {
        return Err(shape_mismatch(NAME, x, w));
    }
    let window = Window {
        input: (h, width),
        kernel: (kh, kw),
        stride,
        padding: (padding, padding),
        output: (oh, ow),
    };
    Ok(ConvShape {
        images: n,
        channels_in: ci,
        channels_out: co,
        groups,
        window,
    })
}

struct Conv2d {
    shape: ConvShape,
    wants_dx: bool,
}

impl CustomOp2 for Conv2d {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ConvShape {
            images,
            channels_out,
            window,
            ..
        } = self.shape;
        let shape = Shape::from((images, channels_out, window.output.0, window.output.1));
        for_dtype!(dtype_of(x), NAME, T => {
            let y = kernel::forward::<T>(&self.shape, elements(x, x_layout, NAME)?, elements(w, w_layout, NAME)?);
            Ok((<T as candle_core::WithDType>::to_cpu_storage_owned(y), shape))
        })
    }

    fn bwd(&self, x: &Tensor, w: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let dy = dy.contiguous()?;
        let views = [x, w, &dy].map(|t| view(t, NAME));
        for_dtype!(x.dtype(), NAME, T => {
            let [x_values, w_values, dy_values] = [views[0].elements()?, views[1].elements()?, views[2].elements()?];
            let (dw, dx) = kernel::backward::<T>(&self.shape, x_values, w_values, dy_values, self.wants_dx);
            Ok((dx.map(|dx| tensor(dx, x)).transpose()?, Some(tensor(dw, w)?)))
        })
    }
}

pub(super) mod composition {
    use super::*;

    /// [`super::conv2d`] by candle's own operations: its convolution, or for a depthwise one shifted maps, since candle
    /// convolves group by group.
    pub fn conv2d(x: &Tensor, w: &Tensor, config: &Conv2dConfig) -> Result<Tensor> {
        let ConvShape {
            window,
            channels_in,
            channels_out,
            ..
        } = super::shape_of(x, w, config)?;
        if config.groups > 1 && config.groups == channels_in && channels_in == channels_out {
            return depthwise(x, w, &window);
        }
        let Window {
            input,
            kernel,
            stride,
            output,
            ..
        } = window;
        let Conv2dConfig { padding, groups, .. } = *config;
        let (x, w) = (x.contiguous()?, w.contiguous()?);
        let used = [(output.0 - 1) * stride + kernel.0, (output.1 - 1) * stride + kernel.1];
        let unused = [input.0 + 2 * padding - used[0], input.1 + 2 * padding - used[1]];
        if unused[0] == unused[1] && padding < kernel.0.min(kernel.1) {
            return x.conv2d(&w, padding, stride, 1, groups);
        }
        // candle 0.11's backward takes the height's unused rows for the width's too: leave none of either.
        let padded = pad(&x, padding)?.narrow(2, 0, used[0])?.narrow(3, 0, used[1])?;
        padded.contiguous()?.conv2d(&w, 0, stride, 1, groups)
    }

    /// One kernel a channel: the sum over its taps of the pixels that each meets times its weights.
    fn depthwise(x: &Tensor, w: &Tensor, window: &Window) -> Result<Tensor> {
        let channels = w.dim(0)?;
        let weights = w.reshape((channels, window.taps()))?;
        let terms = taps(&pad(x, window.padding.0)?, window)?.into_iter().enumerate();
        let mut terms = terms.map(|(tap, pixels)| {
            let weight = weights.narrow(1, tap, 1)?.reshape((1, channels, 1, 1))?;
            pixels.broadcast_mul(&weight)
        });
        let first = terms.next().unwrap_or_else(|| Err(shape_mismatch(NAME, x, w)))?;
        terms.try_fold(first, |sum, term| sum + term?)
    }

    /// `x` with `padding` zeros on each of the four sides.
    fn pad(x: &Tensor, padding: usize) -> Result<Tensor> {
        x.pad_with_zeros(2, padding, padding)?
            .pad_with_zeros(3, padding, padding)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_same_bits, check, config as cases, random};
    use super::*;

    proptest! {
        #![proptest_config(cases(24))]
        #[test]
        fn gradients_match(
            (n, groups, ci, co) in (1usize..4, 1usize..4, 1usize..4, 1usize..4),
            (h, w) in (3usize..9, 3usize..9),
            (kh, kw) in (1usize..4, 1usize..4),
            stride in 1usize..4,
            padding in 0usize..4,
            depthwise: bool,
        ) {
            let (ci, co) = if depthwise { (groups, groups) } else { (groups * ci, groups * co) };
            let config = Conv2dConfig { stride, padding, groups };
            check(
                &[&[n, ci, h, w], &[co, ci / groups, kh, kw]],
                |t| conv2d(&t[0], &t[1], &config),
                |t| composition::conv2d(&t[0], &t[1], &config),
            );
        }
    }

    #[test]
    fn joined_and_single_images() {
        // 49 pixels an image join several in one product; 16x16 do not; 19 images leave a last part.
        for (n, size, stride) in [(19, 7, 1), (19, 7, 2), (3, 16, 1)] {
            let config = Conv2dConfig {
                stride,
                padding: 1,
                groups: 1,
            };
            check(
                &[&[n, 2, size, size], &[3, 2, 3, 3]],
                |t| conv2d(&t[0], &t[1], &config),
                |t| composition::conv2d(&t[0], &t[1], &config),
            );
        }
    }

    /// 3x3 with stride 1 and enough channels goes through the transformed domain: sizes with whole and cut tiles, one and
    /// several images a task, every padding.
    #[test]
    fn minimal_filtering() {
        for (n, h, w, padding) in [(3, 8, 8, 1), (2, 9, 6, 0), (5, 7, 7, 1), (2, 5, 11, 2), (20, 3, 3, 1)] {
            let config = Conv2dConfig {
                padding,
                ..Conv2dConfig::default()
            };
            check(
                &[&[n, 8, h, w], &[9, 8, 3, 3]],
                |t| conv2d(&t[0], &t[1], &config),
                |t| composition::conv2d(&t[0], &t[1], &config),
            );
        }
    }

    /// Small maps: filtered channel by channel, multiplied as one matrix, and depthwise with whole and cut vectors of images.
    #[test]
    fn small_maps() {
        let cases = [
            (33, [67, 70], 4, 3, 1, 1),
            (33, [70, 67], 5, 3, 2, 1),
            (19, [34, 33], 2, 1, 0, 1),
            (19, [18, 18], 4, 3, 1, 18),
            (3, [2, 2], 2, 3, 1, 2),
        ];
        for (n, [inputs, outputs], size, kernel, padding, groups) in cases {
            let config = Conv2dConfig {
                stride: 1,
                padding,
                groups,
            };
            let shapes: [&[usize]; 2] = [&[n, inputs, size, size], &[outputs, inputs / groups, kernel, kernel]];
            // a sum over so many outputs is kept small, or its rounding would show in numerical differences
            check(
                &shapes,
                |t| conv2d(&t[0], &t[1], &config)? / 64.0,
                |t| composition::conv2d(&t[0], &t[1], &config)? / 64.0,
            );
            assert_same_bits(&shapes, |t| conv2d(&t[0], &t[1], &config));
        }
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        for (groups, depth) in [(1, 8), (8, 1), (2, 4)] {
            let config = Conv2dConfig {
                stride: 1,
                padding: 1,
                groups,
            };
            assert_same_bits(&[&[37, 8, 9, 9], &[8, depth, 3, 3]], |t| conv2d(&t[0], &t[1], &config));
        }
    }

    #[test]
    fn mismatches_are_errors() {
        let x = random::<f32>(&[1, 4, 5, 5], 0);
        let refused = |w: &[usize], stride, padding, groups| {
            let config = Conv2dConfig {
                stride,
                padding,
                groups,
            };
            conv2d(&x, &random::<f32>(w, 1), &config).unwrap_err().to_string()
        };
        for message in [
            refused(&[2, 3, 3, 3], 1, 0, 1),
            refused(&[3, 2, 3, 3], 1, 0, 2),
            refused(&[2, 4, 7, 7], 1, 0, 1),
            refused(&[2, 4, 3], 1, 0, 1),
            refused(&[2, 0, 3, 3], 1, 0, 1),
        ] {
            assert!(
                message.contains("shape mismatch in conv2d") && message.contains("[1, 4, 5, 5]"),
                "{message}"
            );
        }
        assert!(refused(&[2, 4, 3, 3], 0, 0, 1).contains("stride 0"));
        let error = conv2d(&x, &random::<f64>(&[2, 4, 3, 3], 1), &Conv2dConfig::default()).unwrap_err();
        assert!(error.to_string().contains("dtype mismatch in conv2d"), "{error}");
    }
}
