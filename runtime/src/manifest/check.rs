//! The rules of `askd.json` beyond its types.

use std::fmt::Display;

use super::{Accuracy, ElementType, Golden, Input, Layout, Manifest, ResizeSize, SCHEMA, Variant};
use crate::error::Error;
use crate::text::quoted;

/// Most elements of one input image: 2^26, that is 256 MiB of f32. Keeps a hostile shape from reserving memory.
const MAX_ELEMENTS: usize = 1 << 26;
/// Most classes: 2^20, fifty times the largest published classifier.
pub(super) const MAX_CLASSES: usize = 1 << 20;
/// Largest side of an image before cropping, in pixels.
const MAX_SIDE: usize = 1 << 16;

pub(super) fn manifest(manifest: &Manifest) -> Result<(), Error> {
    if manifest.schema != SCHEMA {
        return Err(Error::ManifestSchema {
            expected: SCHEMA,
            found: u64::from(manifest.schema),
        });
    }
    input(&manifest.input)?;
    non_empty("output.name", &manifest.output.name)?;
    let classes = manifest.output.classes;
    rule(
        (1..=MAX_CLASSES).contains(&classes),
        "output.classes",
        format_args!("1 to {MAX_CLASSES}"),
        classes,
    )?;
    let labels = manifest.labels.len();
    rule(
        labels == classes,
        "labels",
        format_args!("{classes}, one a class"),
        labels,
    )?;
    let temperature = manifest.temperature;
    rule(
        temperature.is_finite() && temperature > 0.0,
        "temperature",
        "a positive finite number",
        temperature,
    )?;
    rule(!manifest.variants.is_empty(), "variants", "at least one", "none")?;
    for (index, item) in manifest.variants.iter().enumerate() {
        variant(&format!("variants[{index}]"), item)?;
        let earlier = manifest.variants.iter().take(index);
        let unique = earlier.into_iter().all(|other| other.name != item.name);
        rule(
            unique,
            format_args!("variants[{index}].name"),
            "a name not used before",
            quoted(&item.name),
        )?;
    }
    golden("golden", &manifest.golden)
}

pub(super) fn input(input: &Input) -> Result<(), Error> {
    non_empty("input.name", &input.name)?;
    let paired = matches!(
        (input.layout, input.data_type),
        (Layout::Nchw, ElementType::F32) | (Layout::Nhwc, ElementType::U8)
    );
    rule(
        paired,
        "input.layout",
        "NCHW of f32 or NHWC of u8",
        format!(
            "{} of {}",
            format!("{:?}", input.layout).to_uppercase(),
            input.data_type
        ),
    )?;
    let [channels, height, width] = input.shape;
    let shape = format!("{:?}", input.shape);
    rule(channels == 1 || channels == 3, "input.shape", "1 or 3 channels", &shape)?;
    let fits = height > 0 && width > 0 && input.elements() <= MAX_ELEMENTS;
    rule(
        fits,
        "input.shape",
        format_args!("1 to {MAX_ELEMENTS} elements"),
        &shape,
    )?;
    rule(
        input.mean.len() == channels,
        "input.mean",
        format_args!("{channels} values"),
        input.mean.len(),
    )?;
    rule(
        input.std.len() == channels,
        "input.std",
        format_args!("{channels} values"),
        input.std.len(),
    )?;
    for &mean in &input.mean {
        rule(mean.is_finite(), "input.mean", "finite numbers", mean)?;
    }
    for &std in &input.std {
        rule(
            std.is_finite() && std > 0.0,
            "input.std",
            "positive finite numbers",
            std,
        )?;
    }
    // the smallest that an image can be scaled to
    let size = input.resize.size.of([1, 1]);
    let sides = size.iter().all(|side| (1..=MAX_SIDE).contains(side));
    rule(
        sides,
        "input.resize.size",
        format_args!("sides of 1 to {MAX_SIDE} pixels"),
        format!("{size:?}"),
    )?;
    if let Some(crop) = input.resize.crop {
        let inside = crop[0] <= size[0] && crop[1] <= size[1];
        rule(
            inside,
            "input.resize.crop",
            format_args!("at most {size:?}"),
            format!("{crop:?}"),
        )?;
    }
    let (field, result) = match input.resize.crop {
        Some(crop) => ("input.resize.crop", crop),
        None => {
            let whole = matches!(input.resize.size, ResizeSize::Exactly(_));
            rule(whole, "input.resize.crop", "a crop where proportions are kept", "none")?;
            ("input.resize.size", size)
        }
    };
    let wanted = [height, width];
    rule(
        result == wanted,
        field,
        format_args!("{wanted:?}, the input's height and width"),
        format!("{result:?}"),
    )
}

fn variant(at: &str, variant: &Variant) -> Result<(), Error> {
    non_empty(format_args!("{at}.name"), &variant.name)?;
    non_empty(format_args!("{at}.precision"), &variant.precision)?;
    non_empty(format_args!("{at}.target"), &variant.target)?;
    file(at, &variant.file, variant.size, &variant.sha256)?;
    rule(
        variant.opset > 0,
        format_args!("{at}.opset"),
        "1 or more",
        variant.opset,
    )?;
    rule(
        variant.ir_version > 0,
        format_args!("{at}.ir_version"),
        "1 or more",
        variant.ir_version,
    )?;
    for (index, Accuracy { top1, top5, .. }) in variant.accuracy.iter().enumerate() {
        for (name, value) in [("top1", top1), ("top5", top5)] {
            let field = format_args!("{at}.accuracy[{index}].{name}");
            rule((0.0..=100.0).contains(value), field, "0 to 100 percent", value)?;
        }
    }
    match &variant.golden {
        Some(own) => golden(&format!("{at}.golden"), own),
        None => Ok(()),
    }
}

fn golden(at: &str, golden: &Golden) -> Result<(), Error> {
    file(at, &golden.file, golden.size, &golden.sha256)?;
    rule(
        golden.images > 0,
        format_args!("{at}.images"),
        "1 or more",
        golden.images,
    )?;
    let tolerance = golden.tolerance;
    rule(
        tolerance.is_finite() && tolerance >= 0.0,
        format_args!("{at}.tolerance"),
        "a finite number, 0 or more",
        tolerance,
    )
}

fn file(at: &str, name: &str, size: u64, sha256: &str) -> Result<(), Error> {
    rule(
        is_plain_name(name),
        format_args!("{at}.file"),
        "a plain file name of letters, digits, `.`, `_` and `-`",
        quoted(name),
    )?;
    rule(size > 0, format_args!("{at}.size"), "1 or more bytes", size)?;
    let hex = sha256.len() == 64 && sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    rule(
        hex,
        format_args!("{at}.sha256"),
        "64 lower-case hexadecimal digits",
        quoted(sha256),
    )
}

/// Whether `name` can only mean a file directly in the bundle directory, on any file system.
fn is_plain_name(name: &str) -> bool {
    (1..=255).contains(&name.len())
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

fn non_empty(field: impl Display, value: &str) -> Result<(), Error> {
    rule(!value.is_empty(), field, "a name", "\"\"")
}

fn rule(holds: bool, field: impl Display, expected: impl Display, found: impl Display) -> Result<(), Error> {
    if holds {
        return Ok(());
    }
    Err(Error::ManifestField {
        field: field.to_string(),
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::sample;
    use super::*;

    /// The field that `change` breaks.
    fn broken(change: impl FnOnce(&mut Manifest)) -> String {
        let mut manifest = sample();
        change(&mut manifest);
        match manifest.validate() {
            Err(Error::ManifestField { field, .. }) => field,
            other => panic!("expected a field error, got {other:?}"),
        }
    }

    #[test]
    fn the_sample_is_valid() {
        sample().validate().unwrap();
    }

    #[test]
    fn every_rule_names_its_field() {
        assert_eq!(broken(|m| m.input.layout = Layout::Nhwc), "input.layout");
        assert_eq!(broken(|m| m.input.data_type = ElementType::U8), "input.layout");
        assert_eq!(broken(|m| m.input.shape[0] = 2), "input.shape");
        assert_eq!(broken(|m| m.input.shape[1] = 0), "input.shape");
        assert_eq!(broken(|m| m.input.shape = [3, usize::MAX, usize::MAX]), "input.shape");
        assert_eq!(broken(|m| m.input.mean.truncate(1)), "input.mean");
        assert_eq!(broken(|m| m.input.mean[1] = f32::NAN), "input.mean");
        assert_eq!(broken(|m| m.input.std.push(1.0)), "input.std");
        assert_eq!(broken(|m| m.input.std[0] = 0.0), "input.std");
        assert_eq!(broken(|m| m.input.std[2] = f32::INFINITY), "input.std");
        assert_eq!(
            broken(|m| m.input.resize.size = ResizeSize::Exactly([0, 4])),
            "input.resize.size"
        );
        assert_eq!(
            broken(|m| m.input.resize.size = ResizeSize::Exactly([5, 4])),
            "input.resize.size"
        );
        assert_eq!(broken(|m| m.input.resize.crop = Some([5, 4])), "input.resize.crop");
        assert_eq!(broken(|m| m.input.resize.crop = Some([3, 4])), "input.resize.crop");
        for side in [0, 3, 4, 65_537] {
            let shorter = |m: &mut Manifest| m.input.resize.size = ResizeSize::ShorterSide(side);
            assert!(broken(shorter).starts_with("input.resize"), "{side} without a crop");
        }
        assert_eq!(broken(|m| m.output.classes = 0), "output.classes");
        assert_eq!(broken(|m| m.output.classes = 3), "labels");
        assert_eq!(broken(|m| m.labels.clear()), "labels");
        assert_eq!(broken(|m| m.temperature = -1.0), "temperature");
        assert_eq!(broken(|m| m.variants.clear()), "variants");
        assert_eq!(broken(|m| m.variants.push(m.variants[0].clone())), "variants[1].name");
        assert_eq!(broken(|m| m.variants[0].sha256 = "A".repeat(64)), "variants[0].sha256");
        assert_eq!(broken(|m| m.variants[0].sha256.truncate(63)), "variants[0].sha256");
        assert_eq!(broken(|m| m.variants[0].size = 0), "variants[0].size");
        assert_eq!(
            broken(|m| m.variants[0].accuracy[0].top1 = 100.5),
            "variants[0].accuracy[0].top1"
        );
        assert_eq!(broken(|m| m.golden.images = 0), "golden.images");
        assert_eq!(broken(|m| m.golden.tolerance = f32::NAN), "golden.tolerance");
    }

    #[test]
    fn names_that_leave_the_directory_are_refused() {
        for name in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "/etc/passwd",
            "a\\b",
            "c:x",
            ".hidden",
            "a\0b",
            "a\nb",
            "é",
        ] {
            assert_eq!(
                broken(|m| m.variants[0].file = name.into()),
                "variants[0].file",
                "{name:?}"
            );
            assert_eq!(broken(|m| m.golden.file = name.into()), "golden.file", "{name:?}");
        }
    }

    #[test]
    fn hostile_text_stays_on_one_short_line() {
        let mut manifest = sample();
        manifest.variants[0].file = "\n".repeat(10_000);
        let message = manifest.validate().unwrap_err().to_string();
        assert!(!message.contains('\n') && message.len() < 400, "{message}");
    }
}
