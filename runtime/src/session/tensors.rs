//! The tensors of a run.

use ort::memory::Allocator;
use ort::session::{HasSelectedOutputs, OutputSelector, RunOptions};
use ort::value::{DynTensor, Tensor};

use crate::engine::failed_to;
use crate::error::Error;
use crate::interface::Interface;
use crate::manifest::ElementType;

/// The tensors of a run, kept for the next run with the same batch.
pub(super) struct Tensors {
    pub(super) batch: usize,
    /// Of the type and in the order that the model takes.
    pub(super) input: DynTensor,
    /// Holds the output tensor, into which ONNX Runtime writes.
    pub(super) options: RunOptions<HasSelectedOutputs>,
}

impl Tensors {
    pub(super) fn new(interface: &Interface, batch: usize) -> Result<Self, Error> {
        let allocator = Allocator::default();
        let [channels, height, width] = interface.shape;
        let input = match interface.data_type {
            ElementType::F32 => Tensor::<f32>::new(&allocator, [batch, channels, height, width]).map(Tensor::upcast),
            ElementType::U8 => Tensor::<u8>::new(&allocator, [batch, height, width, channels]).map(Tensor::upcast),
        };
        let output = Tensor::<f32>::new(&allocator, [batch, interface.classes])
            .map_err(failed_to("allocate an output tensor"))?;
        let outputs = OutputSelector::default().preallocate(interface.output.as_str(), output);
        let options = RunOptions::new()
            .map_err(failed_to("make run options"))?
            .with_outputs(outputs);
        Ok(Self {
            batch,
            input: input.map_err(failed_to("allocate an input tensor"))?,
            options,
        })
    }
}
