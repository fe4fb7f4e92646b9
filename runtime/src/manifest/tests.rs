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
