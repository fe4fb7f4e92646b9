//! Where latency was measured.

use askd_runtime::Engine;
use serde::Serialize;

/// The machine and its ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The processor, as the system calls it; its architecture where it does not tell.
    pub processor: String,
    /// Cores that the program may use; a run uses one.
    pub cores: usize,
    /// Version of ONNX Runtime; none where it is not there or does not tell.
    pub onnxruntime: Option<String>,
}

impl Machine {
    pub(super) fn here() -> Self {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let engine = Engine::load(None).ok().and_then(Engine::version);
        Self {
            processor: processor(&cpuinfo).unwrap_or(std::env::consts::ARCH).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            onnxruntime: engine.map(str::to_owned),
        }
    }
}

/// The first core's name.
fn processor(cpuinfo: &str) -> Option<&str> {
    let fields = cpuinfo.lines().filter_map(|line| line.split_once(':'));
    let mut names = fields.filter(|(key, _)| ["model name", "Model"].contains(&key.trim()));
    names
        .next()
        .map(|(_, name)| name.trim())
        .filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_has_the_name_that_the_system_gives() {
        assert_eq!(
            processor("processor\t: 0\nmodel name\t: AMD EPYC\nmodel name\t: x\n"),
            Some("AMD EPYC")
        );
        assert_eq!(
            processor("Hardware\t: BCM\nModel\t\t: Raspberry Pi 4\n"),
            Some("Raspberry Pi 4")
        );
        assert_eq!(processor(""), None);
    }
}
