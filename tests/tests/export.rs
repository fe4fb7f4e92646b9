//! Exported models: two engines that share no code agree on them, and folding changes nothing.

use std::io::Cursor;

use askd_compiler::onnx::{ModelInfo, write_model};
use askd_compiler::passes::{self, Pipeline};
use askd_compiler::weights::Weights;
use askd_models::{
    Conv2d, DistilledOptions, Graph, GraphBuilder, LOGITS, NetworkConfig, NodeId, Op, build, distilled_student,
    networks,
};
use askd_runtime::{Batch, Session, SessionOptions};
use askd_tests::{Random, largest_difference, random_weights};
use tract_onnx::prelude::{Framework, InferenceModelExt, IntoRunnable, Tensor, tvec};

/// What two engines may differ by, absolute; the logits here are of the order of 1.
const TOLERANCE: f32 = 1e-4;
/// Odd and unequal sides, so that strides meet a remainder and height is not taken for width.
const CONFIG: NetworkConfig = NetworkConfig {
    input: [3, 9, 11],
    classes: 7,
};
const DEEP: [&str; 4] = ["resnet110", "resnet116", "resnet110x2", "resnet110a"];

fn run_in_onnx_runtime(model: &[u8], images: &[f32], count: usize, classes: usize) -> Vec<f32> {
    let mut session = Session::from_onnx(model, &SessionOptions::default()).unwrap();
    let mut logits = vec![f32::NAN; count * classes];
    session.run(images, &mut logits).unwrap();
    logits
}

fn run_in_tract(model: &[u8], input: Tensor) -> Vec<f32> {
    let model = tract_onnx::onnx().model_for_read(&mut Cursor::new(model)).unwrap();
    let model = model.into_optimized().unwrap().into_runnable().unwrap();
    let output = model.run(tvec!(input.into())).unwrap();
    output[0]
        .to_plain_array_view::<f32>()
        .unwrap()
        .iter()
        .copied()
        .collect()
}

/// Logits of ONNX Runtime for `count` random images, after comparing them with tract's.
fn logits_of(what: &str, graph: &Graph, weights: &Weights, batch: Batch, count: usize) -> Vec<f32> {
    let model = write_model(graph, weights, &ModelInfo::new(batch)).unwrap();
    let shape = graph.input_shape();
    let images = Random::new(7).values(count * shape.iter().product::<usize>(), -2.0, 2.0);
    let logits = run_in_onnx_runtime(&model, &images, count, graph.classes().unwrap());
    let [c, h, w] = shape;
    let input = Tensor::from_shape(&[count, c, h, w], &images).unwrap();
    let difference = largest_difference(&logits, &run_in_tract(&model, input));
    let scale = logits.iter().fold(0.0f32, |scale, value| scale.max(value.abs()));
    println!("{what}: batch {batch:?}, {count} images, logits to {scale:.2}, engines differ by {difference:.1e}");
    assert!(difference <= TOLERANCE, "{what}: {difference:e}");
    assert!((0.01..100.0).contains(&scale), "{what}: logits of {scale} say nothing");
    logits
}

/// Exports a network folded and as it is, with both batches, and compares all that must agree.
fn check(graph: &Graph) {
    let name = graph.name();
    let weights = random_weights(graph, 1);
    let mut folded_weights = weights.clone();
    let folded = passes::run_all(graph, &mut folded_weights).unwrap();

    let plain = logits_of(name, graph, &weights, Batch::Dynamic, 3);
    let compiled = logits_of(&format!("{name}, folded"), &folded, &folded_weights, Batch::Dynamic, 3);
    let single = logits_of(&format!("{name}, folded"), &folded, &folded_weights, Batch::One, 1);
    logits_of(name, graph, &weights, Batch::One, 1);

    let scale = plain.iter().fold(0.0f32, |scale, value| scale.max(value.abs()));
    let by_folding = largest_difference(&plain, &compiled) / scale;
    let by_batch = largest_difference(&single, &compiled[..single.len()]) / scale;
    println!("{name}: folding changes {by_folding:.1e}, the batch {by_batch:.1e} of the logits' scale");
    assert!(
        by_folding <= TOLERANCE && by_batch <= TOLERANCE,
        "{name}: {by_folding:e} {by_batch:e}"
    );
}

#[test]
fn engines_agree_on_every_network() {
    for network in networks().iter().filter(|network| !DEEP.contains(&network.name)) {
        check(&network.build(&CONFIG).unwrap());
    }
}

#[test]
fn engines_agree_on_the_deepest_networks() {
    for name in DEEP {
        check(&build(name, &CONFIG).unwrap());
    }
}

#[test]
fn engines_agree_on_gray_images() {
    let config = NetworkConfig::new([1, 28, 28], 10);
    for name in ["resnet8x4", "resnet8", "vgg8", "mobilenetv2_0.5"] {
        check(&build(name, &config).unwrap());
    }
}

#[test]
fn engines_agree_on_a_distilled_student() {
    for (student, teachers, depthwise, shared_trunk) in [
        ("resnet8", &["resnet8x4"][..], false, false),
        ("resnet8", &["resnet8x4"], true, false),
        ("resnet14x2", &["resnet8x4"], false, false),
        ("resnet8", &["mobilenetv2_0.5"], false, false),
        ("mobilenetv2_0.5", &["vgg8"], false, false),
        ("mobilenetv2_0.5", &["vgg8"], true, false),
        ("resnet8", &["resnet20", "vgg8"], false, false),
        (
            "mobilenetv2_0.5",
            &["resnet20", "resnet8x4", "mobilenetv2_1.0"],
            false,
            false,
        ),
        ("resnet8", &["resnet20", "vgg8", "mobilenetv2_0.5"], false, true),
        ("resnet8", &["resnet20", "vgg8", "mobilenetv2_0.5"], true, true),
    ] {
        let options = DistilledOptions {
            depthwise,
            shared_trunk,
            own_head: teachers.len() > 1,
            ..DistilledOptions::default()
        };
        let teachers: Vec<Graph> = teachers.iter().map(|name| build(name, &CONFIG).unwrap()).collect();
        let student = build(student, &CONFIG).unwrap();
        check(&distilled_student(&student, &teachers.iter().collect::<Vec<_>>(), &options).unwrap());
    }
}

/// Normalised by the model, with the normalisation folded or not, or before it: the same logits.
#[test]
fn engines_agree_on_pixels() {
    const COUNT: usize = 3;
    let gray = NetworkConfig::new([1, 28, 28], 10);
    for (name, config) in [
        ("resnet8x4", CONFIG),
        ("mobilenetv2_0.5", CONFIG),
        ("vgg8", gray),
        ("resnet8", gray),
    ] {
        let graph = build(name, &config).unwrap();
        let weights = random_weights(&graph, 21);
        let [c, h, w] = config.input;
        let (mean, std) = (&[0.4914, 0.4822, 0.4465][..c], &[0.2023, 0.1994, 0.201][..c]);
        let values = Random::new(8).values(COUNT * c * h * w, 0.0, 256.0);
        let pixels: Vec<u8> = values.into_iter().map(|value| value as u8).collect();
        let normalised = |at: usize| {
            let (image, channel, place) = (at / (c * h * w), at / (h * w) % c, at % (h * w));
            (f32::from(pixels[(image * h * w + place) * c + channel]) / 255.0 - mean[channel]) / std[channel]
        };
        let images: Vec<f32> = (0..pixels.len()).map(normalised).collect();
        let plain = write_model(&graph, &weights, &ModelInfo::new(Batch::Dynamic)).unwrap();
        let expected = run_in_onnx_runtime(&plain, &images, COUNT, config.classes);
        for passes in ["all", "all,-fold-preprocessing", "all,-fold-batch-norm"] {
            let mut weights = weights.clone();
            let on_pixels = passes::take_pixels(&graph, &mut weights, mean, std).unwrap();
            let shipped = passes
                .parse::<Pipeline>()
                .unwrap()
                .run(&on_pixels, &mut weights)
                .unwrap();
            let model = write_model(&shipped, &weights, &ModelInfo::new(Batch::Dynamic)).unwrap();
            let mut session = Session::from_onnx(&model, &SessionOptions::default()).unwrap();
            let mut logits = vec![f32::NAN; COUNT * config.classes];
            session.run_u8(&pixels, &mut logits).unwrap();
            let in_tract = run_in_tract(&model, Tensor::from_shape(&[COUNT, h, w, c], &pixels).unwrap());
            let scale = expected.iter().fold(0.0f32, |scale, value| scale.max(value.abs()));
            let differences = [&logits, &in_tract].map(|logits| largest_difference(logits, &expected) / scale);
            println!("{name}, {passes}: logits to {scale:.2}, from normalised images' {differences:?} of that");
            assert!(
                differences.iter().all(|difference| *difference <= TOLERANCE),
                "{name}, {passes}: {differences:?}"
            );
        }
    }
}

/// What no network of the registry has: batch norm on the image, windows that overlap, groups other than a channel each,
/// ReLU6, a shuffle, bins of unequal size, maps averaged and joined.
#[test]
fn engines_agree_on_operations_in_other_settings() {
    let mut builder = GraphBuilder::new("settings", [4, 22, 28]);
    let mut x = builder.batch_norm("norm", builder.input()).unwrap();
    let overlapping = Op::MaxPool {
        kernel: 3,
        stride: 2,
        padding: 1,
    };
    x = builder.push("overlapping", overlapping, &[x]).unwrap();
    let conv = Conv2d {
        in_channels: 4,
        out_channels: 6,
        kernel: 3,
        stride: 1,
        padding: 2,
        groups: 2,
        bias: true,
    };
    x = builder.push("grouped", Op::Conv2d(conv), &[x]).unwrap();
    // some values must be above 6
    x = builder.add("double", x, x).unwrap();
    x = builder.add("fourfold", x, x).unwrap();
    x = builder.relu6("clipped", x).unwrap();
    x = builder
        .push("shuffled", Op::ChannelShuffle { groups: 2 }, &[x])
        .unwrap();
    let pad = Op::SubsamplePad {
        stride: 1,
        before: 0,
        after: 3,
    };
    x = builder.push("pad", pad, &[x]).unwrap();
    let average = Op::AveragePool {
        kernel: 2,
        stride: 1,
        padding: 1,
    };
    x = builder.push("average", average, &[x]).unwrap();
    x = builder
        .push("middle", Op::Channels { from: 1, count: 7 }, &[x])
        .unwrap();
    let pool = |height, width| Op::AdaptiveAveragePool { height, width };
    x = builder.push("unequal", pool(9, 8), &[x]).unwrap();
    x = builder.push("equal", pool(3, 4), &[x]).unwrap();
    let narrow = builder.conv("narrow", x, 2, 1, 1).unwrap();
    x = builder.push("joined", Op::Concat, &[x, narrow, x]).unwrap();
    let flat = builder.relu("flat", x).unwrap();
    x = builder.push("averaged", Op::Mean, &[x, flat, x]).unwrap();
    check(&with_classifier(builder, x));
}

fn with_classifier(mut builder: GraphBuilder, x: NodeId) -> Graph {
    let logits = builder.classifier("fc", x, 5).unwrap();
    builder.finish(&[(LOGITS, logits)])
}

/// `torch.nn.AdaptiveAvgPool2d((2, 3))` of a 3x4 map: rows 0..2 and 1..3, columns 0..2, 1..3, 2..4.
#[test]
fn unequal_bins_average_what_pytorch_does() {
    let mut builder = GraphBuilder::new("bins", [1, 3, 4]);
    let pool = Op::AdaptiveAveragePool { height: 2, width: 3 };
    let mut x = builder.push("pool", pool, &[builder.input()]).unwrap();
    // a convolution over the whole map shows every bin as one class
    let conv = |kernel, out_channels, padding| Conv2d {
        in_channels: 1,
        out_channels,
        kernel,
        stride: 1,
        padding,
        groups: 1,
        bias: false,
    };
    x = builder.push("one", Op::Conv2d(conv(2, 6, 0)), &[x]).unwrap();
    let graph = with_classifier(builder, x);
    let mut weights = random_weights(&graph, 3);
    let image: Vec<f32> = (0..12u8).map(f32::from).collect();
    let bin = |row: usize, column: usize| {
        let at = |r: usize, c: usize| image[r * 4 + c];
        (at(row, column) + at(row, column + 1) + at(row + 1, column) + at(row + 1, column + 1)) / 4.0
    };
    // each of the first four channels picks one corner of its 2x2 window; the head passes them on
    let pick = |index: usize| if index < 16 && index / 4 == index % 4 { 1.0 } else { 0.0 };
    weights.get_mut("one.weight").unwrap().data = (0..24).map(pick).collect();
    weights.get_mut("fc.weight").unwrap().data = (0..30).map(|i| f32::from(u8::from(i / 6 == i % 6))).collect();
    weights.get_mut("fc.bias").unwrap().data = vec![0.0; 5];

    let model = write_model(&graph, &weights, &ModelInfo::new(Batch::One)).unwrap();
    let logits = run_in_onnx_runtime(&model, &image, 1, 5);
    // the 2x2 windows start at columns 0 and 1 of the one row of windows; the classifier averages the two
    let corner = |row, column| (bin(row, column) + bin(row, column + 1)) / 2.0;
    let expected = [corner(0, 0), corner(0, 1), corner(1, 0), corner(1, 1), 0.0];
    assert!(
        largest_difference(&logits, &expected) <= 1e-5,
        "{logits:?} {expected:?}"
    );
}

#[test]
fn the_same_network_gives_the_same_bytes() {
    let graph = build("resnet20", &CONFIG).unwrap();
    let bytes = || {
        let mut weights = random_weights(&graph, 5);
        let folded = passes::run_all(&graph, &mut weights).unwrap();
        write_model(&folded, &weights, &ModelInfo::new(Batch::Dynamic)).unwrap()
    };
    assert_eq!(bytes(), bytes());
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let graph = build("resnet8", &CONFIG).unwrap();
    let info = ModelInfo::new(Batch::One);
    let mut weights = random_weights(&graph, 1);
    weights.remove("conv1.weight");
    let error = write_model(&graph, &weights, &info).unwrap_err().to_string();
    assert_eq!(
        error,
        "the set of weights does not fit resnet8: 1 missing (conv1.weight)"
    );

    let no_logits = graph.keep_outputs(&[askd_models::FEATURES]).unwrap();
    let weights = random_weights(&no_logits, 1);
    let error = write_model(&no_logits, &weights, &info).unwrap_err().to_string();
    assert!(error.contains("no output \"logits\""), "{error}");

    let mut builder = GraphBuilder::new("clash", [1, 4, 4]);
    let conv = builder.conv("a", builder.input(), 2, 1, 1).unwrap();
    let relu = builder.relu("a.weight", conv).unwrap();
    let graph = with_classifier(builder, relu);
    let error = write_model(&graph, &random_weights(&graph, 1), &info)
        .unwrap_err()
        .to_string();
    assert_eq!(error, "value \"a.weight\": expected a name used once, got a second use");
}
