//! Crops and centres of image files against Pillow's.

use askd_runtime::{Image, Input, PixelFormat, Preprocess};

use super::crop::Crop;
use super::{DataSpec, Loader, Part};
use crate::bundle::{input_of, input_of_files};

const SHAPE: [usize; 3] = [3, 3, 3];

/// The picture of the scripts below, H x W x 3.
fn picture(height: usize, width: usize) -> Vec<u8> {
    let value = |at: usize| {
        let (channel, x, y) = (at % 3, at / 3 % width, at / 3 / width);
        ((x * 37 + y * 91 + x * y * 13 + channel * 50) % 256) as u8
    };
    (0..height * width * 3).map(value).collect()
}

/// Preprocessing that leaves pixel values.
fn pixels(contract: fn([usize; 3], &[f32], &[f32]) -> Input) -> Preprocess {
    Preprocess::new(&contract(SHAPE, &[0.0; 3], &[1.0 / 255.0; 3])).unwrap()
}

fn assert_close(got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() < 2e-3, "{got} {want}");
    }
}

/// Numbers from Pillow 13.0.0, `planes(h, w)` being three images of mode F with the picture's values:
/// ```python
/// for plane in planes(h, w):
///     plane = plane.crop((left, top, left + width, top + height))
///     if mirrored: plane = plane.transpose(Image.FLIP_LEFT_RIGHT)
///     plane = plane.resize((3, 3), Image.BILINEAR)
/// ```
#[test]
fn training_crops_are_pillows() {
    let cases = [
        ([20, 31], [3, 5, 11, 14], false, CROP),
        ([20, 31], [3, 5, 11, 14], true, CROP_MIRRORED),
        ([9, 7], [2, 1, 5, 2], true, NARROW),
    ];
    for ([h, w], [top, left, height, width], mirrored, want) in cases {
        let whole = picture(h, w);
        let crop = Crop {
            top,
            left,
            height,
            width,
        };
        let (mut cut, mut got) = (Vec::new(), [0.0; 27]);
        crop.cut(
            &Image::new(&whole, h, w, PixelFormat::Rgb8).unwrap(),
            mirrored,
            &mut cut,
        );
        let cut = Image::new(&cut, height, width, PixelFormat::Rgb8).unwrap();
        pixels(input_of).apply(&cut, &mut got).unwrap();
        assert_close(&got, &want);
    }
}

/// Numbers from Pillow 13.0.0, scaled and cut as torchvision's `Resize(4)` and `CenterCrop(3)`:
/// ```python
/// H, W = [int(4 * side / min(h, w)) for side in (h, w)]
/// top, left = [int(round((side - 3) / 2)) for side in (H, W)]
/// for plane in planes(h, w):
///     plane = plane.resize((W, H), Image.BILINEAR).crop((left, top, left + 3, top + 3))
/// ```
#[test]
fn evaluated_centres_are_pillows() {
    let dir = tempfile::tempdir().unwrap();
    let cases = [([20, 31], BROAD), ([40, 13], TALL), ([3, 5], SMALL)];
    std::fs::create_dir_all(dir.path().join("val/a")).unwrap();
    for (number, ([h, w], _)) in cases.iter().enumerate() {
        let image = image::RgbImage::from_raw(*w as u32, *h as u32, picture(*h, *w)).unwrap();
        image.save(dir.path().join(format!("val/a/{number}.png"))).unwrap();
    }
    let spec: DataSpec = format!("folder:{}", dir.path().display()).parse().unwrap();
    let loader = Loader::plain(spec.load(Part::Test).unwrap(), pixels(input_of_files), 1);
    for (batch, (_, want)) in loader.epoch(0, 0).unwrap().zip(cases) {
        assert_close(&batch.unwrap().images, &want);
    }
}

const CROP: [f32; 27] = [
    137.304, 141.481, 149.294, 134.761, 132.098, 133.512, 116.026, 116.003, 121.621, 121.539, 128.185, 123.925,
    127.697, 123.021, 127.968, 121.568, 122.905, 115.969, 138.529, 137.337, 127.623, 128.289, 131.908, 124.705,
    131.626, 123.843, 130.67,
];
const CROP_MIRRORED: [f32; 27] = [
    149.294, 141.481, 137.304, 133.512, 132.098, 134.761, 121.621, 116.003, 116.026, 123.925, 128.185, 121.539,
    127.968, 123.021, 127.697, 115.969, 122.905, 121.568, 127.623, 137.337, 138.529, 124.705, 131.908, 128.289, 130.67,
    123.843, 131.626,
];
const NARROW: [f32; 27] = [
    102.143, 141.0, 179.857, 86.889, 113.5, 140.111, 67.571, 86.0, 104.429, 152.143, 117.857, 83.571, 136.889, 163.5,
    190.111, 117.571, 136.0, 154.429, 92.429, 113.0, 133.571, 130.0, 113.944, 97.889, 167.571, 186.0, 204.429,
];
const BROAD: [f32; 27] = [
    136.216, 124.002, 119.751, 138.936, 140.472, 138.04, 110.83, 133.698, 130.422, 125.598, 126.474, 125.278, 122.728,
    128.68, 119.624, 116.606, 118.258, 128.07, 123.453, 121.711, 122.732, 135.096, 126.36, 138.584, 127.502, 127.426,
    131.83,
];
const TALL: [f32; 27] = [
    117.064, 121.76, 126.928, 109.705, 110.344, 128.149, 126.799, 125.467, 131.444, 125.793, 121.613, 129.228, 129.138,
    138.647, 113.74, 123.153, 131.391, 133.273, 120.611, 136.704, 131.667, 143.375, 129.014, 118.253, 130.359, 135.267,
    125.369,
];
const SMALL: [f32; 27] = [
    58.583, 89.417, 120.25, 128.323, 165.927, 163.531, 156.01, 161.74, 167.469, 108.583, 139.417, 170.25, 178.323,
    149.26, 93.531, 166.01, 145.073, 97.469, 158.583, 189.417, 220.25, 134.99, 105.927, 143.531, 122.677, 101.74,
    123.469,
];
