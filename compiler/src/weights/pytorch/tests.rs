//! Files that PyTorch wrote (`tests/fixtures/checkpoints/make_checkpoints.py`), whole and damaged.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use askd_models::{Graph, GraphBuilder, LOGITS};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::weights::{HostTensor, import};

fn fixture(name: &str) -> PathBuf {
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints");
    fixtures.join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixture(name)).unwrap()
}

/// A tensor of these elements of a storage, in which element i is i / 8 - 2.
fn tensor(shape: &[usize], elements: impl IntoIterator<Item = usize>) -> HostTensor {
    let data = elements.into_iter().map(|element| element as f32 / 8.0 - 2.0).collect();
    HostTensor::new(shape.to_vec(), data)
}

/// The tensors of `legacy.pth` and `zip.pth`.
fn expected() -> Weights {
    // made as (2, 3, 3, 4), its dimensions then taken in the order 3, 2, 0, 1
    let transposed = (0..72).map(|at| {
        let (a, b, c, d) = (at / 18, at / 6 % 3, at / 3 % 2, at % 3);
        ((c * 3 + d) * 3 + b) * 4 + a
    });
    let tensors = [
        ("plain", tensor(&[2, 3], 0..6)),
        ("parameter", tensor(&[4], 0..4)),
        ("half", tensor(&[5], 0..5)),
        ("bfloat", tensor(&[5], 0..5)),
        ("double", tensor(&[5], 0..5)),
        ("scalar", tensor(&[], 0..1)),
        ("empty", tensor(&[0, 3], 0..0)),
        ("transposed", tensor(&[4, 3, 2, 3], transposed)),
        ("rows", tensor(&[4, 3], 6..18)),
        ("column", tensor(&[4], (0..4).map(|row| row * 6 + 2))),
        ("all", tensor(&[24], 0..24)),
    ];
    tensors.map(|(name, tensor)| (name.to_owned(), tensor)).into()
}

#[test]
fn both_formats_hold_the_same_tensors() {
    for name in ["legacy.pth", "zip.pth", "training.pth"] {
        assert_eq!(load(&fixture(name)).unwrap(), expected(), "{name}");
    }
}

/// A convolution, batch norm and classifier.
fn network() -> Graph {
    let mut builder = GraphBuilder::new("small", [1, 3, 3]);
    let image = builder.input();
    let x = builder.conv("conv1", image, 2, 3, 1).unwrap();
    let x = builder.batch_norm("bn1", x).unwrap();
    let logits = builder.classifier("fc", x, 3).unwrap();
    builder.finish(&[(LOGITS, logits)])
}

#[test]
fn a_network_in_data_parallel_is_imported_by_its_own_names() {
    let weights = import(&network(), fixture("parallel.pth")).unwrap();
    let names: Vec<_> = weights.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "bn1.bias",
            "bn1.running_mean",
            "bn1.running_var",
            "bn1.weight",
            "conv1.weight",
            "fc.bias",
            "fc.weight"
        ]
    );
    assert_eq!(weights["conv1.weight"], tensor(&[2, 1, 3, 3], 0..18));
    assert_eq!(weights["fc.weight"], tensor(&[3, 2], 0..6));
}

#[test]
fn a_module_pickled_whole_is_refused_with_what_to_do() {
    let error = load(&fixture("module.pth")).unwrap_err().to_string();
    assert!(error.contains("module.pth: expected a PyTorch checkpoint"), "{error}");
    assert!(
        error.contains("Sequential") && error.contains("state_dict()"),
        "{error}"
    );
}

/// Replaces the one place that holds `from`.
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}

#[test]
fn a_file_that_lies_about_its_tensors_is_refused() {
    let whole = bytes("legacy.pth");
    // size and strides of `plain`, of 2 and 3, 3 and 1, as pickled
    let (size, strides) = (b"K\x02K\x03\x86", b"K\x03K\x01\x86");
    let huge = b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86";
    let cases: [(&[u8], &[u8], &str); 9] = [
        (size, huge, "\"plain\" of shape [2147483647, 2147483647]"),
        (size, b"J\xff\xff\xff\xffK\x03\x86", "no offset, size and strides"),
        (size, b"K\x02\x85", "1 sizes and 2 strides"),
        (
            strides,
            huge,
            "strides [2147483647, 2147483647] from element 0 in a storage of 6",
        ),
        (strides, b"K\x04K\x01\x86", "strides [4, 1]"),
        (b"plain", b"pl\nin", "the name \"pl\\nin\""),
        (b"FloatStorage", b"RoundStorage", "class \"RoundStorage\""),
        (b"FloatStorage", b"QInt8Storage", "storage"),
        (b"M\xe9\x03.", b"M\xea\x03.", "protocol Int(1002)"),
    ];
    for (from, to, want) in cases {
        let got = read(&replaced(&whole, from, to)).unwrap_err();
        assert!(got.contains(want) && !got.contains('\n'), "{got}");
    }
    let got = read(&whole[..whole.len() - 1]).unwrap_err();
    assert!(got.contains("cut short"), "{got}");
}

/// Bytes changed, runs of bytes left out and files cut short: an error or tensors no larger than the file, and soon.
#[test]
fn damaged_files_are_errors() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut refused, mut longest) = (0, Duration::ZERO);
    for name in ["legacy.pth", "zip.pth", "training.pth", "module.pth"] {
        let whole = bytes(name);
        for _ in 0..1500 {
            let mut damaged = whole.clone();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..damaged.len());
                match rng.random_range(0..4) {
                    0 => damaged[at] = rng.random(),
                    1 => damaged[at] ^= 1 << rng.random_range(0..8),
                    2 => drop(damaged.drain(at..(at + 8).min(damaged.len()))),
                    _ => damaged.truncate(at),
                }
                // something to damage further
                damaged.push(0);
            }
            let start = Instant::now();
            match read(&damaged) {
                Ok(weights) => assert!(weights.values().map(|tensor| tensor.data.len()).sum::<usize>() <= whole.len()),
                Err(damage) => {
                    assert!(!damage.contains('\n'), "{name}: {damage}");
                    refused += 1;
                }
            }
            longest = longest.max(start.elapsed());
        }
    }
    assert!(refused > 3000, "{refused} of 6000 refused");
    assert!(longest < Duration::from_secs(1), "{longest:?}");
}
