//! ONNX files, as they are read before ONNX Runtime sees them.
#![no_main]

use askd_runtime::OnnxVersions;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match OnnxVersions::read(bytes) {
        Ok(versions) => assert!(versions.ir_version > 0 && versions.opset > 0),
        Err(error) => assert!(!error.to_string().contains(char::is_control)),
    }
});
