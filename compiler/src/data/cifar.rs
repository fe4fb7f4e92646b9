//! CIFAR-10 and CIFAR-100 in the official binary layout.
//!
//! Source: <https://www.cs.toronto.edu/~kriz/cifar.html>, "Binary version": records of one (CIFAR-10) or two (CIFAR-100:
//! coarse, fine) label bytes and 3,072 bytes of red, green and blue planes.

use std::path::Path;

use super::ImageSet;
use super::archive::Files;
use super::records::{self, Bytes, Order, Records};
use super::spec::Part;
use crate::{Error, Result};

const SIDE: usize = 32;
const SHAPE: [usize; 3] = [3, SIDE, SIDE];

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
    let mut files = Files::read(path, |name| is_batch(name) || name == layout.names_file)?;
    let classes = class_names(&files, layout);
    let mut batches = Vec::new();
    for name in files.names().iter().filter(|name| is_batch(name)) {
        if let Some((place, bytes)) = files.take(name) {
            batches.push(read_batch(bytes, layout, &place)?);
        }
    }
    if batches.is_empty() {
        let expected = match part {
            Part::Train => format!("{}*.bin", layout.train_prefix),
            Part::Test => layout.test_file.to_owned(),
        };
        return Err(Error::malformed(path, expected, "no such file"));
    }
    Ok(ImageSet::new(SHAPE, batches, classes))
}

/// The records of one file, and their labels.
fn read_batch(bytes: Bytes, layout: &Layout, place: &Path) -> Result<(Records, Vec<u32>)> {
    let record = layout.label_bytes + SHAPE.iter().product::<usize>();
    if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
        let whole = bytes.len() / record;
        let got = format!(
            "{} bytes ({whole} records and {} bytes)",
            bytes.len(),
            bytes.len() % record
        );
        return Err(Error::malformed(place, format!("whole records of {record} bytes"), got));
    }
    let file = records::Layout {
        header: 0,
        label: layout.label_bytes,
        order: Order::Planar,
    };
    let records = Records::new(bytes, file, SHAPE);
    // the last byte of CIFAR-100's two is the fine label
    let labels: Vec<u32> = records
        .labels()
        .filter_map(|label| label.last().copied().map(u32::from))
        .collect();
    if let Some(label) = labels.iter().find(|label| **label as usize >= layout.classes) {
        let expected = format!("labels below {}", layout.classes);
        return Err(Error::malformed(place, expected, label.to_string()));
    }
    Ok((records, labels))
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
    use std::fs;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;
    use crate::data::pixels;

    const RECORD: usize = 3073;

    #[test]
    fn damaged_records_are_errors() {
        for bytes in [vec![], vec![0; RECORD - 1], vec![0; RECORD + 1], vec![10; RECORD]] {
            assert!(read_batch(Bytes::Owned(bytes), &CIFAR_10, Path::new("x")).is_err());
        }
    }

    #[test]
    fn a_directory_and_its_archive_give_the_same_images() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("cifar");
        fs::create_dir(&folder).unwrap();
        let batch = |first: usize, count: usize| -> Vec<u8> {
            let record = |image: usize| {
                let pixels = (0..RECORD - 1).map(move |at| (at * (image + 3) % 251) as u8);
                std::iter::once((image % 10) as u8).chain(pixels)
            };
            (first..first + count).flat_map(record).collect()
        };
        fs::write(folder.join("data_batch_1.bin"), batch(0, 7)).unwrap();
        fs::write(folder.join("data_batch_2.bin"), batch(7, 5)).unwrap();
        fs::write(folder.join("batches.meta.txt"), "a\nb\nc\nd\ne\nf\ng\nh\ni\nj\n\n").unwrap();
        let archive = dir.path().join("cifar.tar.gz");
        let packed = GzEncoder::new(fs::File::create(&archive).unwrap(), Compression::fast());
        let mut builder = tar::Builder::new(packed);
        builder.append_dir_all("cifar", &folder).unwrap();
        builder.into_inner().and_then(GzEncoder::finish).unwrap();

        // the files lie one folder down in the first, in the archive too
        let sets = [dir.path(), &folder, &archive].map(|path| read(path, &CIFAR_10, Part::Train).unwrap());
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for set in &sets {
            assert_eq!((set.len(), set.shape), (12, Some(SHAPE)));
            assert_eq!(set.digest().unwrap(), sets[2].digest().unwrap());
            assert_eq!(set.classes[9], "j");
            for position in 0..12 {
                assert_eq!(pixels(set, position, &mut one), pixels(&sets[2], position, &mut other));
                assert_eq!(set.label(position), position as u32 % 10);
            }
        }
        // green of the second pixel of the second file's first image
        assert_eq!(pixels(&sets[0], 7, &mut one)[4], ((1024 + 1) * (7 + 3) % 251) as u8);
        let part = sets[0].select([8, 0]);
        assert_eq!(pixels(&part, 0, &mut one), pixels(&sets[2], 8, &mut other));
        assert_eq!((part.label(0), part.label(1)), (8, 0));
    }
}
