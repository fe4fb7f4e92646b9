//! The network in a bundle, back as a graph with weights.

use std::path::Path;

use askd_models::Graph;
use askd_runtime::{MANIFEST_FILE, Model};
use onnx_protobuf::tensor_proto::DataType;
use onnx_protobuf::{GraphProto, TensorProto};

use crate::export::compile;
use crate::nn::initialise;
use crate::onnx::read_model;
use crate::passes::Pipeline;
use crate::train::Recipe;
use crate::weights::{self, HostTensor, Weights};
use crate::{Error, Result};

/// A bundle's float network as it ships.
pub(super) struct Source {
    /// The bundle, opened with its float variant.
    pub(super) model: Model,
    /// How it was trained.
    pub(super) recipe: Recipe,
    /// The network after the graph passes.
    pub(super) graph: Graph,
    /// Its tensors, as the ONNX file has them.
    pub(super) weights: Weights,
}

impl Source {
    /// Opens a bundle, builds its network anew from the recipe in its provenance, and reads the weights from its float model.
    ///
    /// # Errors
    /// [`Error::Runtime`] if the bundle cannot be opened, [`Error::Malformed`] if it has no float variant or no recipe,
    /// [`Error::WeightsMismatch`] if the model is not the recipe's network.
    pub(super) fn open(bundle: &Path) -> Result<Self> {
        let model = Model::open(bundle)?;
        let manifest = bundle.join(MANIFEST_FILE);
        let float = model
            .manifest()
            .variants
            .iter()
            .find(|variant| variant.precision == "fp32");
        let float = float.ok_or_else(|| Error::malformed(&manifest, "a variant of precision fp32", "none"))?;
        let model = Model::open_variant(bundle, &float.name)?;
        let recipe = model
            .manifest()
            .provenance
            .get("recipe")
            .and_then(|recipe| recipe.as_str());
        let recipe = recipe.ok_or_else(|| {
            let expected = "provenance.recipe, from which the network is built anew (export the bundle again)";
            Error::malformed(&manifest, expected, "none")
        })?;
        let recipe = Recipe::from_toml(recipe, &manifest)?;
        // the passes need weights of the right shapes, whatever their values
        let trained = recipe.graph()?;
        let (input, passes) = (model.manifest().input.data_type, passes_of(&model)?);
        let shipped = compile(&recipe, &trained, &mut initialise(&trained, 0), input, &passes)?;
        let file = bundle.join(&model.variant().file);
        let (_, onnx) = read_model(model.onnx())?;
        let mut weights = read_weights(&shipped, &onnx.graph, &file)?;
        // integers want what the export may have skipped
        let graph = Pipeline::all().run(&shipped, &mut weights)?;
        Ok(Self {
            model,
            recipe,
            graph,
            weights,
        })
    }
}

/// The passes that made a bundle's network; all of them where it does not say.
fn passes_of(model: &Model) -> Result<Pipeline> {
    match model
        .manifest()
        .provenance
        .get("passes")
        .and_then(|passes| passes.as_array())
    {
        Some(names) => Pipeline::named("provenance.passes", names.iter().filter_map(|name| name.as_str())),
        None => Ok(Pipeline::all()),
    }
}

/// The tensors of `graph` among a model's initialisers; `file` is the model's.
fn read_weights(graph: &Graph, model: &GraphProto, file: &Path) -> Result<Weights> {
    let mut weights = Weights::new();
    for parameter in graph.parameters() {
        if let Some(tensor) = model.initializer.iter().find(|tensor| tensor.name == parameter.name) {
            let tensor = floats(tensor, file)?;
            // what acts on a map's channels is written with dimensions of 1 for its pixels
            let without_ones = |shape: &[usize]| shape.iter().copied().filter(|dim| *dim > 1).collect::<Vec<_>>();
            let same = without_ones(&tensor.shape) == without_ones(&parameter.shape);
            let shape = if same { parameter.shape } else { tensor.shape };
            weights.insert(parameter.name, HostTensor::new(shape, tensor.data));
        }
    }
    weights::check(graph, &weights, &file.display().to_string())?;
    Ok(weights)
}

fn floats(tensor: &TensorProto, file: &Path) -> Result<HostTensor> {
    let shape: Option<Vec<usize>> = tensor.dims.iter().map(|dim| usize::try_from(*dim).ok()).collect();
    let data: Vec<f32> = tensor
        .raw_data
        .chunks_exact(size_of::<f32>())
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
        .collect();
    let elements = |shape: &[usize]| {
        shape
            .iter()
            .try_fold(1, |product: usize, dim| product.checked_mul(*dim))
    };
    match shape {
        Some(shape) if tensor.data_type == DataType::FLOAT as i32 && elements(&shape) == Some(data.len()) => {
            Ok(HostTensor::new(shape, data))
        }
        _ => Err(Error::malformed(
            file,
            format!("floats as raw data in tensor \"{}\"", tensor.name.escape_debug()),
            format!(
                "type {}, dimensions {:?}, {} bytes",
                tensor.data_type,
                tensor.dims,
                tensor.raw_data.len()
            ),
        )),
    }
}
