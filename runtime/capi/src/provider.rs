//! Providers as numbers.

use std::ffi::{CStr, c_char};

use askd_runtime::Provider;

use crate::error::Fault;

/// ONNX Runtime's own kernels on the CPU; in every build of it.
pub const ASKD_PROVIDER_CPU: u32 = 0;
/// XNNPACK's kernels on the CPU.
pub const ASKD_PROVIDER_XNNPACK: u32 = 1;
/// Arm Compute Library's kernels on Arm CPUs.
pub const ASKD_PROVIDER_ACL: u32 = 2;
/// CUDA and cuDNN on an NVIDIA GPU.
pub const ASKD_PROVIDER_CUDA: u32 = 3;
/// CUDA where that can run, else the CPU; `askd_session_provider` says which one it is, `askd_session_fallback` why.
pub const ASKD_PROVIDER_CUDA_OR_CPU: u32 = 4;
/// TensorRT on an NVIDIA GPU; nodes that it does not know run by CUDA.
pub const ASKD_PROVIDER_TENSORRT: u32 = 5;
/// OpenVINO's kernels on x86-64 CPUs, where the library was built with them.
pub const ASKD_PROVIDER_OPENVINO: u32 = 6;

/// The name of an `ASKD_PROVIDER_` number, such as `cuda-or-cpu`; `unknown` for other numbers. Never NULL.
///
/// The text is constant and belongs to the library.
#[unsafe(no_mangle)]
pub extern "C" fn askd_provider_text(provider: u32) -> *const c_char {
    text(provider).as_ptr()
}

fn text(provider: u32) -> &'static CStr {
    match provider {
        ASKD_PROVIDER_CPU => c"cpu",
        ASKD_PROVIDER_XNNPACK => c"xnnpack",
        ASKD_PROVIDER_ACL => c"acl",
        ASKD_PROVIDER_CUDA => c"cuda",
        ASKD_PROVIDER_CUDA_OR_CPU => c"cuda-or-cpu",
        ASKD_PROVIDER_TENSORRT => c"tensorrt",
        ASKD_PROVIDER_OPENVINO => c"openvino",
        _ => c"unknown",
    }
}

/// The provider of an `ASKD_PROVIDER_` number.
pub(crate) fn from_number(number: u32) -> Result<Provider, Fault> {
    let found = Provider::ALL
        .into_iter()
        .find(|&provider| to_number(provider) == Some(number));
    found.ok_or(Fault::UnknownValue {
        name: "provider",
        expected: "an ASKD_PROVIDER_ number",
        found: number,
    })
}

/// The number of a provider; none for one that came later than this file.
pub(crate) fn to_number(provider: Provider) -> Option<u32> {
    Some(match provider {
        Provider::Cpu => ASKD_PROVIDER_CPU,
        Provider::Xnnpack => ASKD_PROVIDER_XNNPACK,
        Provider::Acl => ASKD_PROVIDER_ACL,
        Provider::Cuda => ASKD_PROVIDER_CUDA,
        Provider::CudaOrCpu => ASKD_PROVIDER_CUDA_OR_CPU,
        Provider::TensorRt => ASKD_PROVIDER_TENSORRT,
        Provider::OpenVino => ASKD_PROVIDER_OPENVINO,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_provider_has_a_number_and_its_own_name() {
        for provider in Provider::ALL {
            let number = to_number(provider).unwrap();
            assert_eq!(from_number(number).unwrap(), provider);
            assert_eq!(text(number).to_str().unwrap(), provider.name());
        }
        let error = from_number(99).unwrap_err();
        assert_eq!(error.to_string(), "provider: expected an ASKD_PROVIDER_ number, got 99");
    }
}
