//! Gives a model's bytes to ONNX Runtime, on the provider that was demanded and no other.

use std::path::Path;

use ort::ep;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

use crate::engine::{Engine, failed_to};
use crate::error::Error;
use crate::options::{Optimisation, SessionOptions};
use crate::provider::{self, Missing, Provider};

/// A session of ONNX Runtime, and where it runs.
pub(crate) struct Loaded {
    pub(crate) inner: Session,
    pub(crate) provider: Provider,
    /// Why the provider is the second choice, where it is.
    pub(crate) fallback: Option<Error>,
}

/// Makes a session of `bytes`; with `profile`, its runs are recorded in a file whose name begins so.
pub(crate) fn load(
    engine: &Engine,
    bytes: &[u8],
    options: &SessionOptions,
    profile: Option<&Path>,
) -> Result<Loaded, Error> {
    options.check()?;
    let on = |provider, fallback| {
        let inner = load_on(provider, engine, bytes, options, profile)?;
        Ok(Loaded {
            inner,
            provider,
            fallback,
        })
    };
    match options.provider {
        Provider::CudaOrCpu => match on(Provider::Cuda, None) {
            Err(reason @ Error::ProviderUnavailable { .. }) => on(Provider::Cpu, Some(reason)),
            other => other,
        },
        provider => on(provider, None),
    }
}

fn load_on(
    provider: Provider,
    engine: &Engine,
    bytes: &[u8],
    options: &SessionOptions,
    profile: Option<&Path>,
) -> Result<Session, Error> {
    provider::require(provider, engine)?;
    let mut builder = builder(engine, options, profile)?;
    for dispatch in provider.dispatches(engine, options, bytes)? {
        let registered = dispatch.register(&mut builder);
        registered.map_err(|error| unavailable(provider, options, error.message(), "register the provider"))?;
    }
    if options.strict && provider != Provider::Cpu {
        builder = builder.with_disable_cpu_fallback().map_err(failed_to(CONFIGURE))?;
    }
    builder.commit_from_memory(bytes).map_err(|error| match provider {
        Provider::Cpu => failed_to("load the model")(error),
        _ if is_about_cpu_nodes(error.message()) => Error::CpuNodes { provider },
        _ => unavailable(provider, options, error.message(), "load the model"),
    })
}

const CONFIGURE: &str = "configure a session";

/// ONNX Runtime's pass that makes integers, with one scale for all channels, of the float weights of a convolution between
/// integers. A layer is left float because integers hurt it: that pass hurts it more. Versions before 1.20 have no such pass.
const UNDOES_FLOAT_LAYERS: &str = "WeightBiasQuantization";

fn builder(engine: &Engine, options: &SessionOptions, profile: Option<&Path>) -> Result<SessionBuilder, Error> {
    let level = match options.optimisation {
        Optimisation::None => GraphOptimizationLevel::Disable,
        Optimisation::Basic => GraphOptimizationLevel::Level1,
        Optimisation::Extended => GraphOptimizationLevel::Level2,
        Optimisation::All => GraphOptimizationLevel::All,
    };
    let mut builder = Session::builder(engine.environment())
        .map_err(failed_to(CONFIGURE))?
        // Failures are returned, not printed.
        .with_log_level(ort::logging::LogLevel::Fatal)
        .map_err(failed_to(CONFIGURE))?
        .with_optimization_level(level)
        .map_err(failed_to(CONFIGURE))?
        .with_disabled_optimizers(UNDOES_FLOAT_LAYERS)
        .map_err(failed_to(CONFIGURE))?
        .with_intra_threads(usize::from(options.intra_op_threads))
        .map_err(failed_to(CONFIGURE))?
        .with_intra_op_spinning(options.spinning)
        .map_err(failed_to(CONFIGURE))?
        .with_inter_op_spinning(options.spinning)
        .map_err(failed_to(CONFIGURE))?
        .with_execution_providers([ep::CPU::default()
            .with_arena_allocator(options.memory_arena)
            .build()
            .error_on_failure()])
        .map_err(failed_to(CONFIGURE))?;
    if let Some(profile) = profile {
        builder = builder.with_profiling(profile).map_err(failed_to(CONFIGURE))?;
    }
    Ok(builder)
}

/// What `message` means for a provider that was demanded.
fn unavailable(provider: Provider, options: &SessionOptions, message: &str, action: &'static str) -> Error {
    match Missing::read(message, options.device_id) {
        Some(missing) => Error::ProviderUnavailable { provider, missing },
        None => Error::Engine {
            action,
            source: message.to_owned().into(),
        },
    }
}

/// Whether `message` is the engine's refusal to place nodes on the CPU, for which it has no error code.
fn is_about_cpu_nodes(message: &str) -> bool {
    message.contains("assigned to the default CPU EP")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The engine's own words, in whatever version is in use here: if they change, this fails.
    #[test]
    fn a_refusal_of_cpu_nodes_is_recognised() {
        let engine = Engine::load(None).unwrap_or_else(|error| panic!("this test needs ONNX Runtime: {error}"));
        let builder = builder(engine, &SessionOptions::default(), None).unwrap();
        let mut builder = builder.with_disable_cpu_fallback().unwrap();
        let error = builder
            .commit_from_memory(include_bytes!("../tests/fixtures/tiny_fixed.onnx"))
            .map(|_| ())
            .unwrap_err();
        assert!(is_about_cpu_nodes(error.message()), "{}", error.message());
    }
}
