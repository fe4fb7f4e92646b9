//! What the tests of every operation share: numerical gradients, runs on different numbers of threads, and a switch to the
//! compositions.

use std::cell::Cell;

use candle_core::{DType, Device, Result, Tensor, Var};
use proptest::test_runner::{Config, RngSeed};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::nn::kernels::element::Element;
use crate::nn::tape;

thread_local! {
    static COMPOSED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `pass` with every operation as its composition, as on a device without kernels.
pub(crate) fn as_compositions<T>(pass: impl FnOnce() -> T) -> T {
    let before = COMPOSED.replace(true);
    let result = pass();
    COMPOSED.set(before);
    result
}

/// Whether the compositions are asked for.
pub(super) fn composed() -> bool {
    COMPOSED.get()
}

/// A few cases from a fixed seed: the same ones in every run.
pub(super) fn config(cases: u32) -> Config {
    Config {
        cases,
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..Config::default()
    }
}

/// Values in `-1..1`.
pub(super) fn random<T: Element>(shape: &[usize], seed: u64) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let values: Vec<T> = (0..shape.iter().product())
        .map(|_| T::from_f64(rng.random_range(-1.0..1.0)))
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

fn variables<T: Element>(shapes: &[&[usize]]) -> Vec<Var> {
    let inputs = shapes.iter().enumerate().map(|(i, shape)| random::<T>(shape, i as u64));
    inputs.map(|t| Var::from_tensor(&t).unwrap()).collect()
}

/// The output for variables, and the gradient of each under a random weighting of the output.
fn gradients(vars: &[Var], op: impl Fn(&[Tensor]) -> Result<Tensor>) -> (Tensor, Vec<Tensor>) {
    let inputs: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let y = op(&inputs).unwrap();
    let weights = random::<f64>(y.dims(), 99).to_dtype(y.dtype()).unwrap();
    let grads = (&y * weights).unwrap().sum_all().unwrap().backward().unwrap();
    (
        y,
        vars.iter()
            .map(|v| grads.get(v).expect("every input has a gradient").clone())
            .collect(),
    )
}

fn values(t: &Tensor) -> Vec<f64> {
    t.to_dtype(DType::F64)
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1()
        .unwrap()
}

fn assert_close(what: &str, got: &Tensor, expected: &Tensor, tolerance: f64) {
    assert_eq!(got.dims(), expected.dims(), "{what}");
    for (i, (got, expected)) in values(got).iter().zip(values(expected)).enumerate() {
        let error = (got - expected).abs() / expected.abs().max(1.0);
        assert!(error <= tolerance, "{what}, element {i}: {got} instead of {expected}");
    }
}

/// Holds `op`'s output and gradients in `f64` against `reference` and against central differences, and in `f32`
/// against those in `f64`.
pub(super) fn check(
    shapes: &[&[usize]],
    op: impl Fn(&[Tensor]) -> Result<Tensor>,
    reference: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let vars = variables::<f64>(shapes);
    let (y, grads) = gradients(&vars, &op);
    let weights = random::<f64>(y.dims(), 99);
    let inputs: Vec<Tensor> = vars.iter().map(|v| v.as_detached_tensor()).collect();
    for (i, grad) in grads.iter().enumerate() {
        let (base, grad) = (values(&inputs[i]), values(grad));
        // A sample of the elements: each costs two runs of the operation.
        for element in (0..base.len()).step_by(base.len().div_ceil(24)) {
            let loss = |delta: f64| {
                let mut moved = base.clone();
                moved[element] += delta;
                let mut inputs = inputs.clone();
                inputs[i] = Tensor::from_vec(moved, inputs[i].dims(), &Device::Cpu).unwrap();
                (op(&inputs).unwrap() * &weights)
                    .unwrap()
                    .sum_all()
                    .unwrap()
                    .to_scalar::<f64>()
                    .unwrap()
            };
            const STEP: f64 = 1e-6;
            let expected = (loss(STEP) - loss(-STEP)) / (2.0 * STEP);
            let error = (grad[element] - expected).abs() / expected.abs().max(1.0);
            assert!(
                error < 1e-6,
                "input {i}, element {element}: {} instead of {expected}",
                grad[element]
            );
        }
    }

    let (expected_y, expected_grads) = gradients(&vars, &reference);
    assert_close("output", &y, &expected_y, 1e-9);
    for (i, (got, expected)) in grads.iter().zip(&expected_grads).enumerate() {
        assert_close(&format!("gradient of input {i}"), got, expected, 1e-8);
    }

    let vars = inputs
        .iter()
        .map(|t| Var::from_tensor(&t.to_dtype(DType::F32).unwrap()).unwrap());
    let (single_y, single_grads) = gradients(&vars.collect::<Vec<_>>(), &op);
    assert_close("f32 output", &single_y, &y, 1e-4);
    for (i, (got, expected)) in single_grads.iter().zip(&grads).enumerate() {
        assert_close(&format!("f32 gradient of input {i}"), got, expected, 1e-3);
    }
}

/// Holds the gradients that a tape finds in `f64` against candle's own.
pub(super) fn check_tape(shapes: &[&[usize]], op: impl Fn(&[Tensor]) -> Result<Tensor>) {
    let vars = variables::<f64>(shapes);
    let (y, expected) = gradients(&vars, &op);
    let inputs: Vec<Tensor> = vars.iter().map(|v| v.as_tensor().clone()).collect();
    let (outputs, tape) = tape::record(|| op(&inputs).map(|y| vec![y])).unwrap();
    assert_close("recorded output", &outputs[0], &y, 0.0);
    let weighted = (&outputs[0] * random::<f64>(y.dims(), 99)).unwrap();
    let mut got = weighted.sum_all().unwrap().backward().unwrap();
    tape.backward(&mut got).unwrap();
    for (i, (var, expected)) in vars.iter().zip(&expected).enumerate() {
        let gradient = got.get(var).expect("every input has a gradient");
        assert_close(&format!("recorded gradient of input {i}"), gradient, expected, 1e-12);
    }
}

/// Runs `op` and its backward in `f32` on pools of 1, 2 and 3 threads and compares every bit.
pub(super) fn assert_same_bits(shapes: &[&[usize]], op: impl Fn(&[Tensor]) -> Result<Tensor> + Sync) {
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (y, grads) = gradients(&variables::<f32>(shapes), &op);
            let tensors = std::iter::once(&y).chain(&grads);
            let bits = |t: &Tensor| {
                t.flatten_all()
                    .unwrap()
                    .to_vec1::<f32>()
                    .unwrap()
                    .into_iter()
                    .map(f32::to_bits)
            };
            tensors.flat_map(bits).collect::<Vec<u32>>()
        })
    };
    let expected = run(1);
    assert_eq!(run(2), expected);
    assert_eq!(run(3), expected);
}
