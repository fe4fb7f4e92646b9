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
use crate::onnx::OnnxVersions;
use crate::options::SessionOptions;
use crate::session::Session;
use crate::storage::Storage;

/// A verified bundle: its manifest, one variant's ONNX bytes and its golden data.
///
/// Everything is in memory that nobody writes to any more: the files may change or vanish afterwards without effect.
/// Sessions made from a model do not borrow it, and it need not outlive them.
pub struct Model {
    manifest: Arc<Manifest>,
    variant: Variant,
    onnx: Storage,
    golden: Arc<GoldenData>,
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
    /// - [`Error::OnnxFormat`] or [`Error::OnnxContent`] if the ONNX file is malformed, not of the manifest's versions, or
    ///   holds what no model may, see [`OnnxVersions::read`]
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, Error> {
        let dir = dir.as_ref();
        Self::assemble(read_manifest(dir)?, None, in_directory(dir, Storage::read))
    }

    /// As [`open`](Self::open), with the variant called `name`.
    ///
    /// # Errors
    /// Those of [`open`](Self::open), and [`Error::UnknownVariant`].
    pub fn open_variant(dir: impl AsRef<Path>, name: &str) -> Result<Self, Error> {
        let dir = dir.as_ref();
        Self::assemble(read_manifest(dir)?, Some(name), in_directory(dir, Storage::read))
    }

    /// A bundle whose files are in memory already, as where they are linked into the firmware: with its default variant.
    ///
    /// `manifest` holds the bytes of `askd.json`, `files` the others by their names there; those of variants that are
    /// not used need not be given. All bytes are copied.
    ///
    /// # Errors
    /// Those of [`open`](Self::open) that are about contents, and [`Error::MissingFile`].
    pub fn from_bytes(manifest: &[u8], files: &[(&str, &[u8])]) -> Result<Self, Error> {
        Self::assemble(Manifest::from_json(manifest)?, None, |vouched| {
            let given = files.iter().find(|(name, _)| *name == vouched.file);
            let (_, bytes) = given.ok_or_else(|| Error::MissingFile {
                file: vouched.file.to_owned(),
            })?;
            vouched.check_size(Path::new(vouched.file), bytes.len() as u64)?;
            let storage = Storage::copy(bytes).map_err(|source| Error::Read {
                path: vouched.file.into(),
                source,
            })?;
            vouched.check(Path::new(vouched.file), storage)
        })
    }

    /// Puts a model together from files that `load` brings, checked.
    pub(crate) fn assemble(
        manifest: Manifest,
        variant: Option<&str>,
        load: impl Fn(&Vouched<'_>) -> Result<Storage, Error>,
    ) -> Result<Self, Error> {
        let variant = match (variant, manifest.variants.first()) {
            (None, Some(first)) => first.clone(),
            (name, _) => manifest.variant(name.unwrap_or_default())?.clone(),
        };
        let vouched = manifest.golden_of(&variant);
        let golden = GoldenData::from_safetensors(load(&Vouched::golden(vouched))?.as_ref())?;
        golden.check_against(&manifest, vouched)?;
        let onnx = load(&Vouched::variant(&variant))?;
        OnnxVersions::read(onnx.as_ref())?.check_against(&variant)?;
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

    /// The variant's golden inputs and outputs.
    pub fn golden(&self) -> &GoldenData {
        &self.golden
    }

    /// Makes a session: loads ONNX Runtime if that has not happened yet, and gives it the checked bytes.
    ///
    /// # Errors
    /// Those of [`Engine::load`](crate::Engine::load); [`Error::ProviderUnavailable`] if the provider cannot run here;
    /// [`Error::CpuNodes`] if the session is to be strict and the provider does not know every node; [`Error::Option`] for
    /// an option that the provider would ignore; [`Error::Engine`] if ONNX Runtime refuses the model;
    /// [`Error::Interface`] if its input or output is not what the manifest says.
    pub fn session(&self, options: &SessionOptions) -> Result<Session, Error> {
        Session::from_model(self, options, None)
    }

    pub(crate) fn shared(&self) -> (Arc<Manifest>, Arc<GoldenData>) {
        (Arc::clone(&self.manifest), Arc::clone(&self.golden))
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

/// Loads files from directory `dir` by way of `load`, which gets each file and its size.
pub(crate) fn in_directory(
    dir: &Path,
    load: impl Fn(&fs::File, u64) -> io::Result<Storage>,
) -> impl Fn(&Vouched<'_>) -> Result<Storage, Error> {
    move |vouched| vouched.load(dir, &load)
}

pub(crate) fn read_manifest(dir: &Path) -> Result<Manifest, Error> {
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
