//! Snow, frost and fog, drawn by rules: no photograph is in them.

use std::f32::consts::PI;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::field::fractal;
use super::picture::{Picture, luma, mix, smooth_step};

/// Of a snowflake: least and most radius and the length of its streak, in parts of the side; how white it makes what it covers.
const FLAKE_RADIUS: [f32; 2] = [0.006, 0.016];
const FLAKE_STREAK: f32 = 0.04;
const FLAKE_OPACITY: f32 = 0.95;

/// Flakes on a square at which the air itself is half white.
const FLAKES_OF_HALF_WHITE_AIR: f32 = 400.0;

/// Of frost: its crystals' size in parts of the side, how much more of it is at the border, how soft its edge is and how opaque it is.
const CRYSTAL: f32 = 0.35;
const FROST_BORDER: f32 = 0.3;
const FROST_EDGE: f32 = 0.1;
const FROST_OPACITY: f32 = 0.8;

/// Red, green and blue of ice.
const ICE: [f32; 3] = [0.92, 0.96, 1.0];

/// Of fog: its brightness, and its clouds' size in parts of the side.
const HAZE: f32 = 0.9;
const CLOUD: f32 = 0.5;

/// Streaks of falling flakes, so many on a square of the side's length, and air that whitens with them.
pub(super) fn snow(picture: &mut Picture, flakes: f32, rng: &mut ChaCha8Rng) {
    let side = picture.side();
    let [height, width] = picture.size().map(|length| length as f32);
    let count = (flakes * height * width / (side * side)).round() as usize;
    // downwards, half a right angle to either side at most
    let (down, along) = rng.random_range(PI / 4.0..=3.0 * PI / 4.0).sin_cos();
    let streak = [down, along].map(|part| part * FLAKE_STREAK * side);
    let mut cover = vec![0.0; picture.height * picture.width];
    for _ in 0..count {
        let start = [height, width].map(|length| length * rng.random_range(-0.05..=1.05_f32));
        let radius = side * rng.random_range(FLAKE_RADIUS[0]..=FLAKE_RADIUS[1]);
        add_streak(&mut cover, picture.size(), start, streak, radius);
    }
    let whiteness = 0.5 * flakes / FLAKES_OF_HALF_WHITE_AIR;
    for (pixel, cover) in picture.pixels_mut().zip(cover) {
        let air = 0.5 + 0.5 * luma(pixel);
        for value in pixel {
            *value = mix(mix(*value, air, whiteness), 1.0, FLAKE_OPACITY * cover);
        }
    }
}

/// Covers what is nearer than `radius` to the line from `start` by `streak`, all in pixels.
fn add_streak(cover: &mut [f32], [height, width]: [usize; 2], start: [f32; 2], streak: [f32; 2], radius: f32) {
    let reach = |from: f32, by: f32, length: usize| {
        let (low, high) = (from + by.min(0.0) - radius - 0.5, from + by.max(0.0) + radius + 0.5);
        (low.ceil().max(0.0) as usize)..((high.floor() + 1.0).clamp(0.0, length as f32) as usize)
    };
    let length = streak[0] * streak[0] + streak[1] * streak[1];
    // what is thinner than a pixel covers a part of it
    let thin = (2.0 * radius).min(1.0);
    for y in reach(start[0], streak[0], height) {
        for x in reach(start[1], streak[1], width) {
            let [down, along] = [y as f32 - start[0], x as f32 - start[1]];
            let share = ((down * streak[0] + along * streak[1]) / length.max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
            let (down, along) = (down - share * streak[0], along - share * streak[1]);
            let distance = (down * down + along * along).sqrt();
            let covered = thin * (radius + 0.5 - distance).clamp(0.0, 1.0);
            let cover = &mut cover[y * width + x];
            *cover = cover.max(covered);
        }
    }
}

/// Crystals of ice that cover this share of the picture, from the border inwards.
pub(super) fn frost(picture: &mut Picture, share: f32, rng: &mut ChaCha8Rng) {
    let size = picture.size();
    let veins = fractal(size, CRYSTAL * picture.side(), 5, rng);
    let grain = fractal(size, CRYSTAL / 8.0 * picture.side(), 2, rng);
    let width = picture.width;
    let from_middle = |at: usize, length: usize| (2.0 * (at as f32 + 0.5) / length as f32 - 1.0).abs();
    let thickness = |(index, vein): (usize, f32)| {
        let border = from_middle(index / width, size[0]).max(from_middle(index % width, width));
        // ridges where the field is in its middle
        mix(1.0 - (2.0 * vein - 1.0).abs(), border, FROST_BORDER)
    };
    let thickness: Vec<f32> = veins.into_iter().enumerate().map(thickness).collect();
    let mut sorted = thickness.clone();
    sorted.sort_by(f32::total_cmp);
    let bare = sorted[(((1.0 - share) * sorted.len() as f32) as usize).min(sorted.len() - 1)];
    for ((pixel, thickness), grain) in picture.pixels_mut().zip(thickness).zip(grain) {
        let cover = FROST_OPACITY * smooth_step(bare - FROST_EDGE, bare + FROST_EDGE, thickness);
        let bright = 0.7 + 0.3 * grain;
        let gray = [luma(&ICE)];
        let ice = if pixel.len() == 1 { gray.as_slice() } else { &ICE };
        for (value, ice) in pixel.iter_mut().zip(ice) {
            *value = mix(*value, ice * bright, cover);
        }
    }
}

/// Fog with clouds in it, `depth` deep in the mean: after a depth of 1 a 1/e of the light is left.
///
/// Source: Koschmieder 1924, the law of visibility: what the air takes from the object, it gives of its own brightness.
pub(super) fn fog(picture: &mut Picture, depth: f32, rng: &mut ChaCha8Rng) {
    let clouds = fractal(picture.size(), CLOUD * picture.side(), 6, rng);
    for (pixel, cloud) in picture.pixels_mut().zip(clouds) {
        let left = (-depth * (0.5 + cloud)).exp();
        for value in pixel {
            *value = mix(HAZE, *value, left);
        }
    }
}
