//! The C ABI of `askd-runtime`: `libaskd` and `askd.h`.
//!
//! Its rules are on one page, `docs/c-abi.md`; `boundary.rs` enforces them. One file for each C object. The header is
//! made from these files by a test, which compares it with the one in `include/`.
#![expect(
    unsafe_code,
    reason = "pointers come from C, and exported names are a promise to the linker"
)]
#![expect(
    non_camel_case_types,
    reason = "types are called what C calls them, so that a search finds both"
)]
#![expect(
    clippy::missing_safety_doc,
    reason = "every function has the same duties for its caller, and docs/c-abi.md lists them"
)]
#![warn(clippy::unwrap_used)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that fails may panic"))]

mod boundary;
mod buffer;
mod engine;
mod error;
mod image;
mod model;
mod model_facts;
mod options;
mod prediction;
mod provider;
mod session;
mod status;
mod version;

pub use crate::engine::{
    askd_engine_has_provider, askd_engine_load, askd_engine_path, askd_engine_version, askd_engine_warning,
};
pub use crate::error::askd_last_error_text;
pub use crate::image::{ASKD_PIXEL_FORMAT_GRAY8, ASKD_PIXEL_FORMAT_RGB8, askd_image};
pub use crate::model::{
    askd_file, askd_model, askd_model_free, askd_model_from_bytes, askd_model_open, askd_model_open_mapped,
    askd_model_open_variant,
};
pub use crate::model_facts::{
    askd_input_shape, askd_model_classes, askd_model_device_class, askd_model_input_shape, askd_model_is_batch_dynamic,
    askd_model_label, askd_model_sequence, askd_model_takes_pixels, askd_model_temperature, askd_model_variant_name,
};
pub use crate::options::{
    ASKD_OPTIMISATION_ALL, ASKD_OPTIMISATION_BASIC, ASKD_OPTIMISATION_EXTENDED, ASKD_OPTIMISATION_NONE,
    askd_session_options, askd_session_options_free, askd_session_options_new, askd_session_options_set_cache,
    askd_session_options_set_device_id, askd_session_options_set_library, askd_session_options_set_memory_arena,
    askd_session_options_set_memory_limit, askd_session_options_set_optimisation, askd_session_options_set_provider,
    askd_session_options_set_spinning, askd_session_options_set_strict, askd_session_options_set_threads,
};
pub use crate::prediction::{askd_model_top_k, askd_prediction};
pub use crate::provider::{
    ASKD_PROVIDER_ACL, ASKD_PROVIDER_CPU, ASKD_PROVIDER_CUDA, ASKD_PROVIDER_CUDA_OR_CPU, ASKD_PROVIDER_OPENVINO,
    ASKD_PROVIDER_TENSORRT, ASKD_PROVIDER_XNNPACK, askd_provider_text,
};
pub use crate::session::{
    askd_self_test, askd_session, askd_session_classify, askd_session_fallback, askd_session_free, askd_session_new,
    askd_session_provider, askd_session_run, askd_session_run_image, askd_session_run_u8, askd_session_self_test,
};
pub use crate::status::*;
pub use crate::version::askd_version;
