//! The optimiser's step, in place.

use std::cell::RefCell;

use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Tensor};

use super::support::{check_pair, elements_mut, for_dtype, runs_kernels, shape_mismatch, view};
use crate::nn::kernels::sgd as kernel;

pub use crate::nn::kernels::sgd::Step as SgdUpdate;

const NAME: &str = "sgd_update";

/// Moves `weights` and `velocity` in place by one step of stochastic gradient descent:
/// `g += 2 anchor (W - W0) + weight_decay W`, `v = momentum v + g`, `W -= rate v` (Nesterov: `W -= rate (g + momentum v)`).
///
/// # Shapes
/// `weights`, `velocity`, `gradient` and the anchor `at` have one shape; without an anchor its weight does not count.
///
/// # Errors
/// Different shapes, number types or devices.
///
/// Source: `torch.optim.SGD`.
pub fn sgd_update(
    weights: &Tensor,
    velocity: &Tensor,
    gradient: &Tensor,
    at: Option<&Tensor>,
    update: &SgdUpdate,
) -> Result<()> {
    for other in [Some(velocity), Some(gradient), at].into_iter().flatten() {
        check_pair(NAME, weights, other)?;
        if weights.dims() != other.dims() {
            return Err(shape_mismatch(NAME, weights, other));
        }
    }
    let gradient = gradient.detach().contiguous()?;
    if !runs_kernels(weights) {
        return composition::sgd_update(weights, velocity, &gradient, at, update);
    }
    velocity.inplace_op1(&OnVelocity {
        weights,
        gradient: &gradient,
        at,
        update,
    })
}

/// Sum of the squares of all elements.
///
/// # Errors
/// A number type other than `f32` and `f64`.
pub fn sum_of_squares(x: &Tensor) -> Result<f64> {
    if !runs_kernels(x) {
        return x.sqr()?.to_dtype(candle_core::DType::F64)?.sum_all()?.to_scalar();
    }
    let x = x.detach().contiguous()?;
    let values = view(&x, "sum_of_squares");
    for_dtype!(x.dtype(), "sum_of_squares", T => Ok(kernel::sum_of_squares::<T>(values.elements()?)))
}

/// candle lends one tensor's memory to be changed: the velocity's first, and inside that the weights'.
struct OnVelocity<'a> {
    weights: &'a Tensor,
    gradient: &'a Tensor,
    at: Option<&'a Tensor>,
    update: &'a SgdUpdate,
}

struct OnWeights<'a> {
    velocity: RefCell<(&'a mut CpuStorage, &'a Layout)>,
    gradient: &'a Tensor,
    at: Option<&'a Tensor>,
    update: &'a SgdUpdate,
}

impl InplaceOp1 for OnVelocity<'_> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        self.weights.inplace_op1(&OnWeights {
            velocity: RefCell::new((storage, layout)),
            gradient: self.gradient,
            at: self.at,
            update: self.update,
        })
    }
}

impl InplaceOp1 for OnWeights<'_> {
    fn name(&self) -> &'static str {
        NAME
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let mut velocity = self.velocity.borrow_mut();
        let (velocity, velocity_layout) = &mut *velocity;
        let gradient = view(self.gradient, NAME);
        let at = self.at.map(|at| view(at, NAME));
        for_dtype!(self.gradient.dtype(), NAME, T => {
            let at = at.as_ref().map_or(Ok(&[][..]), |at| at.elements())?;
            let velocity = elements_mut::<T>(velocity, velocity_layout, NAME)?;
            kernel::step(elements_mut(storage, layout, NAME)?, velocity, gradient.elements()?, at, self.update);
            Ok(())
        })
    }
}

mod composition {
    use super::*;

    /// [`super::sgd_update`] by candle's own operations.
    pub(super) fn sgd_update(
        weights: &Tensor,
        velocity: &Tensor,
        gradient: &Tensor,
        at: Option<&Tensor>,
        update: &SgdUpdate,
    ) -> Result<()> {
        let value = weights.detach();
        let mut gradient = (gradient + (&value * update.weight_decay)?)?;
        if let Some(at) = at {
            gradient = (gradient + ((&value - at)? * (2.0 * update.anchor))?)?;
        }
        let moved = ((velocity * update.momentum)? + &gradient)?;
        let step = if update.nesterov {
            (gradient + (&moved * update.momentum)?)?
        } else {
            moved.clone()
        };
        velocity.slice_set(&moved, 0, 0)?;
        weights.slice_set(&(value - (step * update.rate)?)?, 0, 0)
    }

    #[cfg(test)]
    mod tests {
        use super::super::super::testing::random;
        use super::*;

        #[test]
        fn the_kernel_does_the_same() {
            for (nesterov, anchored) in [(false, false), (true, false), (false, true), (true, true)] {
                let update = SgdUpdate {
                    momentum: 0.9,
                    nesterov,
                    weight_decay: 0.01,
                    anchor: 0.3,
                    rate: 0.1,
                };
                let tensors = || [0, 1, 2, 3].map(|seed| random::<f64>(&[3, 7001], seed));
                let [w, v, g, at] = tensors();
                let at = anchored.then_some(&at);
                super::super::sgd_update(&w, &v, &g, at, &update).unwrap();
                let [expected_w, expected_v, ..] = tensors();
                sgd_update(&expected_w, &expected_v, &g, at, &update).unwrap();
                for (got, expected) in [(w, expected_w), (v, expected_v)] {
                    let difference = (got - expected).unwrap().abs().unwrap().max_all().unwrap();
                    assert!(difference.to_scalar::<f64>().unwrap() < 1e-14);
                }
            }
        }
    }
}
