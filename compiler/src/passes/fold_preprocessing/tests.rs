use askd_models::{LOGITS, NetworkConfig, build};
use candle_core::{DType, Device, Tensor};

use super::*;
use crate::nn::{Network, PassMode, initialise};
use crate::passes::take_pixels;

const SHAPE: [usize; 3] = [3, 9, 7];

/// A network whose first layer is a convolution of this padding and number of groups.
fn network(padding: usize, groups: usize, bias: bool) -> Graph {
    let mut builder = GraphBuilder::new("test", SHAPE);
    let conv = Op::Conv2d(Conv2d {
        in_channels: 3,
        out_channels: 6,
        kernel: 3,
        stride: 2,
        padding,
        groups,
        bias,
    });
    let conv = builder.push("conv", conv, &[builder.input()]).unwrap();
    let relu = builder.relu("relu", conv).unwrap();
    let logits = builder.classifier("fc", relu, 4).unwrap();
    builder.finish(&[(LOGITS, logits)])
}

/// Logits in f64 of two images, whose pixels `of` makes of `0..=255`.
fn logits(graph: &Graph, weights: &Weights, of: impl Fn(f64, usize) -> f64) -> Vec<f64> {
    let mut network = Network::new(graph.clone(), weights, DType::F64, &Device::Cpu).unwrap();
    let [c, h, w] = graph.input_shape();
    let pixel = |at: usize| of(((at * at * 31 + 7 * at) % 256) as f64, at / (h * w) % c);
    let images: Vec<f64> = (0..2 * c * h * w).map(pixel).collect();
    let images = Tensor::from_vec(images, (2, c, h, w), &Device::Cpu).unwrap();
    let outputs = network.forward(&images, PassMode::FrozenStatistics, &[LOGITS]).unwrap();
    outputs[0].flatten_all().unwrap().to_vec1().unwrap()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Means and deviations of pixels that f32 holds, and divides by without an error.
const EXACT: ([f32; 3], [f32; 3]) = (
    [128.0 / 255.0, 64.0 / 255.0, 96.0 / 255.0],
    [64.0 / 255.0, 32.0 / 255.0, 128.0 / 255.0],
);

#[test]
fn pixels_give_the_logits_of_normalised_images() {
    let (mean, std) = ([0.5, 0.25, 0.4], [0.25, 0.2, 0.3]);
    let graph = network(1, 1, false);
    let mut weights = initialise(&graph, 5);
    let expected = logits(&graph, &weights, |pixel, channel| {
        (pixel / 255.0 - f64::from(mean[channel])) / f64::from(std[channel])
    });
    let on_pixels = take_pixels(&graph, &mut weights, &mean, &std).unwrap();
    assert!(on_pixels.takes_pixels() && !graph.takes_pixels());
    assert_eq!(on_pixels.parameter_count(), graph.parameter_count());
    let got = logits(&on_pixels, &weights, |pixel, _| pixel);
    // 255 * mean and 255 * std are rounded to f32
    assert!(distance(&got, &expected) < 1e-6, "{got:?} {expected:?}");
    let error = take_pixels(&on_pixels, &mut weights, &mean, &std).unwrap_err();
    assert!(error.to_string().contains("\"preprocess\" is used twice"), "{error}");
}

#[test]
fn what_is_folded_gives_the_same_logits() {
    let (mean, std) = EXACT;
    for (padding, groups, bias) in [
        (1, 1, false),
        (1, 3, true),
        (2, 1, true),
        (0, 1, false),
        (0, 1, true),
        (0, 3, false),
    ] {
        let graph = network(padding, groups, bias);
        let mut weights = initialise(&graph, 3);
        // so that a bias is not what it was made as: zeros; and sums of weights and means are exact in f32
        let steps = |(at, value): (usize, &mut f32)| *value = ((at * 37 % 19) as f32 - 9.0) / 16.0;
        weights
            .get_mut("conv.weight")
            .unwrap()
            .data
            .iter_mut()
            .enumerate()
            .for_each(steps);
        if bias {
            weights
                .get_mut("conv.bias")
                .unwrap()
                .data
                .iter_mut()
                .enumerate()
                .for_each(steps);
        }
        let on_pixels = take_pixels(&graph, &mut weights, &mean, &std).unwrap();
        assert_eq!(weights["preprocess.mean"].data, [128.0, 64.0, 96.0]);
        let expected = logits(&on_pixels, &weights, |pixel, _| pixel);

        let folded = fold_preprocessing(&on_pixels, &mut weights).unwrap();

        weights::check(&folded, &weights, weights::IN_MEMORY).unwrap();
        let left = folded.nodes()[1].op;
        assert_eq!(
            left,
            Op::Normalise {
                channels: 3,
                shift: padding > 0,
                scale: false
            }
        );
        assert!(!weights.contains_key("preprocess.std"));
        let got = logits(&folded, &weights, |pixel, _| pixel);
        let case = format!("padding {padding}, {groups} groups, bias {bias}");
        assert!(distance(&got, &expected) <= 1e-12, "{case}: {got:?} {expected:?}");
        assert!(expected.iter().any(|logit| logit.abs() > 1e-2), "{case}: {expected:?}");
        let (again, kept) = (fold_preprocessing(&folded, &mut weights.clone()).unwrap(), folded);
        assert_eq!(again, kept, "{case}");
    }
}

#[test]
fn with_padding_the_mean_cannot_be_folded() {
    let (mean, std) = EXACT;
    let graph = network(1, 1, true);
    let mut weights = initialise(&graph, 3);
    let on_pixels = take_pixels(&graph, &mut weights, &mean, &std).unwrap();
    let expected = logits(&on_pixels, &weights, |pixel, _| pixel);
    // what folding it all would do, as if there were no padding
    let whole = Fold {
        shift: true,
        ..foldable(&on_pixels).unwrap()
    };
    let unpadded = Fold {
        op: Conv2d { padding: 0, ..whole.op },
        ..whole
    };
    unpadded.fold_tensors(&on_pixels, &mut weights);
    let wrong = logits(&graph, &weights, |pixel, _| pixel);
    assert!(distance(&wrong, &expected) > 1e-3, "{wrong:?} {expected:?}");
}

#[test]
fn rounding_of_weights_is_all_that_differs_on_networks() {
    for name in ["resnet8x4", "mobilenetv2_0.5", "vgg8"] {
        let graph = build(name, &NetworkConfig::new([3, 32, 32], 10)).unwrap();
        let mut weights = initialise(&graph, 1);
        let on_pixels = take_pixels(
            &graph,
            &mut weights,
            &[0.4914, 0.4822, 0.4465],
            &[0.2023, 0.1994, 0.201],
        )
        .unwrap();
        let expected = logits(&on_pixels, &weights, |pixel, _| pixel);
        let folded = fold_preprocessing(&on_pixels, &mut weights).unwrap();
        assert_ne!(folded, on_pixels, "{name}");
        let (got, scale) = (
            logits(&folded, &weights, |pixel, _| pixel),
            expected.iter().fold(0.0, |s, v| f64::max(s, v.abs())),
        );
        assert!(
            distance(&got, &expected) <= 1e-6 * scale,
            "{name}: {got:?} {expected:?}"
        );
    }
}

#[test]
fn other_graphs_stay_as_they_are() {
    // on normalised images
    let mut graphs = vec![(network(1, 1, false), initialise(&network(1, 1, false), 1))];
    // no convolution, and two readers
    for twice in [false, true] {
        let mut builder = GraphBuilder::new("test", SHAPE);
        let image = builder.input();
        let conv = builder.conv("conv", image, 3, 3, 1).unwrap();
        let x = if twice {
            builder.add("add", conv, image).unwrap()
        } else {
            builder.max_pool("pool", image, 2, 2).unwrap()
        };
        let logits = builder.classifier("fc", x, 2).unwrap();
        let graph = builder.finish(&[(LOGITS, logits)]).keep_outputs(&[LOGITS]).unwrap();
        let mut weights = initialise(&graph, 1);
        let graph = take_pixels(&graph, &mut weights, &[0.5; 3], &[0.5; 3]).unwrap();
        graphs.push((graph, weights));
    }
    for (graph, before) in graphs {
        let mut weights = before.clone();
        assert_eq!(fold_preprocessing(&graph, &mut weights).unwrap(), graph);
        assert_eq!(weights, before);
    }
}

#[test]
fn wrong_means_are_errors() {
    let graph = network(1, 1, false);
    let mut weights = initialise(&graph, 1);
    for (mean, std, name) in [
        (&[0.5; 2][..], &[0.5; 3][..], "mean"),
        (&[0.5, f32::NAN, 0.5], &[0.5; 3], "mean"),
        (&[0.5; 3], &[0.5, 0.0, 0.5], "std"),
        (&[0.5; 3], &[0.5; 4], "std"),
    ] {
        let error = take_pixels(&graph, &mut weights, mean, std).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name}: expected 3 ")), "{error}");
    }
    assert!(!weights.contains_key("preprocess.mean"));
}
