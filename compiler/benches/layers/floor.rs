//! The least time that this machine allows a layer.
//!
//! It is the larger of two, forward and backward each: the layer's multiplications at the rate of matrix products, and the
//! bytes that it reads and writes, each once, at the rate of a copy of as many bytes; both rates with all threads at once.
//! Backward multiplies twice as often, or as often where the input is the image, which needs no gradient.

use std::hint::black_box;
use std::time::Instant;

use askd_compiler::nn::kernels::gemm::{MatrixRef, matmul};
use askd_models::{Graph, Node, Op, Shape};

use super::{BATCH, CLASSES, THREADS, Times, median};

/// Rates of all threads together.
pub(super) struct Machine {
    /// Floating-point operations a second, of the best matrix product.
    pub(super) flops: f64,
    /// Bytes a second that a copy reads and writes, by their number: small copies stay in caches.
    pub(super) copies: Vec<(usize, f64)>,
}

impl Machine {
    pub(super) fn measure() -> Self {
        let product = |(m, k, n): (usize, usize, usize)| {
            rate((2 * m * k * n) as f64, || {
                let (a, b, mut y) = (vec![0.5f32; m * k], vec![0.5f32; k * n], vec![0f32; m * n]);
                move || {
                    let (a, b) = (MatrixRef::row_major(&a, k), MatrixRef::row_major(&b, n));
                    matmul((m, n, k), black_box(&mut y), a, b, false);
                }
            })
        };
        let copy = |bytes: usize| {
            let half = bytes / THREADS / 2;
            let rate = rate((2 * half) as f64, || {
                let (from, mut to) = (vec![1u8; half], vec![0u8; half]);
                move || black_box(&mut to[..]).copy_from_slice(black_box(&from))
            });
            (bytes, rate)
        };
        let shapes = [(128, 1152, 256), (64, 576, 1024), (256, 2304, 256), (512, 512, 512)];
        Self {
            flops: shapes.map(product).into_iter().fold(0.0, f64::max),
            copies: [20, 22, 24, 26, 28].map(|log| copy(1 << log)).to_vec(),
        }
    }

    /// The floor of a layer and the activation computed with it.
    pub(super) fn layer(&self, graph: &Graph, node: &Node, activation: Option<&Node>) -> Times {
        let source = graph.node(node.inputs[0]);
        let is_image = matches!(source.op, Op::Input);
        let [input, output] = [source, node].map(|node| (BATCH * node.shape.elements()) as f64);
        let [macs, parameters] = [BATCH * node.cost().macs, node.cost().parameters].map(|count| count as f64);
        let multiplications = macs * filtered_share(node).min(1.0);
        // the output's gradient is read and the input's written; most layers read their input or output again
        let backward = match node.op {
            Op::Add if activation.is_none() => 0.0,
            Op::GlobalAveragePool | Op::AdaptiveAveragePool { .. } => output + input,
            Op::AveragePool { .. } => output + input,
            Op::SubsamplePad { .. } | Op::ChannelShuffle { .. } | Op::Channels { .. } | Op::ZeroPad { .. } => {
                output + input
            }
            _ if is_image => output + input,
            _ => output + 2.0 * input,
        };
        let products = if is_image { 1.0 } else { 2.0 };
        [
            self.seconds(multiplications, node.inputs.len() as f64 * input + parameters + output),
            self.seconds(products * multiplications, backward + 2.0 * parameters),
        ]
    }

    /// The floor of the loss: logits read, their gradient written.
    pub(super) fn loss(&self) -> Times {
        let logits = (BATCH * CLASSES) as f64;
        [self.seconds(0.0, logits), self.seconds(0.0, logits)]
    }

    /// The floor of the optimiser: weights and velocity read and written, gradients read.
    pub(super) fn update(&self, graph: &Graph) -> Times {
        [self.seconds(0.0, 5.0 * graph.parameter_count() as f64), 0.0]
    }

    fn seconds(&self, multiplications: f64, values: f64) -> f64 {
        let bytes = 4.0 * values;
        let size = self.copies.iter().position(|(size, _)| *size as f64 >= bytes);
        let (_, rate) = self.copies[size.unwrap_or(self.copies.len() - 1)];
        (2.0 * multiplications / self.flops).max(bytes / rate)
    }
}

/// Multiplications of a 3x3 convolution by F(4x4, 3x3), 36 a tile of 16 outputs, for each of the direct one; infinity for
/// layers that cannot be computed so. The floor is the smaller of both.
pub(super) fn filtered_share(node: &Node) -> f64 {
    match (node.op, node.shape) {
        (Op::Conv2d(conv), Shape::Map([_, height, width])) if (conv.kernel, conv.stride, conv.groups) == (3, 1, 1) => {
            (36 * height.div_ceil(4) * width.div_ceil(4)) as f64 / (9 * height * width) as f64
        }
        _ => f64::INFINITY,
    }
}

/// Work a second of all threads at once, each repeating a body of its own.
fn rate<F: FnMut()>(work: f64, make: impl Fn() -> F + Sync) -> f64 {
    let rates = rayon::broadcast(|_| {
        let mut body = make();
        body();
        let (started, mut times) = (Instant::now(), Vec::new());
        while times.len() < 9 || started.elapsed().as_secs_f64() < 0.3 {
            let start = Instant::now();
            body();
            times.push(start.elapsed().as_secs_f64());
        }
        work / median(times)
    });
    rates.iter().sum()
}
