//! A layer's weights and biases as integers.

use crate::weights::HostTensor;

/// Largest absolute value of an integer bias: far from the end of 32 bits, so that a sum has room.
const BIAS_LIMIT: f64 = (1 << 30) as f64;

/// A convolution's or linear layer's tensors as integers, each output channel with a scale of its own, zero at 0.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegerLayer {
    /// The weights' dimensions: the float tensor's, unless [`pad_channels`](Self::pad_channels) has added to them.
    pub shape: Vec<usize>,
    /// Of the input channels, the last ones that were added.
    pub added_channels: usize,
    /// The weights, output channels first.
    pub weights: Vec<i8>,
    /// Their scales, one an output channel.
    pub weight_scales: Vec<f32>,
    /// The biases; none for a layer without, or where the target takes them as floats.
    pub biases: Option<IntegerBiases>,
}

/// Biases in 32 bits.
#[derive(Debug, Clone, PartialEq)]
pub struct IntegerBiases {
    /// The biases.
    pub values: Vec<i32>,
    /// Their scales: that of the input times that of the channel's weights, so that they are added to the products as they are.
    pub scales: Vec<f32>,
}

impl IntegerLayer {
    /// Rounds `weight`, output channels first, so that each channel's largest becomes `limit`, and `bias`, if there is one, to
    /// match an input with the step `input_scale`.
    ///
    /// Source: Jacob et al. 2017, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    /// Inference", arXiv:1712.05877, section 2.4; one scale a channel: Krishnamoorthi 2018, arXiv:1806.08342, section 3.2.
    pub fn new(weight: &HostTensor, bias: Option<&HostTensor>, input_scale: f32, limit: i32) -> Self {
        let channels = weight.shape[0];
        let per_channel = weight.data.len() / channels.max(1);
        let mut layer = Self {
            shape: weight.shape.clone(),
            added_channels: 0,
            weights: Vec::with_capacity(weight.data.len()),
            weight_scales: Vec::with_capacity(channels),
            biases: bias.map(|_| IntegerBiases {
                values: Vec::with_capacity(channels),
                scales: Vec::with_capacity(channels),
            }),
        };
        for (channel, values) in weight.data.chunks_exact(per_channel).enumerate() {
            let largest = values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
            let bias = bias.map(|bias| f64::from(bias.data[channel]));
            let scale = channel_scale(largest, bias, input_scale, limit);
            let round = |value: &f32| ((value / scale).round() as i32).clamp(-limit, limit) as i8;
            layer.weights.extend(values.iter().map(round));
            layer.weight_scales.push(scale);
            if let (Some(biases), Some(bias)) = (&mut layer.biases, bias) {
                let step = input_scale * scale;
                biases.values.push((bias / f64::from(step)).round() as i32);
                biases.scales.push(step);
            }
        }
        layer
    }

    /// Adds `count` input channels of zeros to a convolution of one group, behind those it has.
    ///
    /// # Shapes
    /// - weights before: `(O, C, K, K)`, after: `(O, C + count, K, K)`
    pub fn pad_channels(&mut self, count: usize) {
        let filter = self.weights.len() / self.shape[0].max(1);
        let pixels = filter / self.shape[1].max(1);
        let filters = self.weights.chunks_exact(filter.max(1));
        self.weights = filters
            .flat_map(|filter| filter.iter().copied().chain(std::iter::repeat_n(0, count * pixels)))
            .collect();
        self.shape[1] += count;
        self.added_channels += count;
    }
}

/// The step of a channel's weights; wider than they need where the bias is far larger than all products, as in a channel that
/// training has switched off, so that the bias still fits.
fn channel_scale(largest: f32, bias: Option<f64>, input_scale: f32, limit: i32) -> f32 {
    let for_weights = f64::from(largest) / f64::from(limit);
    let for_bias = bias.map_or(0.0, |bias| bias.abs() / (BIAS_LIMIT * f64::from(input_scale)));
    let scale = for_weights.max(for_bias) as f32;
    if scale.is_normal() { scale } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(shape: &[usize], data: &[f32]) -> HostTensor {
        HostTensor::new(shape.to_vec(), data.to_vec())
    }

    #[test]
    fn each_channel_uses_all_integers() {
        let weight = tensor(&[2, 2, 1, 1], &[1.0, -0.5, 0.011, 0.02]);
        let layer = IntegerLayer::new(&weight, Some(&tensor(&[2], &[0.25, -1.0])), 0.5, 127);
        assert_eq!(layer.weights, [127, -64, 70, 127]);
        let biases = layer.biases.unwrap();
        for channel in 0..2 {
            assert_eq!(biases.scales[channel], 0.5 * layer.weight_scales[channel]);
            let bias = biases.values[channel] as f32 * biases.scales[channel];
            assert!((bias - [0.25, -1.0][channel]).abs() <= biases.scales[channel] / 2.0);
        }
    }

    #[test]
    fn seven_bits_are_enough_for_a_limit_of_64() {
        let layer = IntegerLayer::new(&tensor(&[1, 3], &[3.0, -3.0, 1.0]), None, 1.0, 64);
        assert_eq!(layer.weights, [64, -64, 21]);
        assert!(layer.biases.is_none());
    }

    #[test]
    fn channels_of_zeros_stand_behind_the_others() {
        let mut layer = IntegerLayer::new(&tensor(&[2, 1, 1, 2], &[1.0, -1.0, 0.5, 1.0]), None, 1.0, 127);
        layer.pad_channels(2);
        assert_eq!(layer.shape, [2, 3, 1, 2]);
        assert_eq!(layer.weights, [127, -127, 0, 0, 0, 0, 64, 127, 0, 0, 0, 0]);
    }

    #[test]
    fn a_channel_without_weights_keeps_its_bias() {
        for dead in [0.0, 1e-30] {
            let layer = IntegerLayer::new(&tensor(&[1, 2], &[dead, 0.0]), Some(&tensor(&[1], &[5.0])), 0.01, 127);
            let biases = layer.biases.unwrap();
            let bias = f64::from(biases.values[0]) * f64::from(biases.scales[0]);
            assert!((bias - 5.0).abs() < 1e-5, "{bias}");
            assert!(biases.scales[0] > 0.0 && layer.weight_scales[0] > 0.0);
        }
        let layer = IntegerLayer::new(&tensor(&[1, 1], &[0.0]), None, 0.01, 127);
        assert_eq!((layer.weights[0], layer.weight_scales[0]), (0, 1.0));
    }
}
