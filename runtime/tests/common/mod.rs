//! A bundle on disk around the tiny fixture network, and that network's arithmetic written out.
#![allow(dead_code, reason = "each test binary uses its own part")]
#![allow(unreachable_pub, reason = "a module of test binaries, not of a library")]

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use askd_runtime::{
    Batch, ElementType, Engine, GOLDEN_FILE, Golden, GoldenData, Input, Layout, MANIFEST_FILE, Manifest, Output,
    Resize, ResizeMethod, ResizeSize, SCHEMA, Variant, sha256_hex,
};
use tempfile::TempDir;

pub const FIXED: &[u8] = include_bytes!("../fixtures/tiny_fixed.onnx");
pub const DYNAMIC: &[u8] = include_bytes!("../fixtures/tiny_dynamic.onnx");
/// The same network on pixels `(N, 4, 4, 3)`, which it normalises as the bundle's manifest says.
pub const PIXELS: &[u8] = include_bytes!("../fixtures/tiny_pixels.onnx");
pub const PIXELS_DYNAMIC: &[u8] = include_bytes!("../fixtures/tiny_pixels_dynamic.onnx");
/// Elements of one input image, 3x4x4.
pub const ELEMENTS: usize = 48;
pub const CLASSES: usize = 3;

/// Fails the test, with what to do about it, where ONNX Runtime is not set up.
pub fn require_engine() -> &'static Engine {
    Engine::load(None).unwrap_or_else(|error| panic!("these tests need ONNX Runtime: {error}"))
}

/// Starts `program`, built for this target, as cargo starts the tests: by the emulator that cargo was told of, if any.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let emulator = emulator();
    let mut words = emulator.split_whitespace();
    let Some(first) = words.next() else {
        return Command::new(program);
    };
    let mut command = Command::new(first);
    command.args(words).arg(program);
    command
}

/// The emulator that cargo was told to run these tests by, with its arguments; empty if there is none.
pub fn emulator() -> String {
    let architecture = env::consts::ARCH.to_uppercase();
    env::var(format!("CARGO_TARGET_{architecture}_UNKNOWN_LINUX_GNU_RUNNER")).unwrap_or_default()
}

/// The longest that something may take: `limit`, or any time where an emulator's own speed is all that would be seen.
pub fn within(limit: Duration) -> Duration {
    if emulator().is_empty() { limit } else { Duration::MAX }
}

/// The real library's bytes with version `new` where its own stands in the symbol version.
pub fn with_version(new: &str) -> Vec<u8> {
    let engine = require_engine();
    let old = format!("VERS_{}\0", engine.version().expect("the library tells its version"));
    let new = format!("VERS_{new}\0");
    assert_eq!(old.len(), new.len());
    let mut bytes = fs::read(engine.path()).unwrap();
    let at = bytes
        .windows(old.len())
        .position(|window| window == old.as_bytes())
        .unwrap();
    bytes[at..at + old.len()].copy_from_slice(new.as_bytes());
    bytes
}

/// Images with values that are multiples of 1/16 in -1..1, so that the network's sums are exact.
pub fn images(count: usize) -> Vec<f32> {
    (0..count * ELEMENTS)
        .map(|at| ((at * 7 + at / ELEMENTS * 5) % 32) as f32 / 16.0 - 1.0)
        .collect()
}

/// The logits of the fixture network, from the formula in `make_fixtures.py`.
pub fn reference(images: &[f32]) -> Vec<f32> {
    let mut logits = Vec::new();
    for image in images.chunks_exact(ELEMENTS) {
        let pooled: Vec<f32> = (0..4)
            .map(|o| {
                let pixel = |at: usize| -> f32 {
                    let sum: f32 = (0..3).map(|i| (o as f32 - i as f32) / 8.0 * image[i * 16 + at]).sum();
                    (sum + o as f32 / 8.0).max(0.0)
                };
                (0..16).map(pixel).sum::<f32>() / 16.0
            })
            .collect();
        for k in 0..CLASSES {
            let sum: f32 = pooled
                .iter()
                .enumerate()
                .map(|(o, p)| ((k + o) as f32 / 8.0 - 0.25) * p)
                .sum();
            logits.push(sum + k as f32);
        }
    }
    logits
}

pub fn assert_close(got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len());
    for (at, (got, want)) in got.iter().zip(want).enumerate() {
        assert!((got - want).abs() < 1e-5, "element {at}: {got}, expected {want}");
    }
}

/// A valid bundle around `onnx`, with a correct manifest after `change` has been at it.
///
/// `change` also gets the ONNX bytes and the golden data, before sizes and digests are taken.
pub fn bundle(onnx: &[u8], batch: Batch, change: impl FnOnce(&mut Manifest, &mut GoldenData)) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let input = images(2);
    let output = reference(&input);
    let mut golden = GoldenData::new([2, 3, 4, 4], input, output).unwrap();
    let mut manifest = Manifest {
        schema: SCHEMA,
        sequence: 1,
        device_class: "generic".into(),
        input: Input {
            name: "image".into(),
            layout: Layout::Nchw,
            data_type: ElementType::F32,
            shape: [3, 4, 4],
            mean: vec![0.5, 0.25, 0.125],
            std: vec![0.5, 0.25, 0.125],
            resize: Resize {
                method: ResizeMethod::BilinearAntialias,
                size: ResizeSize::Exactly([4, 4]),
                crop: None,
            },
        },
        output: Output {
            name: "logits".into(),
            classes: CLASSES,
        },
        labels: vec!["cat".into(), "dog".into(), "eel".into()],
        temperature: 2.0,
        variants: vec![Variant {
            name: "fp32".into(),
            precision: "fp32".into(),
            target: "any".into(),
            file: "model.fp32.onnx".into(),
            size: onnx.len() as u64,
            sha256: sha256_hex(onnx),
            opset: 17,
            ir_version: 8,
            batch,
            parameters: 31,
            macs: 204,
            peak_memory_bytes: 1000,
            accuracy: Vec::new(),
            golden: None,
        }],
        golden: Golden {
            file: GOLDEN_FILE.into(),
            size: 1,
            sha256: "0".repeat(64),
            images: 2,
            tolerance: 1e-5,
        },
        provenance: serde_json::Map::new(),
    };
    change(&mut manifest, &mut golden);
    let golden = golden.to_safetensors().unwrap();
    manifest.golden.size = golden.len() as u64;
    manifest.golden.sha256 = sha256_hex(&golden);
    fs::write(folder.path().join("model.fp32.onnx"), onnx).unwrap();
    fs::write(folder.path().join(GOLDEN_FILE), golden).unwrap();
    fs::write(folder.path().join(MANIFEST_FILE), manifest.to_json().unwrap()).unwrap();
    folder
}

/// As [`bundle`], around a model of pixels.
pub fn bundle_of_pixels(onnx: &[u8], batch: Batch, change: impl FnOnce(&mut Manifest, &mut GoldenData)) -> TempDir {
    bundle(onnx, batch, |manifest, golden| {
        manifest.input = manifest.input.clone().of_pixels();
        let pixels = pixels(2);
        let floats = pixels.iter().copied().map(f32::from).collect();
        *golden = GoldenData::new([2, 4, 4, 3], floats, reference(&normalised(&pixels))).unwrap();
        change(manifest, golden);
    })
}

/// Images of pixels, interleaved.
pub fn pixels(count: usize) -> Vec<u8> {
    (0..count * ELEMENTS)
        .map(|at| ((at * 37 + at / ELEMENTS * 11) % 256) as u8)
        .collect()
}

/// Pixels as the manifest of [`bundle`] normalises them: planes of floats.
pub fn normalised(pixels: &[u8]) -> Vec<f32> {
    let value = |image: &[u8], at: usize| {
        let (channel, place) = (at / 16, at % 16);
        let of_channel = [0.5, 0.25, 0.125][channel];
        (f32::from(image[place * 3 + channel]) / 255.0 - of_channel) / of_channel
    };
    let images = pixels.chunks_exact(ELEMENTS);
    images
        .flat_map(|image| (0..ELEMENTS).map(move |at| value(image, at)))
        .collect()
}

/// Rewrites `askd.json` as a JSON value, past the checks of [`Manifest::to_json`].
pub fn edit_manifest(folder: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    let path = folder.join(MANIFEST_FILE);
    let mut value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut value);
    fs::write(path, value.to_string()).unwrap();
}
