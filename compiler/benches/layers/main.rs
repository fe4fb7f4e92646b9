//! Where each layer of a network's training step stands against its floor: `make bench-layers`.
//!
//! Layers are timed inside whole steps, so that their times add up to the step's and caches hold what they hold there. A row
//! is all layers of one kind and shape, with the activation computed in the same pass over memory. What the floor is:
//! `floor.rs`. Arguments choose networks.

mod floor;

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use askd_compiler::nn::kernels::memory::keep_freed_memory;
use askd_compiler::nn::ops::cross_entropy;
use askd_compiler::nn::{Network, PassMode, Sgd, SgdConfig, initialise, record};
use askd_models::{Graph, LOGITS, NetworkConfig, Node, Op, build};
use candle_core::{DType, Device, Tensor};

use self::floor::{Machine, filtered_share};

type Failure = Box<dyn std::error::Error>;
/// Seconds of forward and backward.
type Times = [f64; 2];

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const THREADS: usize = 2;
const BATCH: usize = 64;
const INPUT: [usize; 3] = [3, 32, 32];
const CLASSES: usize = 100;
const NETWORKS: [&str; 3] = ["resnet8x4", "vgg8", "mobilenetv2_0.5"];
/// Steps measured, after two that are not.
const STEPS: usize = 21;
/// Rows of a table, the dearest layers first; the others are one row.
const ROWS: usize = 10;

fn main() -> Result<(), Failure> {
    keep_freed_memory();
    rayon::ThreadPoolBuilder::new().num_threads(THREADS).build_global()?;
    let machine = Machine::measure();
    println!("{THREADS} threads, products: {:.0} GFLOP/s", machine.flops / 1e9);
    for (bytes, rate) in &machine.copies {
        println!(
            "{THREADS} threads, copies of {} MiB: {:.0} GB/s",
            bytes >> 20,
            rate / 1e9
        );
    }
    let mut names: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with("--")).collect();
    if names.is_empty() {
        names = NETWORKS.map(str::to_owned).to_vec();
    }
    for name in names {
        table(&build(&name, &NetworkConfig::new(INPUT, CLASSES))?, &machine)?;
    }
    Ok(())
}

/// Layers that are the same but for their place, or several such.
#[derive(Clone, Default)]
struct Row {
    name: String,
    number: usize,
    /// Of all of them, by step.
    measured: Vec<Times>,
    floor: Times,
}

impl Row {
    fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            measured: vec![Times::default(); STEPS],
            ..Self::default()
        }
    }

    fn add(&mut self, number: usize, measured: impl Iterator<Item = Times>, floor: Times) {
        let sum = |a: Times, b: Times| [a[0] + b[0], a[1] + b[1]];
        self.number += number;
        self.floor = sum(self.floor, floor);
        self.measured
            .iter_mut()
            .zip(measured)
            .for_each(|(total, step)| *total = sum(*total, step));
    }

    fn all(name: &str, rows: &[Self]) -> Self {
        let mut total = Self::named(name);
        rows.iter()
            .for_each(|row| total.add(row.number, row.measured.iter().copied(), row.floor));
        total
    }

    fn seconds(&self) -> f64 {
        median(
            self.measured
                .iter()
                .map(|[forward, backward]| forward + backward)
                .collect(),
        )
    }

    fn print(&self) {
        let [forward, backward] = [0, 1].map(|way| median(self.measured.iter().map(|times| times[way]).collect()));
        let columns = [forward, self.floor[0], backward, self.floor[1]].map(|seconds| format!("{:.2}", 1e3 * seconds));
        let ratio = self.seconds() / (self.floor[0] + self.floor[1]);
        println!(
            "| {} | {} | {} | {ratio:.1} |",
            self.name,
            self.number,
            columns.join(" | ")
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn table(graph: &Graph, machine: &Machine) -> Result<(), Failure> {
    let mut trainer = Trainer::new(graph)?;
    (0..2).try_for_each(|_| trainer.step().map(drop))?;
    let steps = (0..STEPS).map(|_| trainer.step()).collect::<Result<Vec<_>, _>>()?;

    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut add = |name: String, index: usize, floor: Times| {
        let row = rows.entry(name.clone()).or_insert_with(|| Row::named(name));
        row.add(1, steps.iter().map(|times| times[index]), floor);
    };
    let nodes = graph.nodes();
    let computed =
        |(index, node): &(usize, &Node)| !matches!(node.op, Op::Input) && trainer.computed_by[*index] == *index;
    for (index, node) in nodes.iter().enumerate().filter(computed) {
        let activation = (index + 1..nodes.len()).find(|later| trainer.computed_by[*later] == index);
        let activation = activation.map(|later| &nodes[later]);
        let floor = machine.layer(graph, node, activation);
        add(describe(graph, node, activation), index, floor);
    }
    add("cross-entropy".to_owned(), nodes.len(), machine.loss());
    add("SGD".to_owned(), nodes.len() + 1, machine.update(graph));

    let mut rows: Vec<Row> = rows.into_values().collect();
    rows.sort_by(|a, b| b.seconds().total_cmp(&a.seconds()));
    println!("\n`{}`, ms of {BATCH} images\n", graph.name());
    println!("| layers | number | forward | floor | backward | floor | measured / floor |");
    println!("|---|---|---|---|---|---|---|");
    let (dearest, others) = rows.split_at(ROWS.min(rows.len()));
    dearest.iter().for_each(Row::print);
    if !others.is_empty() {
        Row::all("the others", others).print();
    }
    Row::all("**the step**", &rows).print();
    Ok(())
}

/// The name of a layer's row: all that decides its time.
fn describe(graph: &Graph, node: &Node, activation: Option<&Node>) -> String {
    let mut name = node.op.kind().to_owned();
    if let Op::Conv2d(conv) = node.op {
        name += &format!(" {0}x{0}/{1}", conv.kernel, conv.stride);
        if conv.groups > 1 {
            name += &format!(", {} groups", conv.groups);
        }
    }
    if filtered_share(node) < 1.0 {
        name += " as F(4x4)";
    }
    if let Some(activation) = activation {
        name += &format!(" + {}", activation.op.kind());
    }
    let source = graph.node(node.inputs[0]).shape;
    if source == node.shape {
        format!("{name} {source}")
    } else {
        format!("{name} {source} to {}", node.shape)
    }
}

/// A network that takes steps on one batch.
struct Trainer {
    network: Network,
    optimiser: Sgd,
    images: Tensor,
    labels: Tensor,
    /// For each node the one whose output it shows: itself, or the layer that it is computed with.
    computed_by: Vec<usize>,
}

impl Trainer {
    fn new(graph: &Graph) -> Result<Self, Failure> {
        let network = Network::new(graph.clone(), &initialise(graph, 1), DType::F32, &Device::Cpu)?;
        let [channels, height, width] = INPUT;
        Ok(Self {
            optimiser: Sgd::new(SgdConfig::default(), network.trained().clone()),
            network,
            images: Tensor::randn(0f32, 1.0, (BATCH, channels, height, width), &Device::Cpu)?,
            labels: Tensor::from_iter((0..BATCH as u32).map(|i| i * 7 % CLASSES as u32), &Device::Cpu)?,
            computed_by: Vec::new(),
        })
    }

    /// The times of a step by node, then of the loss, then of the optimiser.
    fn step(&mut self) -> Result<Vec<Times>, Failure> {
        let nodes = self.network.graph().nodes().len();
        let mut times = vec![Times::default(); nodes + 2];
        let (mut computed_by, mut node_of) = (Vec::new(), HashMap::new());
        let mut last = Instant::now();
        let mut lap = || std::mem::replace(&mut last, Instant::now()).elapsed().as_secs_f64();
        let (logits, tape) = record(|| {
            let mut inspect = |_: &Node, value: &Tensor| {
                let node = *node_of.entry(value.id()).or_insert(computed_by.len());
                computed_by.push(node);
                times[node][0] += lap();
                Ok(())
            };
            let network = &mut self.network;
            network.forward_inspected(&self.images, PassMode::Train, &[LOGITS], &mut inspect)
        })?;
        let loss = cross_entropy(&logits[0], &self.labels)?;
        times[nodes][0] = lap();
        let mut gradients = loss.backward()?;
        times[nodes][1] = lap();
        let mut node = nodes - 1;
        tape.backward_inspected(&mut gradients, &mut |output| {
            // a layer of several operations showed only its last one's output in the forward pass
            node = node_of.get(&output.id()).copied().unwrap_or(node);
            times[node][1] += lap();
        })?;
        self.optimiser.step(&gradients, 0.01, 0)?;
        times[nodes + 1][0] = lap();
        self.computed_by = computed_by;
        Ok(times)
    }
}
