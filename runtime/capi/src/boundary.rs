//! The one way from C into Rust and back. Every exported function goes through here, so the rules of `docs/c-abi.md` are
//! kept in one place: panics end here, pointers are checked before they are followed, outputs are written last.

use std::any::Any;
use std::ffi::{CStr, c_char};
use std::marker::PhantomData;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::slice;

use crate::buffer::{Buffer, Output, Text};
use crate::error::{self, Fault};
use crate::status::{ASKD_STATUS_OK, ASKD_STATUS_PANIC, askd_status};

/// Runs the body of an exported function: its status, with the text of a failure kept for
/// [`askd_last_error_text`](crate::askd_last_error_text).
pub(crate) fn call(body: impl FnOnce() -> Result<(), Fault>) -> askd_status {
    match attempt(body) {
        Ok(()) => ASKD_STATUS_OK,
        Err((status, text)) => {
            error::keep(text);
            status
        }
    }
}

/// As [`call`], but hands the text of a failure to the caller.
pub(crate) fn attempt(body: impl FnOnce() -> Result<(), Fault>) -> Result<(), (askd_status, String)> {
    // The text is made inside: it too could panic. What a panic leaves half-done is a session, whose lock remembers it.
    let guarded = AssertUnwindSafe(|| body().map_err(|fault| (fault.status(), fault.to_string())));
    panic::catch_unwind(guarded).unwrap_or_else(|payload| Err((ASKD_STATUS_PANIC, describe(payload))))
}

fn describe(payload: Box<dyn Any + Send>) -> String {
    let words = payload.downcast_ref::<&str>().copied();
    let words = words.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let text = format!("panic, please report it: {}", words.unwrap_or("(no text)"));
    // Dropping it could panic once more; a panic is a bug, and leaks these few bytes.
    mem::forget(payload);
    text
}

/// Frees an object that C owned; NULL is nothing to free.
///
/// # Safety
/// `object` is NULL, or came from [`Output::hand_over`] and is not used again.
pub(crate) unsafe fn free<T>(name: &'static str, object: *mut T) {
    call(|| {
        if object.is_null() {
            return Ok(());
        }
        check(name, object)?;
        // SAFETY: the caller's promise; what `hand_over` gives is a box.
        drop(unsafe { Box::from_raw(object) });
        Ok(())
    });
}

/// The caller in C, who has promised to keep the rules: what follows its pointers needs no `unsafe` of its own.
///
/// `'a` is the time of one call.
pub(crate) struct Caller<'a>(PhantomData<&'a ()>);

impl<'a> Caller<'a> {
    /// # Safety
    /// For the time `'a`, which is no longer than the call from C, each pointer that is passed to a method is NULL or
    /// misaligned, or it points to what the method's argument types and lengths say: to read, or to write for outputs.
    /// Nothing else writes there meanwhile.
    pub(crate) unsafe fn trusted() -> Self {
        Self(PhantomData)
    }

    /// An object, or a struct of inputs.
    pub(crate) fn object<T>(&self, name: &'static str, pointer: *const T) -> Result<&'a T, Fault> {
        check(name, pointer)?;
        // SAFETY: neither NULL nor misaligned; the rest is the promise of `trusted`.
        Ok(unsafe { &*pointer })
    }

    /// As [`object`](Self::object), where NULL stands for none.
    pub(crate) fn optional<T>(&self, name: &'static str, pointer: *const T) -> Result<Option<&'a T>, Fault> {
        let given = !pointer.is_null();
        given.then(|| self.object(name, pointer)).transpose()
    }

    /// An object that the call changes.
    pub(crate) fn object_mut<T>(&self, name: &'static str, pointer: *mut T) -> Result<&'a mut T, Fault> {
        check(name, pointer)?;
        // SAFETY: as in `object`; and objects that change are used by one thread at a time.
        Ok(unsafe { &mut *pointer })
    }

    /// An input of `length` elements.
    pub(crate) fn slice<T>(&self, name: &'static str, pointer: *const T, length: usize) -> Result<&'a [T], Fault> {
        check_length(name, pointer, length)?;
        // SAFETY: neither NULL nor misaligned nor longer than a slice can be; the rest is the promise of `trusted`.
        Ok(unsafe { slice::from_raw_parts(pointer, length) })
    }

    /// An output of `length` numbers, all written or none, which must not overlap `input`.
    pub(crate) fn numbers_apart_from<T>(
        &self,
        input: &[T],
        name: &'static str,
        pointer: *mut f32,
        length: usize,
    ) -> Result<&'a mut [f32], Fault> {
        check_length(name, pointer, length)?;
        let (reads, start) = (input.as_ptr_range(), pointer.addr());
        let end = start + length * size_of::<f32>();
        if start < reads.end.addr() && reads.start.addr() < end {
            return Err(Fault::Overlap(name));
        }
        // SAFETY: as in `slice`, and no reference to it but this one. Any bytes are an f32, also those that C has not
        // set yet.
        Ok(unsafe { slice::from_raw_parts_mut(pointer, length) })
    }

    /// One value to be written.
    pub(crate) fn output<T>(&self, name: &'static str, pointer: *mut T) -> Result<Output<'a, T>, Fault> {
        check(name, pointer)?;
        // SAFETY: neither NULL nor misaligned; the rest is the promise of `trusted`.
        Ok(unsafe { Output::new(pointer) })
    }

    /// Up to `capacity` elements to be written.
    pub(crate) fn buffer<T>(
        &self,
        name: &'static str,
        pointer: *mut T,
        capacity: usize,
    ) -> Result<Buffer<'a, T>, Fault> {
        check_length(name, pointer, capacity)?;
        // SAFETY: as in `output`.
        Ok(unsafe { Buffer::new(name, pointer, capacity) })
    }

    /// Room for text: `buffer` may be NULL if `capacity` is 0, `length` always.
    pub(crate) fn text_output(
        &self,
        buffer: *mut c_char,
        capacity: usize,
        length: *mut usize,
    ) -> Result<Text<'a>, Fault> {
        let room = match buffer.is_null() && capacity == 0 {
            true => None,
            false => Some(self.buffer("buffer", buffer.cast::<u8>(), capacity)?),
        };
        let length = match length.is_null() {
            true => None,
            false => Some(self.output("length", length)?),
        };
        Ok(Text::new(room, length))
    }

    /// Text that must be UTF-8, up to its NUL.
    pub(crate) fn text(&self, name: &'static str, pointer: *const c_char) -> Result<&'a str, Fault> {
        self.c_string(name, pointer)?.to_str().map_err(|_| Fault::NotUtf8(name))
    }

    /// A path, up to its NUL: any bytes, where the system's paths are that.
    pub(crate) fn path(&self, name: &'static str, pointer: *const c_char) -> Result<PathBuf, Fault> {
        to_path(name, self.c_string(name, pointer)?)
    }

    /// As [`path`](Self::path), where NULL stands for none.
    pub(crate) fn optional_path(&self, name: &'static str, pointer: *const c_char) -> Result<Option<PathBuf>, Fault> {
        let given = !pointer.is_null();
        given.then(|| self.path(name, pointer)).transpose()
    }

    fn c_string(&self, name: &'static str, pointer: *const c_char) -> Result<&'a CStr, Fault> {
        check(name, pointer)?;
        // SAFETY: not NULL; that it ends with a NUL is the promise of `trusted`.
        Ok(unsafe { CStr::from_ptr(pointer) })
    }
}

#[cfg(unix)]
fn to_path(_: &'static str, text: &CStr) -> Result<PathBuf, Fault> {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    Ok(OsStr::from_bytes(text.to_bytes()).into())
}

#[cfg(not(unix))]
fn to_path(name: &'static str, text: &CStr) -> Result<PathBuf, Fault> {
    text.to_str().map(PathBuf::from).map_err(|_| Fault::NotUtf8(name))
}

fn check<T>(name: &'static str, pointer: *const T) -> Result<(), Fault> {
    if pointer.is_null() {
        return Err(Fault::Null(name));
    }
    if !pointer.is_aligned() {
        let alignment = align_of::<T>();
        return Err(Fault::Misaligned { name, alignment });
    }
    Ok(())
}

fn check_length<T>(name: &'static str, pointer: *const T, length: usize) -> Result<(), Fault> {
    check(name, pointer)?;
    let bytes = length.checked_mul(size_of::<T>());
    let end = bytes.and_then(|bytes| pointer.addr().checked_add(bytes));
    match (bytes, end) {
        (Some(bytes), Some(_)) if bytes <= isize::MAX as usize => Ok(()),
        _ => Err(Fault::Length { name, found: length }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::kept;

    #[test]
    fn a_panic_becomes_a_status_and_a_text() {
        assert_eq!(call(|| panic!("injected {}", 7)), ASKD_STATUS_PANIC);
        assert_eq!(kept(), "panic, please report it: injected 7");
        assert_eq!(call(|| panic!("plain")), ASKD_STATUS_PANIC);
        assert_eq!(kept(), "panic, please report it: plain");
        assert_eq!(call(|| panic::panic_any(7)), ASKD_STATUS_PANIC);
        assert_eq!(kept(), "panic, please report it: (no text)");
    }

    #[test]
    fn a_payload_that_panics_when_dropped_does_not_get_out() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        assert_eq!(call(|| panic::panic_any(Bomb)), ASKD_STATUS_PANIC);
    }

    #[test]
    fn success_leaves_the_last_text_alone() {
        assert_eq!(call(|| panic!("before")), ASKD_STATUS_PANIC);
        assert_eq!(call(|| Ok(())), ASKD_STATUS_OK);
        assert_eq!(kept(), "panic, please report it: before");
    }

    #[test]
    fn lengths_that_no_memory_has_are_refused() {
        let byte = 0u8;
        for length in [usize::MAX, isize::MAX as usize + 1] {
            assert!(matches!(
                check_length("x", &byte, length),
                Err(Fault::Length { name: "x", found }) if found == length
            ));
        }
        assert!(matches!(
            check_length("x", &0u64, usize::MAX / 8),
            Err(Fault::Length { .. })
        ));
        assert!(check_length("x", &byte, 1).is_ok());
    }

    #[test]
    fn outputs_that_overlap_inputs_are_refused() {
        let mut numbers = [0f32; 8];
        let start = numbers.as_mut_ptr();
        // SAFETY: all pointers below point into `numbers`.
        let caller = unsafe { Caller::trusted() };
        let input = caller.slice("input", start, 4).unwrap();
        for (at, fits) in [(0, false), (3, false), (4, true)] {
            let output = caller.numbers_apart_from(input, "output", start.wrapping_add(at), 4);
            assert_eq!(output.is_ok(), fits, "{at}");
        }
    }
}
