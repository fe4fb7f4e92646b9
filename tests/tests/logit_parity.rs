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

const PLAIN: SgdConfig = SgdConfig {
    momentum: 0.0,
    weight_decay: 0.0,
    ..SGD
};

fn of(name: &str, drawn: &dyn Fn(&str) -> Option<String>) -> Network {
    let graph = build(name, &NetworkConfig::new([3, SIDE, SIDE], CLASSES)).unwrap();
    network(graph, drawn)
}

fn student() -> Network {
    of("resnet8", &|name| Some(format!("encoder.{name}")))
}

fn teacher(name: &str, m: usize) -> Network {
    of(name, &|tensor| teacher_name(tensor, m))
}

/// Holds all gradients and the named terms against the fixture; `networks` gives those that learn, by the fixture's name.
fn check<O: Objective>(
    name: &str,
    mut objective: O,
    networks: impl Fn(&mut O) -> Vec<(&'static str, Network)>,
    terms: &[(&str, &str)],
) {
    let fixture: Weights = fixture(name);
    let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let trained: BTreeMap<String, Var> = networks(&mut objective)
        .into_iter()
        .flat_map(|(network, learner)| {
            let named = |(tensor, var): (&String, &Var)| (format!("grad/{network}.{tensor}"), var.clone());
            learner.trained().iter().map(named).collect::<Vec<_>>()
        })
        .collect();
    assert!(trained.keys().eq(fixture.keys().filter(|key| key.starts_with("grad/"))));
    let before: Vec<Vec<f64>> = trained.values().map(|var| flat(var.as_tensor())).collect();
    let report = step(&mut objective, 0, 1.0);
    for (term, key) in terms {
        let expected = f64::from(fixture[&format!("loss/{key}")].data[0]);
        let found = report.terms.iter().find(|(name, _)| name == term);
        let (_, got) = found.unwrap_or_else(|| panic!("no {term}"));
        assert!(
            (got - expected).abs() <= TOLERANCE * expected.abs(),
            "{name}, {term}: {got}, not {expected}"
        );
    }
    for ((tensor, var), before) in trained.iter().zip(&before) {
        let moved: Vec<f64> = before
            .iter()
            .zip(flat(var.as_tensor()))
            .map(|(before, after)| before - after)
            .collect();
        let apart = distance(&moved, &fixture[tensor]);
        assert!(apart <= TOLERANCE, "{name}, {tensor}: {apart:e} away");
    }
}

fn the_student(objective: &mut impl Objective) -> Vec<(&'static str, Network)> {
    vec![("encoder", objective.network().clone())]
}

#[test]
fn one_teacher() {
    let objective = KnowledgeDistillation::new(Kd::default(), PLAIN, student(), vec![teacher("resnet14", 0)]);
    check(
        "gradients.kd",
        objective,
        the_student,
        &[("student_ce", "ce"), ("teacher_kl", "kl")],
    );
}

#[test]
fn the_mean_of_two_teachers() {
    let teachers = vec![teacher("resnet14", 0), teacher("resnet8x4", 1)];
    let objective = KnowledgeDistillation::new(Kd::default(), PLAIN, student(), teachers);
    check(
        "gradients.aver",
        objective,
        the_student,
        &[("student_ce", "ce"), ("teacher_kl", "kl")],
    );
}

#[test]
fn two_networks_that_teach_each_other() {
    let objective = MutualLearning::new(Dml::default(), PLAIN, student(), teacher("resnet14", 0));
    let terms = [
        ("student_ce", "ce"),
        ("student_kl", "kl"),
        ("peer_ce", "peer_ce"),
        ("peer_kl", "peer_kl"),
    ];
    let both = |dml: &mut MutualLearning| vec![("encoder", dml.network().clone()), ("teacher0", dml.peer().clone())];
    check("gradients.dml", objective, both, &terms);
}
