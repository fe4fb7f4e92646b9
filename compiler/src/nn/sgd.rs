//! Stochastic gradient descent with momentum, Nesterov's variant, weight decay and an anchor.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use candle_core::backprop::GradStore;
use candle_core::{DType, Tensor, Var};
use serde::{Deserialize, Serialize};

use super::network::{from_host, to_host};
use super::ops;
use crate::weights::Weights;
use crate::{Error, Result};

/// Settings of [`Sgd`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SgdConfig {
    /// Share of the last step kept, `0..1`.
    pub momentum: f64,
    /// Whether the gradient is taken ahead of the momentum.
    pub nesterov: bool,
    /// Pull of every tensor towards zero, per unit of rate.
    pub weight_decay: f64,
}

impl Default for SgdConfig {
    /// Momentum 0.9, weight decay 5e-4: the published CIFAR-100 recipe (arXiv:2406.08528, section 4).
    fn default() -> Self {
        Self {
            momentum: 0.9,
            nesterov: false,
            weight_decay: 5e-4,
        }
    }
}

/// Optimiser of a group of tensors.
///
/// With gradient g of tensor W: `g += 2 anchor (W - W0) + weight_decay W`, `v = momentum v + g`, `W -= rate v`
/// (Nesterov: `W -= rate (g + momentum v)`).
///
/// Source: `torch.optim.SGD`; anchor: arXiv:2406.08528, `sum ||W - W0||^2`, its gradient added analytically.
#[derive(Debug)]
pub struct Sgd {
    config: SgdConfig,
    parameters: BTreeMap<String, Var>,
    velocity: BTreeMap<String, Tensor>,
    anchor: Option<Anchor>,
}

#[derive(Debug)]
struct Anchor {
    weight: f64,
    at: BTreeMap<String, Tensor>,
}

impl Sgd {
    /// An optimiser that moves these tensors.
    pub fn new(config: SgdConfig, parameters: BTreeMap<String, Var>) -> Self {
        Self {
            config,
            parameters,
            velocity: BTreeMap::new(),
            anchor: None,
        }
    }

    /// The tensors that this moves.
    pub fn parameters(&self) -> impl Iterator<Item = &Var> {
        self.parameters.values()
    }

    /// Holds the tensors near their present values with the given weight.
    ///
    /// # Errors
    /// [`Error::Tensor`].
    pub fn anchored(mut self, weight: f64) -> Result<Self> {
        let copies = self
            .parameters
            .iter()
            .map(|(name, var)| Ok((name.clone(), var.as_tensor().copy()?.detach())));
        self.anchor = Some(Anchor {
            weight,
            at: copies.collect::<Result<_>>()?,
        });
        Ok(self)
    }

    /// Moves every tensor that has a gradient by one step of the given rate; gives the gradients' joint norm.
    ///
    /// # Errors
    /// [`Error::NotFinite`] naming `step` and the tensor whose gradient is not finite; nothing has moved then.
    pub fn step(&mut self, gradients: &GradStore, rate: f64, step: usize) -> Result<f64> {
        let mut squares = 0.0;
        for (name, var) in &self.parameters {
            if let Some(gradient) = gradients.get(var) {
                let square = ops::sum_of_squares(gradient)?;
                if !square.is_finite() {
                    return Err(Error::NotFinite {
                        what: "gradient",
                        step,
                        layer: name.clone(),
                    });
                }
                squares += square;
            }
        }
        for (name, var) in &self.parameters {
            let Some(gradient) = gradients.get(var) else { continue };
            let velocity = match self.velocity.entry(name.clone()) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(var.as_detached_tensor().zeros_like()?),
            };
            let update = ops::SgdUpdate {
                momentum: self.config.momentum,
                nesterov: self.config.nesterov,
                weight_decay: self.config.weight_decay,
                anchor: self.anchor.as_ref().map_or(0.0, |anchor| anchor.weight),
                rate,
            };
            let at = self.anchor.as_ref().map(|anchor| &anchor.at[name]);
            ops::sgd_update(var.as_tensor(), velocity, gradient, at, &update)?;
        }
        Ok(squares.sqrt())
    }

    /// How far the tensors are from their anchor: `sum ||W - W0||^2`; 0 without one.
    ///
    /// # Errors
    /// [`Error::Tensor`].
    pub fn anchor_distance(&self) -> Result<f64> {
        let mut sum = 0.0;
        for (name, at) in self.anchor.iter().flat_map(|anchor| &anchor.at) {
            let apart = (self.parameters[name].as_detached_tensor() - at)?;
            sum += apart.sqr()?.to_dtype(DType::F64)?.sum_all()?.to_scalar::<f64>()?;
        }
        Ok(sum)
    }

    /// The momentum of every tensor that has one.
    ///
    /// # Errors
    /// [`Error::Tensor`].
    pub fn state(&self) -> Result<Weights> {
        self.velocity
            .iter()
            .map(|(name, tensor)| Ok((name.clone(), to_host(tensor)?)))
            .collect()
    }

    /// Takes over a state that [`Self::state`] gave.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if it names tensors that are not in this group.
    pub fn restore(&mut self, state: &Weights) -> Result<()> {
        self.velocity.clear();
        for (name, host) in state {
            let like = self.parameters.get(name).filter(|var| var.dims() == host.shape);
            let like = like.ok_or_else(|| Error::invalid(name, "a tensor of this optimiser", "another"))?;
            self.velocity.insert(name.clone(), from_host(host, like.as_tensor())?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// Three steps on `loss = sum(w^2)` from w = (1, -2); reference made with PyTorch:
    /// ```python
    /// w = torch.tensor([1., -2.], dtype=torch.float64, requires_grad=True)
    /// o = torch.optim.SGD([w], lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=NESTEROV)
    /// for _ in range(3): o.zero_grad(); (w * w).sum().backward(); o.step()
    /// ```
    /// which is the recurrence below, written out.
    #[test]
    fn three_steps_follow_the_recurrence() {
        for nesterov in [false, true] {
            let var = Var::new(&[1.0_f64, -2.0], &Device::Cpu).unwrap();
            let config = SgdConfig {
                momentum: 0.9,
                nesterov,
                weight_decay: 0.01,
            };
            let mut sgd = Sgd::new(config, BTreeMap::from([("w".to_owned(), var.clone())]));
            let (mut w, mut v) = ([1.0, -2.0], [0.0; 2]);
            for step in 0..3 {
                let gradients = var.sqr().unwrap().sum_all().unwrap().backward().unwrap();
                sgd.step(&gradients, 0.1, step).unwrap();
                for i in 0..2 {
                    let g: f64 = 2.0 * w[i] + 0.01 * w[i];
                    v[i] = 0.9 * v[i] + g;
                    w[i] -= 0.1 * if nesterov { g + 0.9 * v[i] } else { v[i] };
                }
            }
            for (got, expected) in var.to_vec1::<f64>().unwrap().iter().zip(w) {
                assert!((got - expected).abs() < 1e-12, "{got} {expected}");
            }
        }
    }

    #[test]
    fn the_anchor_pulls_back() {
        let var = Var::new(&[1.0_f64], &Device::Cpu).unwrap();
        let config = SgdConfig {
            momentum: 0.0,
            nesterov: false,
            weight_decay: 0.0,
        };
        let group = BTreeMap::from([("w".to_owned(), var.clone())]);
        let mut sgd = Sgd::new(config, group).anchored(0.5).unwrap();
        var.set(&Tensor::new(&[3.0_f64], &Device::Cpu).unwrap()).unwrap();
        assert_eq!(sgd.anchor_distance().unwrap(), 4.0);
        // a loss whose gradient is zero: only the anchor's 2 * 0.5 * (3 - 1) moves it
        let zero = Tensor::new(&[0.0_f64], &Device::Cpu).unwrap();
        let loss = var.mul(&zero).unwrap().sum_all().unwrap();
        let gradients = loss.backward().unwrap();
        sgd.step(&gradients, 0.25, 0).unwrap();
        assert_eq!(var.to_vec1::<f64>().unwrap(), [2.5]);
    }

    #[test]
    fn infinity_moves_nothing() {
        let var = Var::new(&[1.0_f64], &Device::Cpu).unwrap();
        let mut sgd = Sgd::new(SgdConfig::default(), BTreeMap::from([("w".to_owned(), var.clone())]));
        let gradients = (var.as_tensor() * f64::INFINITY)
            .unwrap()
            .sum_all()
            .unwrap()
            .backward()
            .unwrap();
        assert!(matches!(
            sgd.step(&gradients, 0.1, 7),
            Err(Error::NotFinite { step: 7, .. })
        ));
        assert_eq!(var.to_vec1::<f64>().unwrap(), [1.0]);
    }
}
