//! Rates of the training kernels against the matrix product under them.
//!
//! `cargo bench -p askd-compiler --bench ops`; `RAYON_NUM_THREADS` sets the threads of all but the first table.

use std::hint::black_box;
use std::time::Instant;

use askd_compiler::nn::kernels::gemm::{MatrixRef, matmul};
use askd_compiler::nn::ops::{
    Activation, Conv2dConfig, add_relu, batch_norm_train, conv2d, cross_entropy, global_average_pool, linear, relu,
    subsample_pad,
};
use candle_core::{DType, Device, Result, Tensor, Var};

const BATCH: usize = 64;

/// Median seconds of a call, after one that is not counted.
fn seconds(mut body: impl FnMut()) -> f64 {
    body();
    let mut times: Vec<f64> = Vec::new();
    let started = Instant::now();
    while times.len() < 10 || (started.elapsed().as_secs_f64() < 0.4 && times.len() < 2000) {
        let start = Instant::now();
        body();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The floor: forward, weight gradient and input gradient products of one image, on one thread.
fn products() {
    println!("matrix products of one image, one thread, GFLOP/s: forward, weight gradient");
    for (m, k, n) in [
        (16, 9, 784),
        (16, 144, 784),
        (32, 288, 196),
        (64, 576, 49),
        (64, 576, 196),
        (128, 1152, 256),
    ] {
        let (weights, columns, gradient) = (vec![0.5f32; m * k], vec![0.5f32; k * n], vec![0.5f32; m * n]);
        let (mut y, mut dw) = (vec![0f32; m * n], vec![0f32; m * k]);
        let rate = |seconds: f64| 2.0 * (m * n * k) as f64 / seconds / 1e9;
        let columns = MatrixRef::row_major(&columns, n);
        let forward = seconds(|| matmul((m, n, k), &mut y, MatrixRef::row_major(&weights, k), columns, false));
        let gradient = MatrixRef::row_major(&gradient, n).transposed();
        let backward = seconds(|| matmul((k, m, n), &mut dw, columns, gradient, true));
        println!(
            "  {m:>4} x {k:>4} x {n:>4}  {:>6.1} {:>6.1}",
            rate(forward),
            rate(backward)
        );
    }
}

fn variable(shape: &[usize], spread: f64) -> Result<Var> {
    Var::from_tensor(&Tensor::randn(0f32, spread as f32, shape, &Device::Cpu)?)
}

/// Milliseconds of `op` on a batch, forward, then forward and backward.
fn line(name: &str, inputs: &[Var], op: impl Fn(&[Tensor]) -> Result<Tensor>) -> Result<()> {
    let tensors: Vec<Tensor> = inputs.iter().map(|v| v.as_tensor().clone()).collect();
    let failed = "the operation ran once already";
    op(&tensors)?;
    let detached: Vec<Tensor> = tensors.iter().map(|t| t.detach()).collect();
    let forward = seconds(|| drop(black_box(op(&detached).expect(failed))));
    let both = seconds(|| drop(black_box(op(&tensors).and_then(|y| y.backward()).expect(failed))));
    println!("  {name:<34} {:>8.2} {:>8.2}", forward * 1e3, both * 1e3);
    Ok(())
}

fn operations() -> Result<()> {
    println!("operations on {BATCH} images, ms: forward, forward and backward");
    let shapes = [
        (1, 16, 28, 3, 1, 1),
        (16, 16, 28, 3, 1, 1),
        (16, 32, 28, 3, 2, 1),
        (32, 32, 14, 3, 1, 1),
    ];
    let more = [
        (64, 64, 7, 3, 1, 1),
        (64, 64, 14, 1, 1, 1),
        (64, 64, 14, 3, 1, 64),
        (64, 64, 14, 3, 1, 4),
    ];
    for (ci, co, size, kernel, stride, groups) in shapes.into_iter().chain(more) {
        let inputs = [
            variable(&[BATCH, ci, size, size], 1.0)?,
            variable(&[co, ci / groups, kernel, kernel], 0.1)?,
        ];
        let config = Conv2dConfig {
            stride,
            padding: kernel / 2,
            groups,
        };
        let name = format!("conv {kernel}x{kernel}/{stride} {ci}->{co} {size}x{size} groups {groups}");
        line(&name, &inputs, |t| conv2d(&t[0], &t[1], &config))?;
    }
    let image: &[usize] = &[BATCH, 16, 28, 28];
    let inputs = [variable(image, 1.0)?, variable(&[16], 1.0)?, variable(&[16], 1.0)?];
    line("batch norm + ReLU 16 28x28", &inputs, |t| {
        Ok(batch_norm_train(&t[0], &t[1], &t[2], 1e-5, Activation::Relu)?.0)
    })?;
    line("ReLU 16 28x28", &[variable(image, 1.0)?], |t| relu(&t[0]))?;
    line(
        "add + ReLU 16 28x28",
        &[variable(image, 1.0)?, variable(image, 1.0)?],
        |t| add_relu(&t[0], &t[1]),
    )?;
    line("subsample + pad 16->32 28x28", &[variable(image, 1.0)?], |t| {
        subsample_pad(&t[0], 2, 8, 8)
    })?;
    line("global average pool 16 28x28", &[variable(image, 1.0)?], |t| {
        global_average_pool(&t[0])
    })
}

struct Unit {
    weights: Var,
    gamma: Var,
    beta: Var,
    stride: usize,
}

impl Unit {
    fn new(ci: usize, co: usize, stride: usize) -> Result<Self> {
        let weights = variable(&[co, ci, 3, 3], (2.0 / (9 * co) as f64).sqrt())?;
        let gamma = Var::ones(co, DType::F32, &Device::Cpu)?;
        Ok(Unit {
            weights,
            gamma,
            beta: Var::zeros(co, DType::F32, &Device::Cpu)?,
            stride,
        })
    }

    fn forward(&self, x: &Tensor, activation: Activation) -> Result<Tensor> {
        let y = conv2d(
            x,
            &self.weights,
            &Conv2dConfig {
                stride: self.stride,
                padding: 1,
                groups: 1,
            },
        )?;
        Ok(batch_norm_train(&y, &self.gamma, &self.beta, 1e-5, activation)?.0)
    }
}

/// Images a second through He et al.'s option-A networks of depth `6 blocks + 2`, cross-entropy and all gradients.
fn network(blocks: usize) -> Result<()> {
    let stem = Unit::new(1, 16, 1)?;
    let mut units = Vec::new();
    let mut channels = 16;
    for width in [16, 32, 64] {
        for _ in 0..blocks {
            units.push([
                Unit::new(channels, width, width / channels)?,
                Unit::new(width, width, 1)?,
            ]);
            channels = width;
        }
    }
    let (weights, offsets) = (variable(&[10, 64], 0.1)?, Var::zeros(10, DType::F32, &Device::Cpu)?);
    let images = Tensor::randn(0f32, 1.0, (BATCH, 1, 28, 28), &Device::Cpu)?;
    let labels = Tensor::from_iter((0..BATCH as u32).map(|i| i % 10), &Device::Cpu)?;
    let forward = || -> Result<Tensor> {
        let mut x = stem.forward(&images, Activation::Relu)?;
        for [first, second] in &units {
            let shortcut = match first.stride {
                1 => x.clone(),
                _ => subsample_pad(&x, first.stride, x.dim(1)? / 2, x.dim(1)? / 2)?,
            };
            x = second.forward(&first.forward(&x, Activation::Relu)?, Activation::None)?;
            x = add_relu(&x, &shortcut)?;
        }
        cross_entropy(&linear(&global_average_pool(&x)?, &weights, &offsets)?, &labels)
    };
    forward()?.backward()?;
    let failed = "the network ran once already";
    let up = seconds(|| drop(black_box(forward().expect(failed))));
    let both = seconds(|| drop(black_box(forward().and_then(|loss| loss.backward()).expect(failed))));
    let depth = 6 * blocks + 2;
    let rate = |seconds: f64| BATCH as f64 / seconds;
    println!("  resnet{depth:<4} {:>8.0} {:>8.0}", rate(up), rate(both));
    Ok(())
}

fn main() -> Result<()> {
    products();
    operations()?;
    println!("networks on 1x28x28, batch {BATCH}, images/s: forward, forward and backward");
    network(1)?;
    network(3)
}
