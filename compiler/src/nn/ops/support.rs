//! Between candle's tensors and the kernels' slices.

use std::ops::Deref;

use candle_core::{CpuStorage, DType, Device, Error, Layout, Result, Storage, Tensor};

use crate::nn::kernels::element::Element;

/// Whether the kernels compute what is asked of `x`; elsewhere the compositions do.
pub(crate) fn runs_kernels(x: &Tensor) -> bool {
    x.device().is_cpu() && !composed()
}

/// Whether a test has asked for the compositions on a CPU too.
#[cfg(test)]
fn composed() -> bool {
    super::testing::composed()
}

#[cfg(not(test))]
const fn composed() -> bool {
    false
}

/// Runs `$body` with `$T` standing for the number type of `$dtype`; an error for anything but `f32` and `f64`.
macro_rules! for_dtype {
    ($dtype:expr, $op:expr, $T:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F32 => {
                type $T = f32;
                $body
            }
            candle_core::DType::F64 => {
                type $T = f64;
                $body
            }
            other => Err(candle_core::Error::UnsupportedDTypeForOp(other, $op).bt()),
        }
    };
}
pub(super) use for_dtype;

/// The elements of a contiguous input inside a custom operation.
pub(super) fn elements<'a, T: Element>(storage: &'a CpuStorage, layout: &Layout, op: &'static str) -> Result<&'a [T]> {
    // on another device a kernel would be an error
    debug_assert!(!composed(), "{op}: a kernel in a composition");
    let (start, end) = layout
        .contiguous_offsets()
        .ok_or_else(|| Error::RequiresContiguous { op }.bt())?;
    Ok(&T::cpu_storage_as_slice(storage)?[start..end])
}

/// The elements of a contiguous tensor that an operation changes in place.
pub(super) fn elements_mut<'a, T: Element>(
    storage: &'a mut CpuStorage,
    layout: &Layout,
    op: &'static str,
) -> Result<&'a mut [T]> {
    debug_assert!(!composed(), "{op}: a kernel in a composition");
    let (start, end) = layout
        .contiguous_offsets()
        .ok_or_else(|| Error::RequiresContiguous { op }.bt())?;
    let found = dtype_of(storage);
    let values = T::storage_mut(storage).ok_or_else(|| Error::UnsupportedDTypeForOp(found, op).bt())?;
    Ok(&mut values[start..end])
}

/// The number type of an input inside a custom operation.
pub(super) fn dtype_of(storage: &CpuStorage) -> DType {
    candle_core::backend::BackendStorage::dtype(storage)
}

/// A read lock on a contiguous CPU tensor; `G` is the guard, whose type candle does not name.
pub(super) struct View<'a, G> {
    storage: G,
    layout: &'a Layout,
    op: &'static str,
}

/// Locks the elements of a contiguous CPU tensor for reading.
pub(super) fn view<'a>(tensor: &'a Tensor, op: &'static str) -> View<'a, impl Deref<Target = Storage> + 'a> {
    let (storage, layout) = tensor.storage_and_layout();
    View { storage, layout, op }
}

impl<G: Deref<Target = Storage>> View<'_, G> {
    pub(super) fn elements<T: Element>(&self) -> Result<&[T]> {
        match &*self.storage {
            Storage::Cpu(storage) => elements(storage, self.layout, self.op),
            _ => Err(Error::Msg(format!("{}: expected a tensor on the cpu", self.op)).bt()),
        }
    }
}

/// Results of a kernel as a tensor that is not part of any graph.
pub(super) fn tensor<T: Element>(values: Vec<T>, like: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(values, like.shape(), &Device::Cpu)
}

/// The error for two inputs whose shapes do not fit each other.
pub(super) fn shape_mismatch(op: &'static str, lhs: &Tensor, rhs: &Tensor) -> Error {
    Error::ShapeMismatchBinaryOp {
        lhs: lhs.shape().clone(),
        rhs: rhs.shape().clone(),
        op,
    }
    .bt()
}

/// Refuses two inputs of different number types or on different devices.
pub(super) fn check_pair(op: &'static str, lhs: &Tensor, rhs: &Tensor) -> Result<()> {
    if lhs.dtype() != rhs.dtype() {
        return Err(Error::DTypeMismatchBinaryOp {
            lhs: lhs.dtype(),
            rhs: rhs.dtype(),
            op,
        }
        .bt());
    }
    if !lhs.device().same_device(rhs.device()) {
        let (lhs, rhs) = (lhs.device().location(), rhs.device().location());
        return Err(Error::DeviceMismatchBinaryOp { lhs, rhs, op }.bt());
    }
    Ok(())
}

/// The four sizes `(N, C, H, W)` of a batch of images, none of them zero.
pub(super) fn image_dims(op: &'static str, x: &Tensor) -> Result<(usize, usize, usize, usize)> {
    match x.dims() {
        &[n, c, h, w] if n * c * h * w > 0 => Ok((n, c, h, w)),
        _ => Err(Error::Msg(format!("{op}: expected a non-empty (N, C, H, W), got {:?}", x.shape())).bt()),
    }
}
