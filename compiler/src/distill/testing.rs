//! What the tests of methods whose student keeps its classifier share: untrained networks, and batches that are the same at every call.

use askd_models::{LOGITS, NetworkConfig, build};
use candle_core::{DType, Device, Tensor};

use super::criterion::{Criterion, Outputs, Seen, TrainingImages};
use super::divergence::scalar;
use super::{KnowledgeDistillation, Modules};
use crate::nn::{Network, PassMode, SgdConfig, initialise};
use crate::train::{Moment, Objective, State, Supervised};

const CLASSES: usize = 4;
const IMAGES: usize = 6;
const SIDE: usize = 16;

pub(super) const SGD: SgdConfig = SgdConfig {
    momentum: 0.9,
    nesterov: false,
    weight_decay: 5e-4,
};

pub(super) fn network(name: &str, seed: u64) -> Network {
    let graph = build(name, &NetworkConfig::new([1, SIDE, SIDE], CLASSES)).unwrap();
    let weights = initialise(&graph, seed);
    Network::new(graph, &weights, DType::F32, &Device::Cpu).unwrap()
}

pub(super) fn batch(step: usize) -> (Tensor, Tensor) {
    let value = |i: usize| ((i * i + (7 + step) * i) % 101) as f32 / 50.0 - 1.0;
    let images: Vec<f32> = (0..IMAGES * SIDE * SIDE).map(value).collect();
    let labels = (0..IMAGES).map(|image| ((image + step) % CLASSES) as u32);
    (
        Tensor::from_vec(images, (IMAGES, 1, SIDE, SIDE), &Device::Cpu).unwrap(),
        Tensor::from_iter(labels, &Device::Cpu).unwrap(),
    )
}

pub(super) fn moment(step: usize) -> Moment {
    Moment {
        step,
        epoch: 1,
        progress: 0.5,
        rate: 0.05,
    }
}

fn run(objective: &mut impl Objective, steps: std::ops::Range<usize>) -> State {
    for step in steps {
        let (images, labels) = batch(step);
        objective.step(&images, &labels, &moment(step)).unwrap();
    }
    objective.state().unwrap()
}

/// The state after so many steps.
pub(super) fn states(mut objective: impl Objective, steps: usize) -> State {
    run(&mut objective, 0..steps)
}

/// A state taken over by a fresh objective in mid-run leads to the same end.
pub(super) fn check_restore<O: Objective>(objective: impl Fn() -> O) {
    let mut whole = objective();
    let half = run(&mut whole, 0..2);
    let end = run(&mut whole, 2..4);
    let mut resumed = objective();
    resumed.restore(&half).unwrap();
    assert_eq!(run(&mut resumed, 2..4), end);
    assert_ne!(half, end);
}

/// A student, always the same one, taught by frozen teachers.
pub(super) fn taught(criterion: impl Criterion + 'static, teachers: Vec<Network>) -> KnowledgeDistillation {
    KnowledgeDistillation::new(Box::new(criterion), SGD, network("resnet8", 1), teachers, 5).unwrap()
}

/// With all weights of its terms 0, a method trains that student as plain training does, to the bit.
pub(super) fn check_silence(mut silent: KnowledgeDistillation) {
    let mut alone = Supervised::new(network("resnet8", 1), SGD);
    for step in 0..3 {
        let (images, labels) = batch(step);
        let expected = alone.step(&images, &labels, &moment(step)).unwrap();
        let got = silent.step(&images, &labels, &moment(step)).unwrap();
        assert_eq!((got.loss, got.correct), (expected.loss, expected.correct));
    }
    let (got, expected) = (silent.state().unwrap(), alone.state().unwrap());
    assert_eq!(got["student"], expected["network"]);
    let of_student = |(name, _): &(&String, _)| !name.starts_with("criterion.");
    assert!(
        got["student_momentum"]
            .iter()
            .filter(of_student)
            .eq(&expected["momentum"])
    );
}

/// What the networks give for a batch, with the criterion's own modules.
pub(super) fn look(criterion: &impl Criterion, student: &mut Network, teachers: &mut [Network]) -> (Looked, Modules) {
    let mut modules = Modules::new(student, 5);
    let graphs: Vec<_> = teachers.iter().map(Network::graph).collect();
    criterion.add_modules(&mut modules, student.graph(), &graphs).unwrap();
    let (images, labels) = batch(0);
    let outputs = |network: &mut Network, mut names: Vec<String>| {
        names.push(LOGITS.to_owned());
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut maps = network.forward(&images, PassMode::Inference, &names).unwrap();
        let logits = maps.pop().unwrap();
        Outputs { maps, logits }
    };
    let names = criterion.student_outputs(student.graph());
    let looked = Looked {
        student: outputs(student, names),
        teachers: teachers
            .iter_mut()
            .map(|teacher| {
                let names = criterion.teacher_outputs(teacher.graph());
                outputs(teacher, names)
            })
            .collect(),
        labels,
    };
    (looked, modules)
}

/// A batch as a criterion sees it.
#[derive(Clone)]
pub(super) struct Looked {
    pub(super) student: Outputs,
    pub(super) teachers: Vec<Outputs>,
    pub(super) labels: Tensor,
}

impl Looked {
    /// The sum of the terms of one name.
    pub(super) fn term(
        &self,
        criterion: &impl Criterion,
        networks: &[Network],
        modules: &mut Modules,
        name: &str,
    ) -> f64 {
        let seen = Seen {
            student: self.student.clone(),
            teachers: self.teachers.clone(),
            networks,
            labels: &self.labels,
            images: TrainingImages {
                positions: &[],
                classes: &[],
            },
            at: &moment(0),
        };
        let terms = criterion.terms(&seen, modules).unwrap();
        let of_name: Vec<f64> = terms
            .iter()
            .filter(|term| term.name == name)
            .map(|term| scalar(&term.value).unwrap())
            .collect();
        assert!(!of_name.is_empty(), "no {name}");
        of_name.iter().sum()
    }
}
