//! Does a bundle do what it says?

use std::fmt;
use std::path::Path;

use askd_runtime::{Accuracy, Model, SessionOptions};
use serde::Serialize;

use crate::data::{DataSpec, Part};
use crate::evaluate::{Evaluation, predict_bundle};
use crate::{Error, Result};

/// Largest difference from the recorded top-1, in points, that another engine's rounding may make.
const TOP1_TOLERANCE: f64 = 0.1;

/// What was checked.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// Network name and variant.
    pub variant: String,
    /// SHA-256 of the model, as the bytes that ran have it.
    pub sha256: String,
    /// Golden images run.
    pub golden_images: usize,
    /// Largest absolute difference from the golden logits.
    pub golden_max_abs_diff: f32,
    /// The difference the bundle allows.
    pub golden_tolerance: f32,
    /// ONNX Runtime's version.
    pub engine: Option<String>,
    /// What to know of that version.
    pub engine_warning: Option<String>,
    /// Accuracy on the data given.
    pub evaluation: Option<Evaluation>,
    /// The accuracy that the bundle records for that data.
    pub recorded: Option<Accuracy>,
}

/// Opens the bundle (which checks sizes and digests), runs its golden images, and with `data` measures its accuracy.
///
/// # Errors
/// [`Error::Runtime`] for a damaged bundle or a wrong golden output, [`Error::GateFailed`] if the accuracy is not the
/// recorded one.
pub fn verify(bundle: &Path, data: Option<&DataSpec>) -> Result<Verified> {
    let model = Model::open(bundle)?;
    let mut session = model.session(&SessionOptions::default())?;
    let golden = session.self_test()?;
    let mut verified = Verified {
        variant: model.variant().name.clone(),
        sha256: model.variant().sha256.clone(),
        golden_images: golden.images,
        golden_max_abs_diff: golden.max_abs_diff,
        golden_tolerance: model.manifest().golden.tolerance,
        engine: session.engine().version().map(str::to_owned),
        engine_warning: session.engine().warning(),
        evaluation: None,
        recorded: None,
    };
    if let Some(data) = data {
        let evaluation = predict_bundle(bundle, &data.load(Part::Test)?)?.evaluation();
        let same = |known: &&Accuracy| known.data == data.kind.name() && known.images == evaluation.images as u64;
        verified.recorded = model.variant().accuracy.iter().find(same).cloned();
        verified.evaluation = Some(evaluation);
        if let Some(recorded) = &verified.recorded
            && (recorded.top1 - evaluation.top1).abs() > TOP1_TOLERANCE
        {
            return Err(Error::GateFailed {
                what: format!("{}: top-1 on {data}", bundle.display()),
                expected: format!("{:.2} % as recorded, within {TOP1_TOLERANCE}", recorded.top1),
                got: format!("{:.2} %", evaluation.top1),
            });
        }
    }
    Ok(verified)
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "digests: as the manifest says (variant {}, sha256 {})",
            self.variant, self.sha256
        )?;
        let (images, difference) = (self.golden_images, self.golden_max_abs_diff);
        writeln!(
            f,
            "golden: {images} images, largest difference {difference:.2e} (allowed {:.0e})",
            self.golden_tolerance
        )?;
        writeln!(
            f,
            "engine: ONNX Runtime {}",
            self.engine.as_deref().unwrap_or("of unknown version")
        )?;
        if let Some(warning) = &self.engine_warning {
            writeln!(f, "warning: {warning}")?;
        }
        if let Some(e) = &self.evaluation {
            writeln!(
                f,
                "accuracy: top-1 {:.2} %, top-5 {:.2} %, {} images",
                e.top1, e.top5, e.images
            )?;
            match &self.recorded {
                Some(recorded) => writeln!(
                    f,
                    "recorded: top-1 {:.2} %, top-5 {:.2} %",
                    recorded.top1, recorded.top5
                )?,
                None => writeln!(f, "recorded: nothing for this data")?,
            }
        }
        Ok(())
    }
}
