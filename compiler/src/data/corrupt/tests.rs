use askd_runtime::{PixelFormat, Preprocess};

use super::*;
use crate::data::{DataSpec, ImageSet, Part, first_of_each_class};

/// Something with edges, slopes and colours at any size.
fn drawn(height: usize, width: usize, channels: usize) -> Vec<u8> {
    let value = |at: usize| {
        let (channel, x, y) = (at % channels, at / channels % width, at / channels / width);
        let [across, down] = [x as f32 / width as f32, y as f32 / height as f32];
        let disk = (across - 0.5).hypot(down - 0.4) < 0.2 + 0.05 * channel as f32;
        let stripes = ((across + 2.0 * down) * 6.0).fract() < 0.5;
        let slope = 50.0 + 120.0 * across * down;
        (slope + 60.0 * f32::from(u8::from(disk)) + 25.0 * f32::from(u8::from(stripes))) as u8
    };
    (0..height * width * channels).map(value).collect()
}

fn format(channels: usize) -> PixelFormat {
    if channels == 1 {
        PixelFormat::Gray8
    } else {
        PixelFormat::Rgb8
    }
}

fn severity(number: u8) -> Severity {
    number.to_string().parse().unwrap()
}

fn mean_squared_difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let squares = a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
    squares.sum::<f64>() / a.len() as f64
}

/// Of every severity over images of one size.
fn differences(corruption: Corruption, pictures: &[Vec<u8>], [height, width]: [usize; 2]) -> Vec<f64> {
    let of = |severity| {
        let each = (0..).zip(pictures).map(|(number, pixels)| {
            let image = Image::new(pixels, height, width, format(pixels.len() / height / width)).unwrap();
            let worse = corruption.apply(&image, severity, 7, number).unwrap();
            assert!(
                &worse != pixels,
                "{corruption} {severity} left image {number} of {height} x {width}"
            );
            mean_squared_difference(pixels, &worse)
        });
        each.sum::<f64>() / pictures.len() as f64
    };
    Severity::all().map(of).collect()
}

#[test]
fn every_severity_is_harder_than_the_one_before_at_any_size() {
    let set = first_of_each_class(&DataSpec::embedded().load(Part::Test).unwrap(), 3);
    let clothes: Vec<_> = (0..set.len())
        .map(|position| crate::data::pixels(&set, position, &mut Vec::new()).to_vec())
        .collect();
    for corruption in Corruption::all() {
        let mut cases = vec![("clothes".to_owned(), differences(corruption, &clothes, [28, 28]))];
        for [height, width] in [[24, 40], [32, 32], [224, 160]] {
            for channels in [1, 3] {
                let pictures = vec![drawn(height, width, channels); 4];
                let name = format!("{height} x {width} x {channels}");
                cases.push((name, differences(corruption, &pictures, [height, width])));
            }
        }
        for (name, differences) in cases {
            let rising = differences.windows(2).all(|pair| pair[0] < pair[1]);
            assert!(rising && differences[0] > 0.0, "{corruption}, {name}: {differences:?}");
        }
    }
}

/// The same picture at two sizes is as much damaged, where lengths are parts of the side.
#[test]
fn small_and_large_images_are_treated_alike() {
    let single_pixels = ["gaussian-noise", "shot-noise", "impulse-noise", "jpeg"];
    for corruption in Corruption::all().filter(|corruption| !single_pixels.contains(&corruption.name())) {
        let [small, large] =
            [48, 224].map(|side| differences(corruption, &vec![drawn(side, side, 3); 4], [side, side]));
        for (small, large) in small.iter().zip(&large).skip(1) {
            let ratio = (large / small).sqrt();
            assert!((0.6..1.67).contains(&ratio), "{corruption}: {small} {large}");
        }
    }
}

#[test]
fn bits_follow_from_seed_and_number_alone() {
    let pixels = drawn(32, 32, 3);
    let image = Image::new(&pixels, 32, 32, PixelFormat::Rgb8).unwrap();
    let apply = |corruption: Corruption, seed, number| corruption.apply(&image, severity(3), seed, number).unwrap();
    let fixed = [
        "defocus-blur",
        "zoom-blur",
        "brightness",
        "contrast",
        "pixelate",
        "jpeg",
    ];
    for corruption in Corruption::all() {
        let first = apply(corruption, 1, 1);
        assert_eq!(first, apply(corruption, 1, 1), "{corruption}");
        let drawn = !fixed.contains(&corruption.name());
        assert_eq!(first != apply(corruption, 1, 2), drawn, "{corruption}");
        assert_eq!(first != apply(corruption, 2, 1), drawn, "{corruption}");
    }
}

#[test]
fn a_set_is_corrupted_alike_whole_in_part_and_on_any_number_of_threads() {
    let set = first_of_each_class(&DataSpec::embedded().load(Part::Test).unwrap(), 5);
    let preprocess = Preprocess::new(&crate::bundle::input_of([1, 28, 28], &[0.0], &[1.0])).unwrap();
    for corruption in ["gaussian-noise", "frost"] {
        let corrupted = |set: &ImageSet| {
            let prepared = Prepared::new(set, &preprocess).unwrap();
            prepared.corrupted(corruption.parse().unwrap(), severity(4), 3).unwrap()
        };
        let whole = corrupted(&set);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let alone = pool.install(|| corrupted(&set));
        assert_eq!(whole.digest().unwrap(), alone.digest().unwrap());
        let part = corrupted(&set.select([40, 7]));
        for (position, place) in [40, 7].into_iter().enumerate() {
            let (mut one, mut other) = (Vec::new(), Vec::new());
            let [one, other] = [(&part, position, &mut one), (&whole, place, &mut other)]
                .map(|(set, position, buffer)| crate::data::pixels(set, position, buffer));
            assert_eq!(one, other);
            assert_eq!(part.label(position), set.label(place));
        }
    }
    // without a corruption the images stay as they are
    let prepared = Prepared::new(&set, &preprocess).unwrap();
    assert_eq!(prepared.images().digest().unwrap(), set.digest().unwrap());
}

#[test]
fn tiny_and_huge_images_do_not_fail_in_the_middle() {
    for [height, width] in [[1, 1], [1, 9], [2, 3]] {
        for channels in [1, 3] {
            let pixels = drawn(height, width, channels);
            let image = Image::new(&pixels, height, width, format(channels)).unwrap();
            for corruption in Corruption::all() {
                let worse = corruption.apply(&image, severity(5), 0, 0).unwrap();
                assert_eq!(worse.len(), pixels.len(), "{corruption}");
            }
        }
    }
    let pixels = vec![0; LONGEST_SIDE + 1];
    let image = Image::new(&pixels, 1, LONGEST_SIDE + 1, PixelFormat::Gray8).unwrap();
    let line = "jpeg"
        .parse::<Corruption>()
        .unwrap()
        .apply(&image, severity(1), 0, 0)
        .unwrap_err()
        .to_string();
    assert!(line.contains("65535") && line.ends_with("1 x 65536"), "{line}");
}

#[test]
fn names_and_streams_are_unique() {
    for (index, kind) in KINDS.iter().enumerate() {
        assert_eq!(kind.name.parse::<Corruption>().unwrap().0, kind);
        let others = &KINDS[index + 1..];
        assert!(
            others
                .iter()
                .all(|other| other.name != kind.name && other.stream != kind.stream)
        );
    }
    let line = "rain".parse::<Corruption>().unwrap_err().to_string();
    assert!(
        line.contains("gaussian-noise, shot-noise") && line.ends_with("got \"rain\""),
        "{line}"
    );
    for text in ["0", "6", "x", ""] {
        assert!(text.parse::<Severity>().is_err(), "{text}");
    }
}

/// The page's table has every corruption with its strengths.
#[test]
fn the_page_says_what_is_done() {
    let page = include_str!("../../../../docs/robustness.md");
    for kind in &KINDS {
        let cells = kind.strengths.map(|strength| format!("{strength}")).join(" | ");
        let start = format!("| `{}` |", kind.name);
        let row = page.lines().find(|line| line.starts_with(&start));
        assert!(
            row.is_some_and(|row| row.ends_with(&format!("| {cells} |"))),
            "{start} ... | {cells} |"
        );
    }
}

#[test]
fn a_contact_sheet_shows_the_image_and_every_severity() {
    let set = DataSpec::embedded().load(Part::Test).unwrap().select([3]);
    let preprocess = Preprocess::new(&crate::bundle::input_of([1, 28, 28], &[0.0], &[1.0])).unwrap();
    let corruptions: Vec<Corruption> = ["fog", "jpeg"].map(|name| name.parse().unwrap()).to_vec();
    let file = contact_sheet(&set, &preprocess, &corruptions, &[severity(2), severity(5)], 1).unwrap();
    let sheet = image::load_from_memory(&file).unwrap().into_luma8();
    assert_eq!(sheet.dimensions(), (3 * 30, 2 * 30));
    let cell = |row: u32, column: u32| image::imageops::crop_imm(&sheet, 30 * column, 30 * row, 28, 28).to_image();
    let mut buffer = Vec::new();
    let image = set.image(0, &mut buffer).unwrap().unwrap();
    assert_eq!(cell(1, 0).into_raw(), image.pixels());
    let wanted = corruptions[0].apply(&image, severity(5), 1, set.number(0)).unwrap();
    assert_eq!(cell(0, 2).into_raw(), wanted);
    assert!(contact_sheet(&set.select([]), &preprocess, &corruptions, &[severity(1)], 1).is_err());
}

/// An image file is decoded once, however many cases follow.
#[test]
fn prepared_images_need_their_files_no_more() {
    let dir = tempfile::tempdir().unwrap();
    for class in ["ant", "bee"] {
        let folder = dir.path().join("val").join(class);
        std::fs::create_dir_all(&folder).unwrap();
        let picture = image::RgbImage::from_raw(9, 7, drawn(7, 9, 3)).unwrap();
        picture.save(folder.join("0.png")).unwrap();
    }
    let spec: DataSpec = format!("folder:{}", dir.path().display()).parse().unwrap();
    let set = spec.load(Part::Test).unwrap();
    let preprocess = Preprocess::new(&crate::bundle::input_of([3, 7, 9], &[0.0; 3], &[1.0; 3])).unwrap();
    let prepared = Prepared::new(&set, &preprocess).unwrap();
    drop(dir);
    set.image(0, &mut Vec::new()).map(drop).unwrap_err();
    for corruption in Corruption::all() {
        let corrupted = prepared.corrupted(corruption, severity(3), 0).unwrap();
        assert_eq!((corrupted.len(), corrupted.label(1)), (2, 1), "{corruption}");
    }
}
