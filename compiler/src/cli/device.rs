//! `--device`: from the flag's text to a device that computes.

#[cfg(feature = "cuda")]
mod cuda;
#[cfg(not(feature = "cuda"))]
#[path = "device/cuda_disabled.rs"]
mod cuda;

use askd_compiler::{Error, Result};
use candle_core::Device;

const FLAG: &str = "--device";
const CPU: &str = "cpu";

/// The device that `text` names: `cpu`, `cuda:N`, or `cuda` for the first GPU. What it returns has been tried.
///
/// # Errors
/// [`Error::InvalidValue`] if this is no device's name, if this build has no CUDA, if there is no such GPU, or if it does
/// not work.
pub(super) fn open(text: &str) -> Result<Device> {
    if text == CPU {
        return Ok(Device::Cpu);
    }
    let number = gpu_number(text).ok_or_else(|| Error::invalid(FLAG, "cpu, cuda or cuda:N", text))?;
    cuda::open(number, text)
}

/// The CPU, for work that is done nowhere else; `why` says so.
///
/// # Errors
/// [`Error::InvalidValue`] if `text` names anything else.
pub(super) fn open_cpu(text: &str, why: &str) -> Result<Device> {
    if text == CPU {
        Ok(Device::Cpu)
    } else {
        Err(Error::invalid(FLAG, format!("{CPU} ({why})"), text))
    }
}

/// N of `cuda:N`, counted as the driver does.
fn gpu_number(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("cuda")?;
    if rest.is_empty() {
        return Some(0);
    }
    let digits = rest.strip_prefix(':')?;
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_gpus() {
        for (text, number) in [("cuda", 0), ("cuda:0", 0), ("cuda:1", 1), ("cuda:15", 15)] {
            assert_eq!(gpu_number(text), Some(number), "{text}");
        }
        for text in [
            "",
            "gpu",
            "cuda0",
            "cuda:",
            "cuda:+1",
            "cuda:-1",
            "cuda: 1",
            "cuda:1 ",
            "cuda:x",
            "CUDA:0",
            "cuda:0:1",
            "cuda:99999999999999999999",
        ] {
            assert_eq!(gpu_number(text), None, "{text}");
            let error = open(text).unwrap_err();
            assert_eq!(
                (error.to_string(), error.exit_code()),
                (format!("--device: expected cpu, cuda or cuda:N, got {text}"), 2)
            );
        }
    }

    /// Whatever this build and this machine have, a device that is not the CPU is never answered with the CPU.
    #[test]
    fn no_gpu_is_an_error() {
        assert!(open(CPU).unwrap().is_cpu());
        for text in ["cuda", "cuda:0", "cuda:4294967296"] {
            match open(text) {
                Ok(device) => assert!(device.is_cuda(), "{text}: {device:?}"),
                Err(error) => {
                    let line = error.to_string();
                    assert!(
                        line.starts_with("--device: expected ") && line.ends_with(text),
                        "{line}"
                    );
                    assert!(!line.contains('\n') && error.exit_code() == 2, "{line}");
                }
            }
        }
        assert!(open("cuda:4294967296").is_err());
    }
}
