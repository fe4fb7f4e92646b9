//! Where each layer of a network stands against its floor: `make bench-layers`.
//!
//! The floor of a layer, forward and backward together, is the larger of two times: its multiplications over the rate at which
//! this machine multiplies matrices, and its memory traffic over the rate at which it copies. A convolution multiplies three times
//! (output, weight gradient, input gradient); 3x3 with stride 1 is counted as F(4x4, 3x3), a quarter of the
//! multiplications. Traffic is what a layer must read and write once: forward input and output, backward
//! output gradient, input and input gradient. An activation is part of the batch norm or addition before it.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Instant;

use askd_compiler::nn::kernels::gemm::{MatrixRef, matmul};
use askd_compiler::nn::kernels::memory::keep_freed_memory;
use askd_compiler::nn::{Network, PassMode, initialise};
use askd_models::{Graph, GraphBuilder, NetworkConfig, Node, Op, Shape, build};
use candle_core::{DType, Device, Tensor, Var};
use rayon::prelude::*;

type Failure = Box<dyn std::error::Error>;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const BATCH: usize = 64;
const NETWORKS: [&str; 3] = ["resnet8x4", "vgg8", "mobilenetv2_0.5"];
/// Rows of the table, the dearest layers first.
const ROWS: usize = 10;

fn main() -> Result<(), Failure> {
    keep_freed_memory();
    let threads = rayon::current_num_threads();
    let machine = Machine::measure();
    println!(
        "{threads} threads, batch {BATCH}: products at {:.0} GFLOP/s, copies at {:.1} GB/s (read and written)",
        machine.flops / 1e9,
        machine.bandwidth / 1e9
    );
    let chosen: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let names: Vec<&str> = if chosen.is_empty() {
        NETWORKS.to_vec()
    } else {
        chosen.iter().map(String::as_str).collect()
    };
    for name in names {
        table(&build(name, &NetworkConfig::new([3, 32, 32], 100))?, &machine)?;
    }
    Ok(())
}

/// The two rates that bound every layer.
struct Machine {
    /// Floating-point operations a second, all threads.
    flops: f64,
    /// Bytes a second, read and written together, all threads.
    bandwidth: f64,
}

impl Machine {
    fn measure() -> Self {
        let (m, k, n) = (256, 1152, 512);
        let tasks = rayon::current_num_threads();
        let (a, b) = (vec![0.5f32; m * k], vec![0.5f32; k * n]);
        let mut products = vec![vec![0f32; m * n]; tasks];
        let product = seconds(|| {
            products.par_iter_mut().for_each(|y| {
                matmul(
                    (m, n, k),
                    y,
                    MatrixRef::row_major(&a, k),
                    MatrixRef::row_major(&b, n),
                    false,
                );
            });
        });
        // far larger than the caches
        let (from, mut to) = (vec![1f32; 1 << 25], vec![0f32; 1 << 25]);
        let copy = seconds(|| {
            let parts = to.par_chunks_mut(1 << 16).zip(from.par_chunks(1 << 16));
            parts.for_each(|(to, from)| to.copy_from_slice(from));
            black_box(&to);
        });
        Self {
            flops: 2.0 * (m * n * k * tasks) as f64 / product,
            bandwidth: 2.0 * 4.0 * from.len() as f64 / copy,
        }
    }

    /// The floor of a layer, forward and backward, seconds.
    fn floor(&self, graph: &Graph, node: &Node) -> f64 {
        let elements = |shape: Shape| (BATCH * shape.elements()) as f64;
        let inputs: f64 = node.inputs.iter().map(|input| elements(graph.node(*input).shape)).sum();
        let traffic = 4.0 * (3.0 * inputs + 2.0 * elements(node.shape));
        let shortened = match node.op {
            Op::Conv2d(conv) if conv.kernel == 3 && conv.stride == 1 && conv.groups == 1 => 0.25,
            _ => 1.0,
        };
        let multiplications = 3.0 * shortened * (BATCH * node.cost().macs) as f64;
        (2.0 * multiplications / self.flops).max(traffic / self.bandwidth)
    }
}

/// Median seconds of a call, after two that are not counted.
fn seconds(mut body: impl FnMut()) -> f64 {
    body();
    body();
    let started = Instant::now();
    let mut times: Vec<f64> = Vec::new();
    while times.len() < 7 || (started.elapsed().as_secs_f64() < 0.2 && times.len() < 500) {
        let start = Instant::now();
        body();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Layers that are the same but for their place.
struct Kind {
    count: usize,
    measured: f64,
    floor: f64,
}

fn table(graph: &Graph, machine: &Machine) -> Result<(), Failure> {
    let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
    for node in graph
        .nodes()
        .iter()
        .filter(|node| !matches!(node.op, Op::Input | Op::Relu | Op::Relu6))
    {
        let name = describe(graph, node);
        let kind = match kinds.get_mut(&name) {
            Some(kind) => kind,
            None => {
                let kind = Kind {
                    count: 0,
                    measured: measure(graph, node)?,
                    floor: machine.floor(graph, node),
                };
                kinds.entry(name).or_insert(kind)
            }
        };
        kind.count += 1;
    }
    let mut rows: Vec<(&String, &Kind)> = kinds.iter().collect();
    let total = |kind: &Kind| kind.count as f64 * kind.measured;
    rows.sort_by(|a, b| total(b.1).total_cmp(&total(a.1)));
    println!("\n{}: ms of all such layers, forward and backward", graph.name());
    println!("| layer | number | measured | floor | measured / floor |\n|---|---|---|---|---|");
    let line = |name: &str, count: usize, measured: f64, floor: f64| {
        println!(
            "| {name} | {count} | {:.2} | {:.2} | {:.1} |",
            1e3 * measured,
            1e3 * floor,
            measured / floor
        );
    };
    for (name, kind) in rows.iter().take(ROWS) {
        line(name, kind.count, total(kind), kind.count as f64 * kind.floor);
    }
    let (mut measured, mut floor, mut count) = (0.0, 0.0, 0);
    for kind in kinds.values() {
        measured += total(kind);
        floor += kind.count as f64 * kind.floor;
        count += kind.count;
    }
    line("**all layers**", count, measured, floor);
    Ok(())
}

fn describe(graph: &Graph, node: &Node) -> String {
    let inputs: Vec<String> = node
        .inputs
        .iter()
        .map(|input| graph.node(*input).shape.to_string())
        .collect();
    let detail = match node.op {
        Op::Conv2d(conv) if conv.groups > 1 => {
            format!(" {0}x{0}/{1}, {2} groups", conv.kernel, conv.stride, conv.groups)
        }
        Op::Conv2d(conv) => format!(" {0}x{0}/{1}", conv.kernel, conv.stride),
        _ => String::new(),
    };
    format!("{}{detail} {} to {}", node.op.kind(), inputs.join(" + "), node.shape)
}

/// Seconds of the layer, forward and backward, as the trainer runs it: a network of this layer alone.
fn measure(graph: &Graph, node: &Node) -> Result<f64, Failure> {
    let Shape::Map(input) = graph.node(node.inputs[0]).shape else {
        // only the classifier takes a vector: its product is measured behind a pool of one pixel
        let width = graph.node(node.inputs[0]).shape.channels();
        return time([width, 1, 1], |builder| {
            let pooled = builder.push("pool", Op::GlobalAveragePool, &[builder.input()])?;
            builder.push("layer", node.op, &[pooled])
        });
    };
    time(input, |builder| {
        let inputs = vec![builder.input(); node.inputs.len()];
        builder.push("layer", node.op, &inputs)
    })
}

fn time(
    input: [usize; 3],
    layer: impl Fn(&mut GraphBuilder) -> askd_models::Result<askd_models::NodeId>,
) -> Result<f64, Failure> {
    let mut builder = GraphBuilder::new("layer", input);
    let output = layer(&mut builder)?;
    let graph = builder.finish(&[("layer", output)]);
    let weights = initialise(&graph, 1);
    let mut network = Network::new(graph, &weights, DType::F32, &Device::Cpu)?;
    let [channels, height, width] = input;
    let images = Var::from_tensor(&Tensor::randn(
        0f32,
        1.0,
        (BATCH, channels, height, width),
        &Device::Cpu,
    )?)?;
    let mut step = || -> Result<(), Failure> {
        let (outputs, tape) = network.record(&images, PassMode::Train, &["layer"])?;
        // candle starts from ones
        let mut gradients = outputs[0].backward()?;
        tape.backward(&mut gradients)?;
        black_box(gradients);
        Ok(())
    };
    step()?;
    Ok(seconds(|| step().expect("a step that went well before")))
}
