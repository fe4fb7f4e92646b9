//! Backward passes on the CPU without the tensor library's: the same operations and gradients, fewer passes over memory.
//!
//! candle adds every gradient to a tensor of zeros, made for it, and keeps all intermediate tensors until its backward pass
//! has ended. A [`Tape`] notes the operations of a network's pass; going back over it, a gradient that comes alone is taken
//! as it is, and each step's tensors are freed once its gradients are known.
//!
//! A tape is recorded by [`record`]; within it [`apply1`] and its like, by which every operation in [`super::ops`] runs, note
//! what they do. Elsewhere they leave it to candle, whose gradients the tests hold against these.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use candle_core::backprop::GradStore;
use candle_core::{CustomOp1, CustomOp2, CustomOp3, Result, Shape, Tensor, TensorId, Var};

use super::ops;

/// The operations of one pass, in order, and how its outputs are known outside.
#[derive(Default)]
pub struct Tape {
    steps: Vec<Step>,
    /// Tensors that depend on a variable.
    tracked: HashSet<TensorId>,
    /// Each output as a variable of its own, by which a loss knows it, and as the pass computed it.
    outputs: Vec<(Var, TensorId)>,
}

struct Step {
    operation: Box<dyn Operation>,
    inputs: Vec<Tensor>,
    output: Tensor,
}

/// The gradients of an operation's inputs from that of its output; `None` for an input that needs none.
pub(super) trait Operation {
    fn backward(&self, inputs: &[Tensor], output: &Tensor, gradient: &Tensor) -> Result<Vec<Option<Tensor>>>;
}

thread_local! {
    static RECORDING: RefCell<Option<Tape>> = const { RefCell::new(None) };
}

/// Runs a pass, noting its operations. The outputs come as variables that depend on nothing: a loss computed from them has
/// gradients for them, from which [`Tape::backward`] goes on.
///
/// # Errors
/// The pass's own.
pub fn record<E: From<candle_core::Error>>(
    pass: impl FnOnce() -> std::result::Result<Vec<Tensor>, E>,
) -> std::result::Result<(Vec<Tensor>, Tape), E> {
    let outer = RECORDING.replace(Some(Tape::default()));
    let outputs = pass();
    let mut tape = RECORDING.replace(outer).unwrap_or_default();
    for output in outputs? {
        tape.outputs.push((Var::from_tensor(&output.detach())?, output.id()));
    }
    Ok((
        tape.outputs.iter().map(|(var, _)| var.as_tensor().clone()).collect(),
        tape,
    ))
}

impl Tape {
    /// The gradients of a loss that was computed from these tapes' outputs: of all variables that their passes used.
    ///
    /// # Errors
    /// What the operations' gradients give.
    pub fn gradients(loss: &Tensor, tapes: impl IntoIterator<Item = Self>) -> Result<GradStore> {
        let mut gradients = loss.backward()?;
        for tape in tapes {
            tape.backward(&mut gradients)?;
        }
        Ok(gradients)
    }

    /// Adds the gradients of all variables that the pass used, given those of its outputs.
    ///
    /// # Errors
    /// What the operations' gradients give.
    pub fn backward(self, gradients: &mut GradStore) -> Result<()> {
        self.backward_inspected(gradients, &mut |_| ())
    }

    /// As [`Self::backward`]; shows the output of each operation once the gradients of its inputs are known, the last first.
    ///
    /// # Errors
    /// As [`Self::backward`].
    pub fn backward_inspected(mut self, gradients: &mut GradStore, inspect: &mut dyn FnMut(&Tensor)) -> Result<()> {
        let mut open: HashMap<TensorId, Tensor> = HashMap::new();
        for (var, inner) in &self.outputs {
            if let Some(gradient) = gradients.remove(var) {
                accumulate(&mut open, *inner, gradient)?;
            }
        }
        while let Some(step) = self.steps.pop() {
            let Some(gradient) = open.remove(&step.output.id()) else {
                continue;
            };
            let found = step.operation.backward(&step.inputs, &step.output, &gradient)?;
            for (input, gradient) in step.inputs.iter().zip(found) {
                let Some(gradient) = gradient else { continue };
                if input.is_variable() {
                    let sum = match gradients.remove(input) {
                        Some(present) => ops::add(&present, &gradient)?,
                        None => gradient,
                    };
                    gradients.insert(input, sum);
                } else if self.tracked.contains(&input.id()) {
                    accumulate(&mut open, input.id(), gradient)?;
                }
            }
            inspect(&step.output);
        }
        Ok(())
    }
}

fn accumulate(open: &mut HashMap<TensorId, Tensor>, id: TensorId, gradient: Tensor) -> Result<()> {
    let sum = match open.remove(&id) {
        Some(present) => ops::add(&present, &gradient)?,
        None => gradient,
    };
    open.insert(id, sum);
    Ok(())
}

/// Whether a gradient of `x` will be asked for.
pub(super) fn needs_gradient(x: &Tensor) -> bool {
    RECORDING.with_borrow(|tape| match tape {
        Some(tape) => x.is_variable() || tape.tracked.contains(&x.id()),
        None => x.track_op(),
    })
}

/// Whether a pass is being recorded.
pub(super) fn is_recording() -> bool {
    RECORDING.with_borrow(Option::is_some)
}

/// Notes an operation whose output is known.
pub(super) fn note(operation: impl Operation + 'static, inputs: Vec<Tensor>, output: &Tensor) {
    if !inputs.iter().any(needs_gradient) {
        return;
    }
    RECORDING.with_borrow_mut(|tape| {
        if let Some(tape) = tape {
            tape.tracked.insert(output.id());
            tape.steps.push(Step {
                operation: Box::new(operation),
                inputs,
                output: output.clone(),
            });
        }
    });
}

/// Applies an operation of one input.
pub(super) fn apply1<C: CustomOp1 + Send + Sync + 'static>(x: &Tensor, operation: C) -> Result<Tensor> {
    if !is_recording() {
        return x.apply_op1(operation);
    }
    let y = x.apply_op1_no_bwd(&operation)?;
    note(One(operation), vec![x.clone()], &y);
    Ok(y)
}

/// Applies an operation of two inputs.
pub(super) fn apply2<C: CustomOp2 + Send + Sync + 'static>(a: &Tensor, b: &Tensor, operation: C) -> Result<Tensor> {
    if !is_recording() {
        return a.apply_op2(b, operation);
    }
    let y = a.apply_op2_no_bwd(b, &operation)?;
    note(Two(operation), vec![a.clone(), b.clone()], &y);
    Ok(y)
}

/// Applies an operation of three inputs.
pub(super) fn apply3<C: CustomOp3 + Send + Sync + 'static>(
    a: &Tensor,
    b: &Tensor,
    c: &Tensor,
    operation: C,
) -> Result<Tensor> {
    if !is_recording() {
        return a.apply_op3(b, c, operation);
    }
    let y = a.apply_op3_no_bwd(b, c, &operation)?;
    note(Three(operation), vec![a.clone(), b.clone(), c.clone()], &y);
    Ok(y)
}

/// The same elements in another shape.
pub(super) fn reshape(x: &Tensor, shape: impl Into<Shape>) -> Result<Tensor> {
    let y = x.reshape(shape.into())?;
    note(Reshape, vec![x.clone()], &y);
    Ok(y)
}

struct One<C>(C);
struct Two<C>(C);
struct Three<C>(C);
struct Reshape;

impl<C: CustomOp1> Operation for One<C> {
    fn backward(&self, inputs: &[Tensor], output: &Tensor, gradient: &Tensor) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![self.0.bwd(&inputs[0], output, gradient)?])
    }
}

impl<C: CustomOp2> Operation for Two<C> {
    fn backward(&self, inputs: &[Tensor], output: &Tensor, gradient: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (a, b) = self.0.bwd(&inputs[0], &inputs[1], output, gradient)?;
        Ok(vec![a, b])
    }
}

impl<C: CustomOp3> Operation for Three<C> {
    fn backward(&self, inputs: &[Tensor], output: &Tensor, gradient: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let (a, b, c) = self.0.bwd(&inputs[0], &inputs[1], &inputs[2], output, gradient)?;
        Ok(vec![a, b, c])
    }
}

impl Operation for Reshape {
    fn backward(&self, inputs: &[Tensor], _output: &Tensor, gradient: &Tensor) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![Some(gradient.reshape(inputs[0].shape())?)])
    }
}

#[cfg(test)]
mod tests {
    use askd_models::{DistilledOptions, Graph, LOGITS, NetworkConfig, build, distilled_student};
    use candle_core::{DType, Device};

    use super::*;
    use crate::nn::ops::cross_entropy;
    use crate::nn::{Network, PassMode, initialise};

    const CONFIG: NetworkConfig = NetworkConfig {
        input: [3, 16, 12],
        classes: 5,
    };

    /// Students of one to three teachers with all that training reads, the last two with a shared trunk.
    fn distilled_students() -> Vec<Graph> {
        let networks = ["resnet8", "vgg8", "mobilenetv2_0.5", "resnet8x4"].map(|name| build(name, &CONFIG).unwrap());
        let [student, teachers @ ..] = networks.each_ref();
        let of = |(count, shared_trunk, depthwise)| {
            let options = DistilledOptions {
                factor: 8,
                depthwise,
                shared_trunk,
                own_head: true,
            };
            distilled_student(student, &teachers[..count], &options).unwrap()
        };
        let cases = [(1, false, false), (2, false, true), (2, true, false), (3, true, true)];
        cases.map(of).to_vec()
    }

    /// Residual sums, pools, a network with every kind of convolution and students of several teachers: the same gradients
    /// as by candle's way back, from all outputs together.
    #[test]
    fn gradients_are_those_of_candle() {
        let networks = ["resnet8", "resnet8x4", "vgg8", "mobilenetv2_0.5"].map(|name| build(name, &CONFIG).unwrap());
        for graph in networks.into_iter().chain(distilled_students()) {
            let name = graph.name().to_owned();
            let weights = initialise(&graph, 3);
            let all: Vec<String> = graph.outputs().map(|(name, _)| name.to_owned()).collect();
            let outputs: Vec<&str> = all.iter().map(String::as_str).collect();
            let logits = outputs.iter().position(|name| *name == LOGITS).unwrap();
            let labels = Tensor::new(&[0u32, 3, 1, 4], &Device::Cpu).unwrap();
            let loss = |values: &[Tensor]| {
                let squares = values.iter().map(|value| value.sqr().unwrap().mean_all().unwrap());
                squares.fold(cross_entropy(&values[logits], &labels).unwrap(), |sum, square| {
                    (sum + square).unwrap()
                })
            };
            let mut network = Network::new(graph, &weights, DType::F64, &Device::Cpu).unwrap();
            let images = Tensor::randn(0f64, 1.0, (4, 3, 16, 12), &Device::Cpu).unwrap();

            let values = network.forward(&images, PassMode::Train, &outputs).unwrap();
            let expected = loss(&values).backward().unwrap();

            let (values, tape) = network.record(&images, PassMode::Train, &outputs).unwrap();
            let mut got = loss(&values).backward().unwrap();
            tape.backward(&mut got).unwrap();
            for (parameter, var) in network.trained() {
                let [got, expected] = [&got, &expected].map(|gradients| {
                    let gradient = gradients
                        .get(var)
                        .unwrap_or_else(|| panic!("{name}: none for {parameter}"));
                    gradient.flatten_all().unwrap().to_vec1::<f64>().unwrap()
                });
                let scale = expected.iter().fold(1e-9, |scale: f64, value| scale.max(value.abs()));
                for (got, expected) in got.iter().zip(expected) {
                    assert!(
                        (got - expected).abs() <= 1e-9 * scale,
                        "{name} {parameter}: {got} {expected}"
                    );
                }
            }
        }
    }

    /// A frozen teacher's target must cost a loss nothing on the way back.
    #[test]
    fn an_inference_pass_is_not_recorded() {
        let graph = build("resnet8", &NetworkConfig::new([3, 16, 12], 5)).unwrap();
        let weights = initialise(&graph, 3);
        let mut network = Network::new(graph, &weights, DType::F32, &Device::Cpu).unwrap();
        let images = Tensor::ones((2, 3, 16, 12), DType::F32, &Device::Cpu).unwrap();
        for (mode, recorded) in [(PassMode::Inference, false), (PassMode::FrozenStatistics, true)] {
            let (logits, tape) = network.record(&images, mode, &[LOGITS]).unwrap();
            assert_eq!(logits[0].track_op(), recorded, "{mode:?}");
            assert_eq!(!tape.steps.is_empty(), recorded, "{mode:?}");
            assert_eq!(!tape.outputs.is_empty(), recorded, "{mode:?}");
        }
    }

    #[test]
    fn a_failed_pass_records_nothing_more() {
        let failed = record(|| -> Result<Vec<Tensor>> { Err(candle_core::Error::Msg("no pass".to_owned())) });
        assert!(failed.is_err() && !is_recording());
    }
}
