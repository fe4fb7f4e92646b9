//! Whole networks and training steps by the compositions, against the same by the kernels.
//!
//! The compositions are what a GPU computes; here they run on the CPU, and where a build with CUDA finds a GPU on that too.
//! In f64 both ways must agree to rounding: kernels and compositions share no code, so each is a reference for the other.

use askd_models::{Graph, LOGITS, NetworkConfig, build, distilled_student};
use candle_core::{DType, Device, Tensor};

use super::ops::{as_compositions, cross_entropy};
use super::{Network, PassMode, SgdConfig, initialise};
use crate::distill::{Normalise, SharedHead, SharedHeadSettings, Weighting};
use crate::train::{Moment, Objective, StepReport, Supervised};
use crate::weights::Weights;

const NAMES: [&str; 4] = ["resnet8", "resnet8x4", "vgg8", "mobilenetv2_0.5"];
const CLASSES: usize = 5;
/// Large enough that batch norm has values to go by at the end of a MobileNet: rounding grows where it has few.
const SIZE: [usize; 3] = [3, 32, 32];
const LABELS: [u32; 8] = [0, 3, 1, 4, 2, 2, 0, 3];
/// Small: a network that a large step carries far away multiplies every rounding error on the way.
const RATE: f64 = 1e-3;
/// Of the largest value of a tensor.
const TOLERANCE: f64 = 1e-9;

/// Where compositions run: on the CPU, and on a GPU if there is one.
fn devices() -> Vec<Device> {
    let mut devices = vec![Device::Cpu];
    match Device::new_cuda(0) {
        Ok(gpu) => devices.push(gpu),
        Err(error) if cfg!(feature = "cuda") => eprintln!("SKIPPED: the compositions on a GPU: {error}"),
        Err(_) => {}
    }
    devices
}

/// Named tensors of a pass or of several steps.
type Values = Vec<(String, Vec<f64>)>;

/// Holds what `run` computes by the compositions, on every device, against what it computes by the kernels.
fn both_ways(what: &str, run: impl Fn(&Device) -> Values) {
    let by_kernels = run(&Device::Cpu);
    for device in devices() {
        let by_compositions = as_compositions(|| run(&device));
        assert_eq!(by_compositions.len(), by_kernels.len(), "{what}");
        for ((name, got), (expected_name, expected)) in by_compositions.iter().zip(&by_kernels) {
            assert_eq!((name, got.len()), (expected_name, expected.len()), "{what}");
            // a gradient that is zero but for rounding has no scale of its own
            let scale = expected.iter().fold(1e-3, |scale: f64, value| scale.max(value.abs()));
            for (got, expected) in got.iter().zip(expected) {
                let near = (got - expected).abs() <= TOLERANCE * scale;
                assert!(
                    near,
                    "{what} on {device:?}, {name}: {got} instead of {expected}, scale {scale}"
                );
            }
        }
    }
}

fn graph(name: &str) -> Graph {
    build(name, &NetworkConfig::new(SIZE, CLASSES)).unwrap()
}

/// Seeded weights with the statistics of the batch: with the initial ones a deep network's maps vanish.
fn weights(graph: &Graph, seed: u64) -> Weights {
    let mut network = Network::new(graph.clone(), &initialise(graph, seed), DType::F64, &Device::Cpu).unwrap();
    let (images, _) = batch(&Device::Cpu);
    for _ in 0..20 {
        network.forward(&images, PassMode::Train, &[LOGITS]).unwrap();
    }
    network.weights().unwrap()
}

fn network(graph: &Graph, weights: &Weights, device: &Device) -> Network {
    Network::new(graph.clone(), weights, DType::F64, device).unwrap()
}

/// Images and labels, the same at every call.
fn batch(device: &Device) -> (Tensor, Tensor) {
    let shape = (LABELS.len(), SIZE[0], SIZE[1], SIZE[2]);
    let values = (0..LABELS.len() * SIZE.iter().product::<usize>()).map(|i| ((i * i + 7 * i) % 1009) as f64);
    let images = Tensor::from_vec(values.map(|value| value / 504.0 - 1.0).collect(), shape, device);
    let labels = Tensor::new(&LABELS, device);
    (images.unwrap(), labels.unwrap())
}

fn host(tensor: &Tensor) -> Vec<f64> {
    let flat = tensor.to_dtype(DType::F64).and_then(|t| t.flatten_all());
    flat.and_then(|t| t.to_vec1()).unwrap()
}

/// Logits; in modes with gradients those of every parameter; and the logits by the statistics that the pass left.
fn pass(mut network: Network, mode: PassMode, device: &Device) -> Values {
    let (images, labels) = batch(device);
    let (outputs, tape) = network.record(&images, mode, &[LOGITS]).unwrap();
    let mut values = vec![(LOGITS.to_owned(), host(&outputs[0]))];
    if mode != PassMode::Inference {
        let mut gradients = cross_entropy(&outputs[0], &labels).unwrap().backward().unwrap();
        tape.backward(&mut gradients).unwrap();
        for (parameter, var) in network.trained() {
            let gradient = gradients.get(var).expect("every parameter has a gradient");
            values.push((parameter.clone(), host(gradient)));
        }
    }
    let after = network.forward(&images, PassMode::Inference, &[LOGITS]).unwrap();
    values.push(("logits after".to_owned(), host(&after[0])));
    values
}

#[test]
fn passes_and_gradients_agree() {
    for name in NAMES {
        let graph = graph(name);
        let weights = weights(&graph, 3);
        for mode in [PassMode::Train, PassMode::FrozenStatistics, PassMode::Inference] {
            let run = |device: &Device| pass(network(&graph, &weights, device), mode, device);
            both_ways(&format!("{name} {mode:?}"), run);
        }
    }
}

/// What three steps report, and every weight after them.
fn steps(mut objective: impl Objective, device: &Device) -> Values {
    let (images, labels) = batch(device);
    let mut values = Values::new();
    for (step, progress) in [0.25, 0.5, 0.75].into_iter().enumerate() {
        let at = Moment {
            step,
            epoch: 0,
            progress,
            rate: RATE,
        };
        let report: StepReport = objective.step(&images, &labels, &at).unwrap();
        let counts = [("loss", report.loss), ("correct", report.correct as f64)];
        let terms = counts.iter().chain(&report.terms);
        values.extend(terms.map(|(term, value)| (format!("{term} {step}"), vec![*value])));
    }
    let mut push = |network: &Network| {
        let trained = network.trained().iter();
        values.extend(trained.map(|(name, var)| (name.clone(), host(var.as_tensor()))));
    };
    push(objective.network());
    for teacher in objective.teachers() {
        push(teacher);
    }
    values
}

#[test]
fn supervised_steps_agree() {
    let config = SgdConfig {
        nesterov: true,
        ..SgdConfig::default()
    };
    for name in NAMES {
        let graph = graph(name);
        let weights = weights(&graph, 5);
        both_ways(name, |device| {
            steps(Supervised::new(network(&graph, &weights, device), config), device)
        });
    }
}

/// A step with a frozen teacher, then two with one that adapts: at the second of them its anchor pulls.
#[test]
fn atsc_steps_agree() {
    for (student, teacher, normalise) in [
        ("resnet8", "resnet8x4", Normalise::Samples),
        // features of an untrained VGG hardly differ between images, and what is divided by that carries rounding far
        ("mobilenetv2_0.5", "vgg8", Normalise::Elements),
    ] {
        let teacher_graph = graph(teacher);
        let settings = SharedHeadSettings {
            factor: 4,
            normalise,
            ..SharedHeadSettings::atsc()
        };
        let student_graph = distilled_student(&graph(student), &[&teacher_graph], &settings.graph_options()).unwrap();
        let (student_weights, teacher_weights) = (weights(&student_graph, 2), weights(&teacher_graph, 1));
        both_ways(&format!("{student} by {teacher}"), |device| {
            let student = network(&student_graph, &student_weights, device);
            let teacher = network(&teacher_graph, &teacher_weights, device);
            let (weighting, optimizer) = (Weighting::Uniform, SgdConfig::default());
            let coupled = SharedHead::new(settings.clone(), weighting, optimizer, student, vec![teacher]).unwrap();
            let values = steps(coupled, device);
            for term in ["student_ce 0", "teacher_ce 2", "anchor_distance 2"] {
                assert!(values.iter().any(|(name, _)| name == term), "{term}");
            }
            values
        });
    }
}
