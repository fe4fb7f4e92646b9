//! Distillation against PyTorch, in f64: each loss, each gradient, ten steps from the same weights on the same batches.
//!
//! What is computed, and the keys of the references: `fixtures/distillation/README.md`.

use std::collections::BTreeMap;
use std::path::Path;

use askd_compiler::distill::{Adaptation, Guard, Normalise, OfficialCode, SharedHead, SharedHeadSettings, Weighting};
use askd_compiler::nn::{Network, SgdConfig};
use askd_compiler::train::{Moment, Objective, StepReport};
use askd_compiler::weights::{HostTensor, Weights, load_safetensors};
use askd_models::{CLASSIFIER, Graph, NetworkConfig, PROJECTOR, Parameter, TeacherNames, build, distilled_student};
use askd_tests::{Random, parameter_range};
use candle_core::{DType, Device, Tensor, Var};

const IMAGES: usize = 6;
pub(crate) const CLASSES: usize = 5;
pub(crate) const SIDE: usize = 16;
const STEPS: usize = 10;
/// Elements of a tensor that its fixture holds, at most.
const SAMPLES: usize = 32;
/// Element i of the sample of a large tensor is that at i times this, wrapped.
const SCATTER: usize = 2_654_435_761;
/// The references are stored in f32, and so are the statistics that a network gives.
pub(crate) const TOLERANCE: f64 = 1e-5;

pub(crate) const SGD: SgdConfig = SgdConfig {
    momentum: 0.9,
    nesterov: false,
    weight_decay: 5e-4,
};

/// Networks and settings of a fixture.
struct Case {
    student: &'static str,
    teachers: &'static [&'static str],
    weighting: Weighting,
    settings: SharedHeadSettings,
}

/// SimKD with resnet14 as the teacher of resnet8.
fn simkd() -> Case {
    let settings = SharedHeadSettings {
        factor: 4,
        ..SharedHeadSettings::simkd()
    };
    Case {
        student: "resnet8",
        teachers: &["resnet14"],
        weighting: Weighting::Uniform,
        settings,
    }
}

/// ATSC `shared-head` with these weights of L_F, L_s and L_t; `rates` multiply those of teacher and classifier.
fn shared_head([feature, student, teacher]: [f64; 3], anchor: f64, normalise: Normalise, rates: f64) -> Case {
    let settings = SharedHeadSettings {
        factor: 4,
        feature_weight: feature,
        student_weight: student,
        teacher_weight: teacher,
        anchor_weight: anchor,
        normalise,
        classifier_rate: rates,
        adaptation: Adaptation {
            rate: rates,
            start: 0.0,
            ..Adaptation::default()
        },
        guard: Guard::OFF,
        ..SharedHeadSettings::atsc()
    };
    Case { settings, ..simkd() }
}

/// The authors' step.
fn official_code(own_head: f64, own_head_distillation: f64) -> Case {
    let settings = SharedHeadSettings {
        factor: 4,
        own_head_weight: own_head,
        own_head_distillation_weight: own_head_distillation,
        ..SharedHeadSettings::official_code()
    };
    Case { settings, ..simkd() }
}

fn objective(case: &Case, optimizer: SgdConfig) -> Box<dyn Objective> {
    let config = NetworkConfig::new([3, SIDE, SIDE], CLASSES);
    let student = build(case.student, &config).unwrap();
    let graphs: Vec<Graph> = case.teachers.iter().map(|name| build(name, &config).unwrap()).collect();
    let references: Vec<&Graph> = graphs.iter().collect();
    let student = distilled_student(&student, &references, &case.settings.graph_options()).unwrap();
    let student = network(student, &|name| student_name(name, case.teachers.len()));
    let teachers = graphs.into_iter().enumerate();
    let mut teachers: Vec<Network> = teachers
        .map(|(m, graph)| network(graph, &|name| teacher_name(name, m)))
        .collect();
    let settings = case.settings.clone();
    if settings.mode == askd_compiler::distill::Mode::OfficialCode {
        Box::new(OfficialCode::new(settings, optimizer, student, teachers.remove(0)).unwrap())
    } else {
        Box::new(SharedHead::new(settings, case.weighting, optimizer, student, teachers).unwrap())
    }
}

/// The fixtures' name of a tensor of the student; its classifiers are the teachers'.
pub(crate) fn student_name(name: &str, teachers: usize) -> Option<String> {
    if name.split('.').next() == Some(CLASSIFIER) {
        return None;
    }
    for (m, names) in TeacherNames::all(teachers).iter().enumerate() {
        if let Some(rest) = name.strip_prefix(&format!("{}.", names.projector)) {
            return Some(format!("{PROJECTOR}{m}.{rest}"));
        }
    }
    Some(name.to_owned())
}

pub(crate) fn teacher_name(name: &str, m: usize) -> Option<String> {
    Some(format!("teacher{m}.{name}"))
}

/// A network with the fixtures' first weights.
pub(crate) fn network(graph: Graph, name: &dyn Fn(&str) -> Option<String>) -> Network {
    let tensor = |parameter: Parameter| {
        let (low, high) = parameter_range(&parameter);
        let drawn = name(&parameter.name).unwrap_or_default();
        let data = Random::named(&drawn).values(parameter.shape.iter().product(), low, high);
        (parameter.name, HostTensor::new(parameter.shape, data))
    };
    let weights: Weights = graph.parameters().into_iter().map(tensor).collect();
    Network::new(graph, &weights, DType::F64, &Device::Cpu).unwrap()
}

pub(crate) fn batch(step: usize) -> (Tensor, Tensor) {
    let values = Random::named(&format!("images{step}")).values(IMAGES * 3 * SIDE * SIDE, -2.0, 2.0);
    let images = Tensor::from_vec(values, (IMAGES, 3, SIDE, SIDE), &Device::Cpu);
    let labels = (0..IMAGES).map(|image| ((image + step) % CLASSES) as u32);
    (
        images.and_then(|images| images.to_dtype(DType::F64)).unwrap(),
        Tensor::from_iter(labels, &Device::Cpu).unwrap(),
    )
}

pub(crate) fn step(objective: &mut dyn Objective, step: usize, rate: f64) -> StepReport {
    let (images, labels) = batch(step);
    let at = Moment {
        step,
        // not the first: some methods leave terms out there
        epoch: 1,
        progress: step as f64 / STEPS as f64,
        rate,
    };
    objective.step(&images, &labels, &at).unwrap()
}

/// Every tensor by its name in the fixtures.
type Tensors = BTreeMap<String, Vec<f64>>;

fn tensors(objective: &mut dyn Objective) -> Tensors {
    let of = |network: &Network, name: &dyn Fn(&str) -> Option<String>| -> Vec<(String, Vec<f64>)> {
        let (weights, trained) = (network.weights().unwrap(), network.trained());
        let values = |(tensor, host): (&String, &HostTensor)| {
            let exact = trained.get(tensor).map(|var: &Var| {
                let flat = var.as_tensor().flatten_all().unwrap();
                flat.to_vec1::<f64>().unwrap()
            });
            let values = exact.unwrap_or_else(|| host.data.iter().map(|v| f64::from(*v)).collect());
            Some((name(tensor)?, values))
        };
        weights.iter().filter_map(values).collect()
    };
    let count = objective.teachers().len();
    let mut all = of(objective.network(), &|name| student_name(name, count));
    for (m, teacher) in objective.teachers().into_iter().enumerate() {
        all.extend(of(teacher, &|name| teacher_name(name, m)));
    }
    all.into_iter().collect()
}

pub(crate) fn fixture(name: &str) -> Weights {
    let file = format!("fixtures/distillation/{name}.safetensors");
    load_safetensors(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// The elements of a tensor that its fixture holds.
fn sample(values: &[f64]) -> Vec<f64> {
    match values.len() {
        0..=SAMPLES => values.to_vec(),
        count => (0..SAMPLES).map(|i| values[i * SCATTER % count]).collect(),
    }
}

/// Distance of a tensor from the norm and sample that a fixture holds of it, relative to them.
pub(crate) fn distance(got: &[f64], expected: &HostTensor) -> f64 {
    let expected: Vec<f64> = expected.data.iter().map(|v| f64::from(*v)).collect();
    let sample = sample(got);
    assert_eq!(sample.len() + 1, expected.len());
    let differences: Vec<f64> = sample.iter().zip(&expected[1..]).map(|(a, b)| a - b).collect();
    let apart = norm(&differences) / norm(&expected[1..]);
    apart.max((norm(got) / expected[0] - 1.0).abs())
}

/// What every tensor changed by, times `scale`, is the fixture's `KIND/NAME`; a tensor that it hasn't stayed.
fn compare(fixture: &Weights, kind: &str, [before, after]: [&Tensors; 2], scale: f64) {
    let (mut compared, mut worst) = (0, (0.0, ""));
    for (name, before) in before {
        // an own head that no term reads only decays, and is not in the fixtures
        if name.starts_with("encoder.linear.") && !fixture.contains_key("loss/own") {
            continue;
        }
        let moves = before.iter().zip(&after[name]);
        let change: Vec<f64> = moves.map(|(before, after)| scale * (after - before)).collect();
        let Some(expected) = fixture.get(&format!("{kind}/{name}")) else {
            assert!(norm(&change) <= 1e-9, "{name} moved by {:e}", norm(&change));
            continue;
        };
        let distance = distance(&change, expected);
        assert!(distance <= TOLERANCE, "{kind} of {name}: {distance:e} away");
        worst = if distance > worst.0 { (distance, name) } else { worst };
        compared += 1;
    }
    let meant = fixture
        .keys()
        .filter(|key| key.starts_with(&format!("{kind}/")))
        .count();
    assert_eq!(compared, meant, "tensors compared, and in the fixture");
    println!("{kind}: at most {:.1e} away, {}", worst.0, worst.1);
}

/// The losses of a step are the fixture's; a term that it hasn't is not in the step either.
fn compare_losses(case: &Case, fixture: &Weights, step: usize, report: &StepReport) {
    let expected = |term: &str| {
        let values = fixture.get(&format!("loss/{term}"))?;
        Some(f64::from(values.data[step]))
    };
    let found = |term: &str| {
        let found = report.terms.iter().find(|(name, _)| *name == term);
        found.map(|(_, value)| *value)
    };
    // the report has the feature loss before it is divided, and the teachers' mean cross-entropy
    let lone = case.teachers.len() == 1;
    let divisor = if lone {
        expected("variance0").unwrap_or(1.0)
    } else {
        1.0
    };
    let feature = expected("feature").map(|loss| loss * divisor);
    let feature = feature.filter(|_| lone || case.settings.normalise == Normalise::None);
    let anchor = case.settings.anchor_weight * expected("anchor").unwrap_or(0.0);
    let total = expected("loss").or(feature).map(|loss| loss - anchor);
    let classifier = expected("classifier").map(|sum| sum / case.teachers.len() as f64);
    for (name, expected, got) in [
        ("loss", total, Some(report.loss)),
        ("feature", feature, found("feature_loss")),
        ("student", expected("student"), found("student_ce")),
        ("classifier", classifier, found("teacher_ce")),
        ("own head", expected("own"), found("own_ce")),
        ("own head to teacher", expected("own_kl"), found("own_kl")),
    ] {
        let Some(expected) = expected else { continue };
        let got = got.unwrap_or_else(|| panic!("step {step}: no {name}"));
        assert!(
            (expected - got).abs() <= TOLERANCE * expected.abs(),
            "step {step}, {name}: {got}, not {expected}"
        );
    }
}

fn check_ten_steps(name: &str, case: &Case) {
    let fixture = fixture(name);
    let mut objective = objective(case, SGD);
    let before = tensors(&mut *objective);
    for number in 0..STEPS {
        let report = step(&mut *objective, number, 0.05);
        compare_losses(case, &fixture, number, &report);
    }
    compare(&fixture, "change", [&before, &tensors(&mut *objective)], 1.0);
}

/// One step of rate 1 without momentum and weight decay moves each tensor by its negative gradient.
fn check_gradients(name: &str, case: &Case) {
    let fixture = fixture(name);
    let plain = SgdConfig {
        momentum: 0.0,
        weight_decay: 0.0,
        ..SGD
    };
    let mut objective = objective(case, plain);
    let before = tensors(&mut *objective);
    let report = step(&mut *objective, 0, 1.0);
    compare_losses(case, &fixture, 0, &report);
    let mut after = tensors(&mut *objective);
    // the student's pass was one of training: its statistics moved, and have no gradient
    for (name, values) in after.iter_mut().filter(|(name, _)| name.contains("running_")) {
        values.clone_from(&before[name]);
    }
    compare(&fixture, "grad", [&before, &after], -1.0);
}

#[test]
fn gradients_of_the_plain_feature_loss() {
    check_gradients(
        "gradients.plain",
        &shared_head([1.0, 1.0, 1.0], 1.0, Normalise::None, 1.0),
    );
}

#[test]
fn gradients_of_the_feature_loss_over_the_variance() {
    check_gradients(
        "gradients.elements",
        &shared_head([2.0, 0.5, 0.25], 1.0, Normalise::Elements, 1.0),
    );
}

#[test]
fn gradients_where_the_teachers_map_is_smaller() {
    let case = Case {
        teachers: &["vgg8"],
        ..shared_head([1.0, 1.0, 1.0], 1.0, Normalise::Elements, 1.0)
    };
    check_gradients("gradients.pooled-student", &case);
}

#[test]
fn ten_steps_of_simkd() {
    check_ten_steps("steps.simkd", &simkd());
}

#[test]
fn ten_steps_of_atsc_with_a_shared_head() {
    check_ten_steps(
        "steps.shared-head",
        &shared_head([1.0, 1.0, 1.0], 0.1, Normalise::Elements, 0.1),
    );
}

#[test]
fn gradients_of_the_feature_loss_over_the_variance_of_samples() {
    check_gradients(
        "gradients.samples",
        &shared_head([1.0, 1.0, 1.0], 1.0, Normalise::Samples, 1.0),
    );
}

#[test]
fn gradients_with_the_students_own_head() {
    let mut case = shared_head([1.0, 1.0, 1.0], 1.0, Normalise::None, 1.0);
    case.settings.own_head_weight = 0.5;
    case.settings.own_head_distillation_weight = 0.75;
    check_gradients("gradients.own-head", &case);
}

#[test]
fn gradients_where_the_students_map_is_smaller() {
    let case = Case {
        student: "vgg8",
        ..shared_head([1.0, 1.0, 1.0], 1.0, Normalise::Samples, 1.0)
    };
    check_gradients("gradients.pooled-teacher", &case);
}

/// Two teachers of different widths.
fn two_teachers(weighting: Weighting, case: Case) -> Case {
    Case {
        teachers: &["resnet14", "resnet8x4"],
        weighting,
        ..case
    }
}

#[test]
fn gradients_with_two_teachers_by_confidence() {
    let case = shared_head([1.0, 1.0, 1.0], 1.0, Normalise::Samples, 1.0);
    check_gradients("gradients.confidence", &two_teachers(Weighting::Confidence, case));
}

#[test]
fn ten_steps_of_atsc_with_two_teachers() {
    for (name, weighting) in [
        ("steps.uniform", Weighting::Uniform),
        ("steps.confidence", Weighting::Confidence),
    ] {
        let case = shared_head([1.0, 1.0, 1.0], 0.1, Normalise::Elements, 0.1);
        check_ten_steps(name, &two_teachers(weighting, case));
    }
}

#[test]
fn ten_steps_of_atsc_as_the_authors_code_does_them() {
    check_ten_steps("steps.official-code", &official_code(0.0, 0.0));
    check_ten_steps("steps.official-code-own-head", &official_code(0.5, 0.75));
}
