//! Between images and their tiles at the points.
//!
//! The tiles of a few images are numbered row of tiles by row of tiles; within such a row the tiles of all images lie side
//! by side, so that each step is a few vector operations whatever the images' width. At the points a channel holds
//! `(36, tiles)` values.

use super::super::element::Element;
use super::super::im2col::Window;
use super::POINTS;
use super::transform::{LANES, Lanes, Points};

/// Outputs of a tile, along one side.
const OUT: usize = 4;
/// Inputs of a tile, along one side.
const IN: usize = 6;

/// Where the planes of a batch lie: distances in elements between those of two images, and of two channels.
#[derive(Clone, Copy)]
pub(super) struct Planes {
    pub(super) image: usize,
    pub(super) channel: usize,
}

impl Planes {
    /// Images one after the other, as tensors have them: `(images, channels, pixels)`.
    pub(super) fn image_by_image(channels: usize, pixels: usize) -> Self {
        Self {
            image: channels * pixels,
            channel: pixels,
        }
    }

    /// Channels one after the other: `(channels, images, pixels)`.
    pub(super) fn channel_by_channel(images: usize, pixels: usize) -> Self {
        Self {
            image: pixels,
            channel: images * pixels,
        }
    }
}

/// How the outputs of a few images are cut into tiles.
pub(super) struct Tiling {
    window: Window,
    images: usize,
    /// Rows of tiles of an image.
    rows: usize,
    /// Tiles in a row of one image.
    columns: usize,
    /// Tiles in a row of all images, with idle ones up to whole vectors.
    width: usize,
}

impl Tiling {
    pub(super) fn new(window: &Window, images: usize) -> Self {
        let (rows, columns) = (window.output.0.div_ceil(OUT), window.output.1.div_ceil(OUT));
        Self {
            window: *window,
            images,
            rows,
            columns,
            width: (images * columns).next_multiple_of(LANES),
        }
    }

    pub(super) fn tiles_per_image(&self) -> usize {
        self.rows * self.columns
    }

    /// Tiles of all images, idle ones included.
    pub(super) fn tiles(&self) -> usize {
        self.rows * self.width
    }

    /// Elements that the transforms need beside their inputs and outputs.
    pub(super) fn scratch_len(&self) -> usize {
        self.pixel_rows() * IN * self.width + IN * self.width + self.line_len()
    }

    /// Rows of pixels that the tiles of one image cover, padding included.
    fn pixel_rows(&self) -> usize {
        self.rows * OUT + 2
    }

    /// Pixels of such a row.
    fn line_len(&self) -> usize {
        self.columns * OUT + 2
    }

    /// The row of the image that a row of pixels under the tiles is, if it is not padding.
    #[inline(always)]
    fn image_row(&self, pixel_row: usize) -> Option<usize> {
        pixel_row
            .checked_sub(self.window.padding.0)
            .filter(|row| *row < self.window.input.0)
    }

    /// Input images to the points: `B^T d B` of every tile.
    ///
    /// # Shapes
    /// - `x`: so many channels of images, placed as `planes` says; `v`: `(channels, 36, tiles)`
    #[inline(always)]
    pub(super) fn inputs_to_points<T: Element>(
        &self,
        (x, planes): (&[T], Planes),
        channels: usize,
        v: &mut [T],
        scratch: &mut [T],
    ) {
        let points = Points::new();
        let (half, rest) = scratch.split_at_mut(self.pixel_rows() * IN * self.width);
        let (tiles, line) = rest.split_at_mut(IN * self.width);
        let line = &mut line[..self.line_len()];
        tiles.fill(T::ZERO);
        line.fill(T::ZERO);
        let (left, wide) = (self.window.padding.1, self.window.input.1);
        for (channel, v) in v.chunks_exact_mut(POINTS * self.tiles()).take(channels).enumerate() {
            for (row, half) in half.chunks_exact_mut(IN * self.width).enumerate() {
                let Some(image_row) = self.image_row(row) else {
                    half.fill(T::ZERO);
                    continue;
                };
                for image in 0..self.images {
                    let pixels = &x[image * planes.image + channel * planes.channel + image_row * wide..][..wide];
                    line[left..left + wide].copy_from_slice(pixels);
                    for (j, tiles) in tiles.chunks_exact_mut(self.width).enumerate() {
                        let tiles = &mut tiles[image * self.columns..][..self.columns];
                        for (tile, pixels) in tiles.iter_mut().zip(line[j..].chunks(OUT)) {
                            *tile = pixels[0];
                        }
                    }
                }
                for first in (0..self.width).step_by(LANES) {
                    let values = points.input(&load(tiles, first, self.width));
                    store(&values, half, first, self.width);
                }
            }
            for row in 0..self.rows {
                for column in 0..IN {
                    let half = &half[(row * OUT * IN + column) * self.width..];
                    let v = &mut v[column * self.tiles() + row * self.width..];
                    for first in (0..self.width).step_by(LANES) {
                        let values = points.input(&load(half, first, IN * self.width));
                        store(&values, v, first, IN * self.tiles());
                    }
                }
            }
        }
    }

    /// The transpose of [`Self::inputs_to_points`]: gradients at the points to those of the images.
    ///
    /// # Shapes
    /// - `v`: `(channels, 36, tiles)`; `dx`: so many channels of images, placed as `planes` says, overwritten
    #[inline(always)]
    pub(super) fn points_to_input_gradients<T: Element>(
        &self,
        v: &[T],
        channels: usize,
        (dx, planes): (&mut [T], Planes),
        scratch: &mut [T],
    ) {
        let points = Points::new();
        let (half, rest) = scratch.split_at_mut(self.pixel_rows() * IN * self.width);
        let (tiles, line) = rest.split_at_mut(IN * self.width);
        let line = &mut line[..self.line_len()];
        let (left, wide) = (self.window.padding.1, self.window.input.1);
        for (channel, v) in v.chunks_exact(POINTS * self.tiles()).take(channels).enumerate() {
            half.fill(T::ZERO);
            for row in 0..self.rows {
                for column in 0..IN {
                    let half = &mut half[(row * OUT * IN + column) * self.width..];
                    let v = &v[column * self.tiles() + row * self.width..];
                    for first in (0..self.width).step_by(LANES) {
                        let values = points.input_gradient(&load(v, first, IN * self.tiles()));
                        add(&values, half, first, IN * self.width);
                    }
                }
            }
            for (row, half) in half.chunks_exact(IN * self.width).enumerate() {
                let Some(image_row) = self.image_row(row) else { continue };
                for first in (0..self.width).step_by(LANES) {
                    let values = points.input_gradient(&load(half, first, self.width));
                    store(&values, tiles, first, self.width);
                }
                for image in 0..self.images {
                    line.fill(T::ZERO);
                    for (j, tiles) in tiles.chunks_exact(self.width).enumerate() {
                        let tiles = &tiles[image * self.columns..][..self.columns];
                        for (tile, pixels) in tiles.iter().zip(line[j..].chunks_mut(OUT)) {
                            pixels[0] += *tile;
                        }
                    }
                    let pixels = &mut dx[image * planes.image + channel * planes.channel + image_row * wide..][..wide];
                    pixels.copy_from_slice(&line[left..left + wide]);
                }
            }
        }
    }

    /// The points to output images: `A^T m A` of every tile.
    ///
    /// # Shapes
    /// - `m`: `(channels, 36, tiles)`; `y`: so many channels of images, placed as `planes` says
    #[inline(always)]
    pub(super) fn points_to_outputs<T: Element>(
        &self,
        m: &[T],
        channels: usize,
        (y, planes): (&mut [T], Planes),
        scratch: &mut [T],
    ) {
        let points = Points::new();
        let (high, wide) = self.window.output;
        let (half, rest) = scratch.split_at_mut(OUT * IN * self.width);
        let tiles = &mut rest[..OUT * self.width];
        for (channel, m) in m.chunks_exact(POINTS * self.tiles()).take(channels).enumerate() {
            for row in 0..self.rows {
                for column in 0..IN {
                    let m = &m[column * self.tiles() + row * self.width..];
                    let half = &mut half[column * self.width..];
                    for first in (0..self.width).step_by(LANES) {
                        let values = points.output(&load(m, first, IN * self.tiles()));
                        store(&values, half, first, IN * self.width);
                    }
                }
                let pixel_rows = OUT.min(high - row * OUT);
                for (i, half) in half.chunks_exact(IN * self.width).take(pixel_rows).enumerate() {
                    for first in (0..self.width).step_by(LANES) {
                        let values = points.output(&load(half, first, self.width));
                        store(&values, tiles, first, self.width);
                    }
                    for image in 0..self.images {
                        let first = image * planes.image + channel * planes.channel + (row * OUT + i) * wide;
                        let pixels = &mut y[first..][..wide];
                        for (j, tiles) in tiles.chunks_exact(self.width).enumerate() {
                            let tiles = &tiles[image * self.columns..][..self.columns];
                            for (pixel, tile) in pixels.iter_mut().skip(j).step_by(OUT).zip(tiles) {
                                *pixel = *tile;
                            }
                        }
                    }
                }
            }
        }
    }

    /// The transpose of [`Self::points_to_outputs`]: gradients of the outputs to those at the points.
    ///
    /// # Shapes
    /// - `dy`: so many channels of images, placed as `planes` says; `m`: `(channels, 36, tiles)`
    #[inline(always)]
    pub(super) fn output_gradients_to_points<T: Element>(
        &self,
        (dy, planes): (&[T], Planes),
        channels: usize,
        m: &mut [T],
        scratch: &mut [T],
    ) {
        let points = Points::new();
        let (high, wide) = self.window.output;
        let (half, rest) = scratch.split_at_mut(OUT * IN * self.width);
        let tiles = &mut rest[..OUT * self.width];
        for (channel, m) in m.chunks_exact_mut(POINTS * self.tiles()).take(channels).enumerate() {
            for row in 0..self.rows {
                for (i, half) in half.chunks_exact_mut(IN * self.width).enumerate() {
                    if row * OUT + i >= high {
                        half.fill(T::ZERO);
                        continue;
                    }
                    tiles.fill(T::ZERO);
                    for image in 0..self.images {
                        let first = image * planes.image + channel * planes.channel + (row * OUT + i) * wide;
                        let pixels = &dy[first..][..wide];
                        for (j, tiles) in tiles.chunks_exact_mut(self.width).enumerate() {
                            let tiles = &mut tiles[image * self.columns..][..self.columns];
                            for (pixel, tile) in pixels.iter().skip(j).step_by(OUT).zip(tiles) {
                                *tile = *pixel;
                            }
                        }
                    }
                    for first in (0..self.width).step_by(LANES) {
                        let values = points.output_gradient(&load(tiles, first, self.width));
                        store(&values, half, first, self.width);
                    }
                }
                for column in 0..IN {
                    let half = &half[column * self.width..];
                    let m = &mut m[column * self.tiles() + row * self.width..];
                    for first in (0..self.width).step_by(LANES) {
                        let values = points.output_gradient(&load(half, first, IN * self.width));
                        store(&values, m, first, IN * self.tiles());
                    }
                }
            }
        }
    }
}

/// `N` vectors, `stride` apart.
#[inline(always)]
fn load<T: Element, const N: usize>(values: &[T], first: usize, stride: usize) -> [Lanes<T>; N] {
    let mut lanes = [[T::ZERO; LANES]; N];
    for (i, lanes) in lanes.iter_mut().enumerate() {
        lanes.copy_from_slice(&values[first + i * stride..][..LANES]);
    }
    lanes
}

#[inline(always)]
fn store<T: Element, const N: usize>(lanes: &[Lanes<T>; N], values: &mut [T], first: usize, stride: usize) {
    for (i, lanes) in lanes.iter().enumerate() {
        values[first + i * stride..][..LANES].copy_from_slice(lanes);
    }
}

#[inline(always)]
fn add<T: Element, const N: usize>(lanes: &[Lanes<T>; N], values: &mut [T], first: usize, stride: usize) {
    for (i, lanes) in lanes.iter().enumerate() {
        let to = &mut values[first + i * stride..][..LANES];
        to.iter_mut().zip(lanes).for_each(|(to, from)| *to += *from);
    }
}
