//! Checkpoints of PyTorch 1.6 and later: a zip file, uncompressed, with the pickle and a member for each storage.
//!
//! Source: PyTorch's `torch/serialization.py`, `_save` and `_load`.

use std::collections::HashMap;
use std::io::{Cursor, copy, sink};

use zip::{CompressionMethod, ZipArchive};

use super::Damage;
use super::pickle::Pickle;
use super::state_dict::weights;
use crate::weights::Weights;

const PICKLE: &str = "data.pkl";

/// Whether a file begins as a zip file does.
pub(super) fn is_zip(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

pub(super) fn read(bytes: &[u8]) -> Result<Weights, Damage> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
    // all members are in one directory, named after the file
    let mut names = archive.file_names().filter_map(Result::ok);
    let directory = names.find_map(|name| name.strip_suffix(PICKLE).map(str::to_owned));
    let directory = directory.ok_or_else(|| format!("a zip file without {PICKLE}"))?;
    drop(names);
    let order = format!("{directory}byteorder");
    if archive.index_for_name(&order).is_some() && member(&mut archive, bytes, &order)? != b"little" {
        return Err("storages that are not little-endian".to_owned());
    }
    let mut program = member(&mut archive, bytes, &format!("{directory}{PICKLE}"))?;
    let pickle = Pickle::read(&mut program)?;
    // many tensors may share a storage, whose checksum is worth one look
    let mut seen: HashMap<String, &[u8]> = HashMap::new();
    weights(&pickle, bytes.len(), |storage| {
        if let Some(content) = seen.get(storage.key) {
            return Ok(content);
        }
        let name = format!("{directory}data/{}", storage.key);
        let content = member(&mut archive, bytes, &name)?;
        if content.len() < storage.bytes()? {
            let (got, want) = (content.len(), storage.bytes()?);
            return Err(format!("{name:?} of {got} bytes, not {want}"));
        }
        seen.insert(storage.key.to_owned(), content);
        Ok(content)
    })
}

/// A member's bytes where they lie in the file, after their checksum is checked.
fn member<'a>(archive: &mut ZipArchive<Cursor<&[u8]>>, bytes: &'a [u8], name: &str) -> Result<&'a [u8], Damage> {
    let damaged = |what: String| format!("{name:?}: {what}");
    let mut member = archive.by_name(name).map_err(|error| damaged(error.to_string()))?;
    if member.compression() != CompressionMethod::Stored {
        return Err(damaged("compressed".to_owned()));
    }
    copy(&mut member, &mut sink()).map_err(|error| damaged(error.to_string()))?;
    let start = member.data_start().and_then(|start| usize::try_from(start).ok());
    let content = start
        .zip(usize::try_from(member.size()).ok())
        .and_then(|(start, len)| bytes.get(start..)?.get(..len));
    content.ok_or_else(|| damaged("beyond the file's end".to_owned()))
}
