//! The firmware loop as a board would run it: it swaps to a good bundle and refuses a bad one, and no frame is lost by that.

#[path = "../../runtime/tests/common/mod.rs"]
mod common;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use askd_runtime::{Batch, GoldenData};
use common::{CLASSES, FIXED, bundle, require_engine};

/// Puts a bundle into `folder` as an update does: written elsewhere, then renamed. A `broken` one fails its self test.
fn install(folder: &Path, sequence: u64, broken: bool) {
    let made = bundle(FIXED, Batch::One, |manifest, golden| {
        manifest.sequence = sequence;
        if broken {
            let mut output = golden.output().to_vec();
            output[CLASSES] += 0.5;
            *golden = GoldenData::new(golden.shape(), golden.input().to_vec(), output).unwrap();
        }
    });
    let staged = folder.join(format!("{sequence}.partial"));
    fs::create_dir(&staged).unwrap();
    for entry in fs::read_dir(made.path()).unwrap().flatten() {
        fs::copy(entry.path(), staged.join(entry.file_name())).unwrap();
    }
    fs::rename(staged, folder.join(format!("{sequence}.askd"))).unwrap();
}

#[test]
fn it_swaps_to_a_good_bundle_and_refuses_a_bad_one() {
    let engine = require_engine();
    let folder = tempfile::tempdir().unwrap();
    install(folder.path(), 1, false);
    // Cargo builds the examples before it runs this, into the directory beside that of the tests.
    let this = env::current_exe().unwrap();
    let program = this
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/firmware_loop");
    let mut child = common::command(program)
        .arg(folder.path())
        .args(["--rate", "50", "--frames", "200"])
        .env("ORT_DYLIB_PATH", engine.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut until = |start: &str| {
        let found = lines.by_ref().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("the program ended without a line that starts with {start:?}"))
    };
    assert_eq!(until("serving"), "serving sequence 1");
    install(folder.path(), 2, true);
    let refused = until("refused");
    assert!(refused.contains("2.askd: self test: golden image 1"), "{refused}");
    assert!(refused.ends_with("; sequence 1 serves on"), "{refused}");
    install(folder.path(), 3, false);
    until("swapped to sequence 3");
    let last = lines.filter(|line| line.starts_with("frames=")).last().unwrap();
    assert!(child.wait().unwrap().success());
    // Every frame was classified or dropped by the policy.
    assert!(last.starts_with("frames=200 ") && last.ends_with(" bundle=3"), "{last}");
}
