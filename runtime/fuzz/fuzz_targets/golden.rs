//! Golden files: what is accepted has the lengths it says, and is the same after writing and reading it.
#![no_main]

use askd_runtime::GoldenData;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match GoldenData::from_safetensors(bytes) {
        Ok(golden) => {
            assert!(golden.input().len() == golden.shape().iter().product::<usize>());
            assert!(golden.output().len() == golden.shape()[0] * golden.classes());
            let written = golden.to_safetensors().expect("what was read can be written");
            assert!(GoldenData::from_safetensors(&written).expect("what was written can be read") == golden);
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control)),
    }
});
