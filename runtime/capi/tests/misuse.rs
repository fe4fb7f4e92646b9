//! What C can do wrong: each exported function answers by the right status and a text, and leaves its outputs untouched.
//! A function, or an argument of one, that has no case here fails the test.

use std::cell::UnsafeCell;
use std::collections::BTreeSet;

use askd::*;
use askd_runtime::Batch;

use crate::common::{DYNAMIC, PIXELS_DYNAMIC};
use crate::support::{Running, functions, last_error};

mod pointers;
mod values;

/// What outputs hold before a call.
const CANARY: u64 = 0xA5A5_5A5A_C3C3_3C3C;
/// Words of that.
const ROOM: usize = 64;

/// Arguments that may be NULL; `calls.rs` shows what that gives.
const MAY_BE_NULL: [(&str, &str); 4] = [
    ("askd_engine_load", "path"),
    ("askd_session_options_set_library", "path"),
    ("askd_session_options_set_cache", "path"),
    ("askd_session_new", "options"),
];

/// The valid arguments that cases start from, and the cases seen.
pub(crate) struct Bench {
    running: Running,
    /// A model of pixels.
    on_pixels: Running,
    options: *mut askd_session_options,
    room: Box<UnsafeCell<[u64; ROOM]>>,
    /// Function and argument.
    cases: BTreeSet<(String, String)>,
}

impl Bench {
    fn new() -> Self {
        let mut options = std::ptr::null_mut();
        // SAFETY: the output is local.
        assert_eq!(unsafe { askd_session_options_new(&mut options) }, ASKD_STATUS_OK);
        Self {
            running: Running::new(DYNAMIC, Batch::Dynamic),
            on_pixels: Running::on_pixels(PIXELS_DYNAMIC, Batch::Dynamic),
            options,
            room: Box::new(UnsafeCell::new([CANARY; ROOM])),
            cases: BTreeSet::new(),
        }
    }

    /// Room for output number `index`.
    fn output<T>(&self, index: usize) -> *mut T {
        self.room.get().cast::<[u64; ROOM / 4]>().wrapping_add(index).cast()
    }

    /// Judges a call of `function` in which `argument` was wrong.
    fn judge(&mut self, function: &str, argument: &str, status: askd_status, expected: askd_status) {
        let case = format!("{function}, {argument}");
        assert_eq!(status, expected, "{case}: {}", last_error());
        // SAFETY: no call is running that could write there.
        let room = unsafe { *self.room.get() };
        assert!(room.iter().all(|&word| word == CANARY), "{case}: an output was written");
        if function != "askd_last_error_text" {
            let text = last_error();
            assert!(!text.is_empty() && !text.contains('\n'), "{case}: {text:?}");
        }
        self.cases.insert((function.to_owned(), argument.to_owned()));
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // SAFETY: owned here, and not used again.
        unsafe { askd_session_options_free(self.options) };
    }
}

#[test]
fn every_argument_of_every_function_has_its_misuse_refused() {
    let mut bench = Bench::new();
    pointers::refused(&mut bench);
    values::refused(&mut bench);
    for function in functions() {
        for argument in &function.parameters {
            let mut case = (function.name.clone(), argument.name.clone());
            assert!(bench.cases.contains(&case), "no case of misuse for {case:?}");
            if argument.can_be_misaligned() {
                case.1.push_str(" misaligned");
                assert!(bench.cases.contains(&case), "no case of misuse for {case:?}");
            }
        }
    }
    // After all that the session still works.
    let (input, mut logits) = (crate::common::images(1), [0.0; crate::common::CLASSES]);
    // SAFETY: slices with their lengths.
    let status = unsafe {
        askd_session_run(
            bench.running.session,
            input.as_ptr(),
            input.len(),
            logits.as_mut_ptr(),
            logits.len(),
        )
    };
    assert_eq!(status, ASKD_STATUS_OK);
    crate::common::assert_close(&logits, &crate::common::reference(&input));
}
