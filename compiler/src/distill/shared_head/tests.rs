//! What each step moves, and SimKD as the special case.

use std::time::Duration;

use std::collections::BTreeMap;

use askd_models::{CLASSIFIER, DistilledOptions, Graph, NetworkConfig, PROJECTED, build, distilled_student};
use candle_core::{DType, Device};

use super::*;
use crate::nn::initialise;
use crate::weights::Weights;

const CLASSES: usize = 4;
const IMAGES: usize = 6;
const RATE: f64 = 0.05;
/// A moment of the run at which the teacher adapts by default.
const ADAPTING: f64 = 0.75;
const SGD: SgdConfig = SgdConfig {
    momentum: 0.9,
    nesterov: false,
    weight_decay: 5e-4,
};

/// An untrained student and an untrained teacher, the same at every call.
fn networks() -> (Network, Network) {
    networks_named("resnet8", "resnet14")
}

fn networks_named(student: &str, teacher: &str) -> (Network, Network) {
    let config = NetworkConfig::new([1, 12, 12], CLASSES);
    let teacher = build(teacher, &config).unwrap();
    let options = DistilledOptions {
        factor: 4,
        ..DistilledOptions::default()
    };
    let student = distilled_student(&build(student, &config).unwrap(), &[&teacher], &options).unwrap();
    let network = |graph: Graph, seed| {
        let weights = initialise(&graph, seed);
        Network::new(graph, &weights, DType::F32, &Device::Cpu).unwrap()
    };
    (network(student, 1), network(teacher, 2))
}

fn simkd() -> SharedHeadSettings {
    SharedHeadSettings {
        factor: 4,
        ..SharedHeadSettings::simkd()
    }
}

fn atsc() -> SharedHeadSettings {
    SharedHeadSettings {
        factor: 4,
        ..SharedHeadSettings::atsc()
    }
}

fn coupled(settings: SharedHeadSettings) -> SharedHead {
    let (student, teacher) = networks();
    SharedHead::new(settings, Weighting::Uniform, SGD, student, vec![teacher]).unwrap()
}

fn batch() -> (Tensor, Tensor) {
    let values = (0..IMAGES * 144).map(|i| ((i * i + 7 * i) % 101) as f32 / 50.0 - 1.0);
    let labels = (0..IMAGES).map(|i| (i % CLASSES) as u32).collect::<Vec<_>>();
    (
        Tensor::from_vec(values.collect::<Vec<_>>(), (IMAGES, 1, 12, 12), &Device::Cpu).unwrap(),
        Tensor::from_vec(labels, IMAGES, &Device::Cpu).unwrap(),
    )
}

fn moment(step: usize, progress: f64) -> Moment {
    Moment {
        step,
        epoch: 0,
        progress,
        rate: RATE,
    }
}

/// Names of the tensors that differ.
fn moved(before: &Weights, after: &Weights) -> Vec<String> {
    assert!(before.keys().eq(after.keys()));
    let differing = before.iter().filter(|(name, tensor)| after[*name] != **tensor);
    differing.map(|(name, _)| name.clone()).collect()
}

/// Largest magnitude of a difference.
fn largest(difference: candle_core::Result<Tensor>) -> f32 {
    let values = difference.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    values.into_iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

fn is_statistic(name: &str) -> bool {
    name.contains("running_")
}

/// A SimKD step written out: frozen teacher, mean squared error of the maps, SGD on student and projector.
fn simkd_step(
    student: &mut Network,
    teacher: &mut Network,
    images: &Tensor,
    velocity: &mut BTreeMap<String, Vec<f32>>,
) {
    let target = teacher
        .forward(images, PassMode::Inference, &[CLASSIFIER_MAP])
        .unwrap()
        .remove(0);
    let projected = student
        .forward(images, PassMode::Train, &[PROJECTED])
        .unwrap()
        .remove(0);
    let gradients = ops::mean_squared_error(&projected, &target)
        .unwrap()
        .backward()
        .unwrap();
    for (name, var) in student.trained() {
        let Some(gradient) = gradients.get(var) else {
            assert!(name.starts_with(CLASSIFIER), "{name} has no gradient");
            continue;
        };
        let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let mut weights = flat(var.as_tensor());
        let pulled = flat(gradient).into_iter().zip(&weights);
        let pulled: Vec<f32> = pulled.map(|(g, w)| g + w * SGD.weight_decay as f32).collect();
        let velocity = match velocity.get_mut(name) {
            Some(velocity) => {
                let steps = velocity.iter_mut().zip(&pulled);
                steps.for_each(|(v, g)| *v = *v * SGD.momentum as f32 + g);
                velocity
            }
            None => velocity.entry(name.clone()).or_insert(pulled),
        };
        weights
            .iter_mut()
            .zip(velocity)
            .for_each(|(w, v)| *w -= *v * RATE as f32);
        var.set(&Tensor::from_vec(weights, var.dims(), &Device::Cpu).unwrap())
            .unwrap();
    }
}

#[test]
fn without_its_own_terms_it_is_simkd_bit_for_bit() {
    let settings = simkd();
    assert_eq!(
        (
            settings.student_weight,
            settings.teacher_weight,
            settings.adaptation.rate
        ),
        (0.0, 0.0, 0.0)
    );
    assert!(settings.normalise == Normalise::None && settings.feature_weight == 1.0);
    let mut ours = coupled(settings);
    let (mut student, mut teacher) = networks();
    let untouched = teacher.weights().unwrap();
    let start = student.weights().unwrap();
    let (images, labels) = batch();
    let mut velocity = BTreeMap::new();
    for step in 0..4 {
        ours.step(&images, &labels, &moment(step, step as f64 / 4.0)).unwrap();
        simkd_step(&mut student, &mut teacher, &images, &mut velocity);
    }
    let (ours_after, reference) = (ours.student.weights().unwrap(), student.weights().unwrap());
    let classifier = [format!("{CLASSIFIER}.bias"), format!("{CLASSIFIER}.weight")];
    assert_eq!(
        moved(&ours_after, &reference),
        classifier,
        "the reference keeps its own, unused classifier"
    );
    assert_eq!(
        moved(&start, &reference).len(),
        start.len() - 2,
        "all but the classifier moved"
    );

    assert_eq!(moved(&untouched, &ours.teachers[0].network.weights().unwrap()), [""; 0]);
    let head = head_of(ours.teachers[0].network.graph()).unwrap();
    for suffix in ["weight", "bias"] {
        assert_eq!(
            ours_after[&format!("{CLASSIFIER}.{suffix}")],
            untouched[&format!("{head}.{suffix}")]
        );
    }
}

#[test]
fn a_teacher_that_does_not_adapt_stays_whatever_the_student_does() {
    let (images, labels) = batch();
    let frozen = SharedHeadSettings {
        adaptation: Adaptation {
            rate: 0.0,
            ..Adaptation::default()
        },
        ..atsc()
    };
    let late = SharedHeadSettings {
        adaptation: Adaptation {
            stop: 0.75,
            ..Adaptation::default()
        },
        ..atsc()
    };
    for (settings, progress) in [(frozen, 0.5), (late.clone(), 0.49), (late.clone(), 0.75)] {
        let mut ours = coupled(settings);
        let (student, teacher) = (
            ours.student.weights().unwrap(),
            ours.teachers[0].network.weights().unwrap(),
        );
        for step in 0..2 {
            ours.step(&images, &labels, &moment(step, progress)).unwrap();
        }
        assert_eq!(
            moved(&teacher, &ours.teachers[0].network.weights().unwrap()),
            [""; 0],
            "{progress}"
        );
        let moved = moved(&student, &ours.student.weights().unwrap());
        assert_eq!(moved.len(), student.len() - 2, "all but the classifier");
    }
    let mut ours = coupled(late);
    let before = ours.teachers[0].network.weights().unwrap();
    ours.step(&images, &labels, &moment(0, 0.5)).unwrap();
    assert!(!moved(&before, &ours.teachers[0].network.weights().unwrap()).is_empty());
}

/// The classifier of one takes another map than its features, the other has biases before batch norm.
#[test]
fn networks_of_other_families_teach_and_learn() {
    let (images, labels) = batch();
    for (student, teacher) in [("vgg8", "mobilenetv2_0.5"), ("mobilenetv2_0.5", "vgg8")] {
        let (student_network, mut teacher_network) = networks_named(student, teacher);
        // a teacher's statistics are those of its training; with the initial ones a deep one's features vanish
        for _ in 0..50 {
            teacher_network.forward(&images, PassMode::Train, &[LOGITS]).unwrap();
        }
        let settings = atsc();
        let mut ours = SharedHead::new(
            settings,
            Weighting::Uniform,
            SGD,
            student_network,
            vec![teacher_network],
        )
        .unwrap();
        let (before, teacher_before) = (
            ours.student.weights().unwrap(),
            ours.teachers[0].network.weights().unwrap(),
        );
        ours.step(&images, &labels, &moment(0, ADAPTING)).unwrap();
        let expected: Vec<_> = teacher_before
            .keys()
            .filter(|name| !is_statistic(name))
            .cloned()
            .collect();
        assert_eq!(
            moved(&teacher_before, &ours.teachers[0].network.weights().unwrap()),
            expected,
            "{teacher}"
        );
        assert_eq!(
            moved(&before, &ours.student.weights().unwrap()).len(),
            before.len(),
            "{student}"
        );
    }
}

#[test]
fn the_classifier_step_moves_the_classifier_alone() {
    let mut ours = coupled(atsc());
    let (student, teacher) = (
        ours.student.weights().unwrap(),
        ours.teachers[0].network.weights().unwrap(),
    );
    let (images, labels) = batch();
    let features = ours.teachers[0]
        .network
        .forward(&images, PassMode::FrozenStatistics, &[CLASSIFIER_MAP])
        .unwrap()
        .remove(0);
    let mut times = StepTimes::default();
    ours.teachers[0]
        .move_classifier(&features, &labels, RATE, 0, &mut times)
        .unwrap();
    assert!(times.forward > Duration::ZERO && times.backward > Duration::ZERO && times.optimizer > Duration::ZERO);
    let head = head_of(ours.teachers[0].network.graph()).unwrap();
    let both = |layer: &str| [format!("{layer}.bias"), format!("{layer}.weight")];
    assert_eq!(
        moved(&teacher, &ours.teachers[0].network.weights().unwrap()),
        both(&head)
    );
    assert_eq!(moved(&student, &ours.student.weights().unwrap()), both(CLASSIFIER));
}

#[test]
fn the_encoder_step_leaves_the_classifier() {
    let (images, labels) = batch();
    let mut ours = coupled(SharedHeadSettings {
        classifier_rate: 0.0,
        ..atsc()
    });
    let (student, teacher) = (
        ours.student.weights().unwrap(),
        ours.teachers[0].network.weights().unwrap(),
    );
    for step in 0..3 {
        ours.step(&images, &labels, &moment(step, ADAPTING)).unwrap();
    }
    let head = head_of(ours.teachers[0].network.graph()).unwrap();
    let expected = |weights: &Weights, layer: &str, statistics: bool| -> Vec<String> {
        let moves = |name: &&String| !name.starts_with(&format!("{layer}.")) && (statistics || !is_statistic(name));
        weights.keys().filter(moves).cloned().collect()
    };
    assert_eq!(
        moved(&student, &ours.student.weights().unwrap()),
        expected(&student, CLASSIFIER, true)
    );
    assert_eq!(
        moved(&teacher, &ours.teachers[0].network.weights().unwrap()),
        expected(&teacher, &head, false)
    );
}

/// The student's cross-entropy has a gradient in the classifier too: none of it may arrive there.
#[test]
fn in_a_whole_step_the_classifier_follows_the_teachers_features_alone() {
    let (images, labels) = batch();
    let settings = atsc();
    assert!(settings.student_weight > 0.0 && settings.teacher_weight > 0.0);
    let (_, mut teacher) = networks();
    let features = teacher
        .forward(&images, PassMode::FrozenStatistics, &[CLASSIFIER_MAP])
        .unwrap()
        .remove(0);
    let pooled = ops::global_average_pool(&features).unwrap().detach();
    let head = head_of(teacher.graph()).unwrap();
    let [weight, bias] = ["weight", "bias"].map(|suffix| teacher.trained()[&format!("{head}.{suffix}")].clone());
    let logits = ops::linear(&pooled, weight.as_tensor(), bias.as_tensor()).unwrap();
    let gradients = ops::cross_entropy(&logits, &labels).unwrap().backward().unwrap();

    let mut ours = coupled(settings.clone());
    ours.step(&images, &labels, &moment(0, ADAPTING)).unwrap();
    for (var, ours) in [weight, bias].iter().zip(&ours.teachers[0].classifier) {
        let decayed = (gradients.get(var).unwrap() + (var.as_tensor() * SGD.weight_decay).unwrap()).unwrap();
        let step = (decayed * (RATE * settings.classifier_rate)).unwrap();
        let expected = (var.as_tensor() - step).unwrap();
        let (apart, moved) = (
            largest(ours.as_tensor() - &expected),
            largest(var.as_tensor() - &expected),
        );
        assert!(apart <= 1e-3 * moved, "{apart:e} apart after moving {moved:e}");
    }
}

#[test]
fn the_anchor_holds_the_teacher_and_its_statistics_stay() {
    let (images, labels) = batch();
    let run = |anchor_weight| {
        let mut ours = coupled(SharedHeadSettings {
            anchor_weight,
            ..atsc()
        });
        let before = ours.teachers[0].network.weights().unwrap();
        let distances: Vec<f64> = (0..20)
            .map(|step| {
                let report = ours.step(&images, &labels, &moment(step, ADAPTING)).unwrap();
                let term = report.terms.iter().find(|(name, _)| *name == "anchor_distance");
                term.expect("a distance from the anchor").1
            })
            .collect();
        let moved = moved(&before, &ours.teachers[0].network.weights().unwrap());
        assert!(!moved.iter().any(|name| is_statistic(name)), "{moved:?}");
        assert!(
            distances.iter().all(|distance| distance.is_finite() && *distance > 0.0),
            "{distances:?}"
        );
        distances[19]
    };
    let (loose, held) = (run(0.0), run(10.0));
    println!("distance after 20 steps: {loose:.2e} without an anchor, {held:.2e} with one");
    assert!(held < loose, "{held:e} {loose:e}");
}

/// The last batch of an epoch may be one image, of which the variance over samples is 0.
#[test]
fn a_lone_image_is_scaled_by_its_own_spread() {
    let map = Tensor::new(&[[[[1.0f64, 3.0]], [[5.0, 7.0]]]], &Device::Cpu).unwrap();
    let value = |over| variance(&map, over).unwrap().to_scalar::<f64>().unwrap();
    assert_eq!(value(Normalise::Samples), 5.0);
    assert_eq!(value(Normalise::Samples), value(Normalise::Elements));
}
