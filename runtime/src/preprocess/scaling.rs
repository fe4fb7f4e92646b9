//! An image scaled to another size, with the tables and the memory that takes.

use super::axis::Axis;
use super::sample;
use crate::image::Image;

/// Scales images, and cuts out the centre that is wanted.
#[derive(Debug, Clone)]
pub(super) struct Scaling {
    /// C, H and W of the result.
    shape: [usize; 3],
    rows: Axis,
    columns: Axis,
    /// One row of the image, scaled in height only: image width times working channels.
    scratch: Vec<f32>,
}

impl Scaling {
    /// Scales to sizes of which the centre of `shape`, `[C, H, W]`, is wanted.
    pub(super) fn new(shape: [usize; 3]) -> Self {
        let [_, height, width] = shape;
        Self {
            shape,
            rows: Axis::new(height),
            columns: Axis::new(width),
            scratch: Vec::new(),
        }
    }

    /// Scales the whole image to `size`, `[height, width]`: in height into the scratch row, then in width, one row of
    /// the result after the other. The memory is one row of the image, however large the image. `put` gets channel,
    /// place `y * W + x` and value `0.0..=255.0`, each place once.
    pub(super) fn apply(&mut self, image: &Image<'_>, size: [usize; 2], mut put: impl FnMut(usize, usize, f32)) {
        let [channels, height, width] = self.shape;
        self.rows.prepare(image.height(), size[0]);
        self.columns.prepare(image.width(), size[1]);
        let stride = image.format().channels();
        // Gray for three channels is scaled once and repeated; RGB for one channel becomes gray before it is scaled.
        let working = stride.min(channels);
        self.scratch.resize(image.width() * working, 0.0);
        for y in 0..height {
            let (first, weights) = self.rows.taps(y);
            self.scratch.fill(0.0);
            let sources = image.pixels().chunks_exact(image.width() * stride).skip(first);
            for (source, &weight) in sources.zip(weights) {
                if working == stride {
                    for (sum, &pixel) in self.scratch.iter_mut().zip(source) {
                        *sum += weight * f32::from(pixel);
                    }
                } else {
                    for (sum, pixel) in self.scratch.iter_mut().zip(source.chunks_exact(stride)) {
                        *sum += weight * f32::from(sample(pixel, 0, 1));
                    }
                }
            }
            for x in 0..width {
                let (first, weights) = self.columns.taps(x);
                let mut sums = [0.0; 3];
                for (pixel, &weight) in self.scratch.chunks_exact(working).skip(first).zip(weights) {
                    for (sum, &value) in sums.iter_mut().zip(pixel) {
                        *sum += weight * value;
                    }
                }
                for channel in 0..channels {
                    put(channel, y * width + x, sums[channel.min(working - 1)]);
                }
            }
        }
    }
}
