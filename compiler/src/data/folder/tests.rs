use image::{DynamicImage, RgbImage};

use super::*;
use crate::data::DataKind;

/// An image whose every row and column differs.
fn picture(height: u32, width: u32, shade: u8) -> DynamicImage {
    let pixel = |x: u32, y: u32| image::Rgb([(x * 5) as u8, (y * 7) as u8, shade]);
    RgbImage::from_fn(width, height, pixel).into()
}

/// So many PNG and JPEG files for each class, of different sizes.
fn fill(path: &Path, classes: &[&str], count: u32) {
    for class in classes {
        let directory = path.join(class);
        fs::create_dir_all(&directory).unwrap();
        for number in 0..count {
            let extension = ["png", "jpg", "JPEG"][number as usize % 3];
            let image = picture(8 + number, 12 + 2 * number, number as u8);
            image.save(directory.join(format!("{number}.{extension}"))).unwrap();
        }
        // what is no image does not count
        fs::write(directory.join("readme.txt"), "x").unwrap();
        fs::write(directory.join(".hidden.png"), "x").unwrap();
    }
}

fn sizes(set: &ImageSet) -> Vec<[usize; 2]> {
    let mut buffer = Vec::new();
    (0..set.len())
        .map(|position| {
            let image = set.image(position, &mut buffer).unwrap().unwrap();
            [image.height(), image.width()]
        })
        .collect()
}

#[test]
fn parts_are_where_imagenet_has_them() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir.path().join("train"), &["tench", "bee", "ant"], 4);
    fill(&dir.path().join("test"), &["bee"], 2);
    let train = read(dir.path(), Part::Train).unwrap();
    assert_eq!((train.shape, train.len()), (None, 12));
    assert_eq!(*train.classes, ["ant", "bee", "tench"]);
    assert_eq!(
        (0..12).map(|i| train.label(i)).collect::<Vec<_>>(),
        [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    );
    assert_eq!(sizes(&train)[..4], [[8, 12], [9, 14], [10, 16], [11, 18]]);
    // test images are of the classes of training, and of val/ before test/
    let test = read(dir.path(), Part::Test).unwrap();
    assert_eq!((test.len(), test.label(0), test.classes), (2, 1, train.classes));
    fill(&dir.path().join("val"), &["tench"], 3);
    assert_eq!(read(dir.path(), Part::Test).unwrap().len(), 3);
    fill(&dir.path().join("val"), &["dog"], 1);
    let error = read(dir.path(), Part::Test).unwrap_err().to_string();
    assert!(
        error.ends_with("val/dog: expected one of the 3 classes of train/, got another"),
        "{error}"
    );
    // without training images
    fs::remove_dir_all(dir.path().join("train")).unwrap();
    assert_eq!(*read(dir.path(), Part::Test).unwrap().classes, ["dog", "tench"]);
    assert!(matches!(read(dir.path(), Part::Train), Err(Error::Io { .. })));
}

#[test]
fn without_parts_each_class_is_split() {
    let dir = tempfile::tempdir().unwrap();
    // a class that is called as a part is
    fill(dir.path(), &["bus", "train"], 10);
    let [train, test] = [Part::Train, Part::Test].map(|part| read(dir.path(), part).unwrap());
    assert_eq!((train.len(), test.len()), (16, 4));
    assert_eq!((0..4).map(|i| test.label(i)).collect::<Vec<_>>(), [0, 0, 1, 1]);
    let mut all = [sizes(&train), sizes(&test)].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 10, "each size is there");
    assert_eq!(
        read(dir.path(), Part::Test).unwrap().digest().unwrap(),
        test.digest().unwrap()
    );
    assert_ne!(train.digest().unwrap(), test.digest().unwrap());
}

#[test]
fn directories_without_images_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = |path: &Path| read(path, Part::Train).unwrap_err().to_string();
    assert!(error(dir.path()).ends_with("expected a directory for each class, got none"));
    fs::create_dir(dir.path().join("cat")).unwrap();
    assert!(error(dir.path()).ends_with("cat: expected files *.jpg, *.jpeg or *.png, got none"));
    fill(dir.path(), &["cat"], 2);
    assert!(error(dir.path()).contains("expected 3 images of a class"));
    assert!(error(&dir.path().join("absent")).contains("absent: No such file"));
}

/// ImageNet's validation images are packed without directories.
#[test]
fn test_images_without_their_classes_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir.path().join("train"), &["ant", "bee"], 3);
    let val = dir.path().join("val");
    fs::create_dir(&val).unwrap();
    let error = || read(dir.path(), Part::Test).unwrap_err().to_string();
    assert!(error().ends_with("val: expected a directory for each class, got none"));
    for name in ["1.JPEG", "2.JPEG"] {
        picture(8, 8, 0).save(val.join(name)).unwrap();
    }
    assert!(
        error().ends_with("got none, and 2 images: move each into its class's directory"),
        "{}",
        error()
    );
}

/// What tells a whole JPEG from one cut short: its own end, not one inside a segment or behind it.
#[test]
fn a_jpeg_ends_where_its_scans_do() {
    let mut whole = std::io::Cursor::new(Vec::new());
    picture(40, 60, 9).write_to(&mut whole, ImageFormat::Jpeg).unwrap();
    let whole = whole.into_inner();
    let preview = |bytes: &[u8]| {
        let length = (whole.len() as u16 + 2).to_be_bytes();
        [&bytes[..2], b"\xff\xe1", &length, &whole, &bytes[2..]].concat()
    };
    let cases = [
        ("whole", whole.clone(), true),
        (
            "filled up before the end",
            [&whole[..whole.len() - 2], b"\xff\xff\xff\xd9"].concat(),
            true,
        ),
        ("with a preview", preview(&whole), true),
        ("with bytes behind", [&whole[..], b"\xff\xda trailer"].concat(), true),
        (
            "with half an image behind",
            [&whole[..], &whole[..whole.len() / 2]].concat(),
            true,
        ),
        ("without its end", whole[..whole.len() - 2].to_vec(), false),
        (
            "cut in its scan, with a preview",
            preview(&whole[..whole.len() - 9]),
            false,
        ),
        ("cut in a segment", whole[..30].to_vec(), false),
        ("nothing", Vec::new(), false),
    ];
    for (name, bytes, ends) in cases {
        assert_eq!(jpeg_ends(&bytes), ends, "{name}");
    }
}

/// One whole file of each format, and what is left of it.
#[test]
fn damaged_files_are_refused_or_skipped() {
    let dir = tempfile::tempdir().unwrap();
    fill(&dir.path().join("train"), &["cat"], 6);
    let damage = |name: &str, change: fn(Vec<u8>) -> Vec<u8>| {
        let path = dir.path().join("train/cat").join(name);
        fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
    };
    // JPEG without its end, PNG without its last quarter, other bytes, nothing; a JPEG called PNG is none of them
    damage("1.jpg", |bytes| bytes[..bytes.len() - 2].to_vec());
    damage("3.png", |bytes| bytes[..bytes.len() * 3 / 4].to_vec());
    damage("4.jpg", |_| b"GIF89a".to_vec());
    damage("2.JPEG", |_| Vec::new());
    let jpeg = fs::read(dir.path().join("train/cat/5.JPEG")).unwrap();
    fs::write(dir.path().join("train/cat/0.png"), jpeg).unwrap();
    let set = read(dir.path(), Part::Train).unwrap();
    let mut buffer = Vec::new();
    let whole = |set: &ImageSet, buffer: &mut Vec<u8>| -> Vec<bool> {
        (0..6)
            .map(|position| set.image(position, buffer).is_ok_and(|image| image.is_some()))
            .collect()
    };
    assert_eq!(whole(&set, &mut buffer), [true, false, false, false, false, true]);
    let error = set.image(1, &mut buffer).unwrap_err().to_string();
    assert!(
        error.contains("train/cat/1.jpg: expected a whole JPEG or PNG image, got "),
        "{error}"
    );
    assert!(
        error.contains("--corrupt-files skip") && error.lines().count() == 1,
        "{error}"
    );
    assert_eq!(set.skipped_files(), 0);

    let set = set.with_corrupt_files(CorruptFiles::Skip);
    for _ in 0..2 {
        assert!((0..6).all(|position| set.image(position, &mut buffer).is_ok()));
        assert_eq!(whole(&set, &mut buffer), [true, false, false, false, false, true]);
        assert_eq!(set.skipped_files(), 4, "each counts once");
    }
    // a file that is gone is not a corrupt one
    fs::remove_file(dir.path().join("train/cat/5.JPEG")).unwrap();
    assert!(matches!(set.image(5, &mut buffer), Err(Error::Io { .. })));
}

#[test]
fn every_kind_of_pixel_becomes_rgb() {
    let dir = tempfile::tempdir().unwrap();
    let image = picture(9, 7, 100);
    let path = dir.path().join("x.png");
    let mut buffer = Vec::new();
    image.save(&path).unwrap();
    assert_eq!(decode(&path, &mut buffer).unwrap(), [9, 7]);
    assert_eq!(buffer, image.as_bytes());
    for same in [DynamicImage::from(image.to_rgba8()), image.to_rgb16().into()] {
        same.save(&path).unwrap();
        decode(&path, &mut buffer).unwrap();
        assert_eq!(buffer, image.as_bytes());
    }
    let gray = DynamicImage::from(image.to_luma8());
    for name in ["x.png", "x.jpg"] {
        gray.save(dir.path().join(name)).unwrap();
        decode(&dir.path().join(name), &mut buffer).unwrap();
        assert!(
            buffer
                .chunks_exact(3)
                .all(|pixel| pixel[0] == pixel[1] && pixel[1] == pixel[2])
        );
        let far = buffer
            .iter()
            .step_by(3)
            .zip(gray.as_bytes())
            .map(|(got, want)| got.abs_diff(*want))
            .max();
        assert!(far <= Some(16), "{far:?}");
    }
    assert_eq!(DataKind::Folder.mean().len(), 3);
}
