//! The shifted maps that a sliding window meets: what compositions of windows are made of.

use candle_core::{Result, Tensor};

use crate::nn::kernels::im2col::Window;

/// For each tap of the window, in row order, the pixels that it meets.
///
/// # Shapes
/// - `padded`: `(N, C, H + 2 padding, W + 2 padding)`
/// - returns: maps of `(N, C, window.output.0, window.output.1)`
pub(super) fn taps(padded: &Tensor, window: &Window) -> Result<Vec<Tensor>> {
    let mut maps = Vec::with_capacity(window.taps());
    for row in 0..window.kernel.0 {
        let rows = every(padded, 2, row, window.stride, window.output.0)?;
        for column in 0..window.kernel.1 {
            maps.push(every(&rows, 3, column, window.stride, window.output.1)?);
        }
    }
    Ok(maps)
}

/// `count` slices along `dim` from `first` on, `stride` apart.
fn every(x: &Tensor, dim: usize, first: usize, stride: usize, count: usize) -> Result<Tensor> {
    if stride == 1 {
        return x.narrow(dim, first, count);
    }
    let kept = (0..count).map(|slice| (first + slice * stride) as u32);
    x.contiguous()?.index_select(&Tensor::from_iter(kept, x.device())?, dim)
}
