//! What a caller may choose about a session.

use std::path::PathBuf;

use crate::error::Error;
use crate::provider::Provider;

/// How a session is made. Take the defaults and change what matters:
///
/// ```
/// use askd_runtime::SessionOptions;
///
/// let options = SessionOptions { intra_op_threads: 2, ..SessionOptions::default() };
/// assert!(!options.spinning);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionOptions {
    /// The ONNX Runtime library; `None` to look for it, see [`Engine::load`](crate::Engine::load).
    pub library: Option<PathBuf>,
    /// The device to run on. A contract: making the session fails if it cannot run there.
    pub provider: Provider,
    /// Which of several such devices, from 0; the CPU is 0.
    pub device_id: u16,
    /// Whether every node must run on the provider. Off by default: ONNX Runtime then runs nodes that the provider does
    /// not know on the CPU, which [`Model::placement`](crate::Model::placement) shows. On the CPU there is nothing to refuse.
    pub strict: bool,
    /// Threads within one operator, the caller's included; 1 by default, 0 for one a core.
    pub intra_op_threads: u16,
    /// Whether idle threads spin, which shortens runs that follow each other closely and heats the rest. Off by default.
    pub spinning: bool,
    /// Whether ONNX Runtime keeps the memory of a run on the CPU for the next one. On by default; off, a run takes it from
    /// the system and gives it back, which is slower and leaves more to others in between.
    pub memory_arena: bool,
    /// Most bytes of that memory on the device; for CUDA alone, ONNX Runtime has no such limit elsewhere.
    pub memory_limit: Option<u64>,
    /// Graph rewriting by ONNX Runtime before the first run; [`Optimisation::All`] by default.
    pub optimisation: Optimisation,
    /// Directory in which TensorRT keeps the engines and timings it made, for a later start to be quick; for TensorRT
    /// alone. Each model, version and device has a directory of its own in it, made when it is needed. Only trusted
    /// programs may be able to write there: engines are not checked.
    pub cache: Option<PathBuf>,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            library: None,
            provider: Provider::default(),
            device_id: 0,
            strict: false,
            intra_op_threads: 1,
            spinning: false,
            memory_arena: true,
            memory_limit: None,
            optimisation: Optimisation::default(),
            cache: None,
        }
    }
}

impl SessionOptions {
    /// Refuses what the provider would silently ignore.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |option, expected: &'static str| {
            Err(Error::Option {
                option,
                expected,
                provider: self.provider,
            })
        };
        let cuda = matches!(self.provider, Provider::Cuda | Provider::CudaOrCpu);
        if self.memory_limit.is_some() && !cuda {
            return refuse("memory_limit", "cuda or cuda-or-cpu");
        }
        if self.cache.is_some() && self.provider != Provider::TensorRt {
            return refuse("cache", "tensorrt");
        }
        if self.device_id != 0 && !cuda && self.provider != Provider::TensorRt {
            return refuse("device_id", "cuda, cuda-or-cpu or tensorrt");
        }
        Ok(())
    }
}

/// How much ONNX Runtime may rewrite the graph.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Optimisation {
    /// Not at all: each node runs as written.
    None,
    /// Rewrites that any device can use, such as constant folding.
    Basic,
    /// Also fusions of operators that only some devices have.
    Extended,
    /// Also memory layouts of the processor at hand.
    #[default]
    All,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_provider_would_ignore_is_refused() {
        let check = |change: fn(&mut SessionOptions), provider| {
            let mut options = SessionOptions {
                provider,
                ..SessionOptions::default()
            };
            change(&mut options);
            options.check().map_err(|error| error.to_string())
        };
        let limit = |options: &mut SessionOptions| options.memory_limit = Some(1 << 20);
        let cache = |options: &mut SessionOptions| options.cache = Some("cache".into());
        let device = |options: &mut SessionOptions| options.device_id = 1;
        assert_eq!(
            check(limit, Provider::Cpu).unwrap_err(),
            "option memory_limit: expected provider cuda or cuda-or-cpu, got cpu"
        );
        assert!(check(limit, Provider::TensorRt).is_err() && check(limit, Provider::Cuda).is_ok());
        assert!(check(cache, Provider::Cuda).is_err() && check(cache, Provider::TensorRt).is_ok());
        assert!(check(cache, Provider::OpenVino).is_err() && check(limit, Provider::OpenVino).is_err());
        assert!(check(device, Provider::Xnnpack).is_err() && check(device, Provider::CudaOrCpu).is_ok());
        assert!(check(|_| {}, Provider::Cpu).is_ok());
    }
}
