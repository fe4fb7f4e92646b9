//! Passes over batches `(N, C, pixels)` in which each channel has numbers of its own: sums, and element by element.
//!
//! Planes are taken one by one. On maps of a few pixels a plane alone fills no vector: there all channels of an image are one
//! row, and a channel's number is repeated for each of its pixels.

use rayon::prelude::*;

use super::super::element::Element;
use super::super::layout::SMALL_MAP;
use super::super::simd::vectorised;

/// Planes, or images of a row, below which a task is not worth handing over.
const PLANES: usize = 8;
const ROWS: usize = 4;

/// Elements of a row that a task sums over the images.
const BLOCK: usize = 256;

/// Terms that are added in the elements' own type before the sum goes to `f64`: few enough that rounding does not show.
const TERMS: usize = 16;

/// Two sums over images and pixels for each channel, of what `term` gives for the elements of three batches and the channel's
/// own number.
#[inline(always)]
pub(super) fn sums<T: Element>(
    batches: [&[T]; 3],
    numbers: &[f64],
    pixels: usize,
    term: impl Fn([T; 3], T) -> [T; 2] + Copy + Sync,
) -> [Vec<f64>; 2] {
    if pixels <= SMALL_MAP {
        sums_by_rows(batches, numbers, pixels, term)
    } else {
        sums_by_planes(batches, numbers, pixels, term)
    }
}

/// Every element of `out`, of what `value` gives for the elements of three batches and the channel's own numbers.
#[inline(always)]
pub(super) fn each<T: Element, const N: usize>(
    out: &mut [T],
    batches: [&[T]; 3],
    numbers: [&[f64]; N],
    pixels: usize,
    value: impl Fn([T; 3], [T; N]) -> T + Copy + Sync,
) {
    if pixels <= SMALL_MAP {
        each_by_rows(out, batches, numbers, pixels, value);
    } else {
        each_by_planes(out, batches, numbers, pixels, value);
    }
}

fn sums_by_planes<T: Element>(
    [a, b, c]: [&[T]; 3],
    numbers: &[f64],
    pixels: usize,
    term: impl Fn([T; 3], T) -> [T; 2] + Copy + Sync,
) -> [Vec<f64>; 2] {
    let channels = numbers.len();
    let planes = a
        .par_chunks_exact(pixels)
        .zip(b.par_chunks_exact(pixels).zip(c.par_chunks_exact(pixels)));
    let planes: Vec<[f64; 2]> = planes
        .enumerate()
        .with_min_len(PLANES)
        .map(|(plane, (a, (b, c)))| {
            let number = T::from_f64(numbers[plane % channels]);
            vectorised(
                #[inline(always)]
                || plane_sums([a, b, c], number, term),
            )
        })
        .collect();
    let mut totals = [vec![0.0; channels], vec![0.0; channels]];
    for (plane, sums) in planes.iter().enumerate() {
        totals[0][plane % channels] += sums[0];
        totals[1][plane % channels] += sums[1];
    }
    totals
}

/// The sums of one plane: short ones in the elements' own type, which fit whole vectors, added up in `f64`.
#[inline(always)]
fn plane_sums<T: Element>([a, b, c]: [&[T]; 3], number: T, term: impl Fn([T; 3], T) -> [T; 2]) -> [f64; 2] {
    const LANES: usize = 16;
    let mut sums = [0.0; 2];
    let blocks = a
        .chunks(LANES * TERMS)
        .zip(b.chunks(LANES * TERMS).zip(c.chunks(LANES * TERMS)));
    for (a, (b, c)) in blocks {
        let mut lanes = [[T::ZERO; LANES]; 2];
        let whole = a.len() / LANES * LANES;
        let rows = a
            .chunks_exact(LANES)
            .zip(b.chunks_exact(LANES).zip(c.chunks_exact(LANES)));
        for (a, (b, c)) in rows {
            for lane in 0..LANES {
                let [first, second] = term([a[lane], b[lane], c[lane]], number);
                lanes[0][lane] += first;
                lanes[1][lane] += second;
            }
        }
        for ((a, b), c) in a[whole..].iter().zip(&b[whole..]).zip(&c[whole..]) {
            let [first, second] = term([*a, *b, *c], number);
            lanes[0][0] += first;
            lanes[1][0] += second;
        }
        for (sum, lanes) in sums.iter_mut().zip(&lanes) {
            *sum += lanes.iter().map(|lane| lane.to_f64()).sum::<f64>();
        }
    }
    sums
}

fn each_by_planes<T: Element, const N: usize>(
    out: &mut [T],
    batches: [&[T]; 3],
    numbers: [&[f64]; N],
    pixels: usize,
    value: impl Fn([T; 3], [T; N]) -> T + Copy + Sync,
) {
    let [a, b, c] = batches.map(|batch| batch.par_chunks_exact(pixels));
    out.par_chunks_exact_mut(pixels)
        .zip(a.zip(b).zip(c))
        .enumerate()
        .with_min_len(PLANES)
        .for_each(|(plane, (out, ((a, b), c)))| {
            let numbers = numbers.map(|numbers| T::from_f64(numbers[plane % numbers.len()]));
            vectorised(
                #[inline(always)]
                || {
                    let elements = a.iter().zip(b).zip(c);
                    for (out, ((a, b), c)) in out.iter_mut().zip(elements) {
                        *out = value([*a, *b, *c], numbers);
                    }
                },
            );
        });
}

fn sums_by_rows<T: Element>(
    batches: [&[T]; 3],
    numbers: &[f64],
    pixels: usize,
    term: impl Fn([T; 3], T) -> [T; 2] + Copy + Sync,
) -> [Vec<f64>; 2] {
    let row: Vec<T> = repeated(numbers, pixels);
    let blocks: Vec<[[f64; BLOCK]; 2]> = row
        .par_chunks(BLOCK)
        .enumerate()
        .map(|(block, numbers)| {
            vectorised(
                #[inline(always)]
                || block_sums(batches, row.len(), block * BLOCK, numbers, term),
            )
        })
        .collect();
    [0, 1].map(|which| {
        let elements = blocks.iter().flat_map(|block| block[which]).take(row.len());
        let mut sums = vec![0.0; numbers.len()];
        elements
            .enumerate()
            .for_each(|(index, sum)| sums[index / pixels] += sum);
        sums
    })
}

/// The sums over images of the elements `first ..` of rows of this length.
#[inline(always)]
fn block_sums<T: Element>(
    batches: [&[T]; 3],
    length: usize,
    first: usize,
    numbers: &[T],
    term: impl Fn([T; 3], T) -> [T; 2],
) -> [[f64; BLOCK]; 2] {
    let mut totals = [[0.0; BLOCK]; 2];
    let images = batches[0].len() / length;
    for start in (0..images).step_by(TERMS) {
        let mut short = [[T::ZERO; BLOCK]; 2];
        for image in start..images.min(start + TERMS) {
            let [a, b, c] = batches.map(|batch| &batch[image * length + first..][..numbers.len()]);
            let [one, two] = &mut short;
            let sums = one.iter_mut().zip(two.iter_mut());
            let elements = a.iter().zip(b).zip(c).zip(numbers);
            for ((one, two), (((a, b), c), number)) in sums.zip(elements) {
                let [first, second] = term([*a, *b, *c], *number);
                *one += first;
                *two += second;
            }
        }
        for (totals, short) in totals.iter_mut().zip(&short) {
            let sums = totals.iter_mut().zip(short);
            sums.for_each(|(total, short)| *total += short.to_f64());
        }
    }
    totals
}

fn each_by_rows<T: Element, const N: usize>(
    out: &mut [T],
    batches: [&[T]; 3],
    numbers: [&[f64]; N],
    pixels: usize,
    value: impl Fn([T; 3], [T; N]) -> T + Copy + Sync,
) {
    let rows = numbers.map(|numbers| repeated::<T>(numbers, pixels));
    let length = rows[0].len();
    let [a, b, c] = batches.map(|batch| batch.par_chunks(ROWS * length));
    out.par_chunks_mut(ROWS * length)
        .zip(a.zip(b).zip(c))
        .for_each(|(out, ((a, b), c))| {
            vectorised(
                #[inline(always)]
                || {
                    let [a, b, c] = [a, b, c].map(|batch| batch.chunks_exact(length));
                    for (out, ((a, b), c)) in out.chunks_exact_mut(length).zip(a.zip(b).zip(c)) {
                        let rows = rows.each_ref().map(|row| &row[..length]);
                        for (i, out) in out.iter_mut().enumerate() {
                            *out = value([a[i], b[i], c[i]], rows.map(|row| row[i]));
                        }
                    }
                },
            );
        });
}

/// Each channel's number for every pixel.
fn repeated<T: Element>(numbers: &[f64], pixels: usize) -> Vec<T> {
    let of_pixels = |number: &f64| std::iter::repeat_n(T::from_f64(*number), pixels);
    numbers.iter().flat_map(of_pixels).collect()
}
