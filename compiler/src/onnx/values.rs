//! The forms of a network's values: floats, integers between, half precision inside.
//!
//! A value that is kept as integers is rounded where it is made and restored where it is read. An engine that has an integer
//! kernel for an operation between a DequantizeLinear and a QuantizeLinear uses it; any other computes the same in floats, up to
//! rounding.
//!
//! **ONNX Spec**: <https://onnx.ai/onnx/operators/onnx__QuantizeLinear.html>,
//! <https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html>, <https://onnx.ai/onnx/operators/onnx__Pad.html> and
//! <https://onnx.ai/onnx/operators/onnx__Cast.html>, opset 13.

use std::collections::BTreeSet;

use askd_models::{Graph, LOGITS, NodeId, Op};
use onnx_protobuf::tensor_proto::DataType;

use super::Arithmetic;
use super::emitter::{Emitter, int};
use crate::Result;
use crate::quantize::{Activations, Affine, IntegerLayer, Plan};

/// Names of one value in the forms it may have.
struct ValueNames {
    /// As floats.
    float: String,
    /// As integers.
    integer: String,
    /// As the floats that the integers stand for.
    restored: String,
    /// As integers, and channels of zeros behind them.
    padded: String,
    /// As the floats that those stand for.
    padded_restored: String,
    /// As floats of 16 bits, where others are of 32: at image and logits.
    half: String,
    scale: String,
    zero_point: String,
}

/// How a value becomes integers: the names of scale and zero point.
#[derive(Clone, Copy)]
pub(super) struct Rounding<'a> {
    scale: &'a str,
    zero_point: &'a str,
}

/// A network's values, and how its nodes read and write them.
pub(super) struct Values<'a> {
    graph: &'a Graph,
    arithmetic: Arithmetic<'a>,
    names: Vec<ValueNames>,
}

impl ValueNames {
    fn new(float: String) -> Self {
        let of = |suffix: &str| format!("{float}.{suffix}");
        Self {
            integer: of("quantized"),
            restored: of("dequantized"),
            padded: of("padded"),
            padded_restored: of("padded.dequantized"),
            half: of("half"),
            scale: of("scale"),
            zero_point: of("zero_point"),
            float,
        }
    }
}

impl Rounding<'_> {
    /// Rounds a value that has another name than its node's; gives the name of the integers.
    pub(super) fn emit(&self, value: &str, emitter: &mut Emitter<'_>) -> Result<String> {
        let output = format!("{value}.quantized");
        self.emit_as(value, &output, emitter)?;
        Ok(output)
    }

    fn emit_as(&self, value: &str, output: &str, emitter: &mut Emitter<'_>) -> Result<()> {
        let inputs = [value, self.scale, self.zero_point];
        emitter.node(
            "QuantizeLinear",
            &format!("{value}.quantize"),
            &inputs,
            output,
            Vec::new(),
        )
    }
}

impl<'a> Values<'a> {
    /// The values of `graph`, whose float forms have the names `names`.
    pub(super) fn new(graph: &'a Graph, arithmetic: Arithmetic<'a>, names: Vec<String>) -> Self {
        Self {
            graph,
            arithmetic,
            names: names.into_iter().map(ValueNames::new).collect(),
        }
    }

    fn plan(&self) -> Option<&'a Plan> {
        match self.arithmetic {
            Arithmetic::Integer(plan) => Some(plan),
            Arithmetic::Float | Arithmetic::Half => None,
        }
    }

    /// The name under which node `reader` reads the value of `input`.
    pub(super) fn read(&self, reader: NodeId, input: NodeId) -> &str {
        let names = &self.names[input.index()];
        match self.arithmetic {
            Arithmetic::Integer(plan) if plan.moves(reader) => &names.integer,
            Arithmetic::Integer(plan) if plan.added_channels(reader) > 0 => &names.padded_restored,
            Arithmetic::Integer(plan) if plan.is_integer(input) => &names.restored,
            Arithmetic::Half if self.has_two_widths(input) => &names.half,
            _ => &names.float,
        }
    }

    /// The name under which a node writes its value.
    pub(super) fn written(&self, id: NodeId) -> &str {
        let names = &self.names[id.index()];
        match self.arithmetic {
            Arithmetic::Integer(_) if self.writes_integers(id) => &names.integer,
            Arithmetic::Half if self.has_two_widths(id) => &names.half,
            _ => &names.float,
        }
    }

    /// A layer's tensors as integers.
    pub(super) fn layer(&self, id: NodeId) -> Option<&'a IntegerLayer> {
        self.plan().and_then(|plan| plan.layer(id))
    }

    /// The integer that stands for zero, for a node that moves integers.
    pub(super) fn zero(&self, id: NodeId) -> Option<&str> {
        let plan = self.plan().filter(|plan| plan.moves(id))?;
        Some(&self.names[plan.source(self.graph, id)?.index()].zero_point)
    }

    /// How a node that writes integers rounds them; none for one that moves what is rounded.
    pub(super) fn rounding(&self, id: NodeId) -> Option<Rounding<'_>> {
        let computes = self.plan().is_some_and(|plan| !plan.moves(id));
        (computes && self.writes_integers(id))
            .then(|| self.affine_names(id))
            .flatten()
    }

    /// Scale and zero point of a value that has its own, to be written before the node that makes it.
    pub(super) fn emit_affine(&self, id: NodeId, emitter: &mut Emitter<'_>) -> Result<()> {
        let Some(plan) = self.plan().filter(|plan| plan.source(self.graph, id) == Some(id)) else {
            return Ok(());
        };
        match plan.affine(self.graph, id) {
            Some(affine) => affine_tensors(&self.names[id.index()], affine, plan.activations(), emitter),
            None => Ok(()),
        }
    }

    /// What follows a node whose value has several forms: those that it did not write itself.
    pub(super) fn emit_forms(&self, id: NodeId, emitter: &mut Emitter<'_>) -> Result<()> {
        match self.arithmetic {
            Arithmetic::Float => Ok(()),
            Arithmetic::Half => self.emit_widths(id, emitter),
            Arithmetic::Integer(plan) => self.emit_integers(plan, id, emitter),
        }
    }

    /// The image in 16 bits, the logits in 32.
    fn emit_widths(&self, id: NodeId, emitter: &mut Emitter<'_>) -> Result<()> {
        let names = &self.names[id.index()];
        let (from, to, data_type) = match self.graph.node(id).op {
            _ if !self.has_two_widths(id) => return Ok(()),
            Op::Input => (&names.float, &names.half, DataType::FLOAT16),
            _ => (&names.half, &names.float, DataType::FLOAT),
        };
        let to_type = vec![int("to", data_type as usize)];
        emitter.node("Cast", &format!("{from}.cast"), &[from.as_str()], to, to_type)
    }

    /// Image and logits are in 32 bits, what is between in 16.
    fn has_two_widths(&self, id: NodeId) -> bool {
        // pixels are bytes, and become floats of 16 bits at once
        let image = self.graph.node(id).op == Op::Input && !self.graph.takes_pixels();
        image || self.names[id.index()].float == LOGITS
    }

    /// The rounding of a value that is kept as integers, and the floats that its readers start from.
    fn emit_integers(&self, plan: &Plan, id: NodeId, emitter: &mut Emitter<'_>) -> Result<()> {
        let Some(rounding) = self.affine_names(id).filter(|_| plan.is_integer(id)) else {
            return Ok(());
        };
        let names = &self.names[id.index()];
        if !self.writes_integers(id) {
            rounding.emit_as(&names.float, &names.integer, emitter)?;
        }
        let restore = |integer: &str, restored: &str, emitter: &mut Emitter<'_>| {
            // "dequantized" is the value, "dequantize" the node
            let name = restored.strip_suffix('d').unwrap_or(restored);
            let inputs = [integer, rounding.scale, rounding.zero_point];
            emitter.node("DequantizeLinear", name, &inputs, restored, Vec::new())
        };
        let readers = self.graph.iter().filter(|(_, node)| node.inputs.contains(&id));
        let computing = readers.map(|(reader, _)| reader).filter(|reader| !plan.moves(*reader));
        // readers of the same channels lack as many
        let added: BTreeSet<usize> = computing.map(|reader| plan.added_channels(reader)).collect();
        if added.contains(&0) {
            restore(&names.integer, &names.restored, emitter)?;
        }
        if let Some(&added) = added.iter().find(|added| **added > 0) {
            let ends = [0, added, 0, 0];
            let zero = Some(rounding.zero_point);
            emitter.pad(
                &format!("{}.pad", names.float),
                &names.integer,
                [[0; 4], ends],
                zero,
                &names.padded,
            )?;
            restore(&names.padded, &names.padded_restored, emitter)?;
        }
        Ok(())
    }

    fn affine_names(&self, id: NodeId) -> Option<Rounding<'_>> {
        let source = self.plan()?.source(self.graph, id)?;
        let names = &self.names[source.index()];
        Some(Rounding {
            scale: &names.scale,
            zero_point: &names.zero_point,
        })
    }

    /// Whether the ONNX nodes of a node of the network end with integers.
    fn writes_integers(&self, id: NodeId) -> bool {
        let Some(plan) = self.plan() else { return false };
        let pools = self.graph.node(id).op == Op::GlobalAveragePool && plan.computes(id);
        plan.moves(id) || (pools && plan.is_integer(id))
    }
}

fn affine_tensors(
    names: &ValueNames,
    affine: Affine,
    activations: Activations,
    emitter: &mut Emitter<'_>,
) -> Result<()> {
    emitter.floats(&names.scale, &[], &[affine.scale])?;
    let data_type = match activations {
        Activations::Unsigned => DataType::UINT8,
        Activations::Signed | Activations::Symmetric => DataType::INT8,
    };
    // the low byte is the integer in both types
    let byte = affine.zero_point.to_le_bytes()[0];
    emitter.initialiser(&names.zero_point, data_type, &[], vec![byte])
}
