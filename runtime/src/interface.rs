//! What an ONNX model takes and gives, as ONNX Runtime sees it.

use ort::value::{Outlet, TensorElementType, ValueType};

use crate::error::Error;
use crate::manifest::{Batch, Manifest, Variant};

/// Input and output of an image classifier: one f32 tensor `(N, C, H, W)` in, one `(N, K)` out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Name of the graph input.
    pub input: String,
    /// `[C, H, W]` of one image.
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
        let (input, [batch, shape @ ..]) = only::<4>("input", session.inputs(), "(N, C, H, W)")?;
        let (output, [rows, classes]) = only::<2>("output", session.outputs(), "(N, K)")?;
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

/// The one f32 tensor among `outlets`: its name and dimensions, `None` where dynamic.
fn only<const D: usize>(
    item: &'static str,
    outlets: &[Outlet],
    shape: &str,
) -> Result<(String, [Option<usize>; D]), Error> {
    let expected = || format!("one f32 tensor {shape}");
    let [outlet] = outlets else {
        let names: Vec<_> = outlets.iter().map(|outlet| format!("\"{}\"", outlet.name())).collect();
        let found = format!("{} of them: {}", outlets.len(), names.join(", "));
        return Err(Error::Interface {
            item: item.to_owned(),
            expected: expected(),
            found,
        });
    };
    let dimensions = match outlet.dtype() {
        ValueType::Tensor {
            ty: TensorElementType::Float32,
            shape,
            ..
        } => {
            let dimensions: Vec<_> = shape.iter().map(|&size| usize::try_from(size).ok()).collect();
            <[Option<usize>; D]>::try_from(dimensions).ok()
        }
        _ => None,
    };
    match dimensions {
        Some(dimensions) => Ok((outlet.name().to_owned(), dimensions)),
        None => Err(Error::Interface {
            item: format!("{item} \"{}\"", outlet.name()),
            expected: expected(),
            found: outlet.dtype().to_string(),
        }),
    }
}
