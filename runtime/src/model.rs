//! A bundle in memory: opening checks every byte before anything uses it.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::error::Error;
use crate::files::{self, Vouched};
use crate::golden::GoldenData;
use crate::manifest::{MANIFEST_FILE, Manifest, Variant};
use crate::options::SessionOptions;
use crate::session::Session;

/// A verified bundle: its manifest, one variant's ONNX bytes and its golden data.
///
/// Everything is in memory: the files may change or vanish afterwards without effect. Sessions made from a model do
/// not borrow it.
pub struct Model {
    manifest: Arc<Manifest>,
    variant: Variant,
    onnx: Storage,
    golden: Arc<GoldenData>,
}

/// The bytes of the ONNX file.
pub(crate) enum Storage {
    Owned(Vec<u8>),
    Mapped(memmap2::Mmap),
}

impl AsRef<[u8]> for Storage {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            Self::Mapped(map) => map,
        }
    }
}

impl Model {
    /// Opens the bundle in directory `dir` with its default variant, the first.
    ///
    /// Reads `askd.json`, then the variant's ONNX file and the golden file, and checks size and SHA-256 of both.
    ///
    /// # Errors
    /// - [`Error::NotABundle`] if there is no `askd.json`, [`Error::Read`], [`Error::NotAFile`] or
    ///   [`Error::FileTooLarge`] for a file that cannot be used
    /// - [`Error::ManifestSyntax`], [`Error::ManifestSchema`] or [`Error::ManifestField`] for a wrong `askd.json`
    /// - [`Error::FileSize`] or [`Error::FileDigest`] for a file that is not the one the manifest vouches for
    /// - [`Error::GoldenFormat`] if the golden data does not fit the manifest
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_with(dir.as_ref(), None, read_owned)
    }

    /// As [`open`](Self::open), with the variant called `name`.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), and [`Error::UnknownVariant`].
    pub fn open_variant(dir: impl AsRef<Path>, name: &str) -> Result<Self, Error> {
        Self::open_with(dir.as_ref(), Some(name), read_owned)
    }

    pub(crate) fn open_with(
        dir: &Path,
        variant: Option<&str>,
        load: impl FnOnce(&fs::File, u64) -> io::Result<Storage>,
    ) -> Result<Self, Error> {
        let manifest = read_manifest(dir)?;
        let variant = match (variant, manifest.variants.first()) {
            (None, Some(first)) => first.clone(),
            (name, _) => manifest.variant(name.unwrap_or_default())?.clone(),
        };
        let golden = &manifest.golden;
        let vouched = Vouched {
            file: &golden.file,
            size: golden.size,
            sha256: &golden.sha256,
        };
        let golden_bytes = files::load_vouched(dir, &vouched, files::read)?;
        let golden = GoldenData::from_safetensors(&golden_bytes)?;
        golden.check_against(&manifest)?;
        let vouched = Vouched {
            file: &variant.file,
            size: variant.size,
            sha256: &variant.sha256,
        };
        let onnx = files::load_vouched(dir, &vouched, load)?;
        Ok(Self {
            manifest: Arc::new(manifest),
            variant,
            onnx,
            golden: Arc::new(golden),
        })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The variant that was opened.
    pub fn variant(&self) -> &Variant {
        &self.variant
    }

    /// The variant's ONNX file, as checked.
    pub fn onnx(&self) -> &[u8] {
        self.onnx.as_ref()
    }

    /// The golden inputs and outputs.
    pub fn golden(&self) -> &GoldenData {
        &self.golden
    }

    /// Makes a session: loads ONNX Runtime if that has not happened yet, and gives it the checked bytes.
    ///
    /// # Errors
    /// Those of [`Engine::load`](crate::Engine::load); [`Error::Engine`] if ONNX Runtime refuses the model;
    /// [`Error::Interface`] if its input or output is not what the manifest says.
    pub fn session(&self, options: &SessionOptions) -> Result<Session, Error> {
        Session::from_model(self, Arc::clone(&self.manifest), Arc::clone(&self.golden), options)
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("manifest", &self.manifest)
            .field("variant", &self.variant.name)
            .finish_non_exhaustive()
    }
}

fn read_owned(file: &fs::File, size: u64) -> io::Result<Storage> {
    files::read(file, size).map(Storage::Owned)
}

fn read_manifest(dir: &Path) -> Result<Manifest, Error> {
    let path = dir.join(MANIFEST_FILE);
    let directory = fs::metadata(dir).map_err(|source| Error::Read {
        path: dir.to_owned(),
        source,
    })?;
    let (file, size) = match files::open(&path, files::MAX_MANIFEST) {
        Err(Error::Read { source, .. }) if !directory.is_dir() || source.kind() == io::ErrorKind::NotFound => {
            return Err(Error::NotABundle { path: dir.to_owned() });
        }
        other => other?,
    };
    let bytes = files::read(&file, size).map_err(|source| Error::Read { path, source })?;
    Manifest::from_json(&bytes)
}
