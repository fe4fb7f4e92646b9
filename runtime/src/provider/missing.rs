//! Why a provider cannot run here, read out of the engine's words.

use std::fmt;
use std::fs;
use std::path::PathBuf;

use crate::provider::Provider;

/// What a provider misses.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// The ONNX Runtime library was built without it.
    Support {
        /// The library.
        library: PathBuf,
        /// What it was built with.
        built_with: Vec<Provider>,
    },
    /// A shared library that the provider needs, or one that it needs in turn.
    Library {
        /// Its file name, such as `libcudnn.so.9`.
        name: String,
    },
    /// A shared library that the provider needs; the engine does not tell which.
    SomeLibrary,
    /// A shared library is there in another version than the provider needs.
    Version {
        /// The loader's words on it.
        found: String,
    },
    /// The kernel driver of the device is not loaded, or older than the provider needs.
    Driver {
        /// The driver's version line, if it is loaded.
        found: Option<String>,
    },
    /// There is no such device.
    Device {
        /// The device asked for, from 0.
        id: u16,
    },
    /// Something that only the engine's words tell.
    Other {
        /// Those words, on one line.
        reason: String,
    },
}

impl Missing {
    /// What `message` of ONNX Runtime says is missing for device `id`; `None` if it is about something else.
    pub(crate) fn read(message: &str, id: u16) -> Option<Self> {
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(name) = word_before(&message, ": cannot open shared object file") {
            // The driver brings this one, no package does.
            return Some(match name {
                "libcuda.so.1" => Self::Driver { found: driver() },
                _ => Self::Library { name: name.to_owned() },
            });
        }
        if message.contains("version `") && message.contains("not found") {
            let start = message.find("with error: ").map_or(0, |at| at + "with error: ".len());
            return Some(Self::Version {
                found: message[start..].to_owned(),
            });
        }
        // CUDA's own error numbers: 35 insufficient driver, 100 no device, 101 invalid device, 999 unknown, as from a
        // driver that does not answer.
        let is_failure = |number: &str| {
            let text = format!("failure {number}:");
            message.contains(&text)
        };
        if is_failure("35") || message.contains("driver version is insufficient") {
            return Some(Self::Driver { found: driver() });
        }
        if is_failure("100") || is_failure("101") || message.contains("no CUDA-capable device") {
            // Without its driver no device shows.
            return Some(match driver() {
                None => Self::Driver { found: None },
                Some(_) => Self::Device { id },
            });
        }
        // All that the engine says where a provider hands over no reason, as OpenVINO's.
        if message.starts_with("Failed to load provider") {
            return Some(Self::SomeLibrary);
        }
        let about_it = ["CUDA", "cudnn", "CUDNN", "TensorRT", "Tensorrt", "providers_"];
        about_it
            .iter()
            .any(|part| message.contains(part))
            .then_some(Self::Other { reason: message })
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Support { library, built_with } => {
                let names: Vec<_> = built_with.iter().map(|provider| provider.name()).collect();
                write!(
                    f,
                    "{} was built without it and has {} (name another library)",
                    library.display(),
                    names.join(", ")
                )
            }
            Self::Library { name } => write!(
                f,
                "the shared library {name} is missing (install it, or add its folder to LD_LIBRARY_PATH)"
            ),
            Self::SomeLibrary => f.write_str(
                "a shared library that it needs is missing, ONNX Runtime does not tell which (keep all of its build in one folder; \
                 LD_DEBUG=libs names it)",
            ),
            Self::Version { found } => write!(f, "a shared library has the wrong version: {found}"),
            Self::Driver { found: None } => {
                f.write_str("the NVIDIA driver is not loaded (install it, or check the device)")
            }
            Self::Driver { found: Some(found) } => {
                write!(f, "the NVIDIA driver is too old (update it); it is {found}")
            }
            Self::Device { id } => write!(f, "there is no device {id}"),
            Self::Other { reason } => f.write_str(reason),
        }
    }
}

/// The word that ends where `mark` begins.
fn word_before<'a>(message: &'a str, mark: &str) -> Option<&'a str> {
    let before = &message[..message.find(mark)?];
    before.rsplit([' ', '\'', '"']).next().filter(|word| !word.is_empty())
}

/// The version line of NVIDIA's kernel driver; on Jetson, where that has none, the board's release.
pub(super) fn driver() -> Option<String> {
    let first_line = |path| {
        let text = fs::read_to_string(path).ok()?;
        text.lines()
            .next()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    first_line("/proc/driver/nvidia/version").or_else(|| first_line("/etc/nv_tegra_release"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_words_name_what_is_missing() {
        let read = |message| Missing::read(message, 1);
        let library = "Failed to load library libonnxruntime_providers_cuda.so with error: libcudnn.so.9: cannot open \
                       shared object file: No such file or directory";
        assert_eq!(
            read(library),
            Some(Missing::Library {
                name: "libcudnn.so.9".into()
            })
        );
        let driver =
            "Failed to load library x.so with error: libcuda.so.1: cannot open shared object file: No such file";
        assert!(matches!(read(driver), Some(Missing::Driver { .. })));
        let version =
            "Failed to load library x.so with error: libc.so.6: version `GLIBC_2.38' not found (required by x.so)";
        assert!(
            matches!(read(version), Some(Missing::Version { found }) if found.starts_with("libc.so.6: version `GLIBC"))
        );
        let old = "CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version ; GPU=0";
        assert!(matches!(read(old), Some(Missing::Driver { .. })));
        assert!(matches!(
            read("CUDA failure 101: invalid device ordinal"),
            Some(Missing::Driver { .. } | Missing::Device { id: 1 })
        ));
        assert!(matches!(read("cuDNN: CUDNN\nfailure 4"), Some(Missing::Other { reason }) if !reason.contains('\n')));
        assert_eq!(read("Failed to load provider OpenVINO"), Some(Missing::SomeLibrary));
        assert_eq!(read("No graph was found in the protobuf."), None);
    }
}
