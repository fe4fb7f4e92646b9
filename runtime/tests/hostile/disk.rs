//! Bundles in directories that are not what they should be.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use askd_runtime::{GOLDEN_FILE, MANIFEST_FILE};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use tempfile::TempDir;

use crate::parts::{ONNX_FILE, Parts};

const FILES: [&str; 3] = [MANIFEST_FILE, GOLDEN_FILE, ONNX_FILE];

/// A place to put bundles, with a good one and a pipe beside it.
pub struct Disk {
    root: TempDir,
}

impl Disk {
    pub fn new(good: &Parts) -> Self {
        let root = tempfile::tempdir().unwrap();
        let beside = root.path().join("beside");
        fs::create_dir(&beside).unwrap();
        good.write(&beside);
        let made = Command::new("mkfifo").arg(root.path().join("pipe")).status();
        assert!(made.expect("mkfifo is part of every Unix").success());
        Self { root }
    }

    /// A directory with the bundle `good` after something was done to it that must be noticed.
    pub fn place(&self, rng: &mut ChaCha8Rng, good: &Parts) -> PathBuf {
        let folder = self.root.path().join("bundle");
        if folder.exists() {
            fs::remove_dir_all(&folder).unwrap();
        }
        fs::create_dir(&folder).unwrap();
        good.write(&folder);
        let name = *FILES.choose(rng).unwrap();
        let (path, beside) = (folder.join(name), self.root.path().join("beside"));
        let replace = |make: &dyn Fn()| {
            fs::remove_file(&path).unwrap();
            make();
        };
        match rng.random_range(0..10) {
            // Links, to the very bytes even.
            0 => {
                let targets = [
                    beside.join(name),
                    beside,
                    path.clone(),
                    "missing".into(),
                    "/dev/zero".into(),
                ];
                let target = targets.choose(rng).unwrap();
                replace(&|| std::os::unix::fs::symlink(target, &path).unwrap());
            }
            1 => replace(&|| fs::hard_link(self.root.path().join("pipe"), &path).unwrap()),
            2 => replace(&|| fs::create_dir(&path).unwrap()),
            3 => replace(&|| {}),
            4 => fs::rename(&path, folder.join(name.to_uppercase())).unwrap(),
            5 => {
                fs::rename(folder.join(ONNX_FILE), folder.join("swap")).unwrap();
                fs::rename(folder.join(GOLDEN_FILE), folder.join(ONNX_FILE)).unwrap();
                fs::rename(folder.join("swap"), folder.join(GOLDEN_FILE)).unwrap();
            }
            // Sparse: takes no space on disk.
            6 => File::create(&path)
                .unwrap()
                .set_len(1 << rng.random_range(25..42))
                .unwrap(),
            7 => name_elsewhere(rng, &folder, &beside),
            _ => {
                let mut bytes = fs::read(&path).unwrap();
                match rng.random_range(0..3) {
                    0 => bytes.truncate(rng.random_range(0..bytes.len() - 1)),
                    1 => bytes.push(b'x'),
                    _ => {
                        // Not every byte of the manifest matters, but its first does.
                        let at = if name == MANIFEST_FILE {
                            0
                        } else {
                            rng.random_range(0..bytes.len())
                        };
                        bytes[at] ^= 1 << rng.random_range(0..8);
                    }
                }
                fs::write(&path, bytes).unwrap();
            }
        }
        folder
    }
}

/// Names a file outside of the directory that is there and has the right digest.
fn name_elsewhere(rng: &mut ChaCha8Rng, folder: &Path, beside: &Path) {
    let path = folder.join(MANIFEST_FILE);
    let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let (pointer, file) = *[("/golden/file", GOLDEN_FILE), ("/variants/0/file", ONNX_FILE)]
        .choose(rng)
        .unwrap();
    let absolute = beside.join(file).to_str().unwrap().to_owned();
    let names = [
        format!("../beside/{file}"),
        absolute,
        format!("./{file}"),
        format!("../bundle/{file}"),
    ];
    let name = names.choose(rng).unwrap();
    assert!(folder.join(name).is_file());
    *manifest.pointer_mut(pointer).unwrap() = name.as_str().into();
    fs::write(path, manifest.to_string()).unwrap();
}
