//! GPUs in a build with CUDA.

use askd_compiler::{Error, Result};
use candle_core::cuda_backend::CudaError;
use candle_core::cuda_backend::cudarc::driver::{CudaContext, DriverError};
use candle_core::{DType, Device, Tensor};

use super::FLAG;

/// The GPU of that number, after a first sum on it: a driver can be too old for the kernels of this build, or a GPU too
/// old or too new.
///
/// # Errors
/// [`Error::InvalidValue`] if there is no such GPU or it does not work.
pub(super) fn open(number: usize, text: &str) -> Result<Device> {
    let present = CudaContext::device_count().map_err(|error| unusable(&name_of(&error), text))?;
    if !usize::try_from(present).is_ok_and(|present| number < present) {
        let expected = format!("cuda:N with N below {present}, the number of GPUs here");
        return Err(Error::invalid(FLAG, expected, text));
    }
    let tried = Device::new_cuda(number).and_then(|device| {
        Tensor::ones(2, DType::F32, &device)?.sum_all()?.to_scalar::<f32>()?;
        Ok(device)
    });
    tried.map_err(|error| unusable(&answer(&error), text))
}

fn unusable(answer: &str, text: &str) -> Error {
    let expected = format!(
        "a GPU that works here (CUDA answers {answer}: see which GPUs nvidia-smi lists and what docs/cuda.md says they \
        need, or use --device cpu)"
    );
    Error::invalid(FLAG, expected, text)
}

/// What CUDA said, without what candle wraps around it.
fn answer(error: &candle_core::Error) -> String {
    match error {
        candle_core::Error::WithBacktrace { inner, .. } => answer(inner),
        candle_core::Error::Cuda(inner) => match inner.downcast_ref() {
            Some(CudaError::Cuda(error)) => name_of(error),
            _ => inner.to_string(),
        },
        other => other.to_string(),
    }
}

/// The error's name, which is what one finds in NVIDIA's documentation. Its text comes from the driver, and a driver that
/// does not work has none.
fn name_of(error: &DriverError) -> String {
    format!("{:?}", error.0)
}
