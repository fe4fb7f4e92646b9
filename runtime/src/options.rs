//! What a caller may choose about a session.

use std::path::PathBuf;

/// How a session is made. Take the defaults and change what matters:
///
/// ```
/// use askd_runtime::SessionOptions;
///
/// let options = SessionOptions { intra_op_threads: 2, ..SessionOptions::default() };
/// assert!(!options.spinning);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionOptions {
    /// The ONNX Runtime library; `None` to look for it, see [`Engine::load`](crate::Engine::load).
    pub library: Option<PathBuf>,
    /// The device to run on. A contract: making the session fails if it cannot run there.
    pub provider: Provider,
    /// Threads within one operator, the caller's included; 1 by default, 0 for one a core.
    pub intra_op_threads: u16,
    /// Whether idle threads spin, which shortens runs that follow each other closely and heats the rest. Off by default.
    pub spinning: bool,
    /// Graph rewriting by ONNX Runtime before the first run; [`Optimisation::All`] by default.
    pub optimisation: Optimisation,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            library: None,
            provider: Provider::default(),
            intra_op_threads: 1,
            spinning: false,
            optimisation: Optimisation::default(),
        }
    }
}

/// Where a model runs (an execution provider of ONNX Runtime).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Provider {
    /// ONNX Runtime's own kernels on the CPU; in every build of it.
    #[default]
    Cpu,
}

/// How much ONNX Runtime may rewrite the graph.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Optimisation {
    /// Not at all: each node runs as written.
    None,
    /// Rewrites that any device can use, such as constant folding.
    Basic,
    /// Also fusions of operators that only some devices have.
    Extended,
    /// Also memory layouts of the processor at hand.
    #[default]
    All,
}
