//! Some of a map's channels.

use candle_core::{Error, Result, Tensor};

use crate::nn::tape::{Operation, note};

const NAME: &str = "channels";
/// The dimension after the batch.
const CHANNELS: usize = 1;

/// `count` channels of `x`, from channel `from` on.
///
/// Computed by candle's own operations, which copy.
///
/// # Shapes
/// - `x`: `(N, C, ...)`; returns `(N, count, ...)`
///
/// # Errors
/// `x` has fewer than two dimensions, or not those channels; no channel is asked for.
///
/// Source: ONNX Slice, opset 13, axis 1.
pub fn channels(x: &Tensor, from: usize, count: usize) -> Result<Tensor> {
    let all = x.dim(CHANNELS)?;
    let after = from.checked_add(count).and_then(|end| all.checked_sub(end));
    let Some(after) = after.filter(|_| count > 0) else {
        let message = format!("{NAME}: {count} channels from {from} on of {:?}", x.shape());
        return Err(Error::Msg(message).bt());
    };
    let y = x.narrow(CHANNELS, from, count)?.contiguous()?;
    note(Channels { from, after }, vec![x.clone()], &y);
    Ok(y)
}

/// How many channels are left out in front and behind.
struct Channels {
    from: usize,
    after: usize,
}

impl Operation for Channels {
    fn backward(&self, _inputs: &[Tensor], _output: &Tensor, gradient: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let padded = gradient.pad_with_zeros(CHANNELS, self.from, self.after)?;
        Ok(vec![Some(padded.contiguous()?)])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::testing::{assert_same_bits, check, check_tape, config, random};
    use super::*;

    /// Channel by channel.
    fn stacked(x: &Tensor, from: usize, count: usize) -> Result<Tensor> {
        let channels = (from..from + count).map(|channel| x.narrow(1, channel, 1)?.squeeze(1));
        Tensor::stack(&channels.collect::<Result<Vec<_>>>()?, 1)
    }

    proptest! {
        #![proptest_config(config(12))]
        #[test]
        fn gradients_match(
            n in 1usize..4, (before, count, after) in (0usize..3, 1usize..4, 0usize..3), (h, w) in (1usize..4, 1usize..4),
        ) {
            let c = before + count + after;
            for shape in [&[n, c, h, w][..], &[n, c]] {
                check(&[shape], |x| channels(&x[0], before, count), |x| stacked(&x[0], before, count));
                check_tape(&[shape], |x| channels(&x[0], before, count));
            }
        }
    }

    #[test]
    fn same_bits_with_any_number_of_threads() {
        assert_same_bits(&[&[5, 7, 9, 9]], |x| channels(&x[0], 2, 4));
    }

    #[test]
    fn channels_that_are_not_there_are_errors() {
        let x = random::<f32>(&[2, 3, 1, 1], 0);
        for (from, count) in [(0, 4), (3, 1), (1, 0), (usize::MAX, 2)] {
            let error = channels(&x, from, count).unwrap_err().to_string();
            assert!(error.contains("of [2, 3, 1, 1]"), "{error}");
        }
        assert!(channels(&random::<f32>(&[2], 0), 0, 1).is_err());
    }
}
