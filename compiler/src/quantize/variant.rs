//! What a bundle says of a quantised variant, and what that must give on the golden images.

use askd_models::{Graph, Role};
use askd_runtime::{Accuracy, ElementType, GoldenData, Optimisation, Variant};

use super::source::Source;
use super::{QuantizeOptions, Quantized, Target, session};
use crate::Result;
use crate::bundle::peak_memory_bytes;
use crate::evaluate::Evaluation;
use crate::onnx::{IR_VERSION, OPSET};

/// The golden images with what the quantised model must give for them, and how far a device may be from it.
///
/// The outputs are those of the model as written, node by node in floats, which is what ONNX says it means. Integer kernels
/// round in other places, and every value that lands one step aside moves the rest: two ways of rounding are as far from each
/// other as both are from the float network. So a device may differ by twice what quantisation itself moved the logits; a kernel
/// that saturates differs by more.
///
/// Kernels of 16 bits may add up in 16 bits as well: their error grows with the root of the number of terms of a sum.
pub(super) fn golden(source: &Source, target: Target, model: &[u8]) -> Result<(GoldenData, f32)> {
    let float = source.model.golden();
    let mut session = session(model, Optimisation::None)?;
    let [images, ..] = float.shape();
    let mut outputs = Vec::new();
    let mut logits = vec![0.0; float.classes()];
    for image in float.input().chunks_exact(float.input().len() / images) {
        if session.interface().data_type == ElementType::U8 {
            let pixels: Vec<u8> = image.iter().map(|pixel| *pixel as u8).collect();
            session.run_u8(&pixels, &mut logits)?;
        } else {
            session.run(image, &mut logits)?;
        }
        outputs.extend(&logits);
    }
    let moved = outputs
        .iter()
        .zip(float.output())
        .map(|(a, b): (&f32, &f32)| (a - b).abs())
        .fold(0.0, f32::max);
    let terms = if target.activations().is_some() {
        1
    } else {
        longest_sum(&source.graph)
    };
    let tolerance = 2.0 * moved * (terms as f32).sqrt();
    let golden = GoldenData::new(float.shape(), float.input().to_vec(), outputs)?;
    Ok((golden, tolerance))
}

/// Most products that one output of a layer is the sum of.
fn longest_sum(graph: &Graph) -> usize {
    let weights = graph
        .parameters()
        .into_iter()
        .filter(|tensor| tensor.role == Role::Weight);
    let terms = weights.map(|tensor| tensor.shape.iter().skip(1).product());
    terms.max().unwrap_or(1)
}

/// What the manifest says of the new variant; its file is for the bundle's writer to fill in.
pub(super) fn variant(source: &Source, options: &QuantizeOptions, quantized: &Quantized, test: &Evaluation) -> Variant {
    // one float layer's values are floats, and may be the largest
    let bytes = match options.target.activations() {
        None => [2, 2],
        Some(_) if quantized.float.is_empty() => [1, 1],
        Some(_) => [1, size_of::<f32>()],
    };
    Variant {
        name: options.name.clone(),
        precision: options.target.precision().to_owned(),
        target: options.target.name().to_owned(),
        opset: OPSET,
        ir_version: IR_VERSION,
        // not the float variant's, for whose export passes may have been skipped
        parameters: source.graph.parameter_count() as u64,
        macs: source.graph.macs() as u64,
        peak_memory_bytes: peak_memory_bytes(&source.graph, bytes),
        accuracy: vec![Accuracy {
            data: options.data.kind.name().to_owned(),
            split: "test".to_owned(),
            images: test.images as u64,
            top1: test.top1,
            top5: test.top5,
        }],
        ..source.model.variant().clone()
    }
}
