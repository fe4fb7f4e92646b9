//! Bundles that were changed after they were written: `verify` says what is wrong with them.

use askd_compiler::weights::save_safetensors;
use askd_models::{NetworkConfig, build};
use askd_runtime::{GoldenData, sha256_hex};
use askd_tests::{Workspace, cifar10, random_weights};
use serde_json::{Value, json};

const FILES: [&str; 3] = ["askd.json", "golden.safetensors", "model.fp32.onnx"];

/// An exported network `x.askd`, and the data `ten` that it was measured on.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    cifar10(&workspace.path("ten"), 40, 20);
    let graph = build("resnet8", &NetworkConfig::new([3, 32, 32], 10)).unwrap();
    save_safetensors(&workspace.path("w.safetensors"), &random_weights(&graph, 1), None).unwrap();
    workspace
        .run("export --model resnet8 --weights w.safetensors --data cifar10:ten --out x.askd")
        .text();
    workspace.run("verify x.askd --data cifar10:ten").text();
    workspace
}

/// `verify` after a change to one file, which is undone afterwards; gives the error.
fn verify_after(workspace: &Workspace, file: &str, change: impl Fn(&mut Vec<u8>), code: i32) -> String {
    let place = format!("x.askd/{file}");
    let whole = workspace.read(&place);
    let mut changed = whole.clone();
    change(&mut changed);
    assert_ne!(changed, whole, "{file}: nothing changed");
    workspace.write(&place, changed);
    let outcome = workspace.run("verify x.askd --data cifar10:ten");
    let line = outcome.error(code);
    assert_eq!(outcome.stderr.lines().count(), 1, "{outcome:?}");
    workspace.write(&place, whole);
    line.to_owned()
}

/// The same for a change to the manifest's values.
fn verify_with(workspace: &Workspace, change: impl Fn(&mut Value), code: i32) -> String {
    let edit = |text: &mut Vec<u8>| {
        let mut manifest = serde_json::from_slice(text).unwrap();
        change(&mut manifest);
        *text = serde_json::to_vec_pretty(&manifest).unwrap();
    };
    verify_after(workspace, "askd.json", edit, code)
}

#[test]
fn every_changed_byte_is_found() {
    let workspace = workspace();
    for file in &FILES[1..] {
        let length = workspace.read(format!("x.askd/{file}")).len();
        for at in [0, length / 2, length - 1] {
            let line = verify_after(&workspace, file, |bytes| bytes[at] ^= 1, 2);
            assert!(line.contains(file) && line.contains("expected sha256"), "{line}");
        }
        let line = verify_after(&workspace, file, |bytes| bytes.truncate(length - 1), 2);
        let lengths = format!("expected {length} bytes by the manifest, got {}", length - 1);
        assert!(line.contains(file) && line.contains(&lengths), "{line}");
    }
    // and no other command runs what verify refuses
    let place = "x.askd/model.fp32.onnx";
    let mut model = workspace.read(place);
    model[100] ^= 1;
    workspace.write(place, model);
    for arguments in ["eval x.askd --data cifar10:ten", "inspect x.askd"] {
        let line = workspace.refused(arguments);
        assert!(
            line.contains("model.fp32.onnx") && line.contains("expected sha256"),
            "{line}"
        );
    }
}

#[test]
fn a_changed_manifest_is_found() {
    let workspace = workspace();
    for digest in ["/variants/0/sha256", "/golden/sha256"] {
        let edit = |manifest: &mut Value| {
            let field = manifest.pointer_mut(digest).unwrap();
            let text = field.as_str().unwrap();
            let other = if text.starts_with('0') { "1" } else { "0" };
            *field = json!(format!("{other}{}", &text[1..]));
        };
        let line = verify_with(&workspace, edit, 2);
        assert!(line.contains("expected sha256"), "{line}");
    }
    for (field, value) in [
        ("/variants/0/sha256", json!("")),
        ("/variants/0/file", json!("../ten/test_batch.bin")),
        ("/input/shape", json!([3, 32, 31])),
        ("/input/mean", json!([0.5])),
        ("/output/classes", json!(11)),
        ("/labels", json!(["one"])),
        ("/temperature", json!(0)),
        ("/golden/tolerance", json!(-1)),
    ] {
        let line = verify_with(&workspace, |m| *m.pointer_mut(field).unwrap() = value.clone(), 2);
        assert!(line.starts_with("error: askd.json: "), "{field}: {line}");
    }
    let line = verify_with(&workspace, |m| m["schema"] = json!(99), 2);
    assert!(line.contains("expected schema 1, got 99"), "{line}");
    let line = verify_after(&workspace, "askd.json", |text| text.truncate(text.len() / 2), 2);
    assert!(line.contains("askd.json"), "{line}");
}

#[test]
fn missing_files_are_named() {
    let workspace = workspace();
    for file in FILES {
        let place = format!("x.askd/{file}");
        let whole = workspace.read(&place);
        std::fs::remove_file(workspace.path(&place)).unwrap();
        let line = workspace.refused("verify x.askd");
        assert!(line.contains(file), "{line}");
        workspace.write(&place, whole);
    }
    workspace.run("verify x.askd").text();
}

#[test]
fn other_outputs_than_the_golden_ones_fail_the_gate() {
    let workspace = workspace();
    let golden = GoldenData::from_safetensors(&workspace.read("x.askd/golden.safetensors")).unwrap();
    let mut output = golden.output().to_vec();
    output[13] += 0.01;
    let other = GoldenData::new(golden.shape(), golden.input().to_vec(), output).unwrap();
    let bytes = other.to_safetensors().unwrap();
    workspace.write("x.askd/golden.safetensors", &bytes);
    let line = verify_with(&workspace, |m| m["golden"]["sha256"] = json!(sha256_hex(&bytes)), 3);
    assert!(line.contains("golden image 1: expected logits within 1e-4"), "{line}");
}

#[test]
fn another_accuracy_than_the_recorded_one_fails_the_gate() {
    let workspace = workspace();
    let edit = |manifest: &mut Value| {
        let top1 = manifest.pointer_mut("/variants/0/accuracy/0/top1").unwrap();
        *top1 = json!(top1.as_f64().unwrap() / 2.0 + 0.5);
    };
    let line = verify_with(&workspace, edit, 3);
    assert!(
        line.contains("top-1 on cifar10:ten") && line.contains("as recorded"),
        "{line}"
    );
}
