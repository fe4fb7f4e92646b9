//! Ours beside a published implementation: `tests/fixtures/corruptions/README.md`.

use askd_runtime::PixelFormat;
use safetensors::SafeTensors;

use super::*;

const PUBLISHED: &[u8] = include_bytes!("../../../../tests/fixtures/corruptions/corruptions.safetensors");

/// The fixtures' picture.
fn picture(side: usize) -> Picture {
    let value = |index: usize| {
        let [row, column, channel] = [index / 3 / side, index / 3 % side, index % 3];
        let [y, x] = [row, column].map(|at| at * 256 / side);
        (30 + x * 90 / 256 + y * 50 / 256 + 25 * channel + 45 * ((3 * x + 5 * y) / 64 % 2)) as u8
    };
    let pixels: Vec<u8> = (0..side * side * 3).map(value).collect();
    Picture::of(&Image::new(&pixels, side, side, PixelFormat::Rgb8).unwrap())
}

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(0)
}

fn published(key: &str) -> Vec<u8> {
    SafeTensors::deserialize(PUBLISHED)
        .unwrap()
        .tensor(key)
        .unwrap()
        .data()
        .to_vec()
}

fn published_numbers(key: &str) -> Vec<f64> {
    let bytes = published(key);
    let number = |bytes: &[u8]| f64::from(f32::from_le_bytes(bytes.try_into().unwrap()));
    bytes.chunks_exact(4).map(number).collect()
}

/// Root of the mean squared difference, and mean difference, without a border of so many pixels.
fn difference(from: &[u8], to: &[u8], side: usize, border: usize) -> [f64; 2] {
    let inside = |at: usize| (border..side - border).contains(&at);
    let inner = (0..from.len()).filter(|index| inside(index / 3 / side) && inside(index / 3 % side));
    let changes: Vec<_> = inner
        .map(|index| f64::from(to[index]) - f64::from(from[index]))
        .collect();
    let mean =
        |values: &dyn Fn(f64) -> f64| changes.iter().map(|change| values(*change)).sum::<f64>() / changes.len() as f64;
    [mean(&|change| change * change).sqrt(), mean(&|change| change)]
}

/// The same procedure with the same parameter gives the same pixels; another filter or another encoder gives nearly the same, measured
/// by what the corruption changes.
#[test]
fn with_equal_parameters_pixels_are_the_published_ones() {
    const SIDE: usize = 48;
    let side = SIDE as f32;
    // strength, border left out, most difference as a share of the change
    let cases: [(&str, Apply, f32, usize, f64); 6] = [
        // theirs cuts values to whole numbers, ours rounds them
        ("brightness.3", light::brightness, 0.3, 0, 0.04),
        ("contrast.2", light::contrast, 0.3, 0, 0.04),
        ("pixelate.5", digital::pixelate, 4.0 / side, 0, 0.04),
        // theirs halves the resolution of colours
        ("jpeg.3", digital::jpeg, 15.0, 0, 0.6),
        // their disk is whole pixels, ours points; borders are mirrored there
        ("defocus-blur.1", blur::defocus, 3.0 / side, 4, 0.15),
        // theirs takes 11 magnifications whose middles are rounded, and the picture itself again, of stripes 4 pixels wide
        ("zoom-blur.3", blur::zoom, 1.2, 4, 0.6),
    ];
    for (key, apply, strength, border, most) in cases {
        let clean = picture(SIDE);
        let mut ours = clean.clone();
        apply(&mut ours, strength, &mut rng());
        let [change, _] = difference(&clean.to_pixels(), &published(key), SIDE, border);
        let [apart, _] = difference(&ours.to_pixels(), &published(key), SIDE, border);
        assert!(
            change > 2.0 && apart <= most * change,
            "{key}: {apart} apart, {change} from the clean one"
        );
    }
}

#[test]
fn noise_has_the_published_moments() {
    const SIDE: usize = 224;
    let cases: [(&str, Apply, f32); 3] = [
        ("gaussian-noise", noise::gaussian, 0.08),
        ("shot-noise", noise::shot, 60.0),
        ("impulse-noise", noise::impulse, 0.03),
    ];
    for (name, apply, strength) in cases {
        let pixels = vec![128; SIDE * SIDE * 3];
        let mut noisy = Picture::of(&Image::new(&pixels, SIDE, SIDE, PixelFormat::Rgb8).unwrap());
        apply(&mut noisy, strength, &mut rng());
        let noisy = noisy.to_pixels();
        let [rms, mean] = difference(&pixels, &noisy, SIDE, 0);
        let changed = noisy.iter().filter(|value| **value != 128).count() as f64 / noisy.len() as f64;
        let [their_mean, their_deviation, their_changed] = published_numbers(&format!("noise.{name}"))[..] else {
            panic!("three numbers of {name}");
        };
        // theirs is cut to whole numbers, ours rounded: half a level; 150,000 values give the rest to a percent
        assert!((mean - their_mean).abs() < 0.75, "{name}: mean {mean}, {their_mean}");
        let deviation = (rms * rms - mean * mean).sqrt();
        assert!(
            (deviation / their_deviation - 1.0).abs() < 0.03,
            "{name}: {deviation}, {their_deviation}"
        );
        // where values are rounded decides whether a small change is one: only impulses leave most values
        assert!(
            their_changed > 0.5 || (changed / their_changed - 1.0).abs() < 0.05,
            "{name}: {changed}, {their_changed}"
        );
    }
}

/// Our severity 5 changes a picture at least two thirds as much as their mildest, which is meant for ImageNet, and at most twice as
/// much as their hardest.
#[test]
fn strengths_are_of_the_published_order() {
    const SIDE: usize = 224;
    let clean = picture(SIDE).to_pixels();
    let image = Image::new(&clean, SIDE, SIDE, PixelFormat::Rgb8).unwrap();
    for corruption in Corruption::all() {
        let change = |severity| {
            let draws = (0..4).map(|number| {
                let worse = corruption.apply(&image, severity, 0, number).unwrap();
                difference(&clean, &worse, SIDE, 0)
            });
            let sums = draws.fold([0.0, 0.0], |sum: [f64; 2], [rms, mean]| {
                [sum[0] + rms * rms, sum[1] + mean]
            });
            [(sums[0] / 4.0).sqrt(), sums[1] / 4.0]
        };
        let ours: Vec<_> = Severity::all().map(change).collect();
        let theirs = published_numbers(&format!("change.{corruption}"));
        let most = theirs.iter().copied().step_by(2).fold(0.0, f64::max);
        let [hardest, shift] = ours[4];
        assert!(
            hardest > 0.67 * theirs[0] && hardest < 2.0 * most,
            "{corruption}: {ours:?} {theirs:?}"
        );
        // snow, frost and brightness brighten, as theirs do
        if theirs[9].abs() > 0.5 * theirs[8] {
            assert!(
                shift * theirs[9] > 0.0 && shift.abs() > 0.5 * hardest,
                "{corruption}: {ours:?} {theirs:?}"
            );
        }
    }
}
