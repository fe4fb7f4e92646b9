//! What can go wrong on the way in, and the text of a thread's last failure.

use std::cell::RefCell;
use std::ffi::c_char;
use std::fmt;

use askd_runtime::{Error, Provider};

use crate::boundary::{Caller, attempt};
use crate::status::{self, askd_status};

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Copies the text of the last failure on this thread: one line of UTF-8, empty if nothing failed yet.
///
/// A call that succeeds leaves it as it is, and so does this function. A text that does not fit is cut between characters,
/// unlike other texts, since a report of a failure should not fail. `length` gets the whole text's bytes, without the NUL.
///
/// `buffer` may be NULL if `capacity` is 0: then only `length` is written. `length` may be NULL.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER, BUFFER_TOO_SMALL for no byte at all. Threads: any.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_last_error_text(buffer: *mut c_char, capacity: usize, length: *mut usize) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    let done = attempt(|| caller.text_output(buffer, capacity, length)?.write_cut(&kept()));
    done.map_or_else(|(status, _)| status, |()| status::ASKD_STATUS_OK)
}

/// Keeps `text` for this thread.
pub(crate) fn keep(text: String) {
    // A thread that is just ending has no place for it any more.
    let _ = LAST.try_with(|last| last.replace(text));
}

/// The text kept last.
pub(crate) fn kept() -> String {
    LAST.try_with(|last| last.borrow().clone()).unwrap_or_default()
}

/// A failure of a call, before it becomes a status and a text.
#[derive(Debug)]
pub(crate) enum Fault {
    /// An argument is NULL and must not be.
    Null(&'static str),
    /// An argument's address is no multiple of what its type needs.
    Misaligned { name: &'static str, alignment: usize },
    /// An integer stands for none of the values that there are.
    UnknownValue {
        name: &'static str,
        expected: &'static str,
        found: u32,
    },
    /// A text is not UTF-8.
    NotUtf8(&'static str),
    /// More elements than memory can have.
    Length { name: &'static str, found: usize },
    /// A class that the model does not have.
    Class { classes: usize, found: u32 },
    /// The caller's room is too small.
    BufferTooSmall {
        name: &'static str,
        needed: usize,
        capacity: usize,
    },
    /// An output shares memory with an input.
    Overlap(&'static str),
    /// Another thread is in a call with the same session.
    Busy,
    /// A call with this session has panicked.
    Broken,
    /// A provider that this ABI has no number for yet.
    NoNumber(Provider),
    /// A failure of the runtime.
    Runtime(Error),
}

impl Fault {
    pub(crate) fn status(&self) -> askd_status {
        match self {
            Self::Null(_) => status::ASKD_STATUS_NULL_POINTER,
            Self::Misaligned { .. } => status::ASKD_STATUS_MISALIGNED_POINTER,
            Self::UnknownValue { .. } => status::ASKD_STATUS_UNKNOWN_VALUE,
            Self::NotUtf8(_) => status::ASKD_STATUS_NOT_UTF8,
            Self::Length { .. } => status::ASKD_STATUS_WRONG_LENGTH,
            Self::Class { .. } => status::ASKD_STATUS_NO_SUCH_CLASS,
            Self::BufferTooSmall { .. } => status::ASKD_STATUS_BUFFER_TOO_SMALL,
            Self::Overlap(_) => status::ASKD_STATUS_OVERLAP,
            Self::Busy => status::ASKD_STATUS_BUSY,
            Self::Broken => status::ASKD_STATUS_PANIC,
            Self::NoNumber(_) => status::ASKD_STATUS_OTHER,
            Self::Runtime(error) => status::of(error),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null(name) => write!(f, "{name}: expected a pointer, got NULL"),
            Self::Misaligned { name, alignment } => {
                write!(
                    f,
                    "{name}: expected an address that is a multiple of {alignment}, got another"
                )
            }
            Self::UnknownValue { name, expected, found } => write!(f, "{name}: expected {expected}, got {found}"),
            Self::NotUtf8(name) => write!(f, "{name}: expected UTF-8, got other bytes"),
            Self::Length { name, found } => {
                write!(
                    f,
                    "{name}: expected a length that memory can have, got {found} elements"
                )
            }
            Self::Class { classes, found } => {
                write!(
                    f,
                    "class_index: expected 0 to {}, got {found}",
                    classes.saturating_sub(1)
                )
            }
            Self::BufferTooSmall { name, needed, capacity } => {
                write!(f, "{name}: expected room for {needed} elements, got {capacity}")
            }
            Self::Overlap(name) => write!(f, "{name}: expected memory of its own, got some of the input's"),
            Self::Busy => f.write_str("session: expected one thread at a time, got a second one"),
            Self::Broken => f.write_str("session: an earlier call with it panicked (free it and make a new one)"),
            Self::NoNumber(provider) => write!(
                f,
                "provider {provider}: it has no ASKD_PROVIDER_ number in this version"
            ),
            Self::Runtime(error) => write!(f, "{error}"),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Runtime(error)
    }
}
