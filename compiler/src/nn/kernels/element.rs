//! The number types the kernels work in: `f32` to train, `f64` to check gradients against.

use std::cell::Cell;

use candle_core::{CpuStorage, WithDType};

/// A floating-point number that the kernels can compute with.
pub trait Element: WithDType {
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;
    /// Six, where ReLU6 ends.
    const SIX: Self;

    /// The numbers in a storage of this type; `None` if it is of another.
    fn storage_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;

    /// Lends `body` a buffer of `len` elements with unspecified contents.
    ///
    /// The memory belongs to the calling thread and is used again by its next call, so that a worker which handles
    /// many images touches the same cached pages each time.
    fn with_scratch<R>(len: usize, body: impl FnOnce(&mut [Self]) -> R) -> R;
}

macro_rules! element {
    ($ty:ty, $storage:path) => {
        impl Element for $ty {
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const SIX: Self = 6.0;

            fn storage_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
                match storage {
                    $storage(values) => Some(values),
                    _ => None,
                }
            }

            fn with_scratch<R>(len: usize, body: impl FnOnce(&mut [Self]) -> R) -> R {
                thread_local! {
                    static SCRATCH: Cell<Vec<$ty>> = const { Cell::new(Vec::new()) };
                }
                // Taken out, not borrowed: a nested call finds an empty vector and allocates its own.
                let mut buffer = SCRATCH.take();
                if buffer.len() < len {
                    buffer.resize(len, 0.0);
                }
                let result = body(&mut buffer[..len]);
                SCRATCH.set(buffer);
                result
            }
        }
    };
}

element!(f32, CpuStorage::F32);
element!(f64, CpuStorage::F64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_nests_and_is_reused() {
        let outer = f32::with_scratch(8, |a| {
            a.fill(1.0);
            f32::with_scratch(16, |b| b.fill(2.0));
            a.iter().sum::<f32>()
        });
        assert_eq!(outer, 8.0);
        assert_eq!(f64::with_scratch(3, |a| a.len()), 3);
    }
}
