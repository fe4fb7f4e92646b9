//! GPUs in a build without CUDA: none.

use askd_compiler::{Error, Result};
use candle_core::Device;

use super::FLAG;

/// Refuses, and says how to mend it.
pub(super) fn open(_number: usize, text: &str) -> Result<Device> {
    let expected = "cpu (built without --features cuda; docs/cuda.md tells how to build with it)";
    Err(Error::invalid(FLAG, expected, text))
}
