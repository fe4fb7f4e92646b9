//! `askd.json`: what a bundle holds, what its model takes and gives, and the digests of its files.
//!
//! One set of types for both sides: the compiler fills and writes them, the runtime reads them. Unknown fields are
//! ignored, so a later version may add some without a new schema number. No key may come twice, known or not.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::text::one_line;

mod check;
mod structure;

/// The schema number this version writes and the only one it reads.
pub const SCHEMA: u32 = 1;

/// File name of the manifest in a bundle directory.
pub const MANIFEST_FILE: &str = "askd.json";

/// The whole of `askd.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Layout version of this file: [`SCHEMA`].
    pub schema: u32,
    /// Rises with every bundle made for one product, so that a device can refuse an older one.
    pub sequence: u64,
    /// The kind of device the bundle is meant for; `generic` runs anywhere.
    pub device_class: String,
    /// The model's input and how an image becomes it.
    pub input: Input,
    /// The model's output.
    pub output: Output,
    /// Class names in the order of the logits; K of them.
    pub labels: Vec<String>,
    /// Divisor of the logits before softmax, fitted on validation data; 1 where it was not.
    pub temperature: f32,
    /// The same network in one or more forms; the first is the default. Never empty.
    pub variants: Vec<Variant>,
    /// Inputs with the outputs that a working device must reproduce.
    pub golden: Golden,
    /// Where the bundle comes from: digests of data and weights, recipe, seed, versions. Free form.
    #[serde(default)]
    pub provenance: Map<String, Value>,
}

/// The model's input tensor and the preprocessing that leads to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Name of the ONNX graph input: `image`.
    pub name: String,
    /// Order of the dimensions.
    pub layout: Layout,
    /// Type of the elements; f32 where `askd.json` does not say. [`Layout::Nchw`] is of f32, [`Layout::Nhwc`] of u8.
    #[serde(default, skip_serializing_if = "ElementType::is_f32")]
    pub data_type: ElementType,
    /// `[C, H, W]` of one image, in whatever order they lie; C is 1 (gray) or 3 (RGB).
    pub shape: [usize; 3],
    /// C means, subtracted from pixels scaled to `0..=1`.
    pub mean: Vec<f32>,
    /// C standard deviations, divided by after the mean is subtracted; positive.
    pub std: Vec<f32>,
    /// How an image of any size comes to H by W.
    pub resize: Resize,
}

/// Order of the dimensions of an image tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Layout {
    /// N batch, C channels, H rows, W columns: a normalised image.
    #[serde(rename = "NCHW")]
    Nchw,
    /// N batch, H rows, W columns, C channels: pixels as cameras give them, which the model normalises itself.
    #[serde(rename = "NHWC")]
    Nhwc,
}

/// Type of the elements of an image tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ElementType {
    /// Normalised values, 32-bit floating point.
    #[default]
    #[serde(rename = "f32")]
    F32,
    /// Raw pixels `0..=255`.
    #[serde(rename = "u8")]
    U8,
}

impl ElementType {
    fn is_f32(&self) -> bool {
        *self == Self::F32
    }
}

impl fmt::Display for ElementType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::U8 => "u8",
        })
    }
}

/// How an image of any size comes to the model's H by W.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resize {
    /// The filter; only [`ResizeMethod::BilinearAntialias`].
    pub method: ResizeMethod,
    /// What the whole image is scaled to.
    pub size: ResizeSize,
    /// `[height, width]` in pixels of the centre that is cut out afterwards; absent where nothing is cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crop: Option<[usize; 2]>,
}

/// What the whole image is scaled to, as torchvision's `Resize` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected [height, width], or the length of the shorter side, in pixels"
)]
pub enum ResizeSize {
    /// `[height, width]` in pixels; the image's proportions are not kept.
    Exactly([usize; 2]),
    /// Length of the shorter side, in pixels; the image's proportions are kept, and the longer side is rounded down.
    ShorterSide(usize),
}

impl ResizeSize {
    /// `[height, width]` that an image of `height` by `width` pixels, neither of them 0, is scaled to.
    ///
    /// Source: torchvision `_compute_resized_output_size`.
    pub fn of(self, [height, width]: [usize; 2]) -> [usize; 2] {
        match self {
            Self::Exactly(size) => size,
            Self::ShorterSide(shorter) => {
                // in 128 bits: the product of two sides fits whatever the machine's words
                let scaled = |side: usize| (shorter as u128 * side as u128 / height.min(width).max(1) as u128) as usize;
                [scaled(height), scaled(width)]
            }
        }
    }
}

/// Resampling filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ResizeMethod {
    /// Triangle filter with half-pixel centres, widened when shrinking; Pillow's `BILINEAR`.
    #[serde(rename = "bilinear-antialias")]
    BilinearAntialias,
}

/// The model's output tensor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Name of the ONNX graph output: `logits`.
    pub name: String,
    /// K, the number of classes.
    pub classes: usize,
}

/// One form of the network: an ONNX file and what is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Variant {
    /// Unique in the bundle, such as `fp32`.
    pub name: String,
    /// Arithmetic of the weights and activations, such as `fp32`.
    pub precision: String,
    /// Hardware or provider it is meant for; `any` runs anywhere.
    pub target: String,
    /// The ONNX file's plain name in the bundle directory.
    pub file: String,
    /// Its size, in bytes.
    pub size: u64,
    /// Its SHA-256: 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Version of ONNX's default operator set.
    pub opset: u32,
    /// ONNX IR version.
    pub ir_version: u32,
    /// How many images one run takes.
    pub batch: Batch,
    /// Learned numbers in the model.
    pub parameters: u64,
    /// Multiply-accumulates for one image.
    pub macs: u64,
    /// Estimated peak of weights and live activations together for one image, in bytes.
    pub peak_memory_bytes: u64,
    /// Measured accuracies, each with the data it was measured on.
    pub accuracy: Vec<Accuracy>,
    /// Golden data of its own, where it gives other logits than the manifest's [`golden`](Manifest::golden), as with integers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<Golden>,
}

/// How many images one run of a variant takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Batch {
    /// Exactly one.
    #[serde(rename = "1")]
    One,
    /// One or more; the caller decides at every run.
    #[serde(rename = "dynamic")]
    Dynamic,
}

/// A measured accuracy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Accuracy {
    /// Name of the data set.
    pub data: String,
    /// Its part, such as `test`.
    pub split: String,
    /// Images in that part.
    pub images: u64,
    /// Images whose most likely class is right, in percent, `0..=100`.
    pub top1: f64,
    /// Images whose class is among the five most likely, in percent, `0..=100`.
    pub top5: f64,
}

/// The file of golden inputs and outputs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Golden {
    /// The safetensors file's plain name in the bundle directory.
    pub file: String,
    /// Its size, in bytes.
    pub size: u64,
    /// Its SHA-256: 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// N, the number of images in it.
    pub images: usize,
    /// Largest absolute difference of a logit that still passes.
    pub tolerance: f32,
}

impl Manifest {
    /// Reads and checks the contents of `askd.json`.
    ///
    /// # Errors
    /// [`Error::ManifestSyntax`], [`Error::ManifestSchema`] or [`Error::ManifestField`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, Error> {
        // The schema first, alone: a later schema should be reported as such, not as a missing field.
        #[derive(Deserialize)]
        struct Head {
            schema: u64,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(syntax)?;
        if head.schema != u64::from(SCHEMA) {
            return Err(Error::ManifestSchema {
                expected: SCHEMA,
                found: head.schema,
            });
        }
        structure::check(bytes).map_err(syntax)?;
        let manifest: Self = serde_json::from_slice(bytes).map_err(syntax)?;
        manifest.validate()?;
        Ok(manifest)
    }

    /// The text of `askd.json`, indented and with a final newline, after checking it.
    ///
    /// # Errors
    /// [`Error::ManifestField`] where [`validate`](Self::validate) fails.
    pub fn to_json(&self) -> Result<String, Error> {
        self.validate()?;
        let mut text = serde_json::to_string_pretty(self).map_err(syntax)?;
        text.push('\n');
        Ok(text)
    }

    /// Checks every rule that the types alone do not express.
    ///
    /// # Errors
    /// [`Error::ManifestSchema`] for another schema number, [`Error::ManifestField`] for the first field that breaks
    /// its rule.
    pub fn validate(&self) -> Result<(), Error> {
        check::manifest(self)
    }

    /// The variant called `name`.
    ///
    /// # Errors
    /// [`Error::UnknownVariant`] if there is none.
    pub fn variant(&self, name: &str) -> Result<&Variant, Error> {
        self.variants
            .iter()
            .find(|variant| variant.name == name)
            .ok_or_else(|| Error::UnknownVariant {
                name: name.to_owned(),
                available: self.variants.iter().map(|variant| variant.name.clone()).collect(),
            })
    }

    /// The golden data for one of these variants: its own, or else the manifest's.
    pub fn golden_of<'a>(&'a self, variant: &'a Variant) -> &'a Golden {
        variant.golden.as_ref().unwrap_or(&self.golden)
    }
}

impl Input {
    /// Elements of one image: C*H*W.
    pub fn elements(&self) -> usize {
        let [channels, height, width] = self.shape;
        channels.saturating_mul(height).saturating_mul(width)
    }

    /// Dimensions of one image's tensor in the order in which they lie: `[C, H, W]` or `[H, W, C]`.
    pub fn tensor_shape(&self) -> [usize; 3] {
        let [channels, height, width] = self.shape;
        match self.layout {
            Layout::Nchw => self.shape,
            Layout::Nhwc => [height, width, channels],
        }
    }

    /// The same input as raw pixels, for a model that normalises them itself.
    pub fn of_pixels(self) -> Self {
        Self {
            layout: Layout::Nhwc,
            data_type: ElementType::U8,
            ..self
        }
    }

    /// Checks the rules of the input alone.
    ///
    /// # Errors
    /// [`Error::ManifestField`] for the first field that breaks its rule.
    pub fn validate(&self) -> Result<(), Error> {
        check::input(self)
    }
}

fn syntax(source: serde_json::Error) -> Error {
    Error::ManifestSyntax {
        source: one_line(source).into(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A valid manifest: 3x4x4 input, two classes.
    pub(crate) fn sample() -> Manifest {
        Manifest {
            schema: SCHEMA,
            sequence: 7,
            device_class: "generic".into(),
            input: Input {
                name: "image".into(),
                layout: Layout::Nchw,
                data_type: ElementType::F32,
                shape: [3, 4, 4],
                mean: vec![0.485, 0.456, 0.406],
                std: vec![0.229, 0.224, 0.225],
                resize: Resize {
                    method: ResizeMethod::BilinearAntialias,
                    size: ResizeSize::Exactly([4, 4]),
                    crop: None,
                },
            },
            output: Output {
                name: "logits".into(),
                classes: 2,
            },
            labels: vec!["cat".into(), "dog".into()],
            temperature: 1.5,
            variants: vec![Variant {
                name: "fp32".into(),
                precision: "fp32".into(),
                target: "any".into(),
                file: "model.fp32.onnx".into(),
                size: 10,
                sha256: "0".repeat(64),
                opset: 17,
                ir_version: 8,
                batch: Batch::One,
                parameters: 1,
                macs: 2,
                peak_memory_bytes: 3,
                accuracy: vec![Accuracy {
                    data: "d".into(),
                    split: "test".into(),
                    images: 9,
                    top1: 88.9,
                    top5: 100.0,
                }],
                golden: None,
            }],
            golden: Golden {
                file: "golden.safetensors".into(),
                size: 5,
                sha256: "f".repeat(64),
                images: 2,
                tolerance: 1e-4,
            },
            provenance: Map::new(),
        }
    }

    #[test]
    fn text_round_trips() {
        let mut manifest = sample();
        manifest.input.resize.size = ResizeSize::Exactly([6, 5]);
        manifest.input.resize.crop = Some([4, 4]);
        manifest.provenance.insert("seed".into(), 3.into());
        let text = manifest.to_json().unwrap();
        assert_eq!(Manifest::from_json(text.as_bytes()).unwrap(), manifest);
    }

    #[test]
    fn names_on_disk_are_the_contract() {
        let value: Value = serde_json::from_str(&sample().to_json().unwrap()).unwrap();
        assert_eq!(value["input"]["layout"], "NCHW");
        assert_eq!(value["input"]["resize"]["method"], "bilinear-antialias");
        assert!(value["input"]["resize"].get("crop").is_none());
        assert_eq!(value["variants"][0]["batch"], "1");
        assert_eq!(value["golden"]["images"], 2);
    }

    #[test]
    fn a_size_is_a_pair_or_the_shorter_side() {
        let mut manifest = sample();
        let resize = &mut manifest.input.resize;
        (resize.size, resize.crop) = (ResizeSize::ShorterSide(5), Some([4, 4]));
        let text = manifest.to_json().unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["input"]["resize"]["size"], 5);
        assert_eq!(Manifest::from_json(text.as_bytes()).unwrap(), manifest);
        let error = Manifest::from_json(text.replace("\"size\": 5,", "\"size\": [5],").as_bytes()).unwrap_err();
        assert!(error.to_string().contains("expected [height, width], or"), "{error}");
    }

    /// By hand, from torchvision's `int(size * long / short)`.
    #[test]
    fn the_longer_side_is_rounded_down() {
        for (image, scaled) in [
            ([500, 375], [341, 256]),
            ([375, 500], [256, 341]),
            ([1, 3], [256, 768]),
            ([256, 300], [256, 300]),
            ([700, 700], [256, 256]),
        ] {
            assert_eq!(ResizeSize::ShorterSide(256).of(image), scaled);
        }
        assert_eq!(ResizeSize::Exactly([4, 5]).of([7, 9]), [4, 5]);
    }

    #[test]
    fn the_type_of_elements_is_told_for_pixels_only() {
        let value: Value = serde_json::from_str(&sample().to_json().unwrap()).unwrap();
        assert!(value["input"].get("data_type").is_none());
        let mut manifest = sample();
        manifest.input = manifest.input.of_pixels();
        manifest.input.shape = [3, 4, 5];
        manifest.input.resize.size = ResizeSize::Exactly([4, 5]);
        let text = manifest.to_json().unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&value["input"]["layout"], &value["input"]["data_type"]),
            (&"NHWC".into(), &"u8".into())
        );
        assert_eq!(Manifest::from_json(text.as_bytes()).unwrap(), manifest);
        assert_eq!(manifest.input.tensor_shape(), [4, 5, 3]);
        let later = text.replace("\"u8\"", "\"u16\"");
        assert!(matches!(
            Manifest::from_json(later.as_bytes()),
            Err(Error::ManifestSyntax { .. })
        ));
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let mut value = serde_json::to_value(sample()).unwrap();
        value["input"]["later"] = 1.into();
        value["later"] = "x".into();
        assert_eq!(Manifest::from_json(value.to_string().as_bytes()).unwrap(), sample());
    }

    #[test]
    fn a_key_that_comes_twice_is_refused_wherever_it_is() {
        let text = sample().to_json().unwrap();
        for (once, twice) in [
            (r#""sequence": 7"#, r#""sequence": 7, "sequence": 8"#),
            (r#""opset": 17"#, r#""opset": 17, "opset": 17"#),
            (r#""sequence": 7"#, r#""sequence": 7, "later": 1, "later": 1"#),
            (r#""provenance": {"#, r#""provenance": {"seed": 1, "seed": 2"#),
            (
                r#""provenance": {"#,
                r#""provenance": {"recipe": {"seed": 1, "seed": 2}"#,
            ),
        ] {
            assert!(text.contains(once));
            let error = Manifest::from_json(text.replacen(once, twice, 1).as_bytes()).unwrap_err();
            assert!(matches!(error, Error::ManifestSyntax { .. }) && error.to_string().contains("duplicate key"));
        }
        let error = Manifest::from_json(br#"{"schema": 1, "schema": 1}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "askd.json: duplicate field `schema` at line 1 column 22"
        );
    }

    #[test]
    fn a_later_schema_is_named_even_if_nothing_else_fits() {
        let error = Manifest::from_json(br#"{"schema": 2}"#).unwrap_err();
        assert!(matches!(error, Error::ManifestSchema { expected: 1, found: 2 }));
        assert_eq!(
            error.to_string(),
            "askd.json: expected schema 1, got 2 (update the runtime)"
        );
    }

    #[test]
    fn truncated_text_is_a_syntax_error_at_every_length() {
        let text = sample().to_json().unwrap();
        for length in 0..text.trim_end().len() {
            let error = Manifest::from_json(&text.as_bytes()[..length]).unwrap_err();
            assert!(matches!(error, Error::ManifestSyntax { .. }), "{length}: {error}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            prop_assert!(Manifest::from_json(&bytes).is_err());
        }

        #[test]
        fn damaged_text_never_panics(at in any::<prop::sample::Index>(), with in "\\PC{0,4}", drop in 0usize..40) {
            let mut text = sample().to_json().unwrap().into_bytes();
            let at = at.index(text.len());
            text.splice(at..(at + drop).min(text.len()), with.into_bytes());
            if let Ok(manifest) = Manifest::from_json(&text) {
                prop_assert!(manifest.validate().is_ok());
            }
        }

        #[test]
        fn any_valid_temperature_survives_the_text(bits in 1u32..0x7f80_0000) {
            let mut manifest = sample();
            manifest.temperature = f32::from_bits(bits);
            let read = Manifest::from_json(manifest.to_json().unwrap().as_bytes()).unwrap();
            prop_assert_eq!(read.temperature.to_bits(), bits);
        }
    }
}
