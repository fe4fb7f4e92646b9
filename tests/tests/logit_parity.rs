//! Distillation by logits against PyTorch, in f64: KD, AVER and DML.
//!
//! What is computed: `fixtures/distillation/README.md`. One step of rate 1 without momentum and weight decay moves each
//! tensor by its negative gradient.

use askd_compiler::distill::{Dml, Kd, KnowledgeDistillation, MutualLearning};
use askd_compiler::nn::{Network, SgdConfig};
use askd_compiler::train::Objective;
use askd_compiler::weights::Weights;
use askd_models::{NetworkConfig, build};
use candle_core::Tensor;

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

/// Holds the student's gradients and the named terms against the fixture.
fn check(name: &str, mut objective: impl Objective, terms: &[(&str, &str)]) {
    let fixture: Weights = fixture(name);
    let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    let trained = objective.network().trained().clone();
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
        let apart = distance(&moved, &fixture[&format!("grad/encoder.{tensor}")]);
        assert!(apart <= TOLERANCE, "{name}, {tensor}: {apart:e} away");
    }
}

#[test]
fn one_teacher() {
    let objective = KnowledgeDistillation::new(Kd::default(), PLAIN, student(), vec![teacher("resnet14", 0)]);
    check("gradients.kd", objective, &[("student_ce", "ce"), ("teacher_kl", "kl")]);
}

#[test]
fn the_mean_of_two_teachers() {
    let teachers = vec![teacher("resnet14", 0), teacher("resnet8x4", 1)];
    let objective = KnowledgeDistillation::new(Kd::default(), PLAIN, student(), teachers);
    check(
        "gradients.aver",
        objective,
        &[("student_ce", "ce"), ("teacher_kl", "kl")],
    );
}

/// The peer's losses too; its gradients are those of the same function with the parts exchanged.
#[test]
fn two_networks_that_teach_each_other() {
    let objective = MutualLearning::new(Dml::default(), PLAIN, student(), teacher("resnet14", 0));
    let terms = [
        ("student_ce", "ce"),
        ("student_kl", "kl"),
        ("peer_ce", "peer_ce"),
        ("peer_kl", "peer_kl"),
    ];
    check("gradients.dml", objective, &terms);
}
