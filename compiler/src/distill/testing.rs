//! What the tests of the methods with logits share: untrained networks, and batches that are the same at every call.

use askd_models::{NetworkConfig, build};
use candle_core::{DType, Device, Tensor};

use crate::nn::{Network, SgdConfig, initialise};
use crate::train::{Moment, Objective, State};

const CLASSES: usize = 4;
const IMAGES: usize = 6;
const SIDE: usize = 16;

pub(super) const SGD: SgdConfig = SgdConfig {
    momentum: 0.9,
    nesterov: false,
    weight_decay: 5e-4,
};

pub(super) fn network(name: &str, seed: u64) -> Network {
    let graph = build(name, &NetworkConfig::new([1, SIDE, SIDE], CLASSES)).unwrap();
    let weights = initialise(&graph, seed);
    Network::new(graph, &weights, DType::F32, &Device::Cpu).unwrap()
}

pub(super) fn batch(step: usize) -> (Tensor, Tensor) {
    let value = |i: usize| ((i * i + (7 + step) * i) % 101) as f32 / 50.0 - 1.0;
    let images: Vec<f32> = (0..IMAGES * SIDE * SIDE).map(value).collect();
    let labels = (0..IMAGES).map(|image| ((image + step) % CLASSES) as u32);
    (
        Tensor::from_vec(images, (IMAGES, 1, SIDE, SIDE), &Device::Cpu).unwrap(),
        Tensor::from_iter(labels, &Device::Cpu).unwrap(),
    )
}

pub(super) fn moment(step: usize) -> Moment {
    Moment {
        step,
        progress: 0.5,
        rate: 0.05,
    }
}

fn run(objective: &mut impl Objective, steps: std::ops::Range<usize>) -> State {
    for step in steps {
        let (images, labels) = batch(step);
        objective.step(&images, &labels, &moment(step)).unwrap();
    }
    objective.state().unwrap()
}

/// The state after so many steps.
pub(super) fn states(mut objective: impl Objective, steps: usize) -> State {
    run(&mut objective, 0..steps)
}

/// A state taken over by a fresh objective in mid-run leads to the same end.
pub(super) fn check_restore<O: Objective>(objective: impl Fn() -> O) {
    let mut whole = objective();
    let half = run(&mut whole, 0..2);
    let end = run(&mut whole, 2..4);
    let mut resumed = objective();
    resumed.restore(&half).unwrap();
    assert_eq!(run(&mut resumed, 2..4), end);
    assert_ne!(half, end);
}
