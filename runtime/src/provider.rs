//! Where a model runs: the execution providers of ONNX Runtime, and what keeps one from running here.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::sha256_hex;
use crate::engine::Engine;
use crate::error::Error;
use crate::options::SessionOptions;

mod cache;
mod missing;

pub use missing::Missing;

/// Where a model runs (an execution provider of ONNX Runtime).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provider {
    /// ONNX Runtime's own kernels on the CPU; in every build of it.
    #[default]
    Cpu,
    /// XNNPACK's kernels on the CPU, with a thread pool of their own.
    Xnnpack,
    /// Arm Compute Library's kernels on Arm CPUs.
    Acl,
    /// OpenVINO's kernels on x86-64 CPUs, with a thread pool of their own; the build of ONNX Runtime that has it is a package
    /// of its own (`onnxruntime-openvino`).
    OpenVino,
    /// CUDA and cuDNN on an NVIDIA GPU.
    Cuda,
    /// [`Cuda`](Self::Cuda) where that can run, else [`Cpu`](Self::Cpu).
    /// [`Session::provider`](crate::Session::provider) says which one it is, and
    /// [`Session::fallback`](crate::Session::fallback) why.
    CudaOrCpu,
    /// TensorRT on an NVIDIA GPU; nodes that it does not know run by CUDA.
    TensorRt,
}

impl Provider {
    /// Every provider, in the order of this type.
    pub const ALL: [Self; 7] = [
        Self::Cpu,
        Self::Xnnpack,
        Self::Acl,
        Self::OpenVino,
        Self::Cuda,
        Self::CudaOrCpu,
        Self::TensorRt,
    ];

    /// Its name on command lines and in reports, such as `cuda-or-cpu`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Xnnpack => "xnnpack",
            Self::Acl => "acl",
            Self::OpenVino => "openvino",
            Self::Cuda => "cuda",
            Self::CudaOrCpu => "cuda-or-cpu",
            Self::TensorRt => "tensorrt",
        }
    }

    /// Whether the loaded ONNX Runtime was built with it, which says nothing of this machine.
    pub(crate) fn is_built_in(self) -> bool {
        let built_in = match self {
            Self::Cpu | Self::CudaOrCpu => Ok(true),
            Self::Xnnpack => ep::XNNPACK::is_available(),
            Self::Acl => ep::ACL::is_available(),
            Self::OpenVino => ep::OpenVINO::is_available(),
            Self::Cuda => ep::CUDA::is_available(),
            Self::TensorRt => ep::TensorRT::is_available(),
        };
        // An engine that cannot tell has none.
        built_in.unwrap_or(false)
    }

    /// What to register in order to run there, first choice first; nothing for the CPU, which is always there.
    ///
    /// `model` is the ONNX file, for the name of its cache.
    pub(crate) fn dispatches(
        self,
        engine: &Engine,
        options: &SessionOptions,
        model: &[u8],
    ) -> Result<Vec<ExecutionProviderDispatch>, Error> {
        let cuda = || {
            let device = ep::CUDA::default().with_device_id(i32::from(options.device_id));
            match options.memory_limit.and_then(|limit| usize::try_from(limit).ok()) {
                Some(limit) => device.with_memory_limit(limit),
                None => device,
            }
        };
        let dispatches = match self {
            Self::Cpu => Vec::new(),
            Self::Xnnpack => {
                let xnnpack = ep::XNNPACK::default();
                vec![match NonZeroUsize::new(usize::from(options.intra_op_threads)) {
                    Some(threads) => xnnpack.with_intra_op_num_threads(threads).build(),
                    None => xnnpack.build(),
                }]
            }
            Self::Acl => vec![ep::ACL::default().build()],
            Self::OpenVino => {
                let openvino = ep::OpenVINO::default()
                    .with_device_type("CPU")
                    // Not the narrower floats that it may prefer where the processor has them: floats are what the model says.
                    .with_precision("FP32")
                    // One image at a time: all threads serve it.
                    .with_num_streams(1);
                vec![match usize::from(options.intra_op_threads) {
                    0 => openvino.build(),
                    threads => openvino.with_num_threads(threads).build(),
                }]
            }
            Self::Cuda | Self::CudaOrCpu => vec![cuda().build()],
            Self::TensorRt => {
                let mut tensorrt = ep::TensorRT::default().with_device_id(i32::from(options.device_id));
                if let Some(cache) = &options.cache {
                    let folder = cache::folder(cache, engine, options.device_id, &sha256_hex(model))?;
                    tensorrt = tensorrt
                        .with_engine_cache(true)
                        .with_engine_cache_path(&folder)
                        .with_timing_cache(true)
                        .with_timing_cache_path(folder);
                }
                vec![tensorrt.build(), cuda().build()]
            }
        };
        // Without this a provider that fails is only logged.
        Ok(dispatches
            .into_iter()
            .map(|dispatch| dispatch.error_on_failure())
            .collect())
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Provider {
    type Err = Error;

    /// The provider of that [`name`](Self::name).
    ///
    /// # Errors
    /// [`Error::UnknownProvider`] if there is none.
    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|provider| provider.name() == name);
        found.ok_or_else(|| Error::UnknownProvider { name: name.to_owned() })
    }
}

/// By its name.
impl Serialize for Provider {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// By its name.
impl<'de> Deserialize<'de> for Provider {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Refuses a provider that the engine was built without.
pub(crate) fn require(provider: Provider, engine: &Engine) -> Result<(), Error> {
    if provider.is_built_in() {
        return Ok(());
    }
    Err(Error::ProviderUnavailable {
        provider,
        missing: Missing::Support {
            library: PathBuf::from(engine.path()),
            built_with: engine.providers(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for provider in Provider::ALL {
            assert_eq!(provider.to_string().parse::<Provider>().unwrap(), provider);
        }
        let message = "CUDA".parse::<Provider>().unwrap_err().to_string();
        assert_eq!(
            message,
            "no provider \"CUDA\": expected cpu, xnnpack, acl, openvino, cuda, cuda-or-cpu or tensorrt"
        );
    }
}
