//! Every operation of the trainer, forward and backward, as the trainer runs them: `make bench`.
//!
//! Convolutions stand once for each path that they take. Throughput is in multiplications and additions of the direct
//! algorithm (elements a second read as FLOP/s) for convolutions and linear layers, which backward does twice; for the rest
//! in bytes: forward those of inputs and output, backward those of their gradients.

use std::hint::black_box;
use std::time::Duration;

use askd_compiler::nn::kernels::memory::keep_freed_memory;
use askd_compiler::nn::ops::{
    Activation, Conv2dConfig, MaxPoolConfig, SgdUpdate, adaptive_average_pool, add_relu, batch_norm_frozen,
    batch_norm_train, channel_shuffle, conv2d, cross_entropy, global_average_pool, linear, max_pool,
    mean_squared_error, relu, relu6, sgd_update, subsample_pad,
};
use askd_compiler::nn::record;
use candle_core::{Device, Error, Result, Tensor, Var};
use criterion::{BatchSize, Criterion, Throughput, criterion_group};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 64;
const EPSILON: f64 = 1e-5;

fn variable(shape: &[usize]) -> Var {
    let values = Tensor::randn(0f32, 1.0, shape, &Device::Cpu).and_then(|values| Var::from_tensor(&values));
    values.expect("a tensor of random numbers")
}

/// What an operation's speed is counted in.
enum Work {
    /// Multiplications and additions, forward.
    Products(usize),
    Memory,
}

/// Measures `op`, then the gradients of all its inputs.
fn measure(
    criterion: &mut Criterion,
    name: &str,
    work: Work,
    shapes: &[&[usize]],
    op: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let inputs: Vec<Tensor> = shapes.iter().map(|shape| variable(shape).into_inner()).collect();
    let failed = "shapes that fit";
    let [forward, backward] = match work {
        Work::Products(operations) => [1, 2].map(|passes| Throughput::Elements((passes * operations) as u64)),
        Work::Memory => {
            let output = op(&inputs).expect(failed);
            let elements: usize = inputs.iter().chain([&output]).map(Tensor::elem_count).sum();
            [(); 2].map(|()| Throughput::Bytes((size_of::<f32>() * elements) as u64))
        }
    };
    let mut group = criterion.benchmark_group(name);
    group.throughput(forward).bench_function("forward", |bencher| {
        bencher.iter(|| black_box(op(&inputs).expect(failed)));
    });
    let recorded = || {
        let (output, tape) = record(|| Ok::<_, Error>(vec![op(&inputs)?]))?;
        // the output's gradient is ones
        Ok::<_, Error>((output[0].backward()?, tape))
    };
    group.throughput(backward).bench_function("backward", |bencher| {
        bencher.iter_batched(
            || recorded().expect(failed),
            |(mut gradients, tape)| {
                tape.backward(&mut gradients).expect(failed);
                gradients
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

fn convolutions(criterion: &mut Criterion) {
    // path, channels in and out, side, kernel, stride, groups
    for (path, [inputs, outputs], side, kernel, stride, groups) in [
        ("unfolded", [64, 128], 32, 3, 2, 1),
        ("filtered by images", [128, 128], 16, 3, 1, 1),
        ("filtered by channels", [512, 512], 4, 3, 1, 1),
        ("pointwise", [96, 16], 8, 1, 1, 1),
        ("pointwise, small maps", [160, 1280], 2, 1, 1, 1),
        ("depthwise", [72, 72], 16, 3, 1, 72),
        ("depthwise, stride 2", [72, 72], 16, 3, 2, 72),
        ("depthwise, small maps", [480, 480], 2, 3, 1, 480),
        ("grouped", [64, 64], 16, 3, 1, 4),
    ] {
        let config = Conv2dConfig {
            stride,
            padding: kernel / 2,
            groups,
        };
        let (out, depth) = (usize::div_ceil(side, stride), inputs / groups * kernel * kernel);
        let operations = 2 * BATCH * outputs * out * out * depth;
        measure(
            criterion,
            &format!("conv2d {path} {kernel}x{kernel} {inputs}->{outputs} {side}x{side}"),
            Work::Products(operations),
            &[
                &[BATCH, inputs, side, side],
                &[outputs, inputs / groups, kernel, kernel],
            ],
            |t| conv2d(&t[0], &t[1], &config),
        );
    }
}

fn normalisations(criterion: &mut Criterion) {
    for [channels, side] in [[64, 32], [480, 2]] {
        let (map, one): (&[usize], &[usize]) = (&[BATCH, channels, side, side], &[channels]);
        let name = format!("batch_norm train and ReLU {channels} {side}x{side}");
        measure(criterion, &name, Work::Memory, &[map, one, one], |t| {
            Ok(batch_norm_train(&t[0], &t[1], &t[2], EPSILON, Activation::Relu)?.0)
        });
        let statistics = [
            variable(one).as_detached_tensor(),
            Tensor::ones(channels, candle_core::DType::F32, &Device::Cpu).expect("ones"),
        ];
        let name = format!("batch_norm frozen and ReLU {channels} {side}x{side}");
        measure(criterion, &name, Work::Memory, &[map, one, one], |t| {
            let [mean, variance] = &statistics;
            batch_norm_frozen(&t[0], (&t[1], &t[2]), (mean, variance), EPSILON, Activation::Relu)
        });
    }
}

fn pointwise(criterion: &mut Criterion) {
    let map: &[usize] = &[BATCH, 64, 32, 32];
    measure(criterion, "relu 64 32x32", Work::Memory, &[map], |t| relu(&t[0]));
    measure(criterion, "relu6 64 32x32", Work::Memory, &[map], |t| relu6(&t[0]));
    measure(criterion, "add_relu 64 32x32", Work::Memory, &[map, map], |t| {
        add_relu(&t[0], &t[1])
    });
    measure(criterion, "channel_shuffle 64 32x32", Work::Memory, &[map], |t| {
        channel_shuffle(&t[0], 4)
    });
    measure(criterion, "subsample_pad 64->128 32x32", Work::Memory, &[map], |t| {
        subsample_pad(&t[0], 2, 32, 32)
    });
}

fn pools(criterion: &mut Criterion) {
    let map: &[usize] = &[BATCH, 64, 32, 32];
    for (kernel, padding) in [(2, 0), (3, 1)] {
        let config = MaxPoolConfig {
            kernel,
            stride: 2,
            padding,
        };
        let name = format!("max_pool {kernel}x{kernel}/2 64 32x32");
        measure(criterion, &name, Work::Memory, &[map], |t| max_pool(&t[0], &config));
    }
    measure(
        criterion,
        "adaptive_average_pool 64 32x32 to 8x8",
        Work::Memory,
        &[map],
        |t| adaptive_average_pool(&t[0], 8, 8),
    );
    measure(criterion, "global_average_pool 64 32x32", Work::Memory, &[map], |t| {
        global_average_pool(&t[0])
    });
}

fn heads(criterion: &mut Criterion) {
    let (inputs, classes) = (1280, 1000);
    let operations = Work::Products(2 * BATCH * inputs * classes);
    let shapes: [&[usize]; 3] = [&[BATCH, inputs], &[classes, inputs], &[classes]];
    measure(criterion, "linear 1280->1000", operations, &shapes, |t| {
        linear(&t[0], &t[1], &t[2])
    });
    let labels = Tensor::from_iter((0..BATCH as u32).map(|i| i * 7 % classes as u32), &Device::Cpu).expect("labels");
    let logits: &[usize] = &[BATCH, classes];
    measure(criterion, "cross_entropy 1000", Work::Memory, &[logits], |t| {
        cross_entropy(&t[0], &labels)
    });
    let map: &[usize] = &[BATCH, 256, 8, 8];
    measure(
        criterion,
        "mean_squared_error 256 8x8",
        Work::Memory,
        &[map, map],
        |t| mean_squared_error(&t[0], &t[1]),
    );
}

fn optimiser(criterion: &mut Criterion) {
    let shape: &[usize] = &[512, 512, 3, 3];
    let [weights, velocity, gradient, at] = [0; 4].map(|_| variable(shape).as_detached_tensor());
    let update = SgdUpdate {
        momentum: 0.9,
        nesterov: false,
        weight_decay: 5e-4,
        anchor: 0.1,
        // the step's cost is the same, and the weights stay finite
        rate: 0.0,
    };
    let mut group = criterion.benchmark_group("sgd_update 512x512x3x3");
    // weights and velocity read and written, the gradient read
    group.throughput(Throughput::Bytes(5 * (size_of::<f32>() * weights.elem_count()) as u64));
    group.bench_function("plain", |bencher| {
        bencher.iter(|| sgd_update(&weights, &velocity, &gradient, None, &update).expect("shapes that fit"));
    });
    group.bench_function("anchored", |bencher| {
        bencher.iter(|| sgd_update(&weights, &velocity, &gradient, Some(&at), &update).expect("shapes that fit"));
    });
    group.finish();
}

criterion_group! {
    name = operations;
    config = Criterion::default()
        .sample_size(10)
        .without_plots()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600));
    targets = convolutions, normalisations, pointwise, pools, heads, optimiser
}

fn main() {
    keep_freed_memory();
    operations();
    Criterion::default().configure_from_args().final_summary();
}
