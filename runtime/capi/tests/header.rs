//! `include/askd.h` is what cbindgen makes of the source. To write it anew:
//!
//! ```text
//! ASKD_BLESS=1 cargo test -p askd-runtime-capi header
//! ```

use std::env;
use std::fs;

use cbindgen::{Builder, Config, DocumentationStyle, Language, Layout, Style};

use crate::support::{crate_folder, functions, header};

/// Which sources it is made of, in the order of their types and functions in the header.
const SOURCES: [&str; 11] = [
    "version",
    "status",
    "error",
    "provider",
    "engine",
    "model",
    "model_facts",
    "options",
    "image",
    "prediction",
    "session",
];

const OPENING: &str = "\
/*
 * askd: verifies a bundle of an image classifier and runs it with ONNX Runtime.
 *
 * Rules for every function (docs/c-abi.md):
 * - What can fail returns an askd_status. \"Statuses\" lists what a function returns beside OK, without ASKD_STATUS_.
 * - Arguments come in this order: the object, inputs, outputs. Outputs are written only on success.
 * - Pointers must not be NULL unless their function says so. Lengths and capacities count elements.
 * - Nothing of the caller's memory is kept after the call.
 * - Objects are freed by the caller, once, by the function of their type ending in _free, which accepts NULL.
 * - Texts are UTF-8 and end with NUL.
 *
 * Made by cbindgen from runtime/capi/src: do not edit.
 */";

fn generate() -> String {
    let version = format!(
        "\n#define ASKD_VERSION_MAJOR {}\n#define ASKD_VERSION_MINOR {}\n#define ASKD_VERSION_PATCH {}",
        env!("CARGO_PKG_VERSION_MAJOR"),
        env!("CARGO_PKG_VERSION_MINOR"),
        env!("CARGO_PKG_VERSION_PATCH"),
    );
    let mut config = Config {
        language: Language::C,
        cpp_compat: true,
        header: Some(OPENING.into()),
        include_guard: Some("ASKD_H".into()),
        no_includes: true,
        sys_includes: ["stdbool.h", "stddef.h", "stdint.h"].map(Into::into).into(),
        after_includes: Some(version),
        usize_is_size_t: true,
        style: Style::Both,
        documentation_style: DocumentationStyle::Doxy,
        line_length: 120,
        tab_width: 4,
        ..Config::default()
    };
    config.function.args = Layout::Auto;
    let sources = SOURCES.map(|name| crate_folder().join("src").join(name).with_extension("rs"));
    let builder = sources
        .into_iter()
        .fold(Builder::new().with_config(config), Builder::with_src);
    let mut text = Vec::new();
    builder.generate().unwrap().write(&mut text);
    String::from_utf8(text).unwrap()
}

#[test]
fn the_header_is_what_the_source_says() {
    let generated = generate();
    if env::var_os("ASKD_BLESS").is_some() {
        fs::write(crate_folder().join("include/askd.h"), &generated).unwrap();
    }
    assert!(
        generated == header(),
        "include/askd.h is not what the source says: run ASKD_BLESS=1 cargo test -p askd-runtime-capi header"
    );
}

#[test]
fn no_source_with_exports_is_left_out() {
    for entry in fs::read_dir(crate_folder().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(
            text.contains("no_mangle"),
            SOURCES.contains(&name) && name != "image",
            "{name}"
        );
        for line in text.lines().filter(|line| line.contains("extern \"C\" fn ")) {
            let exported = line.split("fn ").nth(1).unwrap().split('(').next().unwrap();
            assert!(
                functions().iter().any(|function| function.name == exported),
                "{exported}"
            );
        }
    }
}
