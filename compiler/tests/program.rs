//! The program starts. That this test is here makes cargo build `askd-compile` for the tests of the whole workspace.

use std::process::Command;

#[test]
fn it_tells_its_version() {
    let output = Command::new(env!("CARGO_BIN_EXE_askd-compile"))
        .arg("--version")
        .output()
        .unwrap();
    assert!(output.status.success());
    let version = format!("askd-compile {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), version);
}
