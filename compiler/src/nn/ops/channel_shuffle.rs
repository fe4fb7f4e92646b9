//! Channels of several groups dealt out in turn.

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor, WithDType};

use super::support::{dtype_of, elements, for_dtype, image_dims, runs_kernels, tensor, view};
use crate::nn::kernels::channel_shuffle as kernel;
use crate::nn::tape::apply1;

const NAME: &str = "channel_shuffle";

/// Channels `(groups, C / groups)` in the order `(C / groups, groups)`.
///
/// # Shapes
/// - `x`: `(N, C, H, W)`; returns the same
///
/// # Errors
/// `x` is empty or has not four dimensions; `groups` does not divide C.
///
/// Source: Zhang et al. 2017, arXiv:1707.01083, section 3.1.
pub fn channel_shuffle(x: &Tensor, groups: usize) -> Result<Tensor> {
    check_groups(x, groups)?;
    if !runs_kernels(x) {
        return composition::channel_shuffle(x, groups);
    }
    apply1(&x.contiguous()?, ChannelShuffle { groups })
}

/// Channels in each group.
fn check_groups(x: &Tensor, groups: usize) -> Result<usize> {
    let (_, channels, _, _) = image_dims(NAME, x)?;
    if groups == 0 || !channels.is_multiple_of(groups) {
        return Err(Error::Msg(format!("{NAME}: {groups} groups of the channels of {:?}", x.shape())).bt());
    }
    Ok(channels / groups)
}

struct ChannelShuffle {
    groups: usize,
}

impl CustomOp1 for ChannelShuffle {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, c, h, w) = layout.shape().dims4()?;
        for_dtype!(dtype_of(x), NAME, T => {
            let y = kernel::channel_shuffle::<T>(elements(x, layout, NAME)?, c, self.groups, h * w);
            Ok((T::to_cpu_storage_owned(y), layout.shape().clone()))
        })
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, dy: &Tensor) -> Result<Option<Tensor>> {
        let (_, c, h, w) = x.dims4()?;
        let dy = dy.contiguous()?;
        let values = view(&dy, NAME);
        for_dtype!(x.dtype(), NAME, T => {
            let dx = kernel::channel_shuffle::<T>(values.elements()?, c, c / self.groups, h * w);
            tensor(dx, x).map(Some)
        })
    }
}

pub(super) mod composition {
    use super::*;

    /// [`super::channel_shuffle`] by candle's own operations.
    pub fn channel_shuffle(x: &Tensor, groups: usize) -> Result<Tensor> {
        let each = super::check_groups(x, groups)?;
        let (n, c, h, w) = x.dims4()?;
        let grouped = x.reshape((n, groups, each, h * w))?;
        grouped.transpose(1, 2)?.reshape((n, c, h, w))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use proptest::prelude::*;

    use super::super::testing::{assert_same_bits, check, config, random};
    use super::*;

    proptest! {
        #![proptest_config(config(12))]
        #[test]
        fn gradients_match(
            n in 1usize..4,
            (groups, each) in (1usize..5, 1usize..5),
            (h, w) in (1usize..5, 1usize..5),
        ) {
            check(
                &[&[n, groups * each, h, w]],
                |t| channel_shuffle(&t[0], groups),
                |t| composition::channel_shuffle(&t[0], groups),
            );
        }
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        assert_same_bits(&[&[9, 12, 7, 7]], |t| channel_shuffle(&t[0], 3));
    }

    #[test]
    fn six_channels_of_two_groups() {
        let x = Tensor::arange(0f32, 6.0, &Device::Cpu)
            .unwrap()
            .reshape((1, 6, 1, 1))
            .unwrap();
        let y = channel_shuffle(&x, 2).unwrap().flatten_all().unwrap();
        assert_eq!(y.to_vec1::<f32>().unwrap(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    }

    #[test]
    fn mismatches_are_errors() {
        for (shape, groups) in [(&[2, 6, 4, 4][..], 4), (&[2, 6, 4, 4], 0), (&[2, 6, 4], 2)] {
            let error = channel_shuffle(&random::<f32>(shape, 0), groups)
                .unwrap_err()
                .to_string();
            assert!(error.contains(NAME) && error.contains(&format!("{shape:?}")), "{error}");
        }
    }
}
