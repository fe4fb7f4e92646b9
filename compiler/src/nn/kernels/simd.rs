//! The widest vector instructions of the processor at hand, chosen when the program runs.
//!
//! The crate is compiled for the oldest processor of its architecture; what runs inside [`vectorised`] is compiled for newer
//! ones too, and the compiler's own vectoriser does the rest. Only additions and multiplications as written: the results'
//! bits do not depend on the instructions.

/// Runs `body` compiled for the widest vectors there are.
///
/// Only code that is inlined gains from it: the closure itself and what it calls must be `#[inline(always)]`.
#[inline(always)]
pub fn vectorised<R>(body: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(body)
}
