//! Pictures made by arithmetic on whole numbers: the same bytes on every machine, and nobody's property.
#![allow(unreachable_pub, reason = "a module of test binaries, not of a library")]

/// An RGB picture, rows without gaps, interleaved channels.
#[derive(Debug)]
pub struct Picture {
    pub bytes: Vec<u8>,
    pub height: usize,
    pub width: usize,
}

/// Four pictures of different sizes, with slopes, edges and fine patterns.
pub fn pictures() -> Vec<Picture> {
    let sizes = [(16, 20), (9, 11), (37, 53), (120, 64)];
    let picture = |(index, (height, width))| {
        let byte = |at: usize| {
            let (y, x, channel) = (at / 3 / width, at / 3 % width, at % 3);
            let sum = y * (2 * index + 3) + x * (9 - 2 * index) + y * x / (index + 2) + channel * (40 * index + 25);
            // wraps at 256: the edges; each picture darker than the one before
            sum as u8 / (index + 1) as u8
        };
        Picture {
            bytes: (0..height * width * 3).map(byte).collect(),
            height,
            width,
        }
    };
    sizes.into_iter().enumerate().map(picture).collect()
}
