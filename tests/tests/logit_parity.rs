//! Distillation by logits against PyTorch, in f64: KD, AVER and DML.
//!
//! What is computed: `fixtures/distillation/README.md`. One step of rate 1 without momentum and weight decay moves each
//! tensor by its negative gradient.

use std::collections::BTreeMap;

use askd_compiler::distill::{Dml, Kd, KnowledgeDistillation, MutualLearning};
use askd_compiler::nn::{Network, SgdConfig};
use askd_compiler::train::Objective;
use askd_compiler::weights::Weights;
use askd_models::{NetworkConfig, build};
use candle_core::{Tensor, Var};

use super::distillation_parity::{CLASSES, SGD, SIDE, TOLERANCE, distance, fixture, network, step, teacher_name};

pub(crate) const PLAIN: SgdConfig = SgdConfig {
    momentum: 0.0,
    weight_decay: 0.0,
    ..SGD
};

pub(crate) fn of(name: &str, drawn: &dyn Fn(&str) -> Option<String>) -> Network {
    let graph = build(name, &NetworkConfig::new([3, SIDE, SIDE], CLASSES)).unwrap();
    network(graph, drawn)
}

fn student() -> Network {
    of("resnet8", &|name| Some(format!("encoder.{name}")))
}

pub(crate) fn teacher(name: &str, m: usize) -> Network {
    of(name, &|tensor| teacher_name(tensor, m))
}

/// Holds all gradients and the named terms against the fixture; `learners` are the tensors that learn, by the fixture's name of
/// what they belong to.
pub(crate) fn check(
    name: &str,
    objective: &mut dyn Objective,
    learners: &[(&str, BTreeMap<String, Var>)],
    terms: &[(&str, &str)],
) {
    let fixture: Weights = fixture(name);
    let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let trained: BTreeMap<String, Var> = learners
        .iter()
        .flat_map(|(owner, tensors)| {
            let named = |(tensor, var): (&String, &Var)| (format!("grad/{owner}.{tensor}"), var.clone());
            tensors.iter().map(named).collect::<Vec<_>>()
        })
        .collect();
    for key in fixture.keys().filter(|key| key.starts_with("grad/")) {
        assert!(trained.contains_key(key), "{name}: no {key}");
    }
    let before: Vec<Vec<f64>> = trained.values().map(|var| flat(var.as_tensor())).collect();
    let report = step(objective, 0, 1.0);
    for (term, key) in terms {
        let expected = f64::from(fixture[&format!("loss/{key}")].data[0]);
        let found = report.terms.iter().find(|(name, _)| name == term);
        let (_, got) = found.unwrap_or_else(|| panic!("no {term}"));
        assert!(
            (got - expected).abs() <= TOLERANCE * expected.abs(),
            "{name}, {term}: {got}, not {expected}"
        );
    }
    let (mut compared, mut worst) = (0, 0.0f64);
    for ((tensor, var), before) in trained.iter().zip(&before) {
        let moved: Vec<f64> = before
            .iter()
            .zip(flat(var.as_tensor()))
            .map(|(before, after)| before - after)
            .collect();
        // a bias in front of a batch norm has no gradient, but for rounding
        let Some(expected) = fixture.get(tensor) else {
            let most = moved.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
            assert!(most <= 1e-9, "{name}, {tensor} moved by {most:e}");
            continue;
        };
        let apart = distance(&moved, expected);
        assert!(apart <= TOLERANCE, "{name}, {tensor}: {apart:e} away");
        (compared, worst) = (compared + 1, worst.max(apart));
    }
    println!("{name}: {compared} gradients at most {worst:.1e} away");
}

const TERMS: [(&str, &str); 2] = [("student_ce", "ce"), ("teacher_kl", "kl")];

/// KD from these teachers.
fn check_kd(name: &str, teachers: Vec<Network>) {
    let student = student();
    let learners = [("encoder", student.trained().clone())];
    let mut objective = KnowledgeDistillation::new(Box::new(Kd::default()), PLAIN, student, teachers, 0).unwrap();
    check(name, &mut objective, &learners, &TERMS);
}

#[test]
fn one_teacher() {
    check_kd("gradients.kd", vec![teacher("resnet14", 0)]);
}

#[test]
fn the_mean_of_two_teachers() {
    check_kd("gradients.aver", vec![teacher("resnet14", 0), teacher("resnet8x4", 1)]);
}

#[test]
fn two_networks_that_teach_each_other() {
    let (student, peer) = (student(), teacher("resnet14", 0));
    let learners = [
        ("encoder", student.trained().clone()),
        ("teacher0", peer.trained().clone()),
    ];
    let mut objective = MutualLearning::new(Dml::default(), PLAIN, student, peer);
    let terms = [
        ("student_ce", "ce"),
        ("student_kl", "kl"),
        ("peer_ce", "peer_ce"),
        ("peer_kl", "peer_kl"),
    ];
    check("gradients.dml", &mut objective, &learners, &terms);
}
