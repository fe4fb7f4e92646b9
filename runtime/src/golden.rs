//! Golden data: inputs with the logits that a working device must reproduce.
//!
//! A safetensors file with two tensors: `input`, f32 with the model's own dimensions, `(N, C, H, W)` or, where it takes pixels,
//! `(N, H, W, C)` of whole numbers `0..=255`; and `output`, `(N, K)` f32.

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::error::Error;
use crate::manifest::{ElementType, Golden, Manifest};
use crate::text::one_line;

/// Name of the usual golden file in a bundle.
pub const GOLDEN_FILE: &str = "golden.safetensors";

/// Largest header that is read: two tensors need 200 bytes. The format itself allows 100 MB, and a header takes many times
/// its bytes in memory.
const MAX_HEADER: u64 = 64 << 10;

/// Images as the model takes them, and the logits expected for them.
#[derive(Debug, Clone, PartialEq)]
pub struct GoldenData {
    shape: [usize; 4],
    classes: usize,
    input: Vec<f32>,
    output: Vec<f32>,
}

/// What a passed self test saw.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct SelfTest {
    /// Images compared.
    pub images: usize,
    /// Largest absolute difference of a logit.
    pub max_abs_diff: f32,
    /// Images whose largest logit is that of the golden outputs' class.
    pub same_class: usize,
}

impl GoldenData {
    /// Golden data from its parts.
    ///
    /// # Shapes
    /// - `shape`: `[N, C, H, W]`, or `[N, H, W, C]` for a model of pixels
    /// - `input`: N*C*H*W elements, preprocessed images, or pixels as f32
    /// - `output`: N*K elements, raw logits
    ///
    /// # Errors
    /// [`Error::GoldenFormat`] if a length does not fit, a dimension is zero or a value is not finite.
    pub fn new(shape: [usize; 4], input: Vec<f32>, output: Vec<f32>) -> Result<Self, Error> {
        let elements = shape
            .iter()
            .try_fold(1usize, |product, &side| product.checked_mul(side))
            .unwrap_or(0);
        if elements == 0 || input.len() != elements {
            return Err(wrong(
                "input",
                format!("shape {shape:?}, none zero"),
                format!("{} elements", input.len()),
            ));
        }
        let classes = output.len() / shape[0];
        if classes == 0 || output.len() != classes * shape[0] {
            let expected = format!("a multiple of {} elements, one row an image", shape[0]);
            return Err(wrong("output", expected, output.len()));
        }
        for (item, values) in [("input", &input), ("output", &output)] {
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                return Err(wrong(item, "finite numbers", format!("{} at element {at}", values[at])));
            }
        }
        Ok(Self {
            shape,
            classes,
            input,
            output,
        })
    }

    /// Reads the bytes of a golden file.
    ///
    /// # Errors
    /// [`Error::GoldenFormat`] if it is no safetensors file with these two tensors.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, Error> {
        let header = bytes.first_chunk().map_or(0, |length| u64::from_le_bytes(*length));
        if header > MAX_HEADER {
            return Err(wrong("file", format!("a header of at most {MAX_HEADER} bytes"), header));
        }
        let file = SafeTensors::deserialize(bytes)
            .map_err(|error| wrong("file", "safetensors", one_line(format_args!("{error:?}"))))?;
        let (shape, input) = tensor::<4>(&file, "input")?;
        let ([images, _], output) = tensor::<2>(&file, "output")?;
        if images != shape[0] {
            return Err(wrong("output", format!("{} rows, one an image", shape[0]), images));
        }
        Self::new(shape, input, output)
    }

    /// The bytes of a golden file.
    ///
    /// # Errors
    /// [`Error::GoldenFormat`] if the safetensors writer refuses, as for a header beyond its limit.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, Error> {
        let refused = |error| wrong("file", "data that safetensors can hold", format!("{error:?}"));
        let little_endian = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let (input, output) = (little_endian(&self.input), little_endian(&self.output));
        let input = TensorView::new(Dtype::F32, self.shape.to_vec(), &input).map_err(refused)?;
        let output = TensorView::new(Dtype::F32, vec![self.shape[0], self.classes], &output).map_err(refused)?;
        safetensors::serialize([("input", input), ("output", output)], None).map_err(refused)
    }

    /// `[N, C, H, W]` of the input; `[N, H, W, C]` of pixels.
    pub fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// K, the logits of one image.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The images, N*C*H*W: preprocessed, or pixels as f32.
    pub fn input(&self) -> &[f32] {
        &self.input
    }

    /// The expected logits, N*K.
    pub fn output(&self) -> &[f32] {
        &self.output
    }

    /// Whether count and shapes are the manifest's, which describes the file as `golden`.
    pub(crate) fn check_against(&self, manifest: &Manifest, golden: &Golden) -> Result<(), Error> {
        let [first, second, third] = manifest.input.tensor_shape();
        let expected = [golden.images, first, second, third];
        if self.shape != expected {
            return Err(wrong(
                "input",
                format!("shape {expected:?}"),
                format!("{:?}", self.shape),
            ));
        }
        let is_pixel = |value: &&f32| (0.0..=255.0).contains(*value) && value.fract() == 0.0;
        if manifest.input.data_type == ElementType::U8
            && let Some(found) = self.input.iter().find(|value| !is_pixel(value))
        {
            return Err(wrong("input", "whole numbers 0 to 255", found));
        }
        if self.classes != manifest.output.classes {
            return Err(wrong(
                "output",
                format!("{} classes", manifest.output.classes),
                self.classes,
            ));
        }
        Ok(())
    }

    /// Runs every image through `run` (one image in, K logits out) and compares.
    pub(crate) fn compare(
        &self,
        tolerance: f32,
        mut run: impl FnMut(&[f32], &mut [f32]) -> Result<(), Error>,
    ) -> Result<SelfTest, Error> {
        let mut logits = vec![0.0; self.classes];
        let (mut worst, mut at, mut same_class) = (0.0f32, 0, 0);
        let largest = |logits: &[f32]| (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
        let images = self.input.chunks_exact(self.input.len() / self.shape[0]);
        for (index, (image, expected)) in images.zip(self.output.chunks_exact(self.classes)).enumerate() {
            run(image, &mut logits)?;
            same_class += usize::from(largest(&logits) == largest(expected));
            for (got, want) in logits.iter().zip(expected) {
                let difference = (got - want).abs();
                let difference = if difference.is_nan() { f32::INFINITY } else { difference };
                if difference > worst {
                    (worst, at) = (difference, index);
                }
            }
        }
        if worst > tolerance {
            return Err(Error::GoldenMismatch {
                image: at,
                difference: worst,
                tolerance,
            });
        }
        Ok(SelfTest {
            images: self.shape[0],
            max_abs_diff: worst,
            same_class,
        })
    }
}

fn tensor<const D: usize>(file: &SafeTensors<'_>, name: &'static str) -> Result<([usize; D], Vec<f32>), Error> {
    let expected = || format!("an f32 tensor of {D} dimensions");
    let view = file
        .tensor(name)
        .map_err(|_| wrong(name, expected(), "no such tensor"))?;
    let shape = match <[usize; D]>::try_from(view.shape()) {
        Ok(shape) if view.dtype() == Dtype::F32 => shape,
        _ => {
            return Err(wrong(
                name,
                expected(),
                one_line(format_args!("{:?} {:?}", view.dtype(), view.shape())),
            ));
        }
    };
    let (values, _) = view.data().as_chunks::<4>();
    Ok((shape, values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()))
}

fn wrong(item: &'static str, expected: impl ToString, found: impl ToString) -> Error {
    Error::GoldenFormat {
        item,
        expected: expected.to_string(),
        found: found.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> GoldenData {
        GoldenData::new([2, 1, 1, 2], vec![1.0, 2.0, 3.0, 4.0], vec![0.5, -0.5, 1.5, 2.5]).unwrap()
    }

    #[test]
    fn bytes_round_trip_and_every_cut_is_an_error() {
        let bytes = sample().to_safetensors().unwrap();
        assert_eq!(GoldenData::from_safetensors(&bytes).unwrap(), sample());
        for length in 0..bytes.len() {
            assert!(matches!(
                GoldenData::from_safetensors(&bytes[..length]),
                Err(Error::GoldenFormat { .. })
            ));
        }
    }

    #[test]
    fn lengths_and_values_are_checked() {
        let item = |result: Result<GoldenData, Error>| match result.unwrap_err() {
            Error::GoldenFormat { item, .. } => item,
            other => panic!("unexpected {other}"),
        };
        assert_eq!(item(GoldenData::new([1, 1, 1, 2], vec![0.0], vec![0.0])), "input");
        assert_eq!(item(GoldenData::new([0, 1, 1, 2], vec![], vec![])), "input");
        assert_eq!(item(GoldenData::new([usize::MAX, 2, 1, 1], vec![], vec![])), "input");
        assert_eq!(
            item(GoldenData::new([2, 1, 1, 1], vec![0.0; 2], vec![0.0; 3])),
            "output"
        );
        assert_eq!(item(GoldenData::new([1, 1, 1, 1], vec![0.0], vec![f32::NAN])), "output");
    }

    #[test]
    fn pixels_are_whole_numbers_in_the_models_order() {
        let mut manifest = crate::manifest::tests::sample();
        manifest.input = manifest.input.of_pixels();
        manifest.golden.images = 1;
        let check = |shape: [usize; 4], value: f32| {
            let mut input = vec![7.0; 48];
            input[5] = value;
            let golden = GoldenData::new(shape, input, vec![0.0; 2]).unwrap();
            golden
                .check_against(&manifest, &manifest.golden)
                .map_err(|error| error.to_string())
        };
        for value in [0.0, 255.0] {
            check([1, 4, 4, 3], value).unwrap();
        }
        for value in [-1.0, 0.5, 256.0] {
            let error = check([1, 4, 4, 3], value).unwrap_err();
            assert_eq!(
                error,
                format!("golden tensors: input: expected whole numbers 0 to 255, got {value}")
            );
        }
        assert!(
            check([1, 3, 4, 4], 0.0)
                .unwrap_err()
                .contains("expected shape [1, 4, 4, 3]")
        );
    }

    #[test]
    fn the_first_worst_image_is_reported() {
        let twice = |image: &[f32], logits: &mut [f32]| {
            logits.copy_from_slice(&[image[0] / 2.0, image[1] - 2.5]);
            Ok(())
        };
        // Image 0 is exact; image 1 gives 1.5, 1.5 where 1.5, 2.5 is expected.
        let error = sample().compare(0.5, twice).unwrap_err();
        assert!(
            matches!(
                error,
                Error::GoldenMismatch {
                    image: 1,
                    difference: 1.0,
                    tolerance: 0.5
                }
            ),
            "{error}"
        );
        assert_eq!(
            sample().compare(1.0, twice).unwrap(),
            SelfTest {
                images: 2,
                max_abs_diff: 1.0,
                same_class: 2,
            }
        );
        let nan = |_: &[f32], logits: &mut [f32]| {
            logits.fill(f32::NAN);
            Ok(())
        };
        let error = sample().compare(f32::MAX, nan).unwrap_err();
        assert!(matches!(
            error,
            Error::GoldenMismatch {
                image: 0,
                difference: f32::INFINITY,
                ..
            }
        ));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(GoldenData::from_safetensors(&bytes).is_err());
        }
    }
}
