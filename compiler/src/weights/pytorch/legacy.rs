//! Checkpoints of PyTorch before 1.6: five pickles, then the storages, each with its length, in the order of the last pickle.
//!
//! Source: PyTorch's `torch/serialization.py`, `_legacy_save` and `_legacy_load`.

use std::collections::HashMap;

use super::Damage;
use super::pickle::{Pickle, Value};
use super::state_dict::{storages, weights};
use crate::weights::Weights;

/// The pickled number 0x1950a86a20f9469cfc6c, after the two bytes that tell the pickle's protocol.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
const PROTOCOL: i64 = 1001;

/// Whether a file begins as one of these.
pub(super) fn is_legacy(bytes: &[u8]) -> bool {
    bytes.get(2..).is_some_and(|bytes| bytes.starts_with(MAGIC))
}

pub(super) fn read(bytes: &[u8]) -> Result<Weights, Damage> {
    let mut rest = bytes;
    Pickle::read(&mut rest)?; // the magic number
    match Pickle::read(&mut rest)?.top() {
        Value::Int(PROTOCOL) => {}
        other => return Err(format!("protocol {other:?}, not {PROTOCOL}")),
    }
    // of the machine that wrote it: storages are little-endian on all of them
    Pickle::read(&mut rest)?;
    let object = Pickle::read(&mut rest)?;
    let keys = Pickle::read(&mut rest)?;
    let contents = contents(&object, &keys, rest)?;
    weights(&object, bytes.len(), |storage| {
        let content = contents.get(storage.key).copied();
        content.ok_or_else(|| format!("no content of storage {:?}", storage.key))
    })
}

/// Each storage's bytes by its key.
fn contents<'a>(
    object: &Pickle<'_>,
    keys: &Pickle<'a>,
    mut rest: &'a [u8],
) -> Result<HashMap<&'a str, &'a [u8]>, Damage> {
    let storages = storages(object)?;
    let Value::List(keys_in_order) = keys.top() else {
        return Err("no list of storages".to_owned());
    };
    let mut contents = HashMap::new();
    for key in keys_in_order {
        let key = keys.text(*key).ok_or("a storage without a key")?;
        let storage = storages
            .get(key)
            .ok_or_else(|| format!("storage {key:?} of no tensor"))?;
        let cut = || format!("storage {key:?} cut short");
        let (len, after) = rest.split_first_chunk().ok_or_else(cut)?;
        let len = u64::from_le_bytes(*len);
        if len != storage.len as u64 {
            return Err(format!("storage {key:?} of {len} elements, not {}", storage.len));
        }
        let (content, after) = after.split_at_checked(storage.bytes()?).ok_or_else(cut)?;
        contents.insert(key, content);
        rest = after;
    }
    Ok(contents)
}
