//! What quantising gave, as data for programs and as text for people.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::gate::Attempt;
use super::sensitivity::Sensitivity;
use super::{Calibration, Target};
use crate::evaluate::Evaluation;

/// Layers shown in the text; the JSON has all.
const SHOWN: usize = 5;

/// What was written, what it costs, and why it is as it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QuantizeReport {
    /// The bundle written.
    pub bundle: PathBuf,
    /// Name of the new variant.
    pub variant: String,
    /// Where it is to run.
    pub target: Target,
    /// `int8` or `fp16`.
    pub precision: &'static str,
    /// How ranges were chosen.
    pub calibration: Calibration,
    /// Images that calibrated.
    pub calibration_images: usize,
    /// Most points of validation top-1 that might be lost.
    pub max_drop: f64,
    /// On the images held out, which decided.
    pub validation: Pair,
    /// On the test images, which decided nothing.
    pub test: Pair,
    /// Layers with weights that compute with integers.
    pub integer_layers: usize,
    /// Those that do not, in the order in which they were taken out.
    pub float_layers: Vec<String>,
    /// Every try of the gate; the last one holds.
    pub attempts: Vec<Attempt>,
    /// Every layer's sensitivity, the worst first.
    pub sensitivity: Vec<Sensitivity>,
    /// Size of the float model's file.
    pub float_bytes: u64,
    /// Size of the new file.
    pub bytes: u64,
    /// Largest difference of a golden logit that a device may show.
    pub golden_tolerance: f32,
}

/// The float network beside the quantised one on the same images.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Pair {
    /// Float.
    pub float: Evaluation,
    /// Quantised.
    pub quantized: Evaluation,
    /// Points of top-1 lost.
    pub drop: f64,
}

impl From<[Evaluation; 2]> for Pair {
    fn from([float, quantized]: [Evaluation; 2]) -> Self {
        Self {
            float,
            quantized,
            drop: float.top1 - quantized.top1,
        }
    }
}

impl fmt::Display for QuantizeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: variant {} ({}) for {}",
            self.bundle.display(),
            self.variant,
            self.precision,
            self.target,
        )?;
        if self.integer_layers > 0 {
            let (integer, float) = (self.integer_layers, self.float_layers.len());
            writeln!(f, "layers: {integer} with integers, {float} with floats")?;
            writeln!(
                f,
                "calibration: {} over {} training images",
                self.calibration, self.calibration_images
            )?;
        }
        for (name, pair) in [("validation", &self.validation), ("test", &self.test)] {
            writeln!(
                f,
                "{name}: top-1 {:.2} % float, {:.2} % quantised, {:.2} points lost; {} images",
                pair.float.top1, pair.quantized.top1, pair.drop, pair.float.images
            )?;
        }
        let ratio = self.bytes as f64 / self.float_bytes as f64;
        writeln!(f, "size: {} bytes, {ratio:.2} of the float model's", self.bytes)?;
        for attempt in self.attempts.iter().filter(|attempt| attempt.drop > self.max_drop) {
            let float = attempt.float_layers.len();
            writeln!(f, "refused: {:.2} points lost with {float} layers float", attempt.drop)?;
        }
        if !self.sensitivity.is_empty() {
            writeln!(f, "most sensitive layers (squared change of the logits, relative):")?;
        }
        for Sensitivity { layer, noise, .. } in self.sensitivity.iter().take(SHOWN) {
            writeln!(f, "  {layer}  {noise:.2e}")?;
        }
        Ok(())
    }
}
