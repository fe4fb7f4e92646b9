//! The one error type of this crate: every failure a caller can meet, as data.

mod message;

use std::error::Error as StdError;
use std::io;
use std::path::PathBuf;

use crate::manifest::ElementType;
use crate::provider::{Missing, Provider};

/// What went wrong, with the names and values needed to act on it.
///
/// The `Display` form is one line: the thing, what was expected, what was found and, where there is one, the fix.
/// [`source`](StdError::source) holds the underlying cause for the variants that have a `source` field.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// No ONNX Runtime library in any of the places searched.
    LibraryNotFound {
        /// Every path that was tried, in order.
        searched: Vec<PathBuf>,
    },
    /// The ONNX Runtime library at `path` could not be read.
    LibraryUnreadable {
        /// The library.
        path: PathBuf,
        /// Why the operating system refused it.
        source: io::Error,
    },
    /// The file at `path` is no complete shared library.
    LibraryFormat {
        /// The file.
        path: PathBuf,
        /// What in it is wrong.
        reason: &'static str,
    },
    /// The library at `path` is built for another kind of processor.
    LibraryArchitecture {
        /// The library.
        path: PathBuf,
        /// The architecture this program runs on.
        expected: &'static str,
        /// The library's architecture, or its ELF machine number.
        found: String,
    },
    /// The library at `path` was refused by the dynamic loader or is no ONNX Runtime.
    LibraryLoad {
        /// The library.
        path: PathBuf,
        /// The loader's words.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The library at `path` is an ONNX Runtime older than this crate accepts.
    LibraryTooOld {
        /// The library.
        path: PathBuf,
        /// Its version, such as `1.16.3`.
        found: String,
        /// The oldest version accepted.
        minimum: &'static str,
    },
    /// Another ONNX Runtime library is already loaded; a process can have only one.
    LibraryConflict {
        /// The library in use.
        loaded: PathBuf,
        /// The library asked for.
        requested: PathBuf,
    },
    /// No provider has that name.
    UnknownProvider {
        /// The name asked for.
        name: String,
    },
    /// The provider that was demanded cannot run here.
    ProviderUnavailable {
        /// The provider.
        provider: Provider,
        /// What it misses.
        missing: Missing,
    },
    /// A strict session was asked for, and the provider does not know every node of the model.
    CpuNodes {
        /// The provider.
        provider: Provider,
    },
    /// An option that the provider would ignore.
    Option {
        /// The field of [`SessionOptions`](crate::SessionOptions).
        option: &'static str,
        /// The providers it is for.
        expected: &'static str,
        /// The provider asked for.
        provider: Provider,
    },
    /// A file or directory cannot be written.
    Write {
        /// The path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// ONNX Runtime's profile of a run is not what this version knows how to read.
    ProfileFormat {
        /// The parser's words.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The directory has no `askd.json`.
    NotABundle {
        /// The directory.
        path: PathBuf,
    },
    /// A file of the bundle cannot be opened or read.
    Read {
        /// The file.
        path: PathBuf,
        /// Why the operating system refused it.
        source: io::Error,
    },
    /// A file that the manifest names is not among those given.
    MissingFile {
        /// Its name.
        file: String,
    },
    /// A file of the bundle is a link, directory or device, where a regular file must be.
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// A file is larger than this crate is willing to read.
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
        /// The file's size, in bytes.
        found: u64,
    },
    /// A file's size differs from the manifest's.
    FileSize {
        /// The file.
        path: PathBuf,
        /// Bytes, by the manifest.
        expected: u64,
        /// Bytes in the file (at least, where reading stopped early).
        found: u64,
    },
    /// A file's SHA-256 differs from the manifest's.
    FileDigest {
        /// The file.
        path: PathBuf,
        /// Hexadecimal digest, by the manifest.
        expected: String,
        /// Hexadecimal digest of the bytes read.
        found: String,
    },
    /// `askd.json` is no JSON, or misses a field, or has one of the wrong type.
    ManifestSyntax {
        /// The parser's words, with line and column.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// `askd.json` follows a schema this version does not know.
    ManifestSchema {
        /// The schema this version reads.
        expected: u32,
        /// The schema in the file.
        found: u64,
    },
    /// A field of `askd.json` has a value that cannot be right.
    ManifestField {
        /// Path of the field, such as `variants[0].sha256`.
        field: String,
        /// The rule.
        expected: String,
        /// The value.
        found: String,
    },
    /// The bundle has no variant of that name.
    UnknownVariant {
        /// The name asked for.
        name: String,
        /// The names there are.
        available: Vec<String>,
    },
    /// The ONNX file is malformed, or of other versions than the manifest says. ONNX Runtime has not seen it.
    OnnxFormat {
        /// Where, such as `graph.node[3].attribute[0].name`, or `file`.
        field: String,
        /// What must be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// The ONNX file holds what no model may: a reference to another file, an operator that is not ONNX's own, a subgraph,
    /// a function. ONNX Runtime has not seen it.
    OnnxContent {
        /// Where, such as `graph.node[3].domain`.
        field: String,
        /// What is there.
        found: String,
    },
    /// ONNX Runtime reported a failure.
    Engine {
        /// What was being done.
        action: &'static str,
        /// ONNX Runtime's words.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The ONNX model's inputs or outputs are not what the manifest, or a classifier, must have.
    Interface {
        /// The input or output, such as `input "image"`.
        item: String,
        /// What it should be.
        expected: String,
        /// What the model has.
        found: String,
    },
    /// The model takes images of another type of elements than the caller's.
    InputType {
        /// What the model takes.
        expected: ElementType,
        /// What was given.
        found: ElementType,
    },
    /// The caller's input slice is no whole number of images, or more of them than the model takes.
    InputLength {
        /// Elements of one image, C*H*W.
        per_image: usize,
        /// Most images in one call; `None` where the batch is dynamic.
        max_images: Option<usize>,
        /// Elements in the slice.
        found: usize,
    },
    /// The caller's output slice has the wrong length.
    OutputLength {
        /// Elements needed.
        expected: usize,
        /// Elements in the slice.
        found: usize,
    },
    /// The caller's image does not have the length its dimensions say, or has a size of zero.
    ImageLength {
        /// Image height, in pixels.
        height: usize,
        /// Image width, in pixels.
        width: usize,
        /// Channels: 1 or 3.
        channels: usize,
        /// Bytes in the slice.
        found: usize,
    },
    /// The session was made from plain ONNX bytes, which say nothing of preprocessing, labels or golden outputs.
    NoManifest {
        /// What was asked for.
        action: &'static str,
    },
    /// `golden.safetensors` is malformed, or disagrees with the manifest.
    GoldenFormat {
        /// What is wrong: a tensor's name, or `file`.
        item: &'static str,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The model's outputs differ from the golden ones by more than the manifest's tolerance.
    GoldenMismatch {
        /// The first image with the largest difference, from 0.
        image: usize,
        /// The largest absolute difference between logits (NaN counts as infinite).
        difference: f32,
        /// The manifest's tolerance.
        tolerance: f32,
    },
    /// A choice file is malformed, or follows a schema this version does not know.
    ChoiceFormat {
        /// The field, or `file`.
        field: &'static str,
        /// The rule.
        expected: String,
        /// The value, or the parser's words.
        found: String,
    },
    /// A choice file was made for another bundle than the one at hand, or for an earlier version of it.
    ChoiceStale {
        /// The choice file.
        path: PathBuf,
        /// SHA-256 of the bundle's `askd.json`.
        expected: String,
        /// The one in the file.
        found: String,
    },
    /// Softmax was asked for with a temperature that is not a positive finite number.
    Temperature {
        /// The value.
        found: f32,
    },
    /// A logit is NaN or infinite.
    Logit {
        /// Its class, from 0.
        class: usize,
        /// The value.
        found: f32,
    },
    /// The number of labels differs from the number of logits.
    LabelCount {
        /// Logits, K.
        expected: usize,
        /// Labels.
        found: usize,
    },
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::LibraryUnreadable { source, .. } | Self::Read { source, .. } | Self::Write { source, .. } => {
                Some(source)
            }
            Self::LibraryLoad { source, .. }
            | Self::ManifestSyntax { source }
            | Self::ProfileFormat { source }
            | Self::Engine { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}
