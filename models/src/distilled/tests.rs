//! What a distilled student is made of, for one teacher and for several.

use super::*;
use crate::{NetworkConfig, NodeCost, build, networks};

const CONFIG: NetworkConfig = NetworkConfig {
    input: [3, 32, 32],
    classes: 10,
};
/// Their maps are (64, 8, 8), (256, 8, 8), (512, 4, 4) and (1280, 2, 2).
const TEACHERS: [&str; 4] = ["resnet20", "resnet32x4", "vgg8", "mobilenetv2_0.5"];

fn with_factor(factor: usize) -> DistilledOptions {
    DistilledOptions {
        factor,
        ..DistilledOptions::default()
    }
}

fn student_of(student: &str, teachers: &[&str], options: &DistilledOptions) -> Graph {
    let teachers: Vec<Graph> = teachers.iter().map(|name| build(name, &CONFIG).unwrap()).collect();
    let student = build(student, &CONFIG).unwrap();
    distilled_student(&student, &teachers.iter().collect::<Vec<_>>(), options).unwrap()
}

/// Parameters outside the student's encoder, in order, batch norm as one.
fn layers(graph: &Graph) -> Vec<&str> {
    let owners = graph.nodes().iter().filter(|node| !node.parameters().is_empty());
    let names = owners.map(|node| node.name.as_str());
    names.filter(|name| !name.starts_with("encoder.")).collect()
}

fn shape(graph: &Graph, output: &str) -> Shape {
    graph.output(output).unwrap().shape
}

/// Projector costs for ResNet-32x4 to ResNet-8x4: +214,016 at f=2, 70,400 at f=4, 26,240 at f=8.
#[test]
fn projector_costs_equal_the_published_ones() {
    let student = build("resnet8x4", &CONFIG).unwrap();
    for (factor, added) in [(2, 214_016), (4, 70_400), (8, 26_240)] {
        let graph = student_of("resnet8x4", &["resnet32x4"], &with_factor(factor));
        assert_eq!(graph.parameter_count() - student.parameter_count(), added, "f={factor}");
        assert_eq!(graph.cost_under(PROJECTOR).parameters, added, "f={factor}");
    }
}

/// The 3x3 convolution has 9 weights a channel; all else is as in the standard projector.
#[test]
fn a_depthwise_projector_costs_what_its_layers_cost() {
    for factor in [1, 2, 4, 64] {
        let standard = student_of("resnet8", &["resnet20"], &with_factor(factor));
        let depthwise = DistilledOptions {
            depthwise: true,
            ..with_factor(factor)
        };
        let graph = student_of("resnet8", &["resnet20"], &depthwise);
        assert_eq!(layers(&graph), layers(&standard));
        for output in [FEATURES, PROJECTED, LOGITS] {
            assert_eq!(shape(&graph, output), shape(&standard, output), "f={factor}");
        }
        let narrow = 64 / factor;
        let weights = 64 * narrow + 9 * narrow + narrow * 64;
        let expected = NodeCost {
            parameters: weights + 2 * (narrow + narrow + 64),
            macs: weights * 64,
        };
        assert_eq!(graph.cost_under(PROJECTOR), expected, "f={factor}");
        let middle = graph
            .nodes()
            .iter()
            .find(|node| node.name == "projector.conv2")
            .unwrap();
        assert_eq!(middle.parameters()[0].shape, [narrow, 1, 3, 3], "f={factor}");
    }
}

/// A distilled student is that network, with its projector, and with the teacher's classifier in place of its own.
#[test]
fn a_student_without_projector_is_what_it_is_held_against() {
    for network in networks() {
        let student = network.build(&CONFIG).unwrap();
        let without = without_projector(&student).unwrap();
        let teacher = student_of(network.name, &["resnet20"], &with_factor(2));
        let rest = |graph: &Graph| graph.cost_under(ENCODER);
        assert_eq!(rest(&without), rest(&teacher), "{}", network.name);
        assert_eq!(without.cost_under(PROJECTOR), NodeCost::default());
        assert_eq!(shape(&without, LOGITS), Shape::Vector(10));
        if student.output_id(FEATURES) == student.output_id(CLASSIFIER_MAP) {
            let cost = |graph: &Graph| (graph.parameter_count(), graph.macs());
            let alone = student.keep_outputs(&[LOGITS]).unwrap();
            assert_eq!(cost(&without), cost(&alone), "{}", network.name);
        } else {
            assert!(
                without.parameter_count() < student.parameter_count(),
                "{}",
                network.name
            );
        }
    }
}

/// MobileNetV2's classifier pools 1280 channels made of its features: a teacher's are imitated, a student's not shipped.
#[test]
fn a_teachers_classifier_takes_what_its_network_feeds_it() {
    let as_teacher = student_of("resnet8", &["mobilenetv2_0.5"], &with_factor(2));
    assert_eq!(shape(&as_teacher, PROJECTED), Shape::Map([1280, 2, 2]));
    assert_eq!(as_teacher.output(LOGITS).unwrap().cost().parameters, 1280 * 10 + 10);

    let as_student = student_of("mobilenetv2_0.5", &["resnet8"], &with_factor(2));
    assert_eq!(shape(&as_student, FEATURES), Shape::Map([160, 2, 2]));
    assert_eq!(shape(&as_student, PROJECTED), Shape::Map([64, 2, 2]));
    assert!(as_student.nodes().iter().all(|node| node.shape.channels() != 1280));
}

#[test]
fn a_lone_teachers_names_carry_no_number() {
    let graph = student_of("resnet8", &["vgg8"], &with_factor(2));
    assert_eq!(graph.name(), "resnet8+vgg8");
    assert_eq!(
        layers(&graph),
        [
            "projector.conv1",
            "projector.bn1",
            "projector.conv2",
            "projector.bn2",
            "projector.conv3",
            "projector.bn3",
            "classifier"
        ]
    );
    let outputs: Vec<&str> = graph.outputs().map(|(name, _)| name).collect();
    assert_eq!(outputs, [CLASSIFIER_MAP, FEATURES, LOGITS, PROJECTED]);
    assert_eq!(graph.output_id(PROJECTED), graph.output_id(CLASSIFIER_MAP));
    assert_eq!(graph.output(LOGITS).unwrap().name, CLASSIFIER);
    let trunk = DistilledOptions {
        shared_trunk: true,
        ..with_factor(2)
    };
    assert_eq!(student_of("resnet8", &["vgg8"], &trunk), graph);
}

#[test]
fn several_teachers_have_a_projector_and_a_classifier_each() {
    let graph = student_of("resnet8", &TEACHERS[1..], &with_factor(2));
    assert_eq!(graph.name(), "resnet8+resnet32x4+vgg8+mobilenetv2_0.5");
    let of_first = ["conv1", "bn1", "conv2", "bn2", "conv3", "bn3"].map(|layer| format!("projector.0.{layer}"));
    assert_eq!(layers(&graph)[..6], of_first);
    assert_eq!(layers(&graph)[6], "classifier.0");
    assert_eq!(layers(&graph).len(), 3 * 7);
    let maps = [[256, 8, 8], [512, 4, 4], [1280, 2, 2]];
    let mut classifiers = Vec::new();
    for (names, map) in TeacherNames::all(3).iter().zip(maps) {
        assert_eq!(shape(&graph, &names.projected), Shape::Map(map));
        let classifier = graph.output(&names.logits).unwrap();
        assert_eq!(classifier.name, names.classifier);
        assert_eq!(classifier.cost().parameters, map[0] * 10 + 10);
        classifiers.push(graph.output_id(&names.logits).unwrap());
    }
    let logits = graph.output(LOGITS).unwrap();
    assert_eq!((logits.op, &logits.inputs), (Op::Mean, &classifiers));
    assert_eq!(logits.name, "classifier.mean");
    assert!(graph.output_id(CLASSIFIER_MAP).is_err());
}

/// Teachers of 64, 256 and 512 channels, the smallest map 4x4: with f = 4, a trunk of 128 channels.
#[test]
fn a_shared_trunk_costs_what_its_layers_cost() {
    // convolutions without bias, two numbers a channel for each batch norm; the student's map is (64, 8, 8)
    let projector = |narrow: usize, width: usize, pixels: usize| {
        let weights = 64 * narrow + narrow * narrow * 9 + narrow * width;
        (weights + 2 * (narrow + narrow + width), weights * pixels)
    };
    let apart = [projector(16, 64, 64), projector(64, 256, 64), projector(128, 512, 16)];
    let apart = NodeCost {
        parameters: apart.iter().map(|cost| cost.0).sum(),
        macs: apart.iter().map(|cost| cost.1).sum(),
    };
    let all = 64 + 256 + 512;
    let weights = 64 * 128 + 128 * 128 * 9 + 128 * all;
    let together = NodeCost {
        parameters: weights + 2 * (128 + 128 + all),
        macs: weights * 16,
    };
    let options = with_factor(4);
    let graph = student_of("resnet8", &TEACHERS[..3], &options);
    assert_eq!(graph.cost_under(PROJECTOR), apart);

    let shared_trunk = true;
    let graph = student_of(
        "resnet8",
        &TEACHERS[..3],
        &DistilledOptions {
            shared_trunk,
            ..options
        },
    );
    assert_eq!(graph.cost_under(PROJECTOR), together);
    let depthwise = DistilledOptions {
        depthwise: true,
        shared_trunk,
        ..options
    };
    let narrower = student_of("resnet8", &TEACHERS[..3], &depthwise);
    let saved = 128 * 127 * 9;
    let cost = narrower.cost_under(PROJECTOR);
    assert_eq!(
        (cost.parameters + saved, cost.macs + saved * 16),
        (together.parameters, together.macs)
    );
    assert_eq!(layers(&narrower), layers(&graph));
    assert_eq!(
        layers(&graph),
        [
            "projector.trunk.conv1",
            "projector.trunk.bn1",
            "projector.trunk.conv2",
            "projector.trunk.bn2",
            "projector.0.conv3",
            "projector.0.bn3",
            "classifier.0",
            "projector.1.conv3",
            "projector.1.bn3",
            "classifier.1",
            "projector.2.conv3",
            "projector.2.bn3",
            "classifier.2"
        ]
    );
    for (names, width) in TeacherNames::all(3).iter().zip([64, 256, 512]) {
        assert_eq!(shape(&graph, &names.projected), Shape::Map([width, 4, 4]));
    }
}

#[test]
fn an_own_head_is_the_students_and_changes_nothing_else() {
    for student in ["resnet8", "mobilenetv2_0.5"] {
        for teachers in [&TEACHERS[..1], &TEACHERS[..2]] {
            let without = with_factor(2);
            let with = DistilledOptions {
                own_head: true,
                ..without
            };
            let (without, with) = (
                student_of(student, teachers, &without),
                student_of(student, teachers, &with),
            );
            assert_eq!(shape(&with, OWN_LOGITS), Shape::Vector(10));
            assert!(without.output_id(OWN_LOGITS).is_err());
            assert_eq!(with.nodes()[..without.nodes().len()], *without.nodes());

            let own: Vec<_> = build(student, &CONFIG).unwrap().parameters();
            let kept = with.keep_outputs(&[OWN_LOGITS]).unwrap().parameters();
            let renamed = own.into_iter().map(|parameter| crate::Parameter {
                name: format!("encoder.{}", parameter.name),
                ..parameter
            });
            assert_eq!(kept, renamed.collect::<Vec<_>>());
        }
    }
}

#[test]
fn every_network_learns_and_teaches_among_several() {
    let all = [false, true].map(|on| DistilledOptions {
        factor: 4,
        depthwise: on,
        shared_trunk: on,
        own_head: on,
    });
    for network in networks() {
        for input in [[1, 28, 28], [3, 9, 11]] {
            let config = NetworkConfig::new(input, 7);
            let [own, small, wide] = [network.name, "resnet20", "mobilenetv2_0.5"].map(|name| build(name, &config));
            let (own, small, wide) = (own.unwrap(), small.unwrap(), wide.unwrap());
            for options in &all {
                for (student, teachers) in [(&own, [&small, &wide]), (&small, [&own, &wide])] {
                    let graph = distilled_student(student, &teachers, options).unwrap();
                    assert_eq!(shape(&graph, LOGITS), Shape::Vector(7), "{}", graph.name());
                    for (names, teacher) in TeacherNames::all(2).iter().zip(teachers) {
                        let (projected, target) = (shape(&graph, &names.projected), shape(teacher, CLASSIFIER_MAP));
                        assert_eq!(projected.channels(), target.channels(), "{}", graph.name());
                        let smaller = projected.dims().into_iter().zip(target.dims()).all(|(p, t)| p <= t);
                        assert!(smaller, "{}: {projected} for {target}", graph.name());
                    }
                }
            }
        }
    }
}

#[test]
fn a_factor_must_divide() {
    let [student, narrow, wide] = ["resnet8", "resnet20", "vgg8"].map(|name| build(name, &CONFIG).unwrap());
    for factor in [0, 3, 128] {
        let error = distilled_student(&student, &[&wide, &narrow], &with_factor(factor)).unwrap_err();
        let wanted = if factor == 128 {
            "64 channels of teacher resnet20"
        } else {
            "512 channels of teacher vgg8"
        };
        assert!(error.to_string().contains(&format!("divides the {wanted}")), "{error}");
    }
}

#[test]
fn networks_that_do_not_go_together_are_errors() {
    let network = |name: &str, input, classes| build(name, &NetworkConfig::new(input, classes)).unwrap();
    let student = network("resnet8", [3, 32, 32], 10);
    let right = network("resnet20", [3, 32, 32], 10);
    let (gray, more) = (network("vgg8", [1, 32, 32], 10), network("vgg13", [3, 32, 32], 100));
    let options = with_factor(2);
    let message = |student: &Graph, teachers: &[&Graph], options: &DistilledOptions| {
        distilled_student(student, teachers, options).unwrap_err().to_string()
    };
    assert_eq!(
        message(&student, &[], &options),
        "network \"resnet8\" expects a teacher or more, got none"
    );
    assert_eq!(
        message(&student, &[&right, &gray], &options),
        "network \"resnet8\" expects the input (1, 32, 32) of teacher vgg8, got (3, 32, 32)"
    );
    assert_eq!(
        message(&student, &[&right, &more], &options),
        "network \"vgg13\" expects the 10 classes of teacher resnet20, got 100"
    );
    // the student's classes matter only where its own head is kept
    let other = network("resnet8", [3, 32, 32], 7);
    assert!(distilled_student(&other, &[&right], &options).is_ok());
    let own_head = true;
    assert_eq!(
        message(&other, &[&right], &DistilledOptions { own_head, ..options }),
        "network \"resnet8\" expects the 10 classes of teacher resnet20, got 7"
    );
}
