use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn sample() -> Choice {
    Choice {
        schema: CHOICE_SCHEMA,
        bundle_sha256: sha256_hex(b"the manifest"),
        variant: "int8-x86-vnni".into(),
        threads: 2,
        provider: Provider::CudaOrCpu,
        cpu: Some("Example 9000".into()),
        cores: Some(2),
        onnxruntime: None,
        p50_ms: 0.93,
        p90_ms: 1.0,
        p99_ms: 1.5,
        reference_p50_ms: Some(3.4),
        runs: 400,
        unix_seconds: 1_764_075_600,
    }
}

/// A directory with a bundle's manifest, or what passes for one here, and the path of the choice beside it.
fn bundle(manifest: &[u8]) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("student.askd");
    fs::create_dir(&bundle).unwrap();
    fs::write(bundle.join(MANIFEST_FILE), manifest).unwrap();
    let path = folder.path().join("student.askd.choice.json");
    (folder, bundle, path)
}

/// The field that `change` breaks, and the message.
fn broken(change: impl FnOnce(&mut Value)) -> (&'static str, String) {
    let mut value = serde_json::to_value(sample()).unwrap();
    change(&mut value);
    let error = Choice::from_json(value.to_string().as_bytes()).unwrap_err();
    match &error {
        Error::ChoiceFormat { field, .. } => (field, error.to_string()),
        other => panic!("unexpected {other}"),
    }
}

#[test]
fn text_round_trips_under_the_names_of_the_contract() {
    let text = sample().to_json().unwrap();
    assert_eq!(Choice::from_json(text.as_bytes()).unwrap(), sample());
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&value["provider"], &value["threads"]),
        (&json!("cuda-or-cpu"), &json!(2))
    );
    assert!(text.len() as u64 * 100 < MAX_SIZE && text.ends_with("}\n"));
}

#[test]
fn a_choice_is_found_beside_its_bundle_only() {
    let (_folder, bundle, path) = bundle(b"the manifest");
    assert_eq!(Choice::path_beside(&bundle).unwrap(), path);
    assert_eq!(Choice::path_beside(bundle.join("")).unwrap(), path);
    assert_eq!(Choice::path_beside("a.askd").unwrap(), Path::new("a.askd.choice.json"));
    assert_eq!(Choice::beside(&bundle).unwrap(), None);
    fs::write(&path, sample().to_json().unwrap()).unwrap();
    assert_eq!(Choice::beside(&bundle).unwrap(), Some(sample()));
    assert_eq!(Choice::read(&path, &bundle).unwrap(), sample());
}

#[test]
fn the_current_directory_has_a_name_too() {
    let here = std::env::current_dir().unwrap().canonicalize().unwrap();
    let path = Choice::path_beside(".").unwrap();
    assert_eq!(path.parent(), here.parent());
    assert!(path.to_str().unwrap().starts_with(here.to_str().unwrap()));
    assert!(matches!(
        Choice::path_beside("no-such-directory/..").unwrap_err(),
        Error::Read { .. }
    ));
}

#[test]
fn a_choice_for_another_bundle_is_stale() {
    let (_folder, bundle, path) = bundle(b"the manifest of the next version");
    fs::write(&path, sample().to_json().unwrap()).unwrap();
    let error = Choice::beside(&bundle).unwrap_err();
    assert!(
        matches!(&error, Error::ChoiceStale { path: named, expected, found }
            if *named == path && *expected == Choice::digest_of(&bundle).unwrap() && *found == sample().bundle_sha256),
        "{error}"
    );
    assert!(error.to_string().contains("askd-bench tune"));
}

#[test]
fn a_missing_bundle_is_not_a_missing_choice() {
    let (_folder, bundle, path) = bundle(b"");
    fs::write(path, sample().to_json().unwrap()).unwrap();
    fs::remove_file(bundle.join(MANIFEST_FILE)).unwrap();
    assert!(matches!(Choice::beside(&bundle), Err(Error::NotABundle { path }) if path == bundle));
}

#[test]
fn every_rule_names_its_field() {
    assert_eq!(broken(|v| v["schema"] = json!(2)).0, "schema");
    assert_eq!(
        broken(|v| v["bundle_sha256"] = json!("A".repeat(64))).0,
        "bundle_sha256"
    );
    assert_eq!(
        broken(|v| v["bundle_sha256"] = json!("0".repeat(63))).0,
        "bundle_sha256"
    );
    assert_eq!(broken(|v| v["variant"] = json!("")).0, "variant");
    for threads in [0, 1025, 65_535] {
        assert_eq!(broken(|v| v["threads"] = json!(threads)).0, "threads");
    }
    for field in ["p50_ms", "p90_ms", "p99_ms", "reference_p50_ms"] {
        assert_eq!(broken(|v| v[field] = json!(-1.0)).0, field);
    }
    for threads in [json!(65_536), json!(-1), json!(1.5), json!("2"), Value::Null] {
        assert_eq!(broken(|v| v["threads"] = threads).0, "file");
    }
    let (field, message) = broken(|v| v["provider"] = json!("x\n".repeat(10_000)));
    assert!(
        field == "file" && !message.contains('\n') && message.len() < 500,
        "{message}"
    );
    let unbounded = Choice {
        p50_ms: f64::NAN,
        ..sample()
    };
    assert!(matches!(
        unbounded.to_json(),
        Err(Error::ChoiceFormat { field: "p50_ms", .. })
    ));
}

#[test]
fn later_fields_are_ignored_and_double_ones_refused() {
    let text = sample().to_json().unwrap();
    let later = text.replacen('{', r#"{"later": [{"a": 1}, null],"#, 1);
    assert_eq!(Choice::from_json(later.as_bytes()).unwrap(), sample());
    let double = text.replacen('{', r#"{"threads": 1,"#, 1);
    assert!(matches!(
        Choice::from_json(double.as_bytes()),
        Err(Error::ChoiceFormat { field: "file", .. })
    ));
}

#[test]
fn cut_large_and_foreign_files_are_errors() {
    let (_folder, bundle, path) = bundle(b"the manifest");
    let text = sample().to_json().unwrap();
    for length in 0..text.trim_end().len() {
        assert!(Choice::from_json(&text.as_bytes()[..length]).is_err(), "{length}");
    }
    fs::File::create(&path).unwrap().set_len(MAX_SIZE + 1).unwrap();
    assert!(matches!(Choice::beside(&bundle), Err(Error::FileTooLarge { .. })));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(Choice::beside(&bundle), Err(Error::NotAFile { .. })));
}

proptest! {
    #[test]
    fn damaged_files_never_panic(at in 0usize..500, byte in any::<u8>(), cut in 0usize..500) {
        let mut bytes = sample().to_json().unwrap().into_bytes();
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(length - cut % length);
        if let Ok(choice) = Choice::from_json(&bytes) {
            choice.validate().unwrap();
        }
    }
}
