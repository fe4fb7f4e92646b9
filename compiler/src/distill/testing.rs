//! What the tests of methods whose student keeps its classifier share: untrained networks, and batches that are the same at every call.

use askd_models::{LOGITS, NetworkConfig, build};
use candle_core::{DType, Device, Tensor};

use super::criterion::{Criterion, Outputs, Seen, TrainingImages};
use super::divergence::scalar;
use super::{Imitation, KnowledgeDistillation, METHODS, Method, Modules};
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

/// The same student taught by a method of [`METHODS`] that has a criterion, with changed settings.
fn taught_by(name: &str, change: impl Fn(&str, &mut toml::Value)) -> Option<KnowledgeDistillation> {
    let method = Method::defaults(name)?;
    let mut settings = toml::Table::try_from(&method).unwrap();
    settings.iter_mut().for_each(|(key, value)| change(key, value));
    let method: Method = settings.try_into().unwrap();
    let criterion = method.criterion(IMAGES)?;
    let mut teachers = vec![network("vgg8", 2)];
    if *method.teachers().end() > 1 {
        teachers.push(network("mobilenetv2_0.5", 3));
    }
    let student = network("resnet8", 1);
    Some(met(
        KnowledgeDistillation::new(criterion, SGD, student, teachers, 5).unwrap()
    ))
}

/// An objective that knows its training images, of which the batches are the first ones.
pub(super) fn met(mut objective: KnowledgeDistillation) -> KnowledgeDistillation {
    objective.meet(&[0, 1, 2, 3, 0, 1, 2, 3, 3]).unwrap();
    objective.expect(&Vec::from_iter(0..IMAGES as u32));
    objective
}

/// Weights of a method's own loss alone.
pub(super) fn features_alone(feature_weight: f64) -> Imitation {
    let mut weights = Imitation::weighing(feature_weight);
    weights.kd.distillation_weight = 0.0;
    weights
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
                by_class: &[],
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

/// Methods with a step of their own, which have tests of their own.
const WITHOUT_CRITERION: [&str; 4] = ["alone", "simkd", "dml", "atsc"];

/// Calls `check` for every other method.
fn for_each_criterion(mut check: impl FnMut(&str) -> bool) {
    for method in METHODS {
        assert_eq!(
            check(method.name),
            !WITHOUT_CRITERION.contains(&method.name),
            "{}",
            method.name
        );
    }
}

#[test]
fn without_its_weights_every_method_is_plain_training() {
    for_each_criterion(|name| {
        let silent = taught_by(name, |key, value| {
            if key.ends_with("_weight") && key != "label_weight" {
                *value = 0.0.into();
            }
        });
        silent.map(check_silence).is_some()
    });
}

#[test]
fn every_method_goes_on_from_a_restored_state_to_the_same_bits() {
    for_each_criterion(|name| {
        let objective = || taught_by(name, |_, _| ());
        let has_criterion = objective().is_some();
        if has_criterion {
            check_restore(|| objective().unwrap());
        }
        has_criterion
    });
}

#[test]
fn a_method_of_one_teacher_refuses_two() {
    let two = || vec![network("resnet14", 2), network("resnet14", 3)];
    let step = |criterion| {
        let made = KnowledgeDistillation::new(criterion, SGD, network("resnet8", 1), two(), 5)?;
        let (images, labels) = batch(0);
        met(made).step(&images, &labels, &moment(0))
    };
    for_each_criterion(|name| {
        let Some(method) = Method::defaults(name) else {
            return false;
        };
        let Some(stepped) = method.criterion(IMAGES).map(step) else {
            return false;
        };
        // KD of several is AVER, by the same criterion
        if name == "kd" || *method.teachers().end() > 1 {
            stepped.unwrap();
        } else {
            let error = stepped.unwrap_err().to_string();
            assert_eq!(error, "distillation.teachers: expected one, got 2", "{name}");
        }
        true
    });
}
