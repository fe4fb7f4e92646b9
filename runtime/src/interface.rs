//! What an ONNX model takes and gives, as ONNX Runtime sees it.

use ort::value::{Outlet, TensorElementType, ValueType};

use crate::error::Error;
use crate::manifest::{Batch, ElementType, Manifest, Variant};

/// Input and output of an image classifier: one tensor in, f32 `(N, C, H, W)` or u8 `(N, H, W, C)`, one f32 `(N, K)` out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Name of the graph input.
    pub input: String,
    /// Type of its elements: normalised images as f32, or pixels as u8.
    pub data_type: ElementType,
    /// `[C, H, W]` of one image, which for pixels lie in the order H, W, C.
    pub shape: [usize; 3],
    /// Name of the graph output.
    pub output: String,
    /// K, the number of classes.
    pub classes: usize,
    /// How many images one run takes: N.
    pub batch: Batch,
}

impl Interface {
    /// Elements of one input image: C*H*W.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    pub(crate) fn of(session: &ort::session::Session) -> Result<Self, Error> {
        const IMAGES: &str = "one tensor, f32 (N, C, H, W) or u8 (N, H, W, C) with C 1 or 3";
        let (input, element, [batch, shape @ ..]) = only::<4>("input", session.inputs(), IMAGES)?;
        let (output, logits, [rows, classes]) = only::<2>("output", session.outputs(), "one f32 tensor (N, K)")?;
        let (data_type, shape) = match (element, shape) {
            (TensorElementType::Float32, shape) => (ElementType::F32, shape),
            (TensorElementType::Uint8, [height, width, channels @ Some(1 | 3)]) => {
                (ElementType::U8, [channels, height, width])
            }
            _ => return Err(unexpected("input", &session.inputs()[0], IMAGES)),
        };
        if logits != TensorElementType::Float32 {
            return Err(unexpected("output", &session.outputs()[0], "one f32 tensor (N, K)"));
        }
        let fixed = |dimension: Option<usize>, item: &str, letter: &str| {
            dimension.filter(|size| *size > 0).ok_or_else(|| Error::Interface {
                item: item.to_owned(),
                expected: format!("a fixed {letter}, 1 or more"),
                found: dimension.map_or_else(|| "a dynamic one".to_owned(), |size| size.to_string()),
            })
        };
        let item = format!("input \"{input}\"");
        let [channels, height, width] = shape;
        let shape = [
            fixed(channels, &item, "C")?,
            fixed(height, &item, "H")?,
            fixed(width, &item, "W")?,
        ];
        let elements = shape
            .iter()
            .try_fold(1usize, |product, side| product.checked_mul(*side));
        if elements.is_none_or(|elements| elements > isize::MAX as usize / size_of::<f32>()) {
            let (expected, found) = ("a size that fits in memory".to_owned(), format!("{shape:?}"));
            return Err(Error::Interface { item, expected, found });
        }
        let batch = match batch {
            None => Batch::Dynamic,
            Some(1) => Batch::One,
            Some(other) => {
                return Err(Error::Interface {
                    item,
                    expected: "a batch of 1 or dynamic".into(),
                    found: other.to_string(),
                });
            }
        };
        let item = format!("output \"{output}\"");
        if rows.is_some_and(|rows| rows != 1 || batch == Batch::Dynamic) {
            let (expected, found) = (
                "the batch of the input".to_owned(),
                format!("{} rows", rows.unwrap_or_default()),
            );
            return Err(Error::Interface { item, expected, found });
        }
        let classes = fixed(classes, &item, "K")?;
        Ok(Self {
            input,
            data_type,
            shape,
            output,
            classes,
            batch,
        })
    }

    /// Whether this is what the manifest says.
    pub(crate) fn check_against(&self, manifest: &Manifest, variant: &Variant) -> Result<(), Error> {
        let expected = Self {
            input: manifest.input.name.clone(),
            data_type: manifest.input.data_type,
            shape: manifest.input.shape,
            output: manifest.output.name.clone(),
            classes: manifest.output.classes,
            batch: variant.batch,
        };
        let rule = |item: &str, expected: String, found: String| match expected == found {
            true => Ok(()),
            false => Err(Error::Interface {
                item: item.to_owned(),
                expected,
                found,
            }),
        };
        rule(
            "input",
            format!("name {:?}", expected.input),
            format!("name {:?}", self.input),
        )?;
        rule("input", expected.data_type.to_string(), self.data_type.to_string())?;
        rule(
            "input",
            format!("(C, H, W) = {:?}", expected.shape),
            format!("(C, H, W) = {:?}", self.shape),
        )?;
        rule(
            "input",
            format!("batch {:?}", expected.batch),
            format!("batch {:?}", self.batch),
        )?;
        rule(
            "output",
            format!("name {:?}", expected.output),
            format!("name {:?}", self.output),
        )?;
        rule(
            "output",
            format!("{} classes", expected.classes),
            format!("{} classes", self.classes),
        )
    }
}

/// The one tensor among `outlets`: its name, its type and its dimensions, `None` where dynamic.
fn only<const D: usize>(
    item: &'static str,
    outlets: &[Outlet],
    expected: &str,
) -> Result<(String, TensorElementType, [Option<usize>; D]), Error> {
    let [outlet] = outlets else {
        let names: Vec<_> = outlets.iter().map(|outlet| format!("\"{}\"", outlet.name())).collect();
        let found = format!("{} of them: {}", outlets.len(), names.join(", "));
        return Err(Error::Interface {
            item: item.to_owned(),
            expected: expected.to_owned(),
            found,
        });
    };
    if let ValueType::Tensor { ty, shape, .. } = outlet.dtype() {
        let dimensions: Vec<_> = shape.iter().map(|&size| usize::try_from(size).ok()).collect();
        if let Ok(dimensions) = dimensions.try_into() {
            return Ok((outlet.name().to_owned(), *ty, dimensions));
        }
    }
    Err(unexpected(item, outlet, expected))
}

fn unexpected(item: &str, outlet: &Outlet, expected: &str) -> Error {
    Error::Interface {
        item: format!("{item} \"{}\"", outlet.name()),
        expected: expected.to_owned(),
        found: outlet.dtype().to_string(),
    }
}
