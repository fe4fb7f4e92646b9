//! A bundle as bytes, and whether it vouches for itself.

use std::fs;
use std::path::Path;

use askd_runtime::{Batch, Error, GOLDEN_FILE, MANIFEST_FILE, Model, sha256_hex};
use serde_json::Value;

use crate::common::{FIXED, bundle};

pub const ONNX_FILE: &str = "model.fp32.onnx";

#[derive(Clone, PartialEq)]
pub struct Parts {
    pub manifest: Vec<u8>,
    pub golden: Vec<u8>,
    pub onnx: Vec<u8>,
}

impl Parts {
    pub fn good() -> Self {
        let folder = bundle(FIXED, Batch::One, |manifest, _| {
            manifest.provenance.insert("seed".into(), 7.into());
        });
        let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
        Self {
            manifest: read(MANIFEST_FILE),
            golden: read(GOLDEN_FILE),
            onnx: read(ONNX_FILE),
        }
    }

    pub fn bytes(&self) -> usize {
        self.manifest.len() + self.golden.len() + self.onnx.len()
    }

    /// Writes sizes and digests of the files into the manifest, as who can write one can write the other.
    pub fn vouch(&mut self) {
        let mut value: Value = serde_json::from_slice(&self.manifest).unwrap();
        for (pointer, bytes) in [("/golden", &self.golden), ("/variants/0", &self.onnx)] {
            let entry = value.pointer_mut(pointer).unwrap();
            entry["size"] = bytes.len().into();
            entry["sha256"] = sha256_hex(bytes).into();
        }
        self.manifest = serde_json::to_vec_pretty(&value).unwrap();
    }

    /// Whether the manifest names these very files, by a reading of its own: any JSON value will do.
    pub fn are_vouched_for(&self) -> bool {
        let Ok(manifest) = serde_json::from_slice::<Value>(&self.manifest) else {
            return false;
        };
        [
            ("/golden", GOLDEN_FILE, &self.golden),
            ("/variants/0", ONNX_FILE, &self.onnx),
        ]
        .into_iter()
        .all(|(pointer, file, bytes)| {
            manifest.pointer(pointer).is_some_and(|entry| {
                entry["file"] == file && entry["size"] == bytes.len() && entry["sha256"] == sha256_hex(bytes).as_str()
            })
        })
    }

    pub fn open(&self) -> Result<Model, Error> {
        Model::from_bytes(&self.manifest, &[(GOLDEN_FILE, &self.golden), (ONNX_FILE, &self.onnx)])
    }

    pub fn write(&self, folder: &Path) {
        fs::write(folder.join(MANIFEST_FILE), &self.manifest).unwrap();
        fs::write(folder.join(GOLDEN_FILE), &self.golden).unwrap();
        fs::write(folder.join(ONNX_FILE), &self.onnx).unwrap();
    }
}
