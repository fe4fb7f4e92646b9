//! Average over windows.

use candle_core::{Error, Result, Tensor};

use super::conv2d::{Conv2dConfig, conv2d};
use super::support::image_dims;

/// Mean over each window of `kernel` by `kernel` pixels, `stride` apart, of a map with `padding` zeros on every side; these
/// count.
///
/// It is a depthwise convolution whose weights are all one over the window's size, and is computed as that.
///
/// # Shapes
/// - `x`: `(N, C, H, W)`
/// - returns: `(N, C, (H + 2 padding - kernel) / stride + 1, (W + 2 padding - kernel) / stride + 1)`, rounded down
///
/// # Errors
/// `x` is empty or has not four dimensions; no window fits, or one lies in the padding alone; `kernel` or `stride` is 0.
///
/// Source: PyTorch `AvgPool2d`; ONNX AveragePool, opset 11, with `count_include_pad`.
pub fn average_pool(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
    let (_, channels, _, _) = image_dims("average_pool", x)?;
    if padding >= kernel {
        let message = format!("average_pool: a padding of {padding} for windows of {kernel} pixels");
        return Err(Error::Msg(message).bt());
    }
    let share = Tensor::full(
        1.0 / (kernel * kernel) as f64,
        (channels, 1, kernel, kernel),
        x.device(),
    )?;
    let config = Conv2dConfig {
        stride,
        padding,
        groups: channels,
    };
    conv2d(x, &share.to_dtype(x.dtype())?, &config)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_same_bits, check, check_tape, config, random};
    use super::*;

    /// A sum over the pixels of a window, each for all windows at once.
    fn shifted(x: &Tensor, kernel: usize, stride: usize, padding: usize) -> Result<Tensor> {
        let padded = x
            .pad_with_zeros(2, padding, padding)?
            .pad_with_zeros(3, padding, padding)?;
        let (_, _, h, w) = padded.dims4()?;
        let places = |size: usize, offset: usize| {
            let count = ((size - kernel) / stride + 1) as u32;
            Tensor::from_iter((0..count).map(|i| i * stride as u32 + offset as u32), x.device())
        };
        let mut sum: Option<Tensor> = None;
        for (row, column) in (0..kernel).flat_map(|row| (0..kernel).map(move |column| (row, column))) {
            let rows = padded.index_select(&places(h, row)?, 2)?;
            let part = rows.index_select(&places(w, column)?, 3)?;
            sum = Some(match sum {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
        sum.expect("a window has a pixel") / (kernel * kernel) as f64
    }

    proptest! {
        #![proptest_config(config(12))]
        #[test]
        fn gradients_match(
            (n, c) in (1usize..3, 1usize..4), (h, w) in (3usize..7, 3usize..7),
            (kernel, stride) in (1usize..4, 1usize..3), padded in any::<bool>(),
        ) {
            let padding = if padded { kernel / 2 } else { 0 };
            let shape: &[usize] = &[n, c, h, w];
            check(&[shape], |x| average_pool(&x[0], kernel, stride, padding), |x| shifted(&x[0], kernel, stride, padding));
            check_tape(&[shape], |x| average_pool(&x[0], kernel, stride, padding));
        }
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        assert_same_bits(&[&[5, 7, 9, 9]], |x| average_pool(&x[0], 3, 2, 1));
    }

    /// Zeros count: a corner's window of four ones has a mean of 4/9.
    #[test]
    fn padding_counts() {
        let ones = Tensor::ones((1, 1, 4, 4), candle_core::DType::F64, &candle_core::Device::Cpu).unwrap();
        let pooled = average_pool(&ones, 3, 2, 1).unwrap();
        let values = pooled.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for (value, expected) in values.iter().zip([4.0 / 9.0, 6.0 / 9.0, 6.0 / 9.0, 1.0]) {
            assert!((value - expected).abs() < 1e-15, "{values:?}");
        }
    }

    #[test]
    fn windows_that_do_not_fit_are_errors() {
        let x = random::<f32>(&[1, 2, 3, 3], 0);
        for (kernel, stride, padding) in [(4, 1, 0), (3, 0, 1), (2, 1, 2), (0, 1, 0)] {
            assert!(average_pool(&x, kernel, stride, padding).is_err());
        }
    }
}
