//! Classes with their probabilities.

use askd_runtime::{Prediction, top_k};

use crate::boundary::{Caller, call};
use crate::model::askd_model;
use crate::status::askd_status;

/// One class that an image may show.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct askd_prediction {
    /// The class, from 0; `askd_model_label` has its name.
    pub class_index: u32,
    /// Its probability, 0 to 1.
    pub probability: f32,
}

impl askd_prediction {
    pub(crate) fn new(prediction: Prediction<'_>) -> Self {
        Self {
            // A manifest has at most 2^20 labels.
            class_index: u32::try_from(prediction.class).unwrap_or(u32::MAX),
            probability: prediction.probability,
        }
    }
}

/// The `capacity` most likely classes for `logits` that `askd_session_run` gave for one image, most likely first, with the
/// bundle's temperature; all of them if there are fewer. `count` gets how many.
///
/// For those who preprocess images themselves; `askd_session_classify` does all of it. Allocates while it works.
///
/// Statuses: NULL_POINTER, MISALIGNED_POINTER; WRONG_LENGTH unless there is a logit for each class; LOGIT if one is not
/// finite. Threads: any, several at a time too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn askd_model_top_k(
    model: *const askd_model,
    logits: *const f32,
    logits_length: usize,
    predictions: *mut askd_prediction,
    capacity: usize,
    count: *mut usize,
) -> askd_status {
    // SAFETY: the caller of this function keeps the rules of `docs/c-abi.md`.
    let caller = unsafe { Caller::trusted() };
    call(|| {
        let manifest = caller.object("model", model)?.manifest();
        let logits = caller.slice("logits", logits, logits_length)?;
        let predictions = caller.buffer("predictions", predictions, capacity)?;
        let count = caller.output("count", count)?;
        let ranked = top_k(logits, &manifest.labels, manifest.temperature, capacity)?;
        count.write(predictions.fill(ranked.into_iter().map(askd_prediction::new)));
        Ok(())
    })
}
