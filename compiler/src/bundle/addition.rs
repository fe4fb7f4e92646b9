//! Adds a variant to a bundle.

use std::fs;
use std::path::Path;

use askd_runtime::{Golden, GoldenData, MANIFEST_FILE, Manifest, Model, Variant};
use serde_json::{Map, Value};

use super::self_test;
use super::staging::{Staging, Written};
use crate::{Error, Result};

/// Key of the provenance under which each added variant's is, by its name.
const PROVENANCE: &str = "variants";

/// A further form of a bundle's network.
pub(crate) struct Addition<'a> {
    /// What the manifest says of it, without file, size, digest and golden data.
    pub(crate) variant: Variant,
    /// Its ONNX file.
    pub(crate) model: &'a [u8],
    /// What it must give on the golden images.
    pub(crate) golden: &'a GoldenData,
    /// How far from that a device may be.
    pub(crate) tolerance: f32,
    /// How it was made.
    pub(crate) provenance: Value,
}

/// Writes the bundle in directory `bundle` to `out`, which may be the same, with a further variant, the last; one of its name
/// is replaced.
///
/// As with [`write_bundle`](super::write_bundle), all variants are tested before anything is in its place.
///
/// # Errors
/// Those of [`write_bundle`](super::write_bundle), and [`Error::Runtime`] if the bundle cannot be opened.
pub(crate) fn add_variant(bundle: &Path, out: &Path, addition: Addition<'_>) -> Result<Manifest> {
    let mut manifest = Model::open(bundle)?.manifest().clone();
    manifest
        .variants
        .retain(|variant| variant.name != addition.variant.name);
    let staging = Staging::new(out)?;
    for variant in &manifest.variants {
        // opening is what holds the files against their digests
        let model = Model::open_variant(bundle, &variant.name)?;
        staging.write(&variant.file, model.onnx())?;
        if let Some(golden) = &variant.golden {
            copy(bundle, golden, &staging)?;
        }
    }
    copy(bundle, &manifest.golden, &staging)?;
    let name = &addition.variant.name;
    let model = staging.write(&format!("model.{name}.onnx"), addition.model)?;
    let golden = staging.write(
        &format!("golden.{name}.safetensors"),
        &addition.golden.to_safetensors()?,
    )?;
    let provenance = manifest
        .provenance
        .entry(PROVENANCE)
        .or_insert_with(|| Map::new().into());
    if let Value::Object(variants) = provenance {
        variants.insert(name.clone(), addition.provenance);
    }
    manifest.variants.push(Variant {
        file: model.name,
        size: model.size,
        sha256: model.sha256,
        golden: Some(Golden {
            file: golden.name,
            size: golden.size,
            sha256: golden.sha256,
            images: addition.golden.shape()[0],
            tolerance: addition.tolerance,
        }),
        ..addition.variant
    });
    staging.write(MANIFEST_FILE, manifest.to_json()?.as_bytes())?;
    self_test(staging.path(), &manifest)?;
    staging.commit()?;
    Ok(manifest)
}

/// Copies a golden file, if it is still the one that the manifest vouches for.
fn copy(bundle: &Path, golden: &Golden, staging: &Staging) -> Result<Written> {
    let path = bundle.join(&golden.file);
    let bytes = fs::read(&path).map_err(Error::io(&path))?;
    let written = staging.write(&golden.file, &bytes)?;
    if written.sha256 == golden.sha256 {
        return Ok(written);
    }
    Err(Error::Runtime(askd_runtime::Error::FileDigest {
        path,
        expected: golden.sha256.clone(),
        found: written.sha256,
    }))
}
