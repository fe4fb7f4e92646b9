//! Mean of several tensors.

use candle_core::{Error, Result, Tensor};

use super::support::{check_pair, shape_mismatch};
use crate::nn::tape::{Operation, note};

const NAME: &str = "mean";

/// Mean of the inputs, element by element: their sum from the first to the last, times one over their number.
///
/// Computed by candle's own operations: what is averaged here is small, and there is no limit to the inputs.
///
/// # Shapes
/// Any; all inputs and the output have the same. Nothing is broadcast.
///
/// # Errors
/// No input; different shapes, number types or devices.
///
/// Source: ONNX Mean, opset 13.
pub fn mean(inputs: &[Tensor]) -> Result<Tensor> {
    let [first, rest @ ..] = inputs else {
        return Err(Error::OpRequiresAtLeastOneTensor { op: NAME }.bt());
    };
    let mut sum = first.clone();
    for input in rest {
        check_pair(NAME, first, input)?;
        if first.dims() != input.dims() {
            return Err(shape_mismatch(NAME, first, input));
        }
        sum = (sum + input)?;
    }
    let y = (sum * share(inputs))?;
    note(Mean, inputs.to_vec(), &y);
    Ok(y)
}

fn share(inputs: &[Tensor]) -> f64 {
    1.0 / inputs.len() as f64
}

struct Mean;

impl Operation for Mean {
    fn backward(&self, inputs: &[Tensor], _output: &Tensor, gradient: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let each = (gradient * share(inputs))?;
        Ok(vec![Some(each); inputs.len()])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_same_bits, check, check_tape, config, random};
    use super::*;

    fn stacked(inputs: &[Tensor]) -> Result<Tensor> {
        Tensor::stack(inputs, 0)?.mean(0)
    }

    proptest! {
        #![proptest_config(config(12))]
        #[test]
        fn gradients_match(count in 1usize..5, n in 1usize..4, c in 1usize..6, (h, w) in (1usize..4, 1usize..4)) {
            let (maps, vectors): (&[usize], &[usize]) = (&[n, c, h, w], &[n, c]);
            for shape in [maps, vectors] {
                check(&vec![shape; count], mean, stacked);
                check_tape(&vec![shape; count], mean);
            }
        }
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        let shape: &[usize] = &[5, 7, 9, 9];
        assert_same_bits(&[shape; 3], mean);
    }

    #[test]
    fn mismatches_are_errors() {
        let error = mean(&[&[2, 3][..], &[2, 3], &[3, 2]].map(|shape| random::<f32>(shape, 0))).unwrap_err();
        let wanted = "shape mismatch in mean, lhs: [2, 3], rhs: [3, 2]";
        assert!(error.to_string().contains(wanted), "{error}");
        assert!(mean(&[]).is_err());
        assert!(mean(&[random::<f32>(&[2], 0), random::<f64>(&[2], 0)]).is_err());
    }
}
