//! The images a model is run on: real ones, or ones that look natural; never zeros, on which some kernels are faster and some
//! branches never taken.

use std::fs;
use std::path::Path;

use askd_runtime::{ElementType, Error as RuntimeError, Interface, Model, PixelFormat, Session};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::{Dtype, SafeTensors};

use super::error::Error;
use super::report::ImageFacts;

/// Synthetic images.
const SYNTHETIC: usize = 16;
/// Decides them.
const SEED: u64 = 0;
/// Most pixels of a side of a frame.
pub const MAX_SIDE: usize = 16_384;
/// Bytes that frames may take together, for the process's memory to be the model's; two there are in any case.
const FRAMES: usize = 16 << 20;

/// One image as a model takes it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tensor {
    Normalised(Vec<f32>),
    Pixels(Vec<u8>),
}

impl Tensor {
    pub(super) fn run(&self, session: &mut Session, logits: &mut [f32]) -> Result<(), RuntimeError> {
        match self {
            Self::Normalised(values) => session.run(values, logits),
            Self::Pixels(values) => session.run_u8(values, logits),
        }
    }
}

/// Images as a camera gives them, all of one size: `(H, W, C)` bytes each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pictures {
    pub(super) pixels: Vec<Vec<u8>>,
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) format: PixelFormat,
}

impl Pictures {
    /// The bundle's golden images, back to pixels.
    pub(super) fn golden(model: &Model) -> (Self, ImageFacts) {
        let (input, golden) = (&model.manifest().input, model.golden());
        let [channels, height, width] = input.shape;
        let area = height * width;
        let pixel = |image: &[f32], at: usize, channel: usize| match input.data_type {
            ElementType::U8 => image[at * channels + channel],
            _ => 255.0 * (image[channel * area + at] * input.std[channel] + input.mean[channel]),
        };
        let bytes = |image: &[f32]| {
            let all = (0..area).flat_map(|at| (0..channels).map(move |channel| (at, channel)));
            // a conversion to u8 keeps within its range
            all.map(|(at, channel)| pixel(image, at, channel).round() as u8)
                .collect()
        };
        let pixels: Vec<_> = golden.input().chunks_exact(input.elements()).map(bytes).collect();
        let facts = ImageFacts {
            source: "golden".to_owned(),
            count: pixels.len(),
            height,
            width,
            note: "the bundle's golden images, as pixels".to_owned(),
        };
        let format = if channels == 1 {
            PixelFormat::Gray8
        } else {
            PixelFormat::Rgb8
        };
        (
            Self {
                pixels,
                height,
                width,
                format,
            },
            facts,
        )
    }

    /// The first of them in a camera's frame of another size: nearest pixels, and as many frames as there is room for.
    pub(super) fn in_frame(self, [height, width]: [usize; 2]) -> Self {
        let bytes = self.format.channels();
        let room = FRAMES / (height * width * bytes);
        let enlarge = |image: Vec<u8>| {
            let places = (0..height).flat_map(|row| (0..width).map(move |column| (row, column)));
            let nearest = |(row, column)| (row * self.height / height) * self.width + column * self.width / width;
            places
                .map(nearest)
                .flat_map(|at| image[at * bytes..][..bytes].iter().copied())
                .collect()
        };
        Self {
            pixels: self.pixels.into_iter().take(room.max(2)).map(enlarge).collect(),
            height,
            width,
            format: self.format,
        }
    }
}

/// The images in a safetensors file: its tensor `input`, or its only one, of the model's type and shape, any number of images.
pub(super) fn from_file(path: &Path, interface: &Interface) -> Result<(Vec<Tensor>, ImageFacts), Error> {
    let item = || format!("--input {}", path.display());
    let bytes = fs::read(path).map_err(|source| askd_runtime::Error::Read {
        path: path.to_owned(),
        source,
    })?;
    let wrong = |expected: &str, found: String| Error::demand(item(), expected, found);
    let file = SafeTensors::deserialize(&bytes).map_err(|error| wrong("a safetensors file", error.to_string()))?;
    let names = file.names();
    let name = match names.as_slice() {
        [only] => only,
        _ => "input",
    };
    let found = file.tensor(name);
    let tensor = found.map_err(|_| wrong("a tensor called input, or one alone", format!("{names:?}")))?;
    let ([channels, height, width], elements) = (interface.shape, interface.elements());
    let (dtype, shape) = match interface.data_type {
        ElementType::U8 => (Dtype::U8, [height, width, channels]),
        _ => (Dtype::F32, [channels, height, width]),
    };
    if tensor.dtype() != dtype || tensor.shape().len() != 4 || tensor.shape()[1..] != shape || tensor.shape()[0] == 0 {
        let expected = format!("{dtype:?} of shape [N, {}, {}, {}]", shape[0], shape[1], shape[2]);
        return Err(wrong(
            &expected,
            format!("{:?} of shape {:?}", tensor.dtype(), tensor.shape()),
        ));
    }
    let images: Vec<_> = match dtype {
        Dtype::U8 => tensor
            .data()
            .chunks_exact(elements)
            .map(|image| Tensor::Pixels(image.to_vec()))
            .collect(),
        _ => {
            let values: Vec<f32> = tensor
                .data()
                .as_chunks()
                .0
                .iter()
                .map(|bytes| f32::from_le_bytes(*bytes))
                .collect();
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                return Err(wrong("finite numbers", format!("{} at element {at}", values[at])));
            }
            values
                .chunks_exact(elements)
                .map(|image| Tensor::Normalised(image.to_vec()))
                .collect()
        }
    };
    let facts = ImageFacts {
        source: "file".to_owned(),
        count: images.len(),
        height,
        width,
        note: format!("tensor {name:?} of {}, as the model takes it", path.display()),
    };
    Ok((images, facts))
}

/// Images with a natural picture's statistics for a model that comes without any: amplitudes fall with frequency, channels and
/// neighbours are alike, mean 0 and standard deviation 1 (as pixels: 118 and 59).
pub(super) fn synthetic(interface: &Interface) -> (Vec<Tensor>, ImageFacts) {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    let [channels, height, width] = interface.shape;
    let image = |random: &mut ChaCha8Rng| {
        let shared = field(random, height, width);
        let planes: Vec<Vec<f32>> = (0..channels)
            .map(|_| {
                let own = field(random, height, width);
                shared
                    .iter()
                    .zip(own)
                    .map(|(shared, own)| 0.95 * shared + 0.3 * own)
                    .collect()
            })
            .collect();
        match interface.data_type {
            ElementType::U8 => {
                let all = (0..height * width).flat_map(|at| planes.iter().map(move |plane| plane[at]));
                Tensor::Pixels(all.map(|value| (118.0 + 59.0 * value).round() as u8).collect())
            }
            _ => Tensor::Normalised(planes.concat()),
        }
    };
    let images: Vec<_> = (0..SYNTHETIC).map(|_| image(&mut random)).collect();
    let facts = ImageFacts {
        source: "synthetic".to_owned(),
        count: images.len(),
        height,
        width,
        note: "no pictures: seeded fields with a natural picture's statistics, since a plain ONNX file brings no images; give \
               real ones by --input"
            .to_owned(),
    };
    (images, facts)
}

/// A plane of noise, octave by octave, each half as fine and twice as strong as the one before; mean 0, deviation 1.
fn field(random: &mut ChaCha8Rng, height: usize, width: usize) -> Vec<f32> {
    let mut plane = vec![0.0f32; height * width];
    let mut step = 1;
    while step <= height.max(width) {
        let (rows, columns) = (height.div_ceil(step) + 1, width.div_ceil(step) + 1);
        let grid: Vec<f32> = (0..rows * columns).map(|_| random.random_range(-1.0..1.0)).collect();
        for (at, value) in plane.iter_mut().enumerate() {
            let (row, column) = (at / width, at % width);
            let (down, right) = ((row % step) as f32 / step as f32, (column % step) as f32 / step as f32);
            let corner = |below, beside| grid[(row / step + below) * columns + column / step + beside];
            let upper = corner(0, 0) * (1.0 - right) + corner(0, 1) * right;
            let lower = corner(1, 0) * (1.0 - right) + corner(1, 1) * right;
            *value += step as f32 * (upper * (1.0 - down) + lower * down);
        }
        step *= 2;
    }
    let count = plane.len() as f32;
    let mean = plane.iter().sum::<f32>() / count;
    let deviation = (plane.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / count).sqrt();
    // a plane of one value has none
    plane.iter().map(|value| (value - mean) / deviation.max(1e-6)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_repeat_the_nearest_pixels() {
        let picture = Pictures {
            pixels: vec![vec![1, 2, 3, 4, 5, 6]],
            height: 1,
            width: 2,
            format: PixelFormat::Rgb8,
        };
        let frame = picture.in_frame([2, 4]);
        assert_eq!((frame.height, frame.width), (2, 4));
        assert_eq!(frame.pixels, [[1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6].repeat(2)]);
        let many = Pictures {
            pixels: vec![vec![7; 6]; 100],
            height: 1,
            width: 2,
            format: PixelFormat::Rgb8,
        };
        assert_eq!(many.in_frame([1000, 1000]).pixels.len(), 5);
    }

    #[test]
    fn synthetic_fields_are_smooth_and_normalised() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for (height, width) in [(32, 32), (7, 50), (1, 2)] {
            let plane = field(&mut random, height, width);
            let count = plane.len() as f32;
            let mean = plane.iter().sum::<f32>() / count;
            let variance = plane.iter().map(|value| value * value).sum::<f32>() / count;
            assert!(mean.abs() < 1e-3 && (variance - 1.0).abs() < 1e-3, "{mean} {variance}");
        }
        // neighbours of a picture correlate; of white noise they would not
        let plane = field(&mut random, 32, 32);
        let products: f32 = plane.windows(2).map(|pair| pair[0] * pair[1]).sum();
        assert!(products / plane.len() as f32 > 0.5);
    }
}
