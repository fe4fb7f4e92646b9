//! Images made worse on purpose: askd's own corruptions, to measure what a network bears.
//!
//! The fifteen kinds are those of Hendrycks and Dietterich 2019, arXiv:1903.12261; procedures and strengths are ours, and lengths are
//! parts of the image's shorter side, so that small and large images are treated alike. Figures cannot be compared with those published
//! for CIFAR-10-C or ImageNet-C.

mod blur;
mod digital;
mod field;
mod geometry;
mod images;
mod kernel;
mod light;
mod noise;
#[cfg(test)]
mod peer_tests;
mod picture;
mod sheet;
#[cfg(test)]
mod tests;
mod weather;

use std::fmt;
use std::str::FromStr;

use askd_runtime::Image;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Serialize, Serializer};

use self::picture::Picture;
use crate::{Error, Result};

pub(crate) use self::images::Prepared;
pub use self::sheet::contact_sheet;

/// Longest side that JPEG has, and most pixels that its decoder takes with a margin.
const LONGEST_SIDE: usize = 65_535;
const MOST_PIXELS: usize = 1 << 26;

/// Corrupts a picture with that strength.
type Apply = fn(&mut Picture, f32, &mut ChaCha8Rng);

/// A kind of corruption.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corruption(&'static Kind);

/// What there is to know of a kind.
#[derive(Debug)]
struct Kind {
    name: &'static str,
    /// Apart from every other kind's use of a seed; never changed.
    stream: u64,
    /// For each severity what [`Self::apply`] takes: docs/robustness.md has the meaning and the unit.
    strengths: [f32; 5],
    apply: Apply,
}

const fn kind(name: &'static str, stream: u64, strengths: [f32; 5], apply: Apply) -> Kind {
    Kind {
        name,
        stream,
        strengths,
        apply,
    }
}

/// All of them, in the order in which they are told.
static KINDS: [Kind; 15] = [
    kind("gaussian-noise", 1, [0.04, 0.07, 0.1, 0.14, 0.2], noise::gaussian),
    kind("shot-noise", 2, [250.0, 120.0, 60.0, 30.0, 15.0], noise::shot),
    kind("impulse-noise", 3, [0.02, 0.04, 0.07, 0.11, 0.17], noise::impulse),
    kind("defocus-blur", 4, [0.012, 0.018, 0.026, 0.036, 0.048], blur::defocus),
    kind("glass-blur", 5, [0.01, 0.016, 0.024, 0.034, 0.046], blur::glass),
    kind("motion-blur", 6, [0.05, 0.075, 0.105, 0.14, 0.18], blur::motion),
    kind("zoom-blur", 7, [1.06, 1.11, 1.16, 1.22, 1.3], blur::zoom),
    kind("snow", 8, [60.0, 110.0, 170.0, 240.0, 320.0], weather::snow),
    kind("frost", 9, [0.15, 0.25, 0.35, 0.45, 0.6], weather::frost),
    kind("fog", 10, [0.25, 0.45, 0.7, 1.0, 1.4], weather::fog),
    kind("brightness", 11, [0.08, 0.16, 0.24, 0.32, 0.42], light::brightness),
    kind("contrast", 12, [0.6, 0.45, 0.32, 0.2, 0.1], light::contrast),
    kind("elastic", 13, [0.008, 0.013, 0.019, 0.026, 0.034], geometry::elastic),
    kind("pixelate", 14, [0.04, 0.05, 0.06, 0.075, 0.095], digital::pixelate),
    kind("jpeg", 15, [70.0, 45.0, 28.0, 16.0, 9.0], digital::jpeg),
];

/// How strong a corruption is, 1 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Severity(u8);

impl Corruption {
    /// All of them, in the order in which they are told.
    pub fn all() -> impl Iterator<Item = Self> {
        KINDS.iter().map(Self)
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// What decides how strong it is; docs/robustness.md has the meaning and the unit.
    pub fn strength(self, severity: Severity) -> f32 {
        self.0.strengths[usize::from(severity.0 - 1)]
    }

    /// A corrupted copy of an image.
    ///
    /// Its bits follow from the image, the severity, the seed and `number`, the image's own; all severities draw the same random
    /// numbers.
    ///
    /// # Shapes
    /// - `image`: any size, gray or RGB
    /// - returns: HWC, `u8`, as many as the image has
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if the image has a side above 65,535 pixels or more than 67 million of them.
    pub fn apply(self, image: &Image<'_>, severity: Severity, seed: u64, number: u64) -> Result<Vec<u8>> {
        let [height, width] = [image.height(), image.width()];
        if height.max(width) > LONGEST_SIDE || height.saturating_mul(width) > MOST_PIXELS {
            let expected = format!("sides up to {LONGEST_SIDE} pixels, {MOST_PIXELS} pixels in all");
            return Err(Error::invalid(
                "image to corrupt",
                expected,
                format!("{height} x {width}"),
            ));
        }
        let mut picture = Picture::of(image);
        // the golden ratio's bits keep the kinds' seeds apart, also of seeds that follow each other
        let mut rng = ChaCha8Rng::seed_from_u64(seed ^ self.0.stream.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        rng.set_stream(number);
        (self.0.apply)(&mut picture, self.strength(severity), &mut rng);
        Ok(picture.to_pixels())
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.stream == other.stream
    }
}

impl Eq for Kind {}

impl FromStr for Corruption {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::all().find(|known| known.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::all().map(Self::name).collect();
            Error::invalid("--corrupt", names.join(", "), format!("\"{text}\""))
        })
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Serialize for Corruption {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Severity {
    /// All of them, the mildest first.
    pub fn all() -> impl Iterator<Item = Self> {
        (1..=5).map(Self)
    }

    /// 1 to 5.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl FromStr for Severity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = text.parse().ok().filter(|number| (1..=5).contains(number));
        known
            .map(Self)
            .ok_or_else(|| Error::invalid("--severity", "1 to 5", format!("\"{text}\"")))
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
