//! `docs/c-abi.md` and the header name the same numbers and the same objects.

use std::fs;

use crate::support::{crate_folder, functions, header};

fn page() -> String {
    fs::read_to_string(crate_folder().join("../../docs/c-abi.md")).unwrap()
}

/// Names and numbers of the header's macros that begin with `prefix`.
fn macros(prefix: &str) -> Vec<(String, u32)> {
    let text = header();
    let defined = text.lines().filter_map(|line| line.strip_prefix("#define "));
    let defined = defined.filter_map(|line| line.split_once(' '));
    let found: Vec<_> = defined
        .filter(|(name, _)| name.starts_with(prefix))
        .map(|(name, number)| (name.to_owned(), number.parse().unwrap()))
        .collect();
    assert!(!found.is_empty(), "{prefix}");
    found
}

#[test]
fn the_page_lists_every_status_with_its_number() {
    let page = page();
    let rows: Vec<(String, u32)> = page
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let number = cells.next()?.parse().ok()?;
            Some((format!("ASKD_STATUS_{}", cells.next()?.trim_matches('`')), number))
        })
        .collect();
    assert_eq!(rows, macros("ASKD_STATUS_"));
}

#[test]
fn no_number_stands_for_two_things() {
    for prefix in [
        "ASKD_STATUS_",
        "ASKD_PROVIDER_",
        "ASKD_OPTIMISATION_",
        "ASKD_PIXEL_FORMAT_",
    ] {
        let mut numbers: Vec<u32> = macros(prefix).into_iter().map(|(_, number)| number).collect();
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count, "{prefix}");
    }
}

#[test]
fn every_status_has_its_own_text() {
    let mut texts: Vec<_> = macros("ASKD_STATUS_")
        .into_iter()
        // SAFETY: the texts are constants of the library.
        .map(|(_, number)| unsafe { std::ffi::CStr::from_ptr(askd::askd_status_text(number)) })
        .collect();
    let count = texts.len();
    assert!(!texts.contains(&c"unknown status"));
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), count);
}

#[test]
fn the_header_has_the_packages_version() {
    let numbers: Vec<String> = macros("ASKD_VERSION_")
        .into_iter()
        .map(|(_, number)| number.to_string())
        .collect();
    assert_eq!(numbers.join("."), env!("CARGO_PKG_VERSION"));
    // SAFETY: the text is a constant of the library.
    let version = unsafe { std::ffi::CStr::from_ptr(askd::askd_version()) };
    assert_eq!(version.to_str().unwrap(), env!("CARGO_PKG_VERSION"));
}

#[test]
fn the_page_says_who_owns_each_object() {
    let page = page();
    let freeing: Vec<_> = functions()
        .into_iter()
        .filter(|function| function.name.ends_with("_free"))
        .collect();
    assert_eq!(freeing.len(), 3);
    for function in freeing {
        assert!(page.contains(&format!("`{}`", function.name)), "{}", function.name);
    }
}
