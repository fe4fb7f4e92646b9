//! Image files of any size, a directory for each class, as in ImageNet's usual layout.
//!
//! Only names are read at first, and an image when it is asked for: a set may be far larger than memory.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use image::{ImageFormat, ImageReader};
use serde::{Deserialize, Serialize};

use super::ImageSet;
use super::spec::Part;
use super::split::split_off;
use crate::{Error, Result, progress};

/// Names of image files end so, in letters of either case.
const EXTENSIONS: [&str; 3] = ["jpg", "jpeg", "png"];

/// Below a data set's path, where it has parts: training images, and test images by either name.
const TRAIN: &str = "train";
const TEST: [&str; 2] = ["val", "test"];

/// Share of each class's images that are test images where a data set has no parts, and the seed that chooses them.
const TEST_SHARE: f64 = 0.2;
const TEST_SEED: u64 = 0x7e57_f01d;

/// What becomes of an image file that cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CorruptFiles {
    /// An error that names it ends the work.
    #[default]
    Refuse,
    /// It is named once, counted, and left out.
    Skip,
}

impl FromStr for CorruptFiles {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "refuse" => Ok(Self::Refuse),
            "skip" => Ok(Self::Skip),
            _ => Err(Error::invalid(
                "--corrupt-files",
                "refuse or skip",
                format!("\"{text}\""),
            )),
        }
    }
}

/// The image files of several directories.
#[derive(Debug)]
pub(super) struct Files {
    directories: Vec<Directory>,
    /// Directory and file of all that were skipped.
    skipped: Mutex<BTreeSet<[u32; 2]>>,
}

/// The image files of one class.
#[derive(Debug)]
struct Directory {
    path: PathBuf,
    /// Sorted.
    names: Vec<OsString>,
}

impl Files {
    /// Number of files in each directory.
    pub(super) fn counts(&self) -> impl Iterator<Item = usize> {
        self.directories.iter().map(|directory| directory.names.len())
    }

    /// How many files have been skipped.
    pub(super) fn skipped(&self) -> usize {
        self.skipped.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// A file's name with its directory's, and its size in bytes.
    pub(super) fn facts(&self, file: [u32; 2]) -> Result<(Vec<u8>, usize)> {
        let path = self.path(file);
        let names = [path.parent().and_then(Path::file_name), path.file_name()];
        let names = names.map(|name| name.unwrap_or_default().as_encoded_bytes());
        let size = fs::metadata(&path).map_err(Error::io(&path))?.len();
        Ok((names.join(&b'/'), size as usize))
    }

    /// Decodes a file to `buffer`, H x W x 3, and gives `[height, width]`; or skips it.
    pub(super) fn decode(
        &self,
        file: [u32; 2],
        corrupt_files: CorruptFiles,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<[usize; 2]>> {
        match (decode(&self.path(file), buffer), corrupt_files) {
            (Ok(size), _) => Ok(Some(size)),
            (Err(error @ Error::Malformed { .. }), CorruptFiles::Skip) => {
                let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
                if skipped.insert(file) {
                    progress::warn(&format!("{error}: skipped"));
                }
                Ok(None)
            }
            (Err(Error::Malformed { path, expected, got }), CorruptFiles::Refuse) => {
                let got = format!("{got} (--corrupt-files skip leaves such files out)");
                Err(Error::malformed(path, expected, got))
            }
            (Err(error), _) => Err(error),
        }
    }

    fn path(&self, [directory, name]: [u32; 2]) -> PathBuf {
        let directory = &self.directories[directory as usize];
        directory.path.join(&directory.names[name as usize])
    }
}

/// A part of the data set at `path`: below `train/`, and `val/` or else `test/`; where it has no such directories, each class is
/// split.
pub(super) fn read(path: &Path, part: Part) -> Result<ImageSet> {
    let [train, val, test] = [TRAIN, TEST[0], TEST[1]].map(|name| path.join(name));
    let has_classes = |part: &Path| directories(part).is_ok_and(|classes| !classes.is_empty());
    if ![&train, &val, &test].iter().any(|part| has_classes(part)) {
        let all = read_classes(path, None)?;
        let (training, test) = split_off(&all, TEST_SHARE, TEST_SEED);
        if test.is_empty() {
            let expected = "3 images of a class, of which one becomes a test image, or train/ and val/";
            return Err(Error::malformed(path, expected, "fewer"));
        }
        return Ok(match part {
            Part::Train => training,
            Part::Test => test,
        });
    }
    match part {
        Part::Train => read_classes(&train, None),
        // without training images there is something to evaluate all the same
        Part::Test => {
            let known = train.is_dir().then(|| class_names(&train)).transpose()?;
            read_classes(if val.is_dir() { &val } else { &test }, known)
        }
    }
}

/// All images of the classes in a directory: those known, or else those that are there.
fn read_classes(path: &Path, known: Option<Vec<String>>) -> Result<ImageSet> {
    let own = class_names(path)?;
    let classes = known.unwrap_or_else(|| own.clone());
    let (mut labels, mut files) = (Vec::new(), Vec::new());
    for (name, class) in directories(path)?.into_iter().zip(own) {
        let directory = path.join(&name);
        let label = classes.iter().position(|known| *known == class).ok_or_else(|| {
            let expected = format!("one of the {} classes of {TRAIN}/", classes.len());
            Error::malformed(&directory, expected, "another")
        })?;
        labels.push(label as u32);
        files.push(Directory {
            names: images(&directory)?,
            path: directory,
        });
    }
    let files = Files {
        directories: files,
        skipped: Mutex::default(),
    };
    Ok(ImageSet::of_files(files, &labels, classes))
}

fn class_names(path: &Path) -> Result<Vec<String>> {
    let names = directories(path)?;
    if names.is_empty() {
        // as ImageNet's validation images are packed
        let got = match image_names(path)?.len() {
            0 => "none".to_owned(),
            count => format!("none, and {count} images: move each into its class's directory"),
        };
        return Err(Error::malformed(path, "a directory for each class", got));
    }
    Ok(names.iter().map(|name| name.to_string_lossy().into_owned()).collect())
}

/// Sorted names of the directories in a directory.
fn directories(path: &Path) -> Result<Vec<OsString>> {
    entries(path, |path| path.is_dir())
}

/// Sorted names of the image files in a class's directory, at least one.
fn images(path: &Path) -> Result<Vec<OsString>> {
    let names = image_names(path)?;
    if names.is_empty() {
        return Err(Error::malformed(path, "files *.jpg, *.jpeg or *.png", "none"));
    }
    Ok(names)
}

/// Sorted names of the image files in a directory.
fn image_names(path: &Path) -> Result<Vec<OsString>> {
    let is_image = |path: &Path| {
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
    };
    entries(path, is_image)
}

/// Sorted names of what is wanted of a directory, but for hidden files.
fn entries(path: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(Error::io(path))? {
        let entry = entry.map_err(Error::io(path))?;
        let name = entry.file_name();
        if !name.as_encoded_bytes().starts_with(b".") && wanted(&entry.path()) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Decodes a JPEG or PNG file to RGB, whatever its name says, and gives `[height, width]`. Transparency is dropped, and the
/// orientation that a camera noted is not followed, as is usual in training.
fn decode(path: &Path, buffer: &mut Vec<u8>) -> Result<[usize; 2]> {
    let bytes = fs::read(path).map_err(Error::io(path))?;
    let format = image::guess_format(&bytes).ok();
    let whole = match format {
        Some(ImageFormat::Png) => true,
        Some(ImageFormat::Jpeg) => jpeg_ends(&bytes),
        _ => return Err(Error::malformed(path, "a JPEG or PNG image", "other bytes")),
    };
    let mut reader = ImageReader::new(Cursor::new(&bytes));
    format.into_iter().for_each(|format| reader.set_format(format));
    match reader.decode() {
        Ok(image) if whole => {
            let size = [image.height() as usize, image.width() as usize];
            *buffer = image.into_rgb8().into_raw();
            Ok(size)
        }
        decoded => {
            let error = decoded.err().map(|error| error.to_string().replace('\n', " "));
            let got = error.unwrap_or_else(|| "one that ends early".to_owned());
            Err(Error::malformed(path, "a whole JPEG or PNG image", got))
        }
    }
}

/// Whether a JPEG file comes to its end of image, which the decoder does not ask: it fills what is missing with gray. What a
/// segment holds, such as a preview of its own, and what follows the end are not looked at.
///
/// Source: ITU-T T.81, annex B: a segment is a marker, with its length, and in a scan's data a byte of 255 is followed by 0 or a
/// restart marker.
fn jpeg_ends(bytes: &[u8]) -> bool {
    const START_OF_IMAGE: u8 = 0xd8;
    const END_OF_IMAGE: u8 = 0xd9;
    let mut rest = bytes;
    loop {
        // a scan's data, where there is any, and bytes that fill up before a marker
        let is_marker = |pair: &[u8]| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff);
        let Some(at) = rest.windows(2).position(is_marker) else {
            return false;
        };
        let marker = rest[at + 1];
        rest = &rest[at + 2..];
        match marker {
            END_OF_IMAGE => return true,
            START_OF_IMAGE => {}
            _ => {
                let length = rest.first_chunk().map_or(0, |length| u16::from_be_bytes(*length));
                let Some(behind) = rest.get(usize::from(length)..) else {
                    return false;
                };
                rest = behind;
            }
        }
    }
}

#[cfg(test)]
mod tests;
