//! The IDX files of MNIST and Fashion-MNIST, plain or gzipped.
//!
//! Source: <http://yann.lecun.com/exdb/mnist/>, "File formats": a big-endian magic number (0x803 for images, 0x801 for
//! labels), the dimensions as big-endian u32, then bytes.

use std::path::{Path, PathBuf};

use super::ImageSet;
use super::archive::{Files, gunzip};
use super::records::{Bytes, Layout, Order, Records};
use super::spec::Part;
use crate::{Error, Result};

const IMAGES: u32 = 0x803;
const LABELS: u32 = 0x801;

/// Most bytes that a file is unpacked to: the whole MNIST family has 47 MB of images; a bomb stops here.
const LIMIT: u64 = 1 << 30;

/// Class names of Fashion-MNIST, arXiv:1708.07747, table 2.
pub(super) const FASHION_CLASSES: [&str; 10] = [
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
];

/// The embedded part of Fashion-MNIST: 10,000 training and 2,000 test images.
pub(super) fn embedded(part: Part) -> Result<ImageSet> {
    let (images, labels): (&[u8], &[u8]) = match part {
        Part::Train => (
            include_bytes!("../../data/fashion-mnist/train-images-idx3-ubyte.gz"),
            include_bytes!("../../data/fashion-mnist/train-labels-idx1-ubyte.gz"),
        ),
        Part::Test => (
            include_bytes!("../../data/fashion-mnist/t10k-images-idx3-ubyte.gz"),
            include_bytes!("../../data/fashion-mnist/t10k-labels-idx1-ubyte.gz"),
        ),
    };
    let place = Path::new("embedded fashion-mnist");
    let [images, labels] = [gunzip(images, LIMIT, place)?, gunzip(labels, LIMIT, place)?].map(Bytes::Owned);
    parse((place.to_owned(), images), (place.to_owned(), labels))
}

/// A part of the data set in a directory or archive.
pub(super) fn read(path: &Path, part: Part) -> Result<ImageSet> {
    let prefix = match part {
        Part::Train => "train",
        Part::Test => "t10k",
    };
    let names = |what: &str| {
        ["-", "."]
            .map(|dash| format!("{prefix}-{what}{dash}ubyte"))
            .into_iter()
            .flat_map(|n| [n.clone(), n + ".gz"])
    };
    let candidates = |kind: &str, rank: usize| -> Vec<String> {
        names(&format!("{kind}-idx{rank}"))
            .chain(names(&format!("{kind}.idx{rank}")))
            .collect()
    };
    let (image_names, label_names) = (candidates("images", 3), candidates("labels", 1));
    let mut files = Files::read(path, |name| {
        image_names.iter().chain(&label_names).any(|known| known == name)
    })?;
    let mut find = |names: &[String]| {
        let found = names.iter().find_map(|name| files.take(name));
        found.ok_or_else(|| Error::malformed(path, format!("{} or {}", names[0], names[1]), "no such file"))
    };
    parse(find(&image_names)?, find(&label_names)?)
}

fn parse((image_place, images): (PathBuf, Bytes), (label_place, labels): (PathBuf, Bytes)) -> Result<ImageSet> {
    let images = unpacked(images, &image_place)?;
    let labels = unpacked(labels, &label_place)?;
    let ([count, height, width], _) = parse_file(&images, IMAGES, &image_place)?;
    let ([label_count], labels) = parse_file(&labels, LABELS, &label_place)?;
    if label_count != count {
        return Err(Error::malformed(
            label_place,
            format!("{count} labels, as there are images"),
            label_count.to_string(),
        ));
    }
    if count == 0 || height == 0 || width == 0 {
        return Err(Error::malformed(
            image_place,
            "at least one image",
            format!("{count} of {height}x{width}"),
        ));
    }
    if let Some(label) = labels
        .iter()
        .find(|label| usize::from(**label) >= FASHION_CLASSES.len())
    {
        return Err(Error::malformed(label_place, "labels 0 to 9", label.to_string()));
    }
    let labels = labels.iter().copied().map(u32::from).collect();
    let layout = Layout {
        header: header(3),
        label: 0,
        order: Order::Interleaved,
    };
    let shape = [1, height, width];
    let classes = FASHION_CLASSES.map(str::to_owned).to_vec();
    Ok(ImageSet::new(
        shape,
        vec![(Records::new(images, layout, shape), labels)],
        classes,
    ))
}

/// The file as it is, or what is packed in it.
fn unpacked(bytes: Bytes, place: &Path) -> Result<Bytes> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(Bytes::Owned(gunzip(&bytes, LIMIT, place)?));
    }
    Ok(bytes)
}

/// Bytes before the data of a file with so many dimensions.
const fn header(rank: usize) -> usize {
    4 + 4 * rank
}

/// Dimensions and data of one plain IDX file.
fn parse_file<'a, const RANK: usize>(bytes: &'a [u8], magic: u32, place: &Path) -> Result<([usize; RANK], &'a [u8])> {
    let word = |index: usize| {
        let at = bytes.get(4 * index..4 * index + 4)?;
        Some(u32::from_be_bytes([at[0], at[1], at[2], at[3]]))
    };
    let (Some(data), true) = (bytes.get(header(RANK)..), word(0) == Some(magic)) else {
        let got = word(0).map_or(format!("{} bytes", bytes.len()), |word| format!("{word:#x}"));
        return Err(Error::malformed(
            place,
            format!("an IDX file with magic {magic:#x}"),
            got,
        ));
    };
    let mut dims = [0; RANK];
    for (index, dim) in dims.iter_mut().enumerate() {
        *dim = word(index + 1).map_or(0, |word| word as usize);
    }
    let expected = dims.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim));
    if expected != Some(data.len()) {
        let wanted = expected.map_or("a size that fits".to_owned(), |size| {
            format!("{size} bytes after the header")
        });
        return Err(Error::malformed(place, wanted, data.len().to_string()));
    }
    Ok((dims, data))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::pixels;

    #[test]
    fn embedded_parts_are_balanced() {
        for (part, per_class) in [(Part::Train, 1000), (Part::Test, 200)] {
            let set = embedded(part).unwrap();
            assert_eq!(set.shape, Some([1, 28, 28]));
            for class in 0..10 {
                assert_eq!((0..set.len()).filter(|i| set.label(*i) == class).count(), per_class);
            }
        }
    }

    #[test]
    fn plain_files_give_what_packed_ones_do() {
        let dir = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/fashion-mnist");
        for name in ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"] {
            let packed = std::fs::read(source.join(format!("{name}.gz"))).unwrap();
            std::fs::write(dir.path().join(name), gunzip(&packed, LIMIT, &source).unwrap()).unwrap();
        }
        let (plain, packed) = (read(dir.path(), Part::Test).unwrap(), embedded(Part::Test).unwrap());
        assert_eq!(plain.digest().unwrap(), packed.digest().unwrap());
        let (mut one, mut other) = (Vec::new(), Vec::new());
        assert_eq!(pixels(&plain, 1999, &mut one), pixels(&packed, 1999, &mut other));
        assert!(one.is_empty(), "copied");
    }

    #[test]
    fn every_truncation_is_an_error() {
        let mut file = vec![0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2];
        file.extend([7; 8]);
        assert!(parse_file::<3>(&file, IMAGES, Path::new("x")).is_ok());
        for length in 0..file.len() {
            assert!(
                parse_file::<3>(&file[..length], IMAGES, Path::new("x")).is_err(),
                "{length}"
            );
        }
        file.push(0);
        assert!(parse_file::<3>(&file, IMAGES, Path::new("x")).is_err());
        let overflow = [0, 0, 8, 3, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255];
        assert!(parse_file::<3>(&overflow, IMAGES, Path::new("x")).is_err());
    }
}
