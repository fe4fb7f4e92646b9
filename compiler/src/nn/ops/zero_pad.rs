//! A map with zeros around it.

use candle_core::{Result, Tensor};

use super::support::image_dims;
use crate::nn::tape::{Operation, note};

/// `x` with as many rows of zeros above and below, and columns on the left and on the right.
///
/// Computed by candle's own operations, which copy.
///
/// # Shapes
/// - `x`: `(N, C, H, W)`; returns `(N, C, above + H + below, left + W + right)`
///
/// # Errors
/// `x` is empty or has not four dimensions.
///
/// Source: ONNX Pad, opset 13, axes 2 and 3.
pub fn zero_pad(x: &Tensor, [above, below]: [usize; 2], [left, right]: [usize; 2]) -> Result<Tensor> {
    image_dims("zero_pad", x)?;
    let y = x.pad_with_zeros(2, above, below)?.pad_with_zeros(3, left, right)?;
    note(ZeroPad { above, left }, vec![x.clone()], &y);
    Ok(y)
}

struct ZeroPad {
    above: usize,
    left: usize,
}

impl Operation for ZeroPad {
    fn backward(&self, inputs: &[Tensor], _output: &Tensor, gradient: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (_, _, height, width) = inputs[0].dims4()?;
        let rows = gradient.narrow(2, self.above, height)?;
        Ok(vec![Some(rows.narrow(3, self.left, width)?.contiguous()?)])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_same_bits, check, check_tape, config, random};
    use super::*;

    /// Zeros of the same type, put beside it.
    fn joined(x: &Tensor, [above, below]: [usize; 2], [left, right]: [usize; 2]) -> Result<Tensor> {
        let beside = |x: &Tensor, axis: usize, before: usize, after: usize| {
            let zeros = |count: usize| {
                let mut dims = x.dims().to_vec();
                dims[axis] = count;
                Tensor::zeros(dims, x.dtype(), x.device())
            };
            let mut parts = Vec::new();
            for (count, part) in [(before, None), (1, Some(x.clone())), (after, None)] {
                match part {
                    Some(part) => parts.push(part),
                    None if count > 0 => parts.push(zeros(count)?),
                    None => {}
                }
            }
            Tensor::cat(&parts, axis)
        };
        beside(&beside(x, 2, above, below)?, 3, left, right)
    }

    proptest! {
        #![proptest_config(config(12))]
        #[test]
        fn gradients_match(
            (n, c) in (1usize..3, 1usize..4), (h, w) in (1usize..4, 1usize..4),
            rows in [0usize..3, 0usize..3], columns in [0usize..3, 0usize..3],
        ) {
            let shape: &[usize] = &[n, c, h, w];
            check(&[shape], |x| zero_pad(&x[0], rows, columns), |x| joined(&x[0], rows, columns));
            check_tape(&[shape], |x| zero_pad(&x[0], rows, columns));
        }
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        assert_same_bits(&[&[5, 7, 9, 9]], |x| zero_pad(&x[0], [0, 1], [1, 2]));
    }

    #[test]
    fn what_is_no_map_is_an_error() {
        assert!(zero_pad(&random::<f32>(&[2, 3], 0), [1, 1], [1, 1]).is_err());
    }
}
