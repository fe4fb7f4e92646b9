//! `askd.json`: what is accepted keeps every rule, and is the same after writing and reading it.
#![no_main]

use askd_runtime::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match Manifest::from_json(bytes) {
        Ok(manifest) => {
            let text = manifest.to_json().expect("what was read keeps every rule");
            let again = Manifest::from_json(text.as_bytes()).expect("what was written can be read");
            assert!(again == manifest);
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control)),
    }
});
