//! Every error as one line: the thing, what was expected, what was found and, where there is one, the fix.

use std::error::Error as StdError;
use std::fmt;
use std::iter;

use super::Error;
use crate::manifest::ElementType;
use crate::provider::Provider;
use crate::text::one_line;

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
