//! The numbers that functions return. A number keeps its meaning for ever and is never given to another one.

use std::ffi::{CStr, c_char};

use askd_runtime::Error;

/// How a call ended: one of the `ASKD_STATUS_` numbers. Later versions may return numbers that are not listed here.
pub type askd_status = u32;

/// The call did what it is for.
pub const ASKD_STATUS_OK: askd_status = 0;
/// A bug in the library: the call ended in a panic. Free the objects that were passed to it.
pub const ASKD_STATUS_PANIC: askd_status = 1;
/// A failure that this version has no number for; the text tells.
pub const ASKD_STATUS_OTHER: askd_status = 2;

/// A pointer is NULL that must not be.
pub const ASKD_STATUS_NULL_POINTER: askd_status = 10;
/// A pointer's address does not suit its type.
pub const ASKD_STATUS_MISALIGNED_POINTER: askd_status = 11;
/// An integer stands for none of the values that there are, such as of providers.
pub const ASKD_STATUS_UNKNOWN_VALUE: askd_status = 12;
/// A text is not UTF-8.
pub const ASKD_STATUS_NOT_UTF8: askd_status = 13;
/// An input, an output or an image has not the length that the model or its sides ask for.
pub const ASKD_STATUS_WRONG_LENGTH: askd_status = 14;
/// A text does not fit into the caller's buffer.
pub const ASKD_STATUS_BUFFER_TOO_SMALL: askd_status = 15;
/// An output shares memory with an input.
pub const ASKD_STATUS_OVERLAP: askd_status = 16;
/// Another thread is in a call with the same session.
pub const ASKD_STATUS_BUSY: askd_status = 17;
/// The model has no such class.
pub const ASKD_STATUS_NO_SUCH_CLASS: askd_status = 18;
/// A session option that the provider would ignore.
pub const ASKD_STATUS_OPTION: askd_status = 19;
/// The model takes images of another type: pixels, or normalised ones.
pub const ASKD_STATUS_INPUT_TYPE: askd_status = 20;

/// There is no usable ONNX Runtime library.
pub const ASKD_STATUS_LIBRARY: askd_status = 30;
/// The process already uses another ONNX Runtime library.
pub const ASKD_STATUS_LIBRARY_CONFLICT: askd_status = 31;
/// The provider that was demanded cannot run here.
pub const ASKD_STATUS_PROVIDER_UNAVAILABLE: askd_status = 32;
/// A strict session was demanded, and the provider does not know every node of the model.
pub const ASKD_STATUS_CPU_NODES: askd_status = 33;
/// ONNX Runtime reported a failure.
pub const ASKD_STATUS_ENGINE: askd_status = 34;

/// The directory is no bundle.
pub const ASKD_STATUS_NOT_A_BUNDLE: askd_status = 50;
/// A file is missing, or cannot be read or written.
pub const ASKD_STATUS_FILE: askd_status = 51;
/// A file is not the one that the manifest vouches for: size or SHA-256 differ.
pub const ASKD_STATUS_DIGEST: askd_status = 52;
/// `askd.json` is damaged.
pub const ASKD_STATUS_MANIFEST: askd_status = 53;
/// `askd.json` follows a schema that this version does not know.
pub const ASKD_STATUS_SCHEMA: askd_status = 54;
/// The bundle has no variant of that name.
pub const ASKD_STATUS_NO_SUCH_VARIANT: askd_status = 55;
/// The ONNX model is not what the manifest says, or not what a model may be.
pub const ASKD_STATUS_MODEL: askd_status = 56;
/// The golden file is malformed, or disagrees with the manifest.
pub const ASKD_STATUS_GOLDEN: askd_status = 57;

/// The self test failed: this device computes something else. The bundle must not be used on it.
pub const ASKD_STATUS_SELF_TEST: askd_status = 70;
/// A logit is not a finite number.
pub const ASKD_STATUS_LOGIT: askd_status = 71;

/// What `status` means, in a few words. Never NULL.
///
/// The text is constant and belongs to the library. `askd_last_error_text` tells what happened, with names and values.
#[unsafe(no_mangle)]
pub extern "C" fn askd_status_text(status: askd_status) -> *const c_char {
    text(status).as_ptr()
}

fn text(status: askd_status) -> &'static CStr {
    match status {
        ASKD_STATUS_OK => c"success",
        ASKD_STATUS_PANIC => c"bug in the library",
        ASKD_STATUS_OTHER => c"other failure",
        ASKD_STATUS_NULL_POINTER => c"NULL pointer",
        ASKD_STATUS_MISALIGNED_POINTER => c"misaligned pointer",
        ASKD_STATUS_UNKNOWN_VALUE => c"unknown value",
        ASKD_STATUS_NOT_UTF8 => c"text is not UTF-8",
        ASKD_STATUS_WRONG_LENGTH => c"wrong length",
        ASKD_STATUS_BUFFER_TOO_SMALL => c"buffer too small",
        ASKD_STATUS_OVERLAP => c"output overlaps input",
        ASKD_STATUS_BUSY => c"session in use by another thread",
        ASKD_STATUS_NO_SUCH_CLASS => c"no such class",
        ASKD_STATUS_OPTION => c"option not for this provider",
        ASKD_STATUS_INPUT_TYPE => c"model takes images of another type",
        ASKD_STATUS_LIBRARY => c"no usable ONNX Runtime library",
        ASKD_STATUS_LIBRARY_CONFLICT => c"another ONNX Runtime library is in use",
        ASKD_STATUS_PROVIDER_UNAVAILABLE => c"provider cannot run here",
        ASKD_STATUS_CPU_NODES => c"provider does not know every node",
        ASKD_STATUS_ENGINE => c"failure in ONNX Runtime",
        ASKD_STATUS_NOT_A_BUNDLE => c"not a bundle",
        ASKD_STATUS_FILE => c"file cannot be used",
        ASKD_STATUS_DIGEST => c"file is not the one vouched for",
        ASKD_STATUS_MANIFEST => c"damaged manifest",
        ASKD_STATUS_SCHEMA => c"unknown schema of the manifest",
        ASKD_STATUS_NO_SUCH_VARIANT => c"no such variant",
        ASKD_STATUS_MODEL => c"unexpected model",
        ASKD_STATUS_GOLDEN => c"damaged golden file",
        ASKD_STATUS_SELF_TEST => c"self test failed",
        ASKD_STATUS_LOGIT => c"logit is not finite",
        _ => c"unknown status",
    }
}

/// The number for an error of the runtime: one for what a caller would treat alike.
pub(crate) fn of(error: &Error) -> askd_status {
    match error {
        Error::LibraryNotFound { .. }
        | Error::LibraryUnreadable { .. }
        | Error::LibraryFormat { .. }
        | Error::LibraryArchitecture { .. }
        | Error::LibraryLoad { .. }
        | Error::LibraryTooOld { .. } => ASKD_STATUS_LIBRARY,
        Error::LibraryConflict { .. } => ASKD_STATUS_LIBRARY_CONFLICT,
        Error::UnknownProvider { .. } => ASKD_STATUS_UNKNOWN_VALUE,
        Error::ProviderUnavailable { .. } => ASKD_STATUS_PROVIDER_UNAVAILABLE,
        Error::CpuNodes { .. } => ASKD_STATUS_CPU_NODES,
        Error::Option { .. } => ASKD_STATUS_OPTION,
        Error::InputType { .. } => ASKD_STATUS_INPUT_TYPE,
        Error::Engine { .. } | Error::ProfileFormat { .. } => ASKD_STATUS_ENGINE,
        Error::NotABundle { .. } => ASKD_STATUS_NOT_A_BUNDLE,
        Error::Read { .. }
        | Error::Write { .. }
        | Error::MissingFile { .. }
        | Error::NotAFile { .. }
        | Error::FileTooLarge { .. } => ASKD_STATUS_FILE,
        Error::FileSize { .. } | Error::FileDigest { .. } => ASKD_STATUS_DIGEST,
        Error::ManifestSyntax { .. } | Error::ManifestField { .. } => ASKD_STATUS_MANIFEST,
        Error::ManifestSchema { .. } => ASKD_STATUS_SCHEMA,
        Error::UnknownVariant { .. } => ASKD_STATUS_NO_SUCH_VARIANT,
        Error::OnnxFormat { .. } | Error::OnnxContent { .. } | Error::Interface { .. } => ASKD_STATUS_MODEL,
        Error::InputLength { .. }
        | Error::OutputLength { .. }
        | Error::ImageLength { .. }
        | Error::LabelCount { .. } => ASKD_STATUS_WRONG_LENGTH,
        Error::GoldenFormat { .. } => ASKD_STATUS_GOLDEN,
        Error::GoldenMismatch { .. } => ASKD_STATUS_SELF_TEST,
        Error::Logit { .. } => ASKD_STATUS_LOGIT,
        _ => ASKD_STATUS_OTHER,
    }
}
