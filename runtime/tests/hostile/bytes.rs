//! Damage to bytes that know of no format.

use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// Lengths as protobuf, safetensors and JSON would write them, far beyond any file.
const GIANTS: [&[u8]; 8] = [
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\x07",
    b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x00\x00\x00\x00\x01\x00\x00\x00",
    b"99999999999999999999",
    b"18446744073709551615",
];

/// Damages `bytes` in one to three places; `donor` is another file to take bytes from.
pub fn damage(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>, donor: &[u8]) {
    for _ in 0..rng.random_range(1..=3) {
        damage_once(rng, bytes, donor);
    }
}

fn damage_once(rng: &mut ChaCha8Rng, bytes: &mut Vec<u8>, donor: &[u8]) {
    if bytes.is_empty() {
        return bytes.push(rng.random());
    }
    let at = rng.random_range(0..bytes.len());
    let end = (at + rng.random_range(1..64)).min(bytes.len());
    match rng.random_range(0..9) {
        0..3 => bytes[at] ^= 1 << rng.random_range(0..8),
        3 => bytes.truncate(at),
        4 => drop(bytes.drain(at..end)),
        5 => {
            let from = rng.random_range(0..donor.len());
            let to = (from + rng.random_range(1..64)).min(donor.len());
            bytes.splice(at..if rng.random() { end } else { at }, donor[from..to].iter().copied());
        }
        6 => {
            let copied = bytes[at..end].to_vec();
            let to = rng.random_range(0..=bytes.len());
            bytes.splice(to..to, copied);
        }
        7 => {
            let giant = *GIANTS.choose(rng).unwrap();
            let until = if rng.random() {
                at
            } else {
                (at + giant.len()).min(bytes.len())
            };
            bytes.splice(at..until, giant.iter().copied());
        }
        _ => bytes[at..end].fill(*[0, 0x20, 0x7f, 0x80, 0xff].choose(rng).unwrap()),
    }
}
