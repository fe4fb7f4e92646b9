//! Students of one to four teachers of different widths and map sizes: what is trained is what ships.

use askd_compiler::nn::{Network, PassMode, ops};
use askd_compiler::onnx::{ModelInfo, write_model};
use askd_compiler::passes;
use askd_compiler::weights::Weights;
use askd_models::{
    CLASSIFIER, DistilledOptions, ENCODER, Graph, LOGITS, NetworkConfig, OWN_LOGITS, Op, TeacherNames, build,
    distilled_student,
};
use askd_runtime::{Batch, Session, SessionOptions};
use askd_tests::{Random, largest_difference, random_weights};
use candle_core::{DType, Device, Tensor};

const CONFIG: NetworkConfig = NetworkConfig {
    input: [3, 32, 32],
    classes: 10,
};
/// Their maps are (64, 8, 8), (256, 8, 8), (512, 4, 4) and (1280, 2, 2).
const TEACHERS: [&str; 4] = ["resnet20", "resnet32x4", "vgg8", "mobilenetv2_0.5"];
const IMAGES: usize = 3;

/// Every number of teachers, without and with a shared trunk, with both forms of the projector, and the number.
fn students() -> Vec<(Graph, usize)> {
    let teachers = TEACHERS.map(|name| build(name, &CONFIG).unwrap());
    let student = build("resnet8", &CONFIG).unwrap();
    let of = |(count, shared_trunk, depthwise): (usize, bool, bool)| {
        let options = DistilledOptions {
            factor: 4,
            depthwise,
            shared_trunk,
            own_head: true,
        };
        let teachers: Vec<&Graph> = teachers.iter().take(count).collect();
        (distilled_student(&student, &teachers, &options).unwrap(), count)
    };
    let cases = [(1, false), (2, false), (2, true), (3, false), (3, true), (4, true)];
    let forms = cases.map(|(count, trunk)| [(count, trunk, false), (count, trunk, true)]);
    forms.into_iter().flatten().map(of).collect()
}

fn images() -> Vec<f32> {
    Random::new(7).values(IMAGES * CONFIG.input.iter().product::<usize>(), -2.0, 2.0)
}

fn in_trainer(graph: &Graph, weights: &Weights, mode: PassMode, outputs: &[&str]) -> Vec<Tensor> {
    let mut network = Network::new(graph.clone(), weights, DType::F64, &Device::Cpu).unwrap();
    let images = Tensor::from_vec(images(), (IMAGES, 3, 32, 32), &Device::Cpu).unwrap();
    network
        .forward(&images.to_dtype(DType::F64).unwrap(), mode, outputs)
        .unwrap()
}

fn host(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap();
    flat.to_vec1().unwrap()
}

/// Each teacher's logits are its classifier's for its projected map, the student's are their mean, its own those of its
/// network alone.
#[test]
fn logits_are_the_mean_of_the_classifiers() {
    let alone = build("resnet8", &CONFIG).unwrap();
    for (graph, count) in students() {
        let weights = random_weights(&graph, 1);
        let parameter = |name: String| {
            let tensor = &weights[&name];
            let tensor = Tensor::from_slice(&tensor.data, &tensor.shape[..], &Device::Cpu).unwrap();
            tensor.to_dtype(DType::F64).unwrap()
        };
        let run = |outputs: &[&str]| in_trainer(&graph, &weights, PassMode::Train, outputs);
        let mut sum: Option<Tensor> = None;
        for names in TeacherNames::all(count) {
            let outputs = run(&[&names.projected, &names.logits]);
            let [projected, logits] = &outputs[..] else {
                panic!("two outputs were asked for")
            };
            let pooled = ops::global_average_pool(projected).unwrap();
            let [weight, bias] = ["weight", "bias"].map(|suffix| parameter(format!("{}.{suffix}", names.classifier)));
            let expected = ops::linear(&pooled, &weight, &bias).unwrap();
            assert_eq!(host(logits), host(&expected), "{} {}", graph.name(), names.logits);
            sum = Some(sum.map_or(logits.clone(), |sum| (sum + logits).unwrap()));
        }
        let mean = (sum.unwrap() / count as f64).unwrap();
        let difference = largest_difference(&host(&run(&[LOGITS])[0]), &host(&mean));
        assert!(difference <= 1e-6, "{}: {difference:e}", graph.name());

        let prefix = format!("{ENCODER}.");
        let own = |(name, tensor): (&String, _)| Some((name.strip_prefix(&prefix)?.to_owned(), Clone::clone(tensor)));
        let own: Weights = weights.iter().filter_map(own).collect();
        let expected = in_trainer(&alone, &own, PassMode::Train, &[LOGITS]);
        assert_eq!(host(&run(&[OWN_LOGITS])[0]), host(&expected[0]), "{}", graph.name());
    }
}

#[test]
fn every_part_of_a_student_learns() {
    for (graph, count) in students() {
        let mut network = Network::new(graph.clone(), &random_weights(&graph, 2), DType::F32, &Device::Cpu).unwrap();
        let images = Tensor::from_vec(images(), (IMAGES, 3, 32, 32), &Device::Cpu).unwrap();
        let names = TeacherNames::all(count);
        let projected = names.iter().map(|names| names.projected.as_str());
        let outputs: Vec<&str> = projected.chain([LOGITS, OWN_LOGITS]).collect();
        let (values, tape) = network.record(&images, PassMode::Train, &outputs).unwrap();
        let squares = values.iter().map(|value| value.sqr().unwrap().mean_all().unwrap());
        let loss = squares.reduce(|sum, square| (sum + square).unwrap()).unwrap();
        let mut gradients = loss.backward().unwrap();
        tape.backward(&mut gradients).unwrap();
        for (name, var) in network.trained() {
            let gradient = gradients
                .get(var)
                .unwrap_or_else(|| panic!("{}: none for {name}", graph.name()));
            assert_eq!(gradient.dims(), var.dims(), "{name}");
            let values = host(gradient);
            assert!(values.iter().all(|value| value.is_finite()), "{}: {name}", graph.name());
            assert!(values.iter().any(|value| *value != 0.0), "{}: {name}", graph.name());
        }
    }
}

#[test]
fn what_ships_is_one_classifier_with_the_trainers_logits() {
    for (graph, count) in students() {
        let mut weights = random_weights(&graph, 3);
        let reference = in_trainer(&graph, &weights, PassMode::Inference, &[LOGITS]);
        let compiled = passes::run_all(&graph, &mut weights).unwrap();
        let linear = compiled
            .nodes()
            .iter()
            .filter(|node| matches!(node.op, Op::Linear { .. }));
        let linear: Vec<&str> = linear.map(|node| node.name.as_str()).collect();
        let merged = if count == 1 { CLASSIFIER } else { "classifier.mean" };
        assert_eq!(linear, [merged], "{}", graph.name());
        let own_head = weights.keys().find(|name| name.starts_with("encoder.linear"));
        assert_eq!(own_head, None, "{}", graph.name());

        let model = write_model(&compiled, &weights, &ModelInfo::new(Batch::Dynamic)).unwrap();
        let mut session = Session::from_onnx(&model, &SessionOptions::default()).unwrap();
        let mut logits = vec![f32::NAN; IMAGES * CONFIG.classes];
        session.run(&images(), &mut logits).unwrap();
        let difference = largest_difference(&logits, &host(&reference[0]));
        let scale = logits.iter().fold(0.0f32, |scale, value| scale.max(value.abs()));
        println!(
            "{}: logits to {scale:.2}, engines differ by {difference:.1e}",
            graph.name()
        );
        assert!(
            difference <= 1e-4 && scale > 0.01,
            "{}: {difference:e}, {scale}",
            graph.name()
        );
    }
}
