//! Small data sets in the layouts that `askd-compile` reads.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

use crate::Random;

/// CIFAR-10's binary layout with random pixels: `train` images in one batch, and `test` images, all classes in turn.
///
/// # Panics
/// If the directory cannot be written.
pub fn cifar10(dir: &Path, train: usize, test: usize) {
    fs::create_dir_all(dir).expect("a writable directory");
    for (name, count) in [("data_batch_1.bin", train), ("test_batch.bin", test)] {
        fs::write(dir.join(name), records(count, |image| vec![(image % 10) as u8])).expect("a writable directory");
    }
}

/// CIFAR-100's binary layout, otherwise as [`cifar10`].
///
/// # Panics
/// If the directory cannot be written.
pub fn cifar100(dir: &Path, train: usize, test: usize) {
    fs::create_dir_all(dir).expect("a writable directory");
    for (name, count) in [("train.bin", train), ("test.bin", test)] {
        let labels = |image: usize| vec![(image % 20) as u8, (image % 100) as u8];
        fs::write(dir.join(name), records(count, labels)).expect("a writable directory");
    }
}

fn records(count: usize, labels: impl Fn(usize) -> Vec<u8>) -> Vec<u8> {
    let mut random = Random::new(count as u64);
    let record = |image| {
        let pixels = random.values(3 * 32 * 32, 0.0, 256.0);
        labels(image)
            .into_iter()
            .chain(pixels.into_iter().map(|pixel| pixel as u8))
    };
    (0..count).flat_map(record).collect()
}

/// The first images of the Fashion-MNIST part that the compiler carries, as plain IDX files.
///
/// # Panics
/// If the directory cannot be written, or the part has fewer images.
pub fn fashion_mnist(dir: &Path, train: usize, test: usize) {
    fs::create_dir_all(dir).expect("a writable directory");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compiler/data/fashion-mnist");
    for (part, count) in [("train", train), ("t10k", test)] {
        for (kind, header, size) in [("images-idx3", 16, 28 * 28), ("labels-idx1", 8, 1)] {
            let name = format!("{part}-{kind}-ubyte");
            let packed = fs::read(source.join(format!("{name}.gz"))).expect("the carried part");
            let mut plain = Vec::new();
            GzDecoder::new(packed.as_slice())
                .read_to_end(&mut plain)
                .expect("a whole gzip file");
            plain.resize(header + count * size, u8::MAX);
            plain[4..8].copy_from_slice(&(count as u32).to_be_bytes());
            fs::write(dir.join(name), plain).expect("a writable directory");
        }
    }
}

/// So many image files for each of these classes, PNG and JPEG in turn and no two of one size: stripes of the class's own width
/// and colour.
///
/// # Panics
/// If the directory cannot be written.
pub fn image_files(dir: &Path, classes: &[&str], count: u32) {
    for (class, name) in (1..).zip(classes) {
        let class: u32 = class;
        fs::create_dir_all(dir.join(name)).expect("a writable directory");
        for number in 0..count {
            let pixel = |x: u32, y: u32| {
                let stripe = (x + y) / (2 + 3 * class) % 2 * 120;
                image::Rgb([
                    (stripe + 40 * class) as u8,
                    (x + 5 * number) as u8,
                    (y + 60 * class) as u8,
                ])
            };
            let picture = image::RgbImage::from_fn(80 + 7 * number, 100 - number, pixel);
            let extension = if number % 2 == 0 { "png" } else { "jpg" };
            let file = dir.join(name).join(format!("{number:03}.{extension}"));
            picture.save(file).expect("a writable directory");
        }
    }
}

/// A directory as the bytes of a `.tar.gz` whose entries are in one folder, as in the official archives.
///
/// # Panics
/// If the directory cannot be read.
pub fn archive(dir: &Path, compression: Compression) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), compression));
    archive.append_dir_all("cifar", dir).expect("a readable directory");
    let packed = archive.into_inner().and_then(GzEncoder::finish);
    packed.expect("an archive in memory")
}
