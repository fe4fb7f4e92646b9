//! `KIND:PATH`, and what is known of each kind.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ImageSet, cifar, folder, idx};
use crate::{Error, Result};

/// Which images of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The official training images.
    Train,
    /// The official test images, on which no choice is ever made.
    Test,
}

/// A data set's file layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataKind {
    /// IDX or IDX.gz files, MNIST too; without a path the embedded part.
    FashionMnist,
    /// CIFAR-10, official binary layout.
    Cifar10,
    /// CIFAR-100, official binary layout.
    Cifar100,
    /// JPEG and PNG files of any size, a directory for each class, as in ImageNet's usual layout.
    Folder,
}

impl DataKind {
    const ALL: [(Self, &'static str); 4] = [
        (Self::FashionMnist, "fashion-mnist"),
        (Self::Cifar10, "cifar10"),
        (Self::Cifar100, "cifar100"),
        (Self::Folder, "folder"),
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        Self::ALL
            .into_iter()
            .find(|(kind, _)| *kind == self)
            .map_or("", |(_, name)| name)
    }

    /// Mean of pixels scaled to `0..=1`, per channel.
    ///
    /// Source: computed over the training images; for CIFAR-100 the values of the ATSC recipe, for
    /// folders ImageNet's usual ones.
    pub fn mean(self) -> Vec<f32> {
        match self {
            Self::FashionMnist => vec![0.2860],
            Self::Cifar10 => vec![0.4914, 0.4822, 0.4465],
            Self::Cifar100 => vec![0.5071, 0.4867, 0.4408],
            Self::Folder => vec![0.485, 0.456, 0.406],
        }
    }

    /// Standard deviation of pixels scaled to `0..=1`, per channel; sources as for [`Self::mean`].
    pub fn std(self) -> Vec<f32> {
        match self {
            Self::FashionMnist => vec![0.3530],
            Self::Cifar10 => vec![0.2470, 0.2435, 0.2616],
            Self::Cifar100 => vec![0.2675, 0.2565, 0.2761],
            Self::Folder => vec![0.229, 0.224, 0.225],
        }
    }
}

/// A data set on disk, or the embedded one: `KIND:PATH`, or `fashion-mnist` alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DataSpec {
    /// File layout.
    pub kind: DataKind,
    /// Directory, or but for `folder` a `.tar.gz`; none for the embedded part of Fashion-MNIST.
    pub path: Option<PathBuf>,
}

impl DataSpec {
    /// The part of Fashion-MNIST that the program carries.
    pub fn embedded() -> Self {
        Self {
            kind: DataKind::FashionMnist,
            path: None,
        }
    }

    /// Reads one part.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`].
    pub fn load(&self, part: Part) -> Result<ImageSet> {
        match (self.kind, &self.path) {
            (DataKind::FashionMnist, None) => idx::embedded(part),
            (DataKind::FashionMnist, Some(path)) => idx::read(path, part),
            (DataKind::Cifar10, Some(path)) => cifar::read(path, &cifar::CIFAR_10, part),
            (DataKind::Cifar100, Some(path)) => cifar::read(path, &cifar::CIFAR_100, part),
            (DataKind::Folder, Some(path)) => folder::read(path, part),
            (kind, None) => Err(Error::invalid("--data", format!("{}:PATH", kind.name()), kind.name())),
        }
    }
}

impl FromStr for DataSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, path) = text
            .split_once(':')
            .map_or((text, None), |(name, path)| (name, Some(PathBuf::from(path))));
        let kind = DataKind::ALL
            .into_iter()
            .find(|(_, known)| *known == name)
            .map(|(kind, _)| kind);
        let usable = |kind: &DataKind| match &path {
            Some(path) => !path.as_os_str().is_empty(),
            None => *kind == DataKind::FashionMnist,
        };
        let expected = "fashion-mnist, fashion-mnist:PATH, cifar10:PATH, cifar100:PATH or folder:PATH";
        let kind = kind
            .filter(usable)
            .ok_or_else(|| Error::invalid("--data", expected, format!("\"{text}\"")))?;
        Ok(Self { kind, path })
    }
}

impl fmt::Display for DataSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{}:{}", self.kind.name(), path.display()),
            None => f.write_str(self.kind.name()),
        }
    }
}

impl TryFrom<String> for DataSpec {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<DataSpec> for String {
    fn from(spec: DataSpec) -> Self {
        spec.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specs_read_as_they_print() {
        for text in [
            "fashion-mnist",
            "fashion-mnist:data",
            "cifar10:a/b.tar.gz",
            "cifar100:C:dir",
            "folder:imagenet",
        ] {
            assert_eq!(text.parse::<DataSpec>().unwrap().to_string(), text);
        }
        for text in ["", "cifar10", "cifar10:", "imagenet:dir", ":x", "folder"] {
            assert!(text.parse::<DataSpec>().is_err(), "{text}");
        }
    }
}
