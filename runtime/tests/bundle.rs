//! Bundles that must be refused, before any engine is involved.

mod common;

use std::fs;
use std::path::Path;

use askd_runtime::{Batch, Error, Model};
use common::{FIXED, bundle, edit_manifest};
use proptest::prelude::*;

fn good() -> tempfile::TempDir {
    bundle(FIXED, Batch::One, |_, _| {})
}

fn refusal(folder: &Path) -> Error {
    Model::open(folder).map(|_| ()).expect_err("the bundle was accepted")
}

#[test]
fn a_good_bundle_opens_with_the_bytes_on_disk() {
    let folder = good();
    let model = Model::open(folder.path()).unwrap();
    assert_eq!(model.onnx(), FIXED);
    assert_eq!(model.manifest().labels, ["cat", "dog", "eel"]);
    assert_eq!(model.golden().shape(), [2, 3, 4, 4]);
    assert_eq!(
        Model::open_variant(folder.path(), "fp32").unwrap().variant(),
        model.variant()
    );
    let error = Model::open_variant(folder.path(), "int8").map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "no variant \"int8\" in the bundle, which has fp32");
}

#[test]
fn what_is_no_bundle_is_said_to_be_none() {
    let empty = tempfile::tempdir().unwrap();
    let error = refusal(empty.path());
    assert!(matches!(&error, Error::NotABundle { path } if path == empty.path()));
    assert!(error.to_string().contains("not a bundle") && error.to_string().contains("askd-compile export"));
    let file = empty.path().join("model.onnx");
    fs::write(&file, FIXED).unwrap();
    assert!(matches!(refusal(&file), Error::NotABundle { .. }));
    assert!(
        matches!(refusal(&empty.path().join("missing.askd")), Error::Read { path, .. } if path.ends_with("missing.askd"))
    );
}

#[test]
fn a_changed_byte_anywhere_in_a_file_is_noticed() {
    for name in ["model.fp32.onnx", "golden.safetensors"] {
        let folder = good();
        let path = folder.path().join(name);
        let original = fs::read(&path).unwrap();
        for at in [0, original.len() / 2, original.len() - 1] {
            let mut changed = original.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert!(matches!(refusal(folder.path()), Error::FileDigest { path: named, .. } if named == path));
        }
        fs::write(&path, &original[1..]).unwrap();
        let (size, cut) = (original.len() as u64, original.len() as u64 - 1);
        let error = refusal(folder.path());
        assert!(matches!(error, Error::FileSize { expected, found, .. } if expected == size && found == cut));
        fs::remove_file(&path).unwrap();
        assert!(matches!(refusal(folder.path()), Error::Read { path: named, .. } if named == path));
    }
}

#[test]
fn a_truncated_manifest_is_refused_at_every_length() {
    let folder = good();
    let path = folder.path().join("askd.json");
    let text = fs::read_to_string(&path).unwrap();
    for length in 0..text.trim_end().len() {
        fs::write(&path, &text[..length]).unwrap();
        assert!(
            matches!(refusal(folder.path()), Error::ManifestSyntax { .. }),
            "{length}"
        );
    }
}

#[test]
fn names_that_leave_the_bundle_are_refused_even_with_the_right_digest() {
    let folder = good();
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().join("model.fp32.onnx");
    fs::write(&target, FIXED).unwrap();
    let up = format!(
        "../{}/model.fp32.onnx",
        outside.path().file_name().unwrap().to_str().unwrap()
    );
    assert_eq!(
        fs::read(folder.path().join(&up)).unwrap(),
        FIXED,
        "the path does lead there"
    );
    for name in [up.as_str(), target.to_str().unwrap()] {
        edit_manifest(folder.path(), |value| value["variants"][0]["file"] = name.into());
        assert!(matches!(refusal(folder.path()), Error::ManifestField { field, .. } if field == "variants[0].file"));
    }
}

#[cfg(unix)]
#[test]
fn links_and_directories_are_no_files_of_a_bundle() {
    for name in ["askd.json", "model.fp32.onnx", "golden.safetensors"] {
        let folder = good();
        let path = folder.path().join(name);
        let moved = folder.path().join("moved");
        fs::rename(&path, &moved).unwrap();
        std::os::unix::fs::symlink(&moved, &path).unwrap();
        assert!(
            matches!(
                refusal(folder.path()),
                Error::NotAFile {
                    found: "a symbolic link",
                    ..
                }
            ),
            "{name}"
        );
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(
            matches!(
                refusal(folder.path()),
                Error::NotAFile {
                    found: "a directory",
                    ..
                }
            ),
            "{name}"
        );
    }
}

#[test]
fn a_wrong_label_count_and_a_later_schema_are_named() {
    let folder = good();
    edit_manifest(folder.path(), |value| {
        value["labels"] = serde_json::json!(["cat", "dog"])
    });
    assert_eq!(
        refusal(folder.path()).to_string(),
        "askd.json: labels: expected 3, one a class, got 2"
    );
    edit_manifest(folder.path(), |value| value["schema"] = 2.into());
    assert!(matches!(
        refusal(folder.path()),
        Error::ManifestSchema { expected: 1, found: 2 }
    ));
}

#[test]
fn an_oversized_manifest_is_not_read() {
    let folder = good();
    let file = fs::File::create(folder.path().join("askd.json")).unwrap();
    file.set_len(1 << 40).unwrap();
    assert!(matches!(refusal(folder.path()), Error::FileTooLarge { .. }));
}

#[test]
fn golden_data_of_another_shape_is_refused() {
    let folder = bundle(FIXED, Batch::One, |manifest, _| manifest.golden.images = 3);
    assert!(matches!(
        refusal(folder.path()),
        Error::GoldenFormat { item: "input", .. }
    ));
    let folder = bundle(FIXED, Batch::One, |manifest, _| {
        manifest.output.classes = 2;
        manifest.labels.pop();
    });
    assert!(matches!(
        refusal(folder.path()),
        Error::GoldenFormat { item: "output", .. }
    ));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_bytes_as_manifest_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
        let folder = good();
        fs::write(folder.path().join("askd.json"), bytes).unwrap();
        let error = refusal(folder.path());
        prop_assert!(matches!(error, Error::ManifestSyntax { .. } | Error::ManifestSchema { .. }), "{}", error);
    }
}
