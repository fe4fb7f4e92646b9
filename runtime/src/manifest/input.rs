//! What a model takes, and how an image becomes it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::check;
use crate::error::Error;

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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::manifest::Manifest;
    use crate::manifest::tests::sample;

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
}
