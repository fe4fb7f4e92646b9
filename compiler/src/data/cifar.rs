//! CIFAR-10 and CIFAR-100 in the official binary layout.
//!
//! Source: <https://www.cs.toronto.edu/~kriz/cifar.html>, "Binary version": records of one (CIFAR-10) or two (CIFAR-100:
//! coarse, fine) label bytes and 3,072 bytes of red, green and blue planes.

use std::path::Path;

use super::ImageSet;
use super::archive::Files;
use super::spec::Part;
use crate::{Error, Result};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;

/// What tells the two data sets apart.
pub(super) struct Layout {
    label_bytes: usize,
    classes: usize,
    names_file: &'static str,
    train_prefix: &'static str,
    test_file: &'static str,
}

pub(super) const CIFAR_10: Layout = Layout {
    label_bytes: 1,
    classes: 10,
    names_file: "batches.meta.txt",
    train_prefix: "data_batch_",
    test_file: "test_batch.bin",
};

pub(super) const CIFAR_100: Layout = Layout {
    label_bytes: 2,
    classes: 100,
    names_file: "fine_label_names.txt",
    train_prefix: "train",
    test_file: "test.bin",
};

/// A part of the data set in a directory or `.tar.gz`, from whichever batch files are there.
pub(super) fn read(path: &Path, layout: &Layout, part: Part) -> Result<ImageSet> {
    let is_batch = |name: &str| match part {
        Part::Train => name.starts_with(layout.train_prefix) && name.ends_with(".bin"),
        Part::Test => name == layout.test_file,
    };
    let files = Files::read(path, |name| is_batch(name) || name == layout.names_file)?;
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for (name, bytes) in files.iter().filter(|(name, _)| is_batch(name)) {
        read_records(bytes, layout, &files.place(name), &mut pixels, &mut labels)?;
    }
    if labels.is_empty() {
        let expected = match part {
            Part::Train => format!("{}*.bin", layout.train_prefix),
            Part::Test => layout.test_file.to_owned(),
        };
        return Err(Error::malformed(path, expected, "no such file"));
    }
    Ok(ImageSet::new(
        [3, SIDE, SIDE],
        pixels,
        labels,
        class_names(&files, layout),
    ))
}

fn read_records(
    bytes: &[u8],
    layout: &Layout,
    place: &Path,
    pixels: &mut Vec<u8>,
    labels: &mut Vec<u32>,
) -> Result<()> {
    let record = layout.label_bytes + 3 * PLANE;
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        let whole = bytes.len() / record;
        let got = format!(
            "{} bytes ({whole} records and {} bytes)",
            bytes.len(),
            bytes.len() % record
        );
        return Err(Error::malformed(place, format!("whole records of {record} bytes"), got));
    }
    pixels.reserve(bytes.len() / record * 3 * PLANE);
    for record in bytes.chunks_exact(record) {
        let (label, planes) = record.split_at(layout.label_bytes);
        let label = u32::from(label[layout.label_bytes - 1]);
        if label as usize >= layout.classes {
            return Err(Error::malformed(
                place,
                format!("labels below {}", layout.classes),
                label.to_string(),
            ));
        }
        labels.push(label);
        pixels.extend((0..PLANE).flat_map(|pixel| [0, 1, 2].map(|channel| planes[channel * PLANE + pixel])));
    }
    Ok(())
}

/// The names beside the batches, or numbers where there are none.
fn class_names(files: &Files, layout: &Layout) -> Vec<String> {
    let text = files
        .get(layout.names_file)
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
        .unwrap_or_default();
    let names: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    if names.len() == layout.classes {
        names
    } else {
        (0..layout.classes).map(|class| class.to_string()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_become_interleaved() {
        let mut record = vec![3_u8];
        record.extend((0..3).flat_map(|channel| vec![channel as u8 + 1; PLANE]));
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        read_records(&record, &CIFAR_10, Path::new("x"), &mut pixels, &mut labels).unwrap();
        assert_eq!(labels, [3]);
        assert!(pixels.chunks(3).all(|pixel| pixel == [1, 2, 3]));
    }

    #[test]
    fn damaged_records_are_errors() {
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for bytes in [vec![], vec![0; 3072], vec![0; 3074], vec![10; 3073]] {
            assert!(read_records(&bytes, &CIFAR_10, Path::new("x"), &mut pixels, &mut labels).is_err());
        }
    }
}
