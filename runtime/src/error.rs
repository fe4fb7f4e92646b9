//! The one error type of this crate: every failure a caller can meet, as data.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::iter;
use std::path::PathBuf;

use crate::manifest::ElementType;
use crate::provider::{Missing, Provider};
use crate::text::one_line;

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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const FIX: &str = "set ORT_DYLIB_PATH or run `make onnxruntime`";
        match self {
            Self::LibraryNotFound { searched } => {
                write!(f, "no ONNX Runtime library found ({FIX}); searched")?;
                let mut separator = " ";
                for path in searched {
                    write!(f, "{separator}{}", path.display())?;
                    separator = ", ";
                }
                Ok(())
            }
            Self::LibraryUnreadable { path, source } => {
                write!(
                    f,
                    "{}: cannot read the ONNX Runtime library: {source} ({FIX})",
                    path.display()
                )
            }
            Self::LibraryFormat { path, reason } => {
                write!(
                    f,
                    "{}: expected a shared library of ONNX Runtime, but {reason} ({FIX})",
                    path.display()
                )
            }
            Self::LibraryArchitecture { path, expected, found } => write!(
                f,
                "{}: expected an ONNX Runtime library for {expected}, got one for {found} ({FIX})",
                path.display()
            ),
            Self::LibraryLoad { path, source } => {
                write!(f, "{}: cannot load as ONNX Runtime", path.display())?;
                // The loader's own words are at the end of the chain.
                let first: &(dyn StdError + 'static) = source.as_ref();
                iter::successors(Some(first), |&error| error.source()).try_for_each(|error| write!(f, ": {error}"))?;
                write!(f, " ({FIX})")
            }
            Self::LibraryTooOld { path, found, minimum } => {
                write!(
                    f,
                    "{}: expected ONNX Runtime {minimum} or later, got {found} ({FIX})",
                    path.display()
                )
            }
            Self::LibraryConflict { loaded, requested } => write!(
                f,
                "{}: this process already uses the ONNX Runtime library {} (name one library per process)",
                requested.display(),
                loaded.display()
            ),
            Self::UnknownProvider { name } => {
                write!(f, "no provider {name:?}: expected")?;
                let last = Provider::ALL.len() - 1;
                for (at, provider) in Provider::ALL.iter().enumerate() {
                    let separator = if at == last { " or" } else { "," };
                    write!(f, "{} {provider}", if at == 0 { "" } else { separator })?;
                }
                Ok(())
            }
            Self::ProviderUnavailable { provider, missing } => {
                write!(f, "provider {provider} cannot run here: {missing}")
            }
            Self::CpuNodes { provider } => write!(
                f,
                "provider {provider}: expected it to run every node of the model, got some that only the cpu can run \
                 (turn strict off; the placement names them)"
            ),
            Self::Option {
                option,
                expected,
                provider,
            } => write!(f, "option {option}: expected provider {expected}, got {provider}"),
            Self::Write { path, source } => write!(f, "{}: cannot write: {source}", path.display()),
            Self::ProfileFormat { source } => write!(f, "profile of onnx runtime: {source}"),
            Self::NotABundle { path } => write!(
                f,
                "{}: not a bundle: no askd.json in it (pass the NAME.askd directory that `askd-compile export` wrote)",
                path.display()
            ),
            Self::Read { path, source } => write!(f, "{}: cannot read: {source}", path.display()),
            Self::MissingFile { file } => {
                write!(f, "{file}: the manifest names it, but it is not among the files given")
            }
            Self::NotAFile { path, found } => write!(f, "{}: expected a regular file, got {found}", path.display()),
            Self::FileTooLarge { path, limit, found } => {
                write!(f, "{}: expected at most {limit} bytes, got {found}", path.display())
            }
            Self::FileSize { path, expected, found } => write!(
                f,
                "{}: expected {expected} bytes by the manifest, got {found} (copy the whole bundle again)",
                path.display()
            ),
            Self::FileDigest { path, expected, found } => write!(
                f,
                "{}: expected sha256 {expected} by the manifest, got {found} (copy the whole bundle again)",
                path.display()
            ),
            Self::ManifestSyntax { source } => write!(f, "askd.json: {source}"),
            Self::ManifestSchema { expected, found } => {
                write!(f, "askd.json: expected schema {expected}, got {found}")?;
                if *found > u64::from(*expected) {
                    f.write_str(" (update the runtime)")
                } else {
                    Ok(())
                }
            }
            Self::ManifestField { field, expected, found } => {
                write!(f, "askd.json: {field}: expected {expected}, got {found}")
            }
            Self::UnknownVariant { name, available } => {
                write!(
                    f,
                    "no variant \"{name}\" in the bundle, which has {}",
                    one_line(available.join(", "))
                )
            }
            Self::OnnxFormat { field, expected, found } => {
                write!(f, "onnx model: {field}: expected {expected}, got {found}")
            }
            Self::OnnxContent { field, found } => write!(
                f,
                "onnx model: {field}: {found} is refused (a model is one graph of ONNX's own operators and refers to no file)"
            ),
            // ONNX Runtime's messages can span lines; an error of ours is one.
            Self::Engine { action, source } => {
                write!(f, "onnx runtime failed to {action}:")?;
                source
                    .to_string()
                    .split_whitespace()
                    .try_for_each(|word| write!(f, " {word}"))
            }
            Self::Interface { item, expected, found } => write!(f, "model: {item}: expected {expected}, got {found}"),
            Self::InputType { expected, found } => {
                let fix = match expected {
                    ElementType::F32 => "the model takes normalised images: call run or run_image",
                    ElementType::U8 => "the model normalises pixels itself: call run_u8 or run_image",
                };
                write!(f, "input: expected {expected}, got {found} ({fix})")
            }
            Self::InputLength {
                per_image,
                max_images: Some(1),
                found,
            } => {
                write!(
                    f,
                    "input: expected {per_image} elements (the model takes one image), got {found}"
                )
            }
            Self::InputLength {
                per_image,
                max_images,
                found,
            } => {
                write!(
                    f,
                    "input: expected a multiple of {per_image} elements (one image), at least one image"
                )?;
                if let Some(images) = max_images {
                    write!(f, " and at most {images}")?;
                }
                write!(f, ", got {found} elements")
            }
            Self::OutputLength { expected, found } => write!(f, "output: expected {expected} elements, got {found}"),
            Self::ImageLength {
                height,
                width,
                channels,
                found,
            } => write!(
                f,
                "image: expected {height}x{width}x{channels} bytes (height, width, channels; none zero), got {found}"
            ),
            Self::NoManifest { action } => {
                write!(
                    f,
                    "cannot {action}: the session was made from plain ONNX bytes (open a bundle instead)"
                )
            }
            Self::GoldenFormat { item, expected, found } => {
                write!(f, "golden tensors: {item}: expected {expected}, got {found}")
            }
            Self::GoldenMismatch {
                image,
                difference,
                tolerance,
            } => write!(
                f,
                "self test: golden image {image}: expected logits within {tolerance:e}, got a difference of {difference:e}"
            ),
            Self::ChoiceFormat { field, expected, found } => write!(
                f,
                "choice file: {field}: expected {expected}, got {found} (run `askd-bench tune` again)"
            ),
            Self::ChoiceStale { path, expected, found } => write!(
                f,
                "{}: expected a choice for the bundle whose askd.json has sha256 {expected}, got one for {found} (run \
                 `askd-bench tune` again)",
                path.display()
            ),
            Self::Temperature { found } => write!(f, "temperature: expected a positive finite number, got {found}"),
            Self::Logit { class, found } => write!(f, "logit of class {class}: expected a finite number, got {found}"),
            Self::LabelCount { expected, found } => write!(f, "labels: expected {expected}, one a class, got {found}"),
        }
    }
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
