//! What integers look like on each target.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::calibration::Range;

/// Where a quantised model is to run; [`Target::description`] tells more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// x86-64 with VNNI.
    X86Vnni,
    /// x86-64 with AVX2 alone.
    X86Avx2,
    /// 64-bit Arm with dot product instructions.
    Arm64Dotprod,
    /// TensorRT on a Jetson, with integers.
    JetsonTensorrt,
    /// 64-bit Arm with half-precision arithmetic.
    Arm64Fp16,
    /// CUDA or TensorRT on a Jetson, with floats of 16 bits.
    JetsonFp16,
}

/// The integers that activations become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activations {
    /// 0 to 255, zero anywhere.
    Unsigned,
    /// -128 to 127, zero anywhere.
    Signed,
    /// -127 to 127, zero at 0.
    Symmetric,
}

/// An affine map between real numbers and integers: `real = scale * (integer - zero_point)`.
///
/// Source: ONNX `QuantizeLinear`, <https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html>.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// Step between neighbouring integers, positive.
    pub scale: f32,
    /// The integer that stands for zero.
    pub zero_point: i32,
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 6] = [
        Self::X86Vnni,
        Self::X86Avx2,
        Self::Arm64Dotprod,
        Self::JetsonTensorrt,
        Self::Arm64Fp16,
        Self::JetsonFp16,
    ];

    /// Name on the command line, in a manifest and in the name of a variant.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86Vnni => "x86-vnni",
            Self::X86Avx2 => "x86-avx2",
            Self::Arm64Dotprod => "arm64-dotprod",
            Self::JetsonTensorrt => "jetson-tensorrt",
            Self::Arm64Fp16 => "arm64-fp16",
            Self::JetsonFp16 => "jetson-fp16",
        }
    }

    /// What it is and what numbers are there, in one line.
    pub fn description(self) -> &'static str {
        match self {
            Self::X86Vnni => {
                "Intel since Ice Lake and Alder Lake, AMD since Zen 4: unsigned activations, weights of 8 bits"
            }
            Self::X86Avx2 => {
                "other x86-64 with AVX2, whose sums of two products overflow: unsigned activations, weights of 7 bits"
            }
            Self::Arm64Dotprod => {
                "64-bit Arm with dot product instructions (Cortex-A55, A75 and later): signed activations"
            }
            Self::JetsonTensorrt => "TensorRT on a Jetson: signed activations with zero at 0, biases in float",
            Self::Arm64Fp16 => {
                "64-bit Arm with half-precision arithmetic (Cortex-A55, A75 and later): floats of 16 bits"
            }
            Self::JetsonFp16 => "CUDA or TensorRT on a Jetson: floats of 16 bits",
        }
    }

    /// The target of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name() == name)
    }

    /// The integers that activations become there; none where they stay floats, of 16 bits.
    pub fn activations(self) -> Option<Activations> {
        match self {
            Self::X86Vnni | Self::X86Avx2 => Some(Activations::Unsigned),
            Self::Arm64Dotprod => Some(Activations::Signed),
            Self::JetsonTensorrt => Some(Activations::Symmetric),
            Self::Arm64Fp16 | Self::JetsonFp16 => None,
        }
    }

    /// What a manifest calls the arithmetic there.
    pub fn precision(self) -> &'static str {
        if self.activations().is_some() { "int8" } else { "fp16" }
    }

    /// Largest absolute value of an integer weight.
    ///
    /// With AVX2 alone, `vpmaddubsw` adds two products of an unsigned and a signed byte in 16 bits, and saturates:
    /// 2 * 255 * 64 = 32,640 is the most that fits.
    pub fn weight_limit(self) -> i32 {
        match self {
            Self::X86Avx2 => 64,
            _ => 127,
        }
    }

    /// The fewest input channels that a convolution there should have, those of an image padded with zeros.
    ///
    /// ONNX Runtime's convolution of unsigned bytes reads four channels at a time where it has VNNI; of an image's three it copies
    /// every pixel's neighbourhood together first, three bytes by three bytes. With a fourth channel of zeros ResNet-8x4 takes 0.98
    /// of the time, EfficientNet-Lite0 with integers alone 0.95 (`docs/quantize.md`); the sums are the same. Not measured on other
    /// processors, so not done there.
    pub fn least_channels(self) -> usize {
        match self {
            Self::X86Vnni => 4,
            _ => 1,
        }
    }

    /// Whether biases are integers of 32 bits; TensorRT takes them as floats only.
    pub fn integer_biases(self) -> bool {
        self != Self::JetsonTensorrt
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Activations {
    /// Smallest and largest integer.
    pub fn limits(self) -> (i32, i32) {
        match self {
            Self::Unsigned => (0, 255),
            Self::Signed => (-128, 127),
            Self::Symmetric => (-127, 127),
        }
    }

    /// The map that covers `range`, zero included and met exactly: padding and what a rectifier cuts off are zeros.
    pub fn affine(self, range: Range) -> Affine {
        let (lowest, highest) = self.limits();
        let (low, high) = (f64::from(range.low.min(0.0)), f64::from(range.high.max(0.0)));
        if self == Self::Symmetric {
            return Affine {
                scale: positive(low.abs().max(high) / f64::from(highest)),
                zero_point: 0,
            };
        }
        let scale = positive((high - low) / f64::from(highest - lowest));
        let zero_point = (f64::from(lowest) - low / f64::from(scale)).round();
        Affine {
            scale,
            zero_point: (zero_point as i32).clamp(lowest, highest),
        }
    }

    /// The numbers that `affine` can stand for, from the smallest to the largest.
    pub fn covered(self, affine: Affine) -> Range {
        let (lowest, highest) = self.limits();
        let real = |integer: i32| affine.scale * (integer - affine.zero_point) as f32;
        Range {
            low: real(lowest),
            high: real(highest),
        }
    }
}

/// A step for a value that is always zero, too: any will do.
fn positive(scale: f64) -> f32 {
    let scale = scale as f32;
    if scale.is_normal() { scale } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_met_exactly_and_the_range_is_covered() {
        for activations in [Activations::Unsigned, Activations::Signed, Activations::Symmetric] {
            let (lowest, highest) = activations.limits();
            for (low, high) in [(0.0, 6.0), (-1.0, 3.0), (-2.5, 0.0), (0.5, 1.0), (-3.0, -1.0)] {
                let affine = activations.affine(Range { low, high });
                assert!((lowest..=highest).contains(&affine.zero_point));
                let covered = activations.covered(affine);
                // rounding the zero point moves the ends by half a step at most
                let slack = affine.scale * 0.5001;
                assert!(
                    covered.low <= low + slack && covered.high >= high - slack,
                    "{covered:?}"
                );
            }
        }
    }

    #[test]
    fn a_rectified_value_uses_every_integer() {
        let range = Range { low: 0.0, high: 2.55 };
        let unsigned = Activations::Unsigned.affine(range);
        assert_eq!((unsigned.zero_point, unsigned.scale), (0, 0.01));
        assert_eq!(Activations::Signed.affine(range).zero_point, -128);
        assert_eq!(Activations::Symmetric.affine(range).scale, 2.55 / 127.0);
    }

    #[test]
    fn a_value_that_is_always_zero_has_a_map() {
        let affine = Activations::Unsigned.affine(Range { low: 0.0, high: 0.0 });
        assert_eq!((affine.scale, affine.zero_point), (1.0, 0));
    }

    #[test]
    fn sums_of_two_products_fit_sixteen_bits_with_avx2() {
        assert!(2 * 255 * Target::X86Avx2.weight_limit() <= i32::from(i16::MAX));
    }
}
