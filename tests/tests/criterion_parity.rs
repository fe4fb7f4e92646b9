//! The methods whose student keeps its own classifier against PyTorch, in f64: each term, and the gradients of the student and
//! of what a method trains beside it, for its default settings.
//!
//! What is computed: `fixtures/distillation/README.md`.

use askd_compiler::distill::{Crd, Criterion, KnowledgeDistillation, Method};
use askd_compiler::train::Objective;
use askd_compiler::weights::{HostTensor, Weights};
use askd_tests::Random;

use super::distillation_parity::CLASSES;
use super::logit_parity::{PLAIN, check, of, teacher};

/// Images of a batch, as in the fixtures.
const BATCH: usize = 6;
/// Training images, of which the batch has the first ones.
const IMAGES: u32 = 10;

/// A method's own tensors as the fixtures draw them.
fn drawn(own: Weights) -> Weights {
    let draw = |(name, tensor): (String, HostTensor)| {
        let fan_in: usize = tensor.shape.iter().skip(1).product();
        let bound = (6.0 / fan_in as f32).sqrt();
        let (low, high) = match name.as_str() {
            _ if tensor.shape.len() > 1 => (-bound, bound),
            name if name.ends_with(".weight") => (0.3, 0.7),
            // the first batch gives it
            name if name.starts_with("log_normaliser") => return (name.to_owned(), tensor),
            name if name.starts_with("log_scale") => (0.5, 1.5),
            _ => (-0.1, 0.1),
        };
        let values = Random::named(&format!("criterion.{name}")).values(tensor.data.len(), low, high);
        (name, HostTensor::new(tensor.shape, values))
    };
    own.into_iter().map(draw).collect()
}

fn check_method(name: &str, student: &str, teachers: &[&str], terms: &[(&str, &str)]) {
    let criterion = Method::defaults(name)
        .and_then(|method| method.criterion(BATCH))
        .unwrap();
    check_criterion(name, criterion, student, teachers, terms);
}

fn check_criterion(
    name: &str,
    criterion: Box<dyn Criterion>,
    student: &str,
    teachers: &[&str],
    terms: &[(&str, &str)],
) {
    let student = of(student, &|name| Some(format!("encoder.{name}")));
    let teachers = teachers.iter().enumerate().map(|(m, name)| teacher(name, m)).collect();
    let of_student = student.trained().clone();
    let mut objective = KnowledgeDistillation::new(criterion, PLAIN, student, teachers, 0).unwrap();
    let classes: Vec<u32> = (0..IMAGES).map(|image| image % CLASSES as u32).collect();
    objective.meet(&classes).unwrap();
    objective.expect(&Vec::from_iter(0..BATCH as u32));
    let mut state = objective.state().unwrap();
    if let Some(own) = state.remove("criterion") {
        state.insert("criterion".to_owned(), drawn(own));
        objective.restore(&state).unwrap();
    }
    let learners = [("encoder", of_student), ("criterion", objective.modules().trained())];
    let ce = [("student_ce", "ce")];
    let terms: Vec<_> = ce.iter().chain(terms).copied().collect();
    check(&format!("gradients.{name}"), &mut objective, &learners, &terms);
}

const KL: (&str, &str) = ("teacher_kl", "kl");
const FEATURES: (&str, &str) = ("feature_loss", "feature");

#[test]
fn decoupled_logits() {
    let terms = [("target_kl", "target"), ("non_target_kl", "non_target")];
    check_method("dkd", "resnet8", &["resnet14"], &terms);
}

#[test]
fn a_hint_from_a_smaller_map() {
    check_method("fitnet", "resnet8", &["vgg8"], &[KL, FEATURES]);
}

#[test]
fn attention_on_smaller_maps() {
    check_method("at", "resnet8", &["vgg8"], &[KL, FEATURES]);
}

#[test]
fn similarities() {
    check_method("sp", "resnet8", &["resnet14"], &[KL, FEATURES]);
}

#[test]
fn information_of_larger_maps() {
    check_method("vid", "vgg8", &["resnet14"], &[KL, FEATURES]);
}

#[test]
fn contrast_with_all_images_of_other_classes() {
    let criterion = Crd {
        negatives: 8,
        ..Crd::default()
    };
    check_criterion("crd", Box::new(criterion), "resnet8", &["resnet14"], &[KL, FEATURES]);
}

#[test]
fn features_for_the_teachers_classifier() {
    check_method("srrl", "resnet8", &["vgg8"], &[KL, FEATURES, ("logit_loss", "logits")]);
}

#[test]
fn stages_across_layers() {
    check_method("semckd", "resnet8", &["resnet14"], &[KL, FEATURES]);
}

#[test]
fn two_teachers_by_entropy() {
    check_method("ebkd", "resnet8", &["resnet14", "resnet8x4"], &[KL]);
}

#[test]
fn two_teachers_by_confidence_with_their_maps() {
    check_method("ca-mkd", "resnet8", &["resnet14", "vgg8"], &[KL, FEATURES]);
}
