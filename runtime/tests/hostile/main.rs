//! A hundred thousand bundles from people who mean no good. None is accepted that does not vouch for its files, nothing
//! panics, nothing takes long or much memory. No engine is involved: what would come after is not the point here.
//!
//! The number of a case is its seed; `case` makes it again.
#![cfg(unix)]
#![allow(unreachable_pub, reason = "modules of a test binary, not of a library")]

#[path = "../common/mod.rs"]
mod common;

mod bytes;
mod disk;
mod json;
mod large;
mod memory;
mod parts;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use askd_runtime::{Error, Model};
use common::{emulator, within};
use disk::Disk;
use parts::Parts;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const LONGEST: Duration = Duration::from_secs(1);

/// Most heap that reading files of that many bytes may hold at once.
fn heap_limit(bytes: usize) -> usize {
    (256 << 10) + 4 * bytes
}

/// What was done to a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Attack {
    /// Damage to one file.
    Bytes,
    /// Damage to the model, and a manifest that vouches for it.
    VouchedModel,
    /// Damage to the golden file, and a manifest that vouches for it.
    VouchedGolden,
    /// The manifest's JSON, still JSON or nearly.
    Json,
    /// Damage everywhere, by one who can write everything.
    Everything,
    /// Links, pipes, directories, names that lead elsewhere.
    Disk,
}

/// Number `seed` of the cases: what is done, and the bundle afterwards (for [`Attack::Disk`]: before).
fn case(seed: u64, good: &Parts) -> (Attack, Parts, ChaCha8Rng) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut parts = good.clone();
    let attack = match seed % 20 {
        0..5 => {
            match rng.random_range(0..3) {
                0 => bytes::damage(&mut rng, &mut parts.manifest, &good.golden),
                1 => bytes::damage(&mut rng, &mut parts.golden, &good.onnx),
                _ => bytes::damage(&mut rng, &mut parts.onnx, &good.golden),
            }
            Attack::Bytes
        }
        5..10 => {
            bytes::damage(&mut rng, &mut parts.onnx, &good.onnx);
            parts.vouch();
            Attack::VouchedModel
        }
        10..12 => {
            damage_golden(&mut rng, &mut parts.golden, &good.onnx);
            parts.vouch();
            Attack::VouchedGolden
        }
        12..17 => {
            damage_json(&mut rng, &mut parts.manifest);
            Attack::Json
        }
        17..19 => {
            bytes::damage(&mut rng, &mut parts.onnx, &good.golden);
            damage_golden(&mut rng, &mut parts.golden, &good.onnx);
            if rng.random() {
                std::mem::swap(&mut parts.golden, &mut parts.onnx);
            }
            parts.vouch();
            damage_json(&mut rng, &mut parts.manifest);
            Attack::Everything
        }
        _ => Attack::Disk,
    };
    (attack, parts, rng)
}

fn damage_json(rng: &mut ChaCha8Rng, manifest: &mut Vec<u8>) {
    let mut text = String::from_utf8(std::mem::take(manifest)).unwrap();
    json::damage(rng, &mut text);
    *manifest = text.into_bytes();
}

/// Damages any byte, or the JSON of the header, whose length is made right again.
fn damage_golden(rng: &mut ChaCha8Rng, golden: &mut Vec<u8>, donor: &[u8]) {
    if rng.random() {
        return bytes::damage(rng, golden, donor);
    }
    let data = 8 + usize::from(golden[0]) + 256 * usize::from(golden[1]);
    let mut header = String::from_utf8(golden[8..data].to_vec()).unwrap();
    json::damage(rng, &mut header);
    let length = (header.len() as u64).to_le_bytes();
    *golden = [&length, header.as_bytes(), &golden[data..]].concat();
}

/// The worst of what was measured, and what became of the cases.
#[derive(Default)]
struct Summary {
    slowest: (Duration, u64),
    /// Bytes of heap, and the case.
    largest: (usize, u64),
    /// Accepted and refused.
    outcomes: BTreeMap<Attack, [u64; 2]>,
}

impl Summary {
    /// Opens a bundle, and measures that.
    fn open(&mut self, seed: u64, bytes: usize, open: impl Fn() -> Result<Model, Error>) -> Result<Model, Error> {
        let mut shortest = Duration::MAX;
        // What takes long does so again; if the system had other things to do, it does not.
        for _ in 0..3 {
            let start = Instant::now();
            let (result, peak) = memory::peak_of(|| catch_unwind(AssertUnwindSafe(&open)));
            shortest = shortest.min(start.elapsed());
            let result = result.unwrap_or_else(|_| panic!("case {seed}: panicked"));
            let limit = heap_limit(bytes);
            assert!(
                peak <= limit,
                "case {seed}: {peak} bytes of heap, expected at most {limit}"
            );
            self.largest = self.largest.max((peak, seed));
            if shortest < within(LONGEST) {
                self.slowest = self.slowest.max((shortest, seed));
                return result;
            }
        }
        panic!("case {seed}: took {shortest:?} at best, expected less than {LONGEST:?}");
    }
}

#[test]
fn a_hundred_thousand_mutated_bundles() {
    let good = Parts::good();
    good.open().unwrap();
    let disk = Disk::new(&good);
    let mut summary = Summary::default();
    // Under an emulator a part, for time's sake.
    let cases = if emulator().is_empty() { 100_000 } else { 5_000 };
    for seed in 0..cases {
        let (attack, parts, mut rng) = case(seed, &good);
        let result = if attack == Attack::Disk {
            let folder = disk.place(&mut rng, &parts);
            let result = summary.open(seed, parts.bytes(), || Model::open(&folder));
            assert!(result.is_err(), "case {seed}: accepted");
            result
        } else {
            summary.open(seed, parts.bytes(), || parts.open())
        };
        summary.outcomes.entry(attack).or_default()[usize::from(result.is_err())] += 1;
        judge(seed, attack, &parts, &good, result);
    }
    println!("slowest: {:?}", summary.slowest);
    println!("most heap: {:?}", summary.largest);
    println!("accepted and refused: {:?}", summary.outcomes);
    for (attack, [accepted, refused]) in summary.outcomes {
        // Every kind bites, and those that may pass the digests do so often enough to try what comes after.
        assert!(refused > cases / 100, "{attack:?}: {refused} refused");
        let may_pass = matches!(attack, Attack::VouchedModel | Attack::VouchedGolden | Attack::Json);
        assert!(!may_pass || accepted > cases / 1000, "{attack:?}: {accepted} accepted");
    }
}

fn judge(seed: u64, attack: Attack, parts: &Parts, good: &Parts, result: Result<Model, Error>) {
    match result {
        Ok(model) => {
            assert!(
                parts.are_vouched_for(),
                "case {seed}: accepted without matching digests"
            );
            assert!(model.onnx() == parts.onnx, "case {seed}: other bytes than those given");
            if attack == Attack::Bytes {
                let same = parts.onnx == good.onnx && parts.golden == good.golden;
                assert!(same, "case {seed}: a damaged file was accepted");
            }
        }
        Err(error) => {
            let message = error.to_string();
            let one_line = message.len() < 1000 && !message.contains(char::is_control);
            assert!(one_line, "case {seed}: no short line: {message:?}");
            let expected = match attack {
                // By what looks at contents; a damaged size of zero is a matter of the manifest.
                Attack::VouchedModel => matches!(
                    error,
                    Error::OnnxFormat { .. } | Error::OnnxContent { .. } | Error::ManifestField { .. }
                ),
                Attack::VouchedGolden => matches!(error, Error::GoldenFormat { .. } | Error::ManifestField { .. }),
                _ => true,
            };
            assert!(expected, "case {seed}: unexpected {error}");
        }
    }
}
