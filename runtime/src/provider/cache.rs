//! Where TensorRT keeps what it made for one model on one device.

use std::fs;
use std::path::Path;

use crate::digest::sha256_hex;
use crate::engine::Engine;
use crate::error::Error;
use crate::provider::missing::driver;

/// Makes and names the directory in `cache` for this model, these versions and this device.
///
/// An engine that TensorRT built serves only the model, versions and device it was built for, and a stale one may be
/// refused late or run wrongly; so whatever may change one of them changes the name.
pub(super) fn folder(cache: &Path, engine: &Engine, device_id: u16, digest: &str) -> Result<String, Error> {
    let name = name(engine.version().unwrap_or("unknown"), &hardware(), device_id, digest);
    let folder = cache.join(name);
    fs::create_dir_all(&folder).map_err(|source| Error::Write {
        path: folder.clone(),
        source,
    })?;
    match folder.to_str() {
        Some(folder) => Ok(folder.to_owned()),
        None => Err(Error::Write {
            path: folder,
            source: std::io::Error::other("ONNX Runtime takes paths of Unicode text only"),
        }),
    }
}

/// Driver, graphics processors and board, as far as the system tells of them.
fn hardware() -> String {
    let gpus = fs::read_dir("/proc/driver/nvidia/gpus").into_iter().flatten().flatten();
    let mut told: Vec<String> = gpus
        .map(|gpu| fs::read_to_string(gpu.path().join("information")).unwrap_or_default())
        .collect();
    told.sort();
    told.extend(fs::read_to_string("/proc/device-tree/model"));
    told.extend(driver());
    told.join("\n")
}

fn name(engine: &str, hardware: &str, device_id: u16, digest: &str) -> String {
    // What the system tells is long and may hold anything; TensorRT's own version is in the names of its files.
    let hardware = sha256_hex(hardware.as_bytes());
    let short = |digest: &str| digest.chars().take(16).collect::<String>();
    format!(
        "{}-onnxruntime-{engine}-hardware-{}-device-{device_id}",
        short(digest),
        short(&hardware)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_differs_makes_another_name() {
        let digest = sha256_hex(b"model");
        let base = name("1.32.0", "driver 1", 0, &digest);
        assert_eq!(base, name("1.32.0", "driver 1", 0, &digest));
        for other in [
            name("1.31.0", "driver 1", 0, &digest),
            name("1.32.0", "driver 2", 0, &digest),
            name("1.32.0", "driver 1", 1, &digest),
            name("1.32.0", "driver 1", 0, &sha256_hex(b"other")),
        ] {
            assert_ne!(base, other);
        }
    }
}
