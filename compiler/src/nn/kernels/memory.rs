//! The allocator's habits, for training.

#![expect(
    unsafe_code,
    reason = "mimalloc's options are set through its C interface, which takes two numbers"
)]

/// Index of mimalloc's option `purge_delay`, the same in its versions 2 and 3.
///
/// Source: `enum mi_option_e` in mimalloc's `include/mimalloc.h`.
const PURGE_DELAY: std::ffi::c_int = 15;

/// Lets mimalloc keep freed memory instead of giving it back to the system after a while: a training step takes what the one
/// before freed, and memory that comes back from the system is cleared page by page first. Without mimalloc as the
/// program's allocator this has no effect.
pub fn keep_freed_memory() {
    // SAFETY: the option exists in every version of mimalloc that the crate builds; -1 is its documented value for "never".
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}
