//! Images where they lie: records of a file that is mapped, or that was unpacked into memory.

use std::ops::Deref;

use askd_runtime::PixelFormat;

use super::map::Mapped;

/// A file's contents.
#[derive(Debug)]
pub(super) enum Bytes {
    /// A plain file, left where it is.
    Mapped(Mapped),
    /// What was unpacked.
    Owned(Vec<u8>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// How an image's pixels follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// H x W x C.
    Interleaved,
    /// C x H x W.
    Planar,
}

/// A file's layout: a header, then records of label bytes and pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    /// Bytes before the first record.
    pub(super) header: usize,
    /// Bytes of a record before its pixels.
    pub(super) label: usize,
    /// Order of a record's pixels.
    pub(super) order: Order,
}

/// Images of one size in one file.
#[derive(Debug)]
pub(super) struct Records {
    bytes: Bytes,
    layout: Layout,
    /// `(C, H, W)` of every image.
    shape: [usize; 3],
    /// Whole records in `bytes`.
    count: usize,
}

impl Records {
    /// The whole records in `bytes`; a part of one at the end is left out.
    pub(super) fn new(bytes: Bytes, layout: Layout, shape: [usize; 3]) -> Self {
        let record = layout.label + shape.iter().product::<usize>();
        let count = bytes.len().saturating_sub(layout.header) / record.max(1);
        Self {
            bytes,
            layout,
            shape,
            count,
        }
    }

    /// Every record's label bytes.
    pub(super) fn labels(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.count).map(|index| &self.record(index)[..self.layout.label])
    }

    /// Image `index`: its pixels as of [`Self::pixels`], `[height, width]`, and what its bytes mean.
    ///
    /// # Panics
    /// If there is no such record.
    pub(super) fn image<'a>(&'a self, index: usize, buffer: &'a mut Vec<u8>) -> (&'a [u8], [usize; 2], PixelFormat) {
        let [channels, height, width] = self.shape;
        (self.pixels(index, buffer), [height, width], Self::format(channels))
    }

    /// What the bytes of a pixel of so many channels mean.
    fn format(channels: usize) -> PixelFormat {
        if channels == 1 {
            PixelFormat::Gray8
        } else {
            PixelFormat::Rgb8
        }
    }

    /// Pixels of image `index`, H x W x C: where they lie, or brought into that order in `buffer`.
    ///
    /// # Panics
    /// If there is no such record.
    fn pixels<'a>(&'a self, index: usize, buffer: &'a mut Vec<u8>) -> &'a [u8] {
        let pixels = &self.record(index)[self.layout.label..];
        let [channels, height, width] = self.shape;
        if self.layout.order == Order::Interleaved || channels == 1 {
            return pixels;
        }
        buffer.resize(pixels.len(), 0);
        for (channel, plane) in pixels.chunks_exact(height * width).enumerate() {
            for (pixel, value) in buffer.chunks_exact_mut(channels).zip(plane) {
                pixel[channel] = *value;
            }
        }
        buffer
    }

    fn record(&self, index: usize) -> &[u8] {
        let size = self.layout.label + self.shape.iter().product::<usize>();
        &self.bytes[self.layout.header + index * size..][..size]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(order: Order) -> Records {
        let layout = Layout {
            header: 2,
            label: 1,
            order,
        };
        // two records of 2 x 1 x 2 pixels, and a byte of a third
        let bytes = vec![0, 0, 7, 1, 2, 3, 4, 8, 5, 6, 7, 8, 9];
        Records::new(Bytes::Owned(bytes), layout, [2, 1, 2])
    }

    #[test]
    fn planes_become_interleaved() {
        let records = records(Order::Planar);
        // a buffer that was used for something else
        let mut buffer = vec![9; 7];
        assert_eq!(records.pixels(0, &mut buffer), [1, 3, 2, 4]);
        assert_eq!(records.pixels(1, &mut buffer), [5, 7, 6, 8]);
        assert_eq!(records.labels().collect::<Vec<_>>(), [[7], [8]]);
    }

    #[test]
    fn interleaved_pixels_stay_where_they_are() {
        let records = records(Order::Interleaved);
        let mut buffer = Vec::new();
        assert_eq!(records.pixels(1, &mut buffer), [5, 6, 7, 8]);
        assert!(buffer.is_empty());
    }
}
