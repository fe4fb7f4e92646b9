//! Does a bundle do what it says?

use std::fmt;
use std::path::Path;
use std::slice;
use std::time::Instant;

use askd_runtime::{Accuracy, Engine, Model, Provider, SessionOptions, Variant};
use serde::Serialize;

use crate::data::{CorruptFiles, DataSpec, ImageSet, Part};
use crate::evaluate::{Evaluation, predict_bundle};
use crate::{Error, Result};

/// Largest difference from the recorded top-1, in points, that another engine's rounding may make.
const TOP1_TOLERANCE: f64 = 0.1;

/// The same for integers and 16 bits, whose kernels round in other places on other processors.
const COARSE_TOP1_TOLERANCE: f64 = 0.5;

/// What was checked.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// The variant that was named, or else the bundle's first.
    #[serde(flatten)]
    pub first: VerifiedVariant,
    /// The others, in the manifest's order.
    pub other_variants: Vec<VerifiedVariant>,
    /// ONNX Runtime's version.
    pub engine: Option<String>,
    /// What to know of that version.
    pub engine_warning: Option<String>,
}

/// What was checked of one variant.
#[derive(Debug, Clone, Serialize)]
pub struct VerifiedVariant {
    /// Its name.
    pub variant: String,
    /// SHA-256 of the model, as the bytes that ran have it.
    pub sha256: String,
    /// Where it ran.
    pub provider: &'static str,
    /// Golden images run.
    pub golden_images: usize,
    /// Largest absolute difference from the golden logits.
    pub golden_max_abs_diff: f32,
    /// Golden images whose largest logit is the golden outputs' class.
    pub golden_same_class: usize,
    /// The difference the bundle allows.
    pub golden_tolerance: f32,
    /// Milliseconds to read and check the files, of which the operating system may have had some in memory.
    pub open_ms: f64,
    /// Milliseconds to make a session; the first one's include the engine's own start.
    pub session_ms: f64,
    /// Accuracy on the data given.
    pub evaluation: Option<Evaluation>,
    /// The accuracy that the bundle records for that data.
    pub recorded: Option<Accuracy>,
}

/// Opens each variant of the bundle, or only the one called `variant`, which checks sizes and digests; runs its golden
/// images by `provider`, and with `data` measures its accuracy; `corrupt_files` says what becomes of its files that cannot be
/// decoded.
///
/// # Errors
/// [`Error::Runtime`] for a damaged bundle, a wrong golden output or a provider that cannot run here, [`Error::GateFailed`] if
/// the accuracy is not the recorded one.
pub fn verify(
    bundle: &Path,
    variant: Option<&str>,
    provider: Provider,
    data: Option<&DataSpec>,
    corrupt_files: CorruptFiles,
) -> Result<Verified> {
    let engine = Engine::load(None)?;
    let manifest = Model::open(bundle)?.manifest().clone();
    let images = data.map(|data| data.load(Part::Test)).transpose()?;
    let images = images.map(|images| images.with_corrupt_files(corrupt_files));
    let data = data.zip(images.as_ref());
    let chosen = match variant {
        Some(name) => slice::from_ref(manifest.variant(name)?),
        None => manifest.variants.as_slice(),
    };
    let options = SessionOptions {
        provider,
        ..SessionOptions::default()
    };
    let mut checked = chosen.iter().map(|variant| check(bundle, variant, &options, data));
    // a manifest has at least one variant
    let first = checked.next().transpose()?;
    Ok(Verified {
        first: first.ok_or_else(|| Error::malformed(bundle, "a variant", "none"))?,
        other_variants: checked.collect::<Result<_>>()?,
        engine: engine.version().map(str::to_owned),
        engine_warning: engine.warning(),
    })
}

fn check(
    bundle: &Path,
    variant: &Variant,
    options: &SessionOptions,
    data: Option<(&DataSpec, &ImageSet)>,
) -> Result<VerifiedVariant> {
    let clock = Instant::now();
    let model = Model::open_variant(bundle, &variant.name)?;
    let opened = clock.elapsed();
    let mut session = model.session(options)?;
    let made = clock.elapsed() - opened;
    let golden = session.self_test()?;
    let mut verified = VerifiedVariant {
        variant: variant.name.clone(),
        sha256: variant.sha256.clone(),
        provider: session.provider().name(),
        golden_images: golden.images,
        golden_max_abs_diff: golden.max_abs_diff,
        golden_same_class: golden.same_class,
        golden_tolerance: model.manifest().golden_of(variant).tolerance,
        open_ms: opened.as_secs_f64() * 1e3,
        session_ms: made.as_secs_f64() * 1e3,
        evaluation: None,
        recorded: None,
    };
    if let Some((data, images)) = data {
        let evaluation = predict_bundle(&model, &mut session, images)?.evaluation();
        let same = |known: &&Accuracy| known.data == data.kind.name() && known.images == evaluation.images as u64;
        verified.recorded = variant.accuracy.iter().find(same).cloned();
        verified.evaluation = Some(evaluation);
        let tolerance = if variant.precision == "fp32" {
            TOP1_TOLERANCE
        } else {
            COARSE_TOP1_TOLERANCE
        };
        if let Some(recorded) = &verified.recorded
            && (recorded.top1 - evaluation.top1).abs() > tolerance
        {
            return Err(Error::GateFailed {
                what: format!(
                    "{}: variant {} by {}: top-1 on {data}",
                    bundle.display(),
                    variant.name,
                    verified.provider
                ),
                expected: format!("{:.2} % as recorded, within {tolerance}", recorded.top1),
                got: format!("{:.2} %", evaluation.top1),
            });
        }
    }
    Ok(verified)
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for variant in std::iter::once(&self.first).chain(&self.other_variants) {
            write!(f, "{variant}")?;
        }
        let engine = self.engine.as_deref().unwrap_or("of unknown version");
        writeln!(f, "engine: ONNX Runtime {engine}")?;
        match &self.engine_warning {
            Some(warning) => writeln!(f, "warning: {warning}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for VerifiedVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (variant, sha256) = (&self.variant, &self.sha256);
        writeln!(f, "digests: as the manifest says (variant {variant}, sha256 {sha256})")?;
        let (images, provider, difference) = (self.golden_images, self.provider, self.golden_max_abs_diff);
        let allowed = self.golden_tolerance;
        writeln!(
            f,
            "golden: {images} images on {provider}, largest difference {difference:.2e} (allowed {allowed:.0e})"
        )?;
        writeln!(
            f,
            "start: opened in {:.1} ms, session in {:.1} ms",
            self.open_ms, self.session_ms
        )?;
        if let Some(Evaluation { top1, top5, images, .. }) = &self.evaluation {
            writeln!(f, "accuracy: top-1 {top1:.2} %, top-5 {top5:.2} %, {images} images")?;
            match &self.recorded {
                Some(Accuracy { top1, top5, .. }) => writeln!(f, "recorded: top-1 {top1:.2} %, top-5 {top5:.2} %")?,
                None => writeln!(f, "recorded: nothing for this data")?,
            }
        }
        Ok(())
    }
}
