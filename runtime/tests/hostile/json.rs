//! Damage to JSON text that leaves it JSON, or nearly.

use std::ops::Range;

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// Names that lead elsewhere, or that some file system takes for the right one.
const NAMES: [&str; 17] = [
    "../model.fp32.onnx",
    "..",
    ".",
    "./model.fp32.onnx",
    "/etc/passwd",
    "/dev/zero",
    "sub/model.fp32.onnx",
    "..\\\\model.fp32.onnx",
    "C:model.fp32.onnx",
    "MODEL.FP32.ONNX",
    "Golden.SafeTensors",
    "model.fp32.onnx ",
    "model.fp32.onnx\\u0000",
    "mode\\u006c.fp32.onnx",
    "askd.json",
    "golden.safetensors",
    "model.fp32.onnx",
];

const VALUES: [&str; 18] = [
    "0",
    "-1",
    "1e999",
    "-0.0",
    "0.5",
    "1e308",
    "4294967296",
    "9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "99999999999999999999999999999999",
    "null",
    "true",
    "[]",
    "{}",
    "\"\"",
    "\"\\ud800\"",
    "\"\\n\\u001b[31m\"",
];

/// Damages the text of a JSON object in one or two places.
pub fn damage(rng: &mut ChaCha8Rng, text: &mut String) {
    for _ in 0..rng.random_range(1..=2) {
        damage_once(rng, text);
    }
}

fn damage_once(rng: &mut ChaCha8Rng, text: &mut String) {
    let (keys, values) = scalars(text);
    let (Some(key), Some(value)) = (keys.choose(rng), values.choose(rng)) else {
        return;
    };
    match rng.random_range(0..8) {
        0 => text.replace_range(value.clone(), VALUES.choose(rng).unwrap()),
        1 | 2 => {
            let files = keys.iter().filter(|key| &text[(*key).clone()] == "\"file\"");
            let files: Vec<_> = files
                .filter_map(|key| values.iter().find(|value| value.start > key.end))
                .collect();
            if let Some(file) = files.choose(rng) {
                text.replace_range((*file).clone(), &format!("\"{}\"", NAMES.choose(rng).unwrap()));
            }
        }
        3 => {
            // The key again, with another value: before the first or after it.
            let again = format!("{}: {}, ", &text[key.clone()], VALUES.choose(rng).unwrap());
            text.insert_str(key.start, &again);
        }
        4 => {
            let again = format!(", {}: 0", &text[key.clone()]);
            text.insert_str(value.end, &again);
        }
        5 => {
            let depth = *[100, 127, 128, 129, 10_000].choose(rng).unwrap();
            let (open, close) = *[("[", "]"), ("{\"a\":", "}")].choose(rng).unwrap();
            let close = if rng.random() {
                close.repeat(depth)
            } else {
                String::new()
            };
            text.replace_range(value.clone(), &format!("{}0{close}", open.repeat(depth)));
        }
        6 => {
            let long = *["x", "9", "\\u0000", "é"].choose(rng).unwrap();
            let long = long.repeat(*[256, 10_000].choose(rng).unwrap());
            text.replace_range(value.clone(), &format!("\"{long}\""));
        }
        _ => {
            let other = keys.choose(rng).unwrap();
            let other = text[other.clone()].to_owned();
            text.replace_range(key.clone(), &other);
        }
    }
}

/// Where the keys, and where the numbers, texts and constants are.
fn scalars(text: &str) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        at += 1;
        if byte == b'"' {
            while bytes.get(at).is_some_and(|&byte| byte != b'"') {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            at = (at + 1).min(bytes.len());
            let is_key = text[at..].trim_start().starts_with(':');
            if is_key { &mut keys } else { &mut values }.push(start..at);
        } else if byte.is_ascii_alphanumeric() || byte == b'-' {
            while bytes
                .get(at)
                .is_some_and(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
            {
                at += 1;
            }
            values.push(start..at);
        }
    }
    (keys, values)
}
