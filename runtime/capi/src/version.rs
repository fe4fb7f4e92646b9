//! The library's version.

use std::ffi::{CStr, c_char};

/// The version of the library that is linked, such as `0.1.0`. Never NULL.
///
/// The text is constant and belongs to the library. `ASKD_VERSION_MAJOR`, `_MINOR` and `_PATCH` are the header's version.
#[unsafe(no_mangle)]
pub extern "C" fn askd_version() -> *const c_char {
    const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(version) => version,
        Err(_) => panic!("a version has no NUL in it"),
    };
    VERSION.as_ptr()
}
