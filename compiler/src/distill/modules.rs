//! What a criterion has beside the student: small networks and single tensors that are trained, and what it remembers. None of
//! it ships.

use std::collections::BTreeMap;

use askd_models::Graph;
use candle_core::{DType, Device, Tensor, Var};

use super::chain::OUTPUT;
use crate::nn::{Network, PassMode, from_host, initialise, to_host};
use crate::weights::{HostTensor, Weights};
use crate::{Error, Result};

/// Networks and tensors by name; the tensors of network `a` are `a.NAME`.
#[derive(Debug)]
pub struct Modules {
    networks: BTreeMap<String, Network>,
    tensors: BTreeMap<String, Var>,
    /// Tensors that no optimiser moves.
    memories: BTreeMap<String, Tensor>,
    dtype: DType,
    device: Device,
    seed: u64,
}

impl Modules {
    /// None yet; the first weights of those to come follow from the seed and their order.
    pub(super) fn new(student: &Network, seed: u64) -> Self {
        Self {
            networks: BTreeMap::new(),
            tensors: BTreeMap::new(),
            memories: BTreeMap::new(),
            dtype: student.dtype(),
            device: student.device(),
            seed,
        }
    }

    /// Adds a network with random weights, made by a [`Chain`](super::chain::Chain).
    pub(super) fn add_network(&mut self, name: &str, graph: Graph) -> Result<()> {
        // of one run no two begin alike; the second of a run and the first of the next seed's do, scaled to their own layers
        let weights = initialise(&graph, self.seed.wrapping_add(self.networks.len() as u64));
        let network = Network::new(graph, &weights, self.dtype, &self.device)?;
        self.networks.insert(name.to_owned(), network);
        Ok(())
    }

    /// Adds a vector of equal values.
    pub(super) fn add_vector(&mut self, name: &str, length: usize, value: f64) -> Result<()> {
        let tensor = Tensor::full(value, length, &self.device)?.to_dtype(self.dtype)?;
        self.tensors.insert(name.to_owned(), Var::from_tensor(&tensor)?);
        Ok(())
    }

    /// Runs a network as training does, with batch statistics; gradients flow to its tensors and to `x`.
    pub(super) fn run(&mut self, name: &str, x: &Tensor) -> Result<Tensor> {
        let network = self.networks.get_mut(name).ok_or_else(|| unknown(name))?;
        // by candle's own way back, which `Tape::gradients` begins with
        Ok(network.forward(x, PassMode::Train, &[OUTPUT])?.remove(0))
    }

    /// A tensor that was added.
    pub(super) fn tensor(&self, name: &str) -> Result<&Tensor> {
        let tensor = self.tensors.get(name).ok_or_else(|| unknown(name))?;
        Ok(tensor.as_tensor())
    }

    /// The seed that they were made with.
    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    /// Adds a tensor that no optimiser moves.
    pub(super) fn add_memory(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> Result<()> {
        let tensor = Tensor::from_vec(values, shape, &self.device)?.to_dtype(self.dtype)?;
        self.memories.insert(name.to_owned(), tensor);
        Ok(())
    }

    /// Replaces such a tensor.
    pub(super) fn set_memory(&mut self, name: &str, tensor: Tensor) {
        self.memories.insert(name.to_owned(), tensor);
    }

    /// Such a tensor.
    pub(super) fn memory(&self, name: &str) -> Result<&Tensor> {
        self.memories.get(name).ok_or_else(|| unknown(name))
    }

    /// Trained tensors by name.
    pub fn trained(&self) -> BTreeMap<String, Var> {
        let of_networks = self.networks.iter().flat_map(|(name, network)| {
            let trained = network.trained().iter();
            trained.map(move |(tensor, var)| (format!("{name}.{tensor}"), var.clone()))
        });
        of_networks.chain(self.tensors.clone()).collect()
    }

    /// All tensors, on the host.
    ///
    /// # Errors
    /// [`Error::Tensor`].
    pub fn weights(&self) -> Result<Weights> {
        let mut weights = Weights::new();
        for (name, network) in &self.networks {
            let tensors = network.weights()?.into_iter();
            weights.extend(tensors.map(|(tensor, host)| (format!("{name}.{tensor}"), host)));
        }
        for (name, var) in &self.tensors {
            weights.insert(name.clone(), to_host(var)?);
        }
        for (name, tensor) in &self.memories {
            weights.insert(name.clone(), to_host(tensor)?);
        }
        Ok(weights)
    }

    /// Replaces all tensors' values.
    ///
    /// # Errors
    /// [`Error::WeightsMismatch`], or [`Error::InvalidValue`] for a single tensor, if these are others' weights.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<()> {
        for (name, network) in &mut self.networks {
            let own = |(tensor, host): (&String, &HostTensor)| {
                let tensor = tensor.strip_prefix(name.as_str())?.strip_prefix('.')?;
                Some((tensor.to_owned(), host.clone()))
            };
            network.set_weights(&weights.iter().filter_map(own).collect())?;
        }
        for (name, var) in &self.tensors {
            let host = weights.get(name).filter(|host| host.shape == var.dims());
            let host = host.ok_or_else(|| unknown(name))?;
            var.set(&from_host(host, var.as_tensor())?)?;
        }
        for (name, tensor) in &mut self.memories {
            let host = weights.get(name).filter(|host| host.shape == tensor.dims());
            *tensor = from_host(host.ok_or_else(|| unknown(name))?, tensor)?;
        }
        Ok(())
    }
}

fn unknown(name: &str) -> Error {
    Error::invalid(name, "a tensor or network of this criterion, in its shape", "none")
}
