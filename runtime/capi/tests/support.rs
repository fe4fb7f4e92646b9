//! What several of these tests use: the header's functions, the built libraries, a session made through the ABI.

use std::env;
use std::ffi::{CString, c_char};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::ptr;

use askd::*;
use tempfile::TempDir;

use crate::common;

/// A function that the header declares.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) parameters: Vec<Parameter>,
}

#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// Type without the name, such as `const char *`.
    pub(crate) kind: String,
}

impl Parameter {
    pub(crate) fn is_pointer(&self) -> bool {
        self.kind.contains('*')
    }

    /// Whether there is an address that its type does not suit.
    pub(crate) fn can_be_misaligned(&self) -> bool {
        let bytes = ["const char *", "char *", "const uint8_t *", "bool *"];
        self.is_pointer() && !bytes.contains(&self.kind.as_str())
    }
}

pub(crate) fn crate_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of `askd.h`.
pub(crate) fn header() -> String {
    fs::read_to_string(crate_folder().join("include/askd.h")).unwrap()
}

/// Every function in the header, read as C's grammar for the few forms that are in it.
pub(crate) fn functions() -> Vec<Function> {
    let text = header();
    let mut code = String::new();
    let mut rest = text.as_str();
    while let Some(start) = rest.find("/*") {
        code.push_str(&rest[..start]);
        rest = &rest[start + rest[start..].find("*/").unwrap() + 2..];
    }
    code.push_str(rest);
    let code: Vec<&str> = code.lines().filter(|line| !line.starts_with('#')).collect();
    let code = code.join(" ");
    let mut functions = Vec::new();
    for declaration in code.split([';', '{', '}']) {
        let Some((front, parameters)) = declaration.split_once('(') else {
            continue;
        };
        let name = front.split([' ', '*']).next_back().unwrap();
        let parameters = parameters.trim_end().strip_suffix(')').unwrap().split(',');
        let parameters = parameters
            .filter(|parameter| parameter.trim() != "void")
            .map(|parameter| {
                let words = parameter.split_whitespace().collect::<Vec<_>>().join(" ");
                let at = words.rfind([' ', '*']).unwrap() + 1;
                Parameter {
                    name: words[at..].to_owned(),
                    kind: words[..at].trim_end().replace("struct ", ""),
                }
            });
        functions.push(Function {
            name: name.to_owned(),
            parameters: parameters.collect(),
        });
    }
    assert!(functions.len() > 30, "{functions:?}");
    functions
}

/// Where cargo puts what it builds beside this test.
pub(crate) fn built(file: &str) -> PathBuf {
    let path = env::current_exe().unwrap().parent().unwrap().join(file);
    assert!(path.is_file(), "{}: cargo did not build it", path.display());
    path
}

pub(crate) fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

/// The text of the last failure on this thread.
pub(crate) fn last_error() -> String {
    let mut buffer = [0u8; 1000];
    let mut length = 0;
    // SAFETY: the buffer has the length given.
    let status = unsafe { askd_last_error_text(buffer.as_mut_ptr().cast::<c_char>(), buffer.len(), &mut length) };
    assert_eq!(status, ASKD_STATUS_OK);
    String::from_utf8(buffer[..length.min(999)].to_vec()).unwrap()
}

#[track_caller]
pub(crate) fn ok(status: askd_status) {
    assert_eq!(status, ASKD_STATUS_OK, "{}", last_error());
}

/// A model and a session made through the ABI, freed at the end.
pub(crate) struct Running {
    pub(crate) folder: TempDir,
    pub(crate) model: *mut askd_model,
    pub(crate) session: *mut askd_session,
}

impl Running {
    pub(crate) fn new(onnx: &[u8], batch: askd_runtime::Batch) -> Self {
        Self::of(common::bundle(onnx, batch, |_, _| {}))
    }

    /// Of a model of pixels.
    pub(crate) fn on_pixels(onnx: &[u8], batch: askd_runtime::Batch) -> Self {
        Self::of(common::bundle_of_pixels(onnx, batch, |_, _| {}))
    }

    fn of(folder: TempDir) -> Self {
        common::require_engine();
        let (mut model, mut session) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: outputs are local, and the model is the one just opened.
        unsafe {
            ok(askd_model_open(c_path(folder.path()).as_ptr(), &mut model));
            ok(askd_session_new(model, ptr::null(), &mut session));
        }
        Self { folder, model, session }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // SAFETY: both are owned here and not used again.
        unsafe {
            askd_model_free(self.model);
            askd_session_free(self.session);
        }
    }
}

/// A prediction that no call has written.
pub(crate) const NONE: askd_prediction = askd_prediction {
    class_index: u32::MAX,
    probability: -1.0,
};
