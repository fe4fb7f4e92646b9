//! Event files, which TensorBoard shows: a file header, then scalars by step.
//!
//! A file is a series of records: length, its checksum, an event as a protobuf message, the event's checksum.
//!
//! Sources: records, "TFRecords format details" in <https://www.tensorflow.org/tutorials/load_data/tfrecord>; messages,
//! `tensorflow/core/util/event.proto` and `tensorflow/core/framework/summary.proto`.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crc::{CRC_32_ISCSI, Crc};
use protobuf::CodedOutputStream;

use crate::{Error, Result, files, progress};

/// TensorBoard knows event files by this part of the name, and reads a directory's in the order of the names.
const PREFIX: &str = "events.out.tfevents.";
const SUFFIX: &str = ".askd";

/// Bytes of a record beside its event: length and checksum before it, checksum after it.
const HEAD: usize = 12;
const FOOT: usize = 4;

const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// An event file that grows.
#[derive(Debug)]
pub(crate) struct EventFile {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl EventFile {
    /// A new file in `directory`, in place of the last one there, of which it keeps the first `kept` bytes: a length that
    /// [`Self::sync`] gave. The new name makes a TensorBoard that is running read it from the start.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn replace(directory: &Path, kept: u64) -> Result<Self> {
        files::create_dir(directory)?;
        files::remove_leftovers(directory)?;
        let old = list(directory)?;
        let mut content = match old.last() {
            Some((_, path)) if kept > 0 => fs::read(path).map_err(Error::io(path))?,
            _ => Vec::new(),
        };
        content.truncate(usize::try_from(kept).unwrap_or(usize::MAX));
        content.truncate(whole_records(&content));
        if (content.len() as u64) < kept {
            let (place, whole) = (directory.display(), content.len());
            progress::warn(&format!(
                "{place}: expected {kept} bytes of earlier events, got {whole}"
            ));
        }
        if content.is_empty() {
            content = file_header().map_err(Error::io(directory))?;
        }
        let after_last = old.last().map_or(0, |(number, _)| number + 1);
        let path = directory.join(format!("{PREFIX}{:010}{SUFFIX}", after_last.max(unix_seconds() as u64)));
        files::write_atomically(&path, &content)?;
        old.iter().try_for_each(|(_, path)| files::remove(path))?;
        let file = File::options().append(true).open(&path).map_err(Error::io(&path))?;
        Ok(Self {
            path,
            file,
            bytes: content.len() as u64,
        })
    }

    /// Adds values of one step, each by its tag; TensorBoard groups tags by what is before a slash. It keeps f32.
    ///
    /// # Errors
    /// [`Error::Io`]; the file may then end within a record, which [`Self::replace`] cuts off.
    pub(crate) fn add(&mut self, step: usize, scalars: &[(String, f64)]) -> Result<()> {
        let mut write = || {
            let event = event(step, |event| event.write_bytes(5, &summary(scalars)?))?;
            self.file.write_all(&record(&event))?;
            Ok(event.len())
        };
        let event = write().map_err(Error::io(&self.path))?;
        self.bytes += (HEAD + event + FOOT) as u64;
        Ok(())
    }

    /// Makes sure that what was added outlasts a power cut; gives the length of the file in bytes.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn sync(&self) -> Result<u64> {
        self.file.sync_data().map_err(Error::io(&self.path))?;
        Ok(self.bytes)
    }
}

/// Our event files in a directory with the numbers in their names, in the order of those. Others' are left alone.
fn list(directory: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(Error::io(directory))? {
        let path = entry.map_err(Error::io(directory))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX));
        if let Some(number) = number.and_then(|number| number.parse().ok()) {
            found.push((number, path));
        }
    }
    found.sort();
    Ok(found)
}

/// What every file begins with: the format's version, and that a run starts, at which TensorBoard forgets what it has
/// read of it from a file before.
fn file_header() -> io::Result<Vec<u8>> {
    let version = event(0, |event| event.write_string(3, "brain.Event:2"))?;
    let start = event(0, |event| {
        // SessionLog { status: START }
        event.write_bytes(7, &message(|log| log.write_enum(1, 1))?)
    })?;
    Ok([record(&version), record(&start)].concat())
}

/// An `Event` of now with one further field.
fn event(step: usize, what: impl FnOnce(&mut CodedOutputStream<'_>) -> protobuf::Result<()>) -> io::Result<Vec<u8>> {
    let event = message(|event| {
        event.write_double(1, unix_seconds())?;
        event.write_int64(2, step as i64)?;
        what(event)
    });
    Ok(event?)
}

/// A `Summary` of scalars.
fn summary(scalars: &[(String, f64)]) -> protobuf::Result<Vec<u8>> {
    message(|summary| {
        for (tag, scalar) in scalars {
            let value = message(|value| {
                value.write_string(1, tag)?;
                value.write_float(2, *scalar as f32)
            })?;
            summary.write_bytes(1, &value)?;
        }
        Ok(())
    })
}

/// The fields that `write` writes. A message within a message has the form of bytes.
fn message(write: impl FnOnce(&mut CodedOutputStream<'_>) -> protobuf::Result<()>) -> protobuf::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut stream = CodedOutputStream::vec(&mut bytes);
    write(&mut stream)?;
    stream.flush()?;
    drop(stream);
    Ok(bytes)
}

fn record(event: &[u8]) -> Vec<u8> {
    let length = (event.len() as u64).to_le_bytes();
    let (head, foot) = (checksum(&length), checksum(event));
    [&length, head.as_slice(), event, &foot].concat()
}

/// How many of these bytes are whole records from the start.
fn whole_records(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk::<8>()
        && let Ok(event) = usize::try_from(u64::from_le_bytes(*length))
        && let Some((head, after)) = after.split_at_checked(HEAD - 8)
        && let Some((event, after)) = after.split_at_checked(event)
        && let Some((foot, after)) = after.split_at_checked(FOOT)
        && (head, foot) == (&checksum(length), &checksum(event))
    {
        rest = after;
    }
    bytes.len() - rest.len()
}

/// A CRC-32C, "masked": turned and moved, as a checksum of bytes that have checksums among them should be.
fn checksum(bytes: &[u8]) -> [u8; 4] {
    let crc = CRC32C.checksum(bytes);
    crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn unix_seconds() -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0.0, |now| now.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalars(values: &[f64]) -> Vec<(String, f64)> {
        let named = values.iter().enumerate();
        named
            .map(|(index, value)| (format!("group/value {index}"), *value))
            .collect()
    }

    fn content(directory: &Path) -> Vec<u8> {
        let files = list(directory).unwrap();
        assert_eq!(files.len(), 1, "{files:?}");
        fs::read(&files[0].1).unwrap()
    }

    /// Reference, made with TensorBoard 2.21.0:
    /// ```python
    /// from tensorboard.compat.proto.event_pb2 import Event
    /// from tensorboard.compat.proto.summary_pb2 import Summary
    /// from tensorboard.summary.writer.record_writer import RecordWriter
    /// summary = Summary(value=[Summary.Value(tag="step/loss", simple_value=0.5)])
    /// file = io.BytesIO()
    /// RecordWriter(file).write(Event(wall_time=1.5, step=300, summary=summary).SerializeToString())
    /// file.getvalue().hex()
    /// ```
    #[test]
    fn a_record_is_what_tensorboard_writes() {
        let event = message(|event| {
            event.write_double(1, 1.5)?;
            event.write_int64(2, 300)?;
            event.write_bytes(5, &summary(&[("step/loss".to_owned(), 0.5)])?)
        });
        let written: String = record(&event.unwrap())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(
            written,
            "200000000000000029eda95009000000000000f83f10ac022a120a100a09737465702f6c6f7373150000003fd2de0123"
        );
    }

    #[test]
    fn a_file_goes_on_from_what_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let other = dir.join("events.out.tfevents.1.other");
        fs::write(&other, b"another's").unwrap();
        let mut file = EventFile::replace(dir, 0).unwrap();
        let start = file.sync().unwrap();
        file.add(0, &scalars(&[1.0, f64::NAN])).unwrap();
        let kept = file.sync().unwrap();
        let before = content(dir);
        assert_eq!((before.len() as u64, whole_records(&before) as u64), (kept, kept));
        file.add(50, &scalars(&[2.0])).unwrap();
        drop(file);

        // a killed write left half a record behind a whole one
        let (number, path) = list(dir).unwrap().pop().unwrap();
        let mut torn = fs::read(&path).unwrap();
        torn.truncate(torn.len() - 3);
        fs::write(&path, &torn).unwrap();
        let mut file = EventFile::replace(dir, kept).unwrap();
        assert_eq!(content(dir), before);
        assert!(list(dir).unwrap()[0].0 > number, "the name is a new one");
        file.add(50, &scalars(&[2.0])).unwrap();
        assert_eq!(content(dir).len() as u64, file.sync().unwrap());

        // less than what should be kept is kept as far as it is whole
        let (_, path) = list(dir).unwrap().pop().unwrap();
        let mut damaged = fs::read(&path).unwrap();
        damaged[kept as usize - 5] ^= 1;
        fs::write(&path, &damaged).unwrap();
        assert_eq!(EventFile::replace(dir, kept).unwrap().sync().unwrap(), start);
        fs::write(&list(dir).unwrap()[0].1, b"").unwrap();
        assert_eq!(EventFile::replace(dir, kept).unwrap().sync().unwrap(), start);
        assert_eq!(EventFile::replace(dir, 0).unwrap().sync().unwrap(), start);
        assert_eq!(fs::read(other).unwrap(), b"another's");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error() {
        let path = PathBuf::from("/dev/full");
        let file = File::options().append(true).open(&path).unwrap();
        let error = EventFile { path, file, bytes: 0 }.add(0, &scalars(&[1.0])).unwrap_err();
        assert!(error.to_string().starts_with("/dev/full: "), "{error}");
        assert_eq!(error.exit_code(), 1);
    }
}
