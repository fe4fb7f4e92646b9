//! The shared library gives its users the header's functions and nothing else.

use std::collections::BTreeSet;
use std::process::Command;

use crate::support::{built, functions};

#[test]
fn the_shared_library_exports_exactly_the_headers_functions() {
    let library = built("libaskd.so");
    let output = Command::new("nm").args(["-D", "--defined-only"]).arg(&library).output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: no nm to list the exports of {}", library.display());
        return;
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let exported: BTreeSet<&str> = text.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    let functions = functions();
    let declared: BTreeSet<&str> = functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(exported, declared);
    assert!(declared.iter().all(|name| name.starts_with("askd_")));
}
