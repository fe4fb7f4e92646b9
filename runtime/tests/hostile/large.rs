//! Files that are large, and made of what takes the most memory or time for its bytes.

use std::iter;
use std::time::Instant;

use askd_runtime::{Error, GoldenData, Manifest, OnnxVersions};

use crate::LONGEST;
use crate::common::within;
use crate::memory::peak_of;
use crate::parts::Parts;

/// Bytes of a file here: the most that `askd.json` may have.
const SIZE: usize = 16 << 20;

/// Most heap that reading a file of that many bytes may hold at once. The constant is what so many labels and other values
/// take as a manifest may have.
fn heap_limit(bytes: usize) -> usize {
    (48 << 20) + 2 * bytes
}

/// Reads `bytes` and sees that it takes neither long nor much memory; whether it is accepted.
fn read<T>(name: &str, bytes: &[u8], read: impl Fn(&[u8]) -> Result<T, Error>) -> bool {
    let mut accepted = false;
    let shortest = iter::repeat_with(|| {
        let start = Instant::now();
        let (result, peak) = peak_of(|| read(bytes));
        let took = start.elapsed();
        assert!(peak <= heap_limit(bytes.len()), "{name}: {peak} bytes of heap");
        accepted = result.is_ok();
        took
    });
    // Again where the system had other things to do.
    let shortest = shortest.take(3).find(|took| *took < within(LONGEST));
    assert!(shortest.is_some(), "{name}: took longer than {LONGEST:?}");
    accepted
}

fn filled(unit: &str, count: usize) -> String {
    vec![unit; count].join(",")
}

#[test]
fn manifests() {
    let good = String::from_utf8(Parts::good().manifest).unwrap();
    let with = |place: &str, content: &str| good.replacen(place, &format!("{place}{content},"), 1);
    for unit in [
        "[]",
        "1",
        "{\"\":0}",
        "\"a\"",
        "\"\\n\"",
        "{\"a\":{\"a\":{\"a\":[[[]]]}}}",
    ] {
        for (place, expected) in [("\"provenance\": {", "provenance"), ("{", "unknown field")] {
            let many = with(
                place,
                &format!("\"x\": [{}]", filled(unit, SIZE / (unit.len() + 1) - 1000)),
            );
            let name = format!("{expected} of {unit}");
            assert!(!read(&name, many.as_bytes(), Manifest::from_json), "{name}: accepted");
            let few = with(place, &format!("\"x\": [{}]", filled(unit, 9000)));
            assert!(read(&name, few.as_bytes(), Manifest::from_json), "{name}: refused");
        }
    }
    let keys: Vec<_> = (0..1_000_000).map(|key| format!("\"{key:x}\":0")).collect();
    assert!(!read(
        "keys",
        with("{", &keys.join(",")).as_bytes(),
        Manifest::from_json
    ));
    let long = with(
        "\"provenance\": {",
        &format!("\"{}\": 1", "\\u00e9".repeat(SIZE / 6 - 1000)),
    );
    assert!(read("a long key", long.as_bytes(), Manifest::from_json));
    for (count, label) in [(1 << 20, "\"\""), (1 << 20, "\"123456789\""), ((1 << 20) + 1, "\"\"")] {
        let labels = good
            .replace("\"classes\": 3", &format!("\"classes\": {count}"))
            .replace("\"cat\",", &format!("{},", filled(label, count - 2)));
        assert_eq!(read("labels", labels.as_bytes(), Manifest::from_json), count == 1 << 20);
    }
}

#[test]
fn golden_files() {
    for tensor in [
        "\"NAME\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}",
        "\"NAME\":{\"dtype\":\"F32\",\"shape\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0],\"data_offsets\":[0,0]}",
        "\"__metadata__\":{\"NAME\":\"\"}",
    ] {
        // Below the limit of a header, and far above it.
        for size in [60_000, SIZE] {
            let tensors: Vec<_> = (0..size / (tensor.len() + 4))
                .map(|at| tensor.replace("NAME", &format!("{at:x}")))
                .collect();
            let header = format!("{{{}}}", tensors.join(","));
            let bytes = [&(header.len() as u64).to_le_bytes(), header.as_bytes()].concat();
            let peak = peak_of(|| GoldenData::from_safetensors(&bytes).map(drop)).1;
            assert!(peak < 1 << 20, "{tensor}: {peak} bytes of heap");
            assert!(!read(tensor, &bytes, GoldenData::from_safetensors));
        }
    }
}

#[test]
fn models() {
    let field = |field: u8, content: &[u8]| {
        let mut bytes = vec![field << 3 | 2];
        let mut length = content.len();
        while length >= 0x80 {
            bytes.push(length as u8 | 0x80);
            length >>= 7;
        }
        bytes.push(length as u8);
        bytes.extend_from_slice(content);
        bytes
    };
    let model = |graph: &[u8]| [&[0x08, 8][..], &field(7, graph), &field(8, &[0x10, 17])].concat();
    let node = field(1, &[&field(1, b""), &field(2, b"")[..]].concat());
    let attributes = field(1, &field(5, &field(1, b"")).repeat(SIZE / 4));
    for (name, graph) in [
        ("empty nodes", field(1, b"").repeat(SIZE / 2)),
        ("nodes", node.repeat(SIZE / node.len())),
        ("attributes", attributes),
        ("packed numbers", field(5, &field(7, &[1; SIZE]))),
        ("single numbers", field(5, &[0x38, 1].repeat(SIZE / 2))),
        ("text", field(10, "é".repeat(SIZE / 2).as_bytes())),
        ("raw data", field(5, &field(9, &[1; SIZE]))),
    ] {
        assert!(read(name, &model(&graph), OnnxVersions::read), "{name}: refused");
    }
}
