//! Raw pixels `(N, H, W, C)` of the model's input to a normalised map: channels first, as floats, less the mean, over the standard
//! deviation.
//!
//! The order is changed while pixels are bytes, a quarter of the memory.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__Transpose.html>, <https://onnx.ai/onnx/operators/onnx__Cast.html>, opset 13,
//! <https://onnx.ai/onnx/operators/onnx__Sub.html> and <https://onnx.ai/onnx/operators/onnx__Div.html>, opset 14.

use super::super::INPUT;
use super::super::emitter::{Emitter, Step, int, ints};
use super::unsupported;
use crate::Result;

pub(super) fn emit([shift, scale]: [bool; 2], step: &Step<'_>, emitter: &mut Emitter<'_>) -> Result<()> {
    if step.inputs != [INPUT] {
        return Err(unsupported(step, "Normalise of anything but the input"));
    }
    let name = &step.node.name;
    let of = |suffix: &str| format!("{name}.{suffix}");
    let mut steps = vec![
        (
            "Transpose",
            of("channels_first"),
            None,
            vec![ints("perm", [0, 3, 1, 2])],
        ),
        (
            "Cast",
            of("floats"),
            None,
            vec![int("to", emitter.float_type() as usize)],
        ),
    ];
    for (present, op, result, parameter) in [(shift, "Sub", "centred", "mean"), (scale, "Div", "scaled", "std")] {
        if present {
            steps.push((op, of(result), Some(of(parameter)), Vec::new()));
        }
    }
    // a value for each channel of a map
    for parameter in step.node.parameters() {
        emitter.parameter_as(&parameter.name, &[1, parameter.shape[0], 1, 1])?;
    }
    let last = steps.len() - 1;
    let mut value = INPUT.to_owned();
    for (index, (op, own, parameter, attributes)) in steps.into_iter().enumerate() {
        let (node, output) = if index == last {
            (name.clone(), step.output.to_owned())
        } else {
            (own.clone(), own)
        };
        let inputs: Vec<&str> = [value.as_str()].into_iter().chain(parameter.as_deref()).collect();
        emitter.node(op, &node, &inputs, &output, attributes)?;
        value = output;
    }
    Ok(())
}
