//! A network's tensors on the host, by parameter name: what checkpoints hold and what graph passes rewrite.

mod import;
mod pytorch;
mod safetensors_file;

use std::collections::{BTreeMap, HashSet};

use askd_models::Graph;

pub use import::{head_aliases, import};
pub use safetensors_file::{load_safetensors, load_with_metadata, save_safetensors};

use crate::{Differences, Error, Result};

/// One tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct HostTensor {
    /// Dimensions.
    pub shape: Vec<usize>,
    /// Values; as many as the product of `shape`.
    pub data: Vec<f32>,
}

impl HostTensor {
    /// A tensor of these dimensions and values.
    ///
    /// # Panics
    /// If `data` has not as many values as `shape` says: a programmer's mistake, never a file's.
    pub fn new(shape: Vec<usize>, data: Vec<f32>) -> Self {
        assert_eq!(
            shape.iter().product::<usize>(),
            data.len(),
            "a tensor of shape {shape:?}"
        );
        Self { shape, data }
    }
}

/// Tensors by parameter name, in the names of a [`Graph`].
pub type Weights = BTreeMap<String, HostTensor>;

/// Origin of weights that come from no file, as errors name it.
pub const IN_MEMORY: &str = "the set of weights";

/// Checks that `weights`, which come from `origin`, holds exactly the parameters of `graph`, each in its shape.
///
/// # Errors
/// [`Error::WeightsMismatch`] listing every missing, extra and misshaped tensor.
pub fn check(graph: &Graph, weights: &Weights, origin: &str) -> Result<()> {
    let mut differences = Differences::default();
    let parameters = graph.parameters();
    for parameter in &parameters {
        match weights.get(&parameter.name) {
            None => differences.missing.push(parameter.name.clone()),
            Some(tensor) if tensor.shape != parameter.shape => {
                let (name, got, expected) = (&parameter.name, &tensor.shape, &parameter.shape);
                differences
                    .misshaped
                    .push(format!("{name} is {got:?}, expected {expected:?}"));
            }
            Some(_) => {}
        }
    }
    let known: HashSet<_> = parameters.iter().map(|parameter| &parameter.name).collect();
    differences.extra = weights.keys().filter(|name| !known.contains(name)).cloned().collect();
    if differences == Differences::default() {
        return Ok(());
    }
    let (origin, network) = (origin.to_owned(), graph.name().to_owned());
    Err(Error::WeightsMismatch {
        origin,
        network,
        differences: Box::new(differences),
    })
}
