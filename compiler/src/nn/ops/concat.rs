//! Tensors one behind the other along their channels.

use candle_core::{Error, Result, Tensor};

use super::support::check_pair;
use crate::nn::tape::{Operation, note};

const NAME: &str = "concat";
/// The dimension after the batch: channels of maps, values of vectors.
const CHANNELS: usize = 1;

/// The inputs one behind the other along their channels.
///
/// Computed by candle's own operation, which copies, and of which there is no limit to the inputs.
///
/// # Shapes
/// - `inputs`: `(N, C_i, ...)`, all equal but for `C_i`
/// - returns: `(N, sum of C_i, ...)`
///
/// # Errors
/// No input, fewer than two dimensions; shapes that differ in more than channels, different number types or devices.
///
/// Source: ONNX Concat, opset 13, axis 1.
pub fn concat(inputs: &[Tensor]) -> Result<Tensor> {
    let [first, rest @ ..] = inputs else {
        return Err(Error::OpRequiresAtLeastOneTensor { op: NAME }.bt());
    };
    rest.iter().try_for_each(|input| check_pair(NAME, first, input))?;
    let y = Tensor::cat(inputs, CHANNELS)?;
    note(Concat, inputs.to_vec(), &y);
    Ok(y)
}

struct Concat;

impl Operation for Concat {
    fn backward(&self, inputs: &[Tensor], _output: &Tensor, gradient: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let mut start = 0;
        let mut part = |input: &Tensor| {
            let channels = input.dim(CHANNELS)?;
            let part = gradient.narrow(CHANNELS, start, channels)?.contiguous()?;
            start += channels;
            Ok(Some(part))
        };
        inputs.iter().map(&mut part).collect()
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use proptest::prelude::*;

    use super::super::testing::{assert_same_bits, check, check_tape, config, random};
    use super::*;

    /// Channel by channel.
    fn stacked(inputs: &[Tensor]) -> Result<Tensor> {
        let mut channels = Vec::new();
        for input in inputs {
            for channel in 0..input.dim(1)? {
                channels.push(input.narrow(1, channel, 1)?.squeeze(1)?);
            }
        }
        Tensor::stack(&channels, 1)
    }

    proptest! {
        #![proptest_config(config(12))]
        #[test]
        fn gradients_match(
            channels in prop::collection::vec(1usize..5, 1..4),
            n in 1usize..4,
            (h, w) in (1usize..4, 1usize..4),
        ) {
            let maps: Vec<[usize; 4]> = channels.iter().map(|c| [n, *c, h, w]).collect();
            let vectors: Vec<[usize; 2]> = channels.iter().map(|c| [n, *c]).collect();
            let maps: Vec<&[usize]> = maps.iter().map(|shape| &shape[..]).collect();
            let vectors: Vec<&[usize]> = vectors.iter().map(|shape| &shape[..]).collect();
            for shapes in [maps, vectors] {
                check(&shapes, concat, stacked);
                check_tape(&shapes, concat);
            }
        }
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        assert_same_bits(&[&[5, 7, 9, 9], &[5, 2, 9, 9]], concat);
    }

    #[test]
    fn a_strided_input_is_joined_as_it_reads() {
        let tall = Tensor::arange(0f32, 6.0, &Device::Cpu)
            .unwrap()
            .reshape((3, 2))
            .unwrap();
        let y = concat(&[
            tall.t().unwrap(),
            Tensor::ones((2, 1), tall.dtype(), &Device::Cpu).unwrap(),
        ])
        .unwrap();
        assert_eq!(
            y.to_vec2::<f32>().unwrap(),
            [[0.0, 2.0, 4.0, 1.0], [1.0, 3.0, 5.0, 1.0]]
        );
    }

    #[test]
    fn mismatches_are_errors() {
        let join = |shapes: [&[usize]; 2]| concat(&shapes.map(|shape| random::<f32>(shape, 0)));
        let error = join([&[2, 3, 4, 4], &[2, 3, 4, 5]]).unwrap_err().to_string();
        assert!(
            error.contains("[2, 3, 4, 4]") && error.contains("[2, 3, 4, 5]"),
            "{error}"
        );
        assert!(join([&[2], &[2]]).is_err());
        assert!(join([&[2, 3], &[2, 3, 1, 1]]).is_err());
        assert!(concat(&[]).is_err());
        assert!(concat(&[random::<f32>(&[2, 1], 0), random::<f64>(&[2, 1], 0)]).is_err());
    }
}
