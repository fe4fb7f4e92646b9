//! Can a bundle run here as demanded, and what is to be done where it cannot?

mod bundle;
mod engine;
mod finding;
mod judge;
mod opset;
mod table;
pub(crate) mod target;

use std::path::PathBuf;

use askd_runtime::Provider;
use serde::Serialize;

use crate::machine::Machine;

pub use bundle::{BundleFacts, SelfTestFacts, VariantFacts};
pub use engine::EngineFacts;
pub use finding::{Cause, Finding, Severity};

/// Layout version of a [`Report`] as JSON.
pub const SCHEMA: u32 = 1;

/// What is to run, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// The bundle's directory; `None` to look at engine and machine alone.
    pub bundle: Option<PathBuf>,
    /// The bundle's variant; `None` for its first.
    pub variant: Option<String>,
    /// The ONNX Runtime library; `None` to look for it, see [`askd_runtime::Engine::load`].
    pub library: Option<PathBuf>,
    /// Where it must run.
    pub provider: Provider,
}

/// What [`examine`] found. As JSON it is described in `docs/doctor.md`; its `Display` is a table for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Layout version: [`SCHEMA`].
    pub schema: u32,
    /// Whether it can run as demanded: no finding is a problem.
    pub ready: bool,
    /// 0 if ready, else the lowest [`Cause::exit_code`] of the problems.
    pub exit_code: u8,
    /// Name of the provider that was demanded.
    pub provider: &'static str,
    /// Name of the provider that ran; `None` if nothing did.
    pub provider_used: Option<&'static str>,
    /// What was found, from the machine to the self test.
    pub findings: Vec<Finding>,
    /// The machine.
    pub machine: Machine,
    /// ONNX Runtime; `None` if none could be loaded.
    pub engine: Option<EngineFacts>,
    /// The bundle; `None` if none was given or it could not be opened.
    pub bundle: Option<BundleFacts>,
}

/// Looks at `machine`, which must be the one this runs on, at the engine, and at the bundle if there is one.
///
/// The bundle's files are all read and checked; the demanded variant is loaded and tests itself. Without a bundle, a
/// network of a few operators shows whether the provider works. Never fails: what goes wrong is a finding.
pub fn examine(machine: Machine, demand: &Demand) -> Report {
    let mut findings = judge::machine(&machine);
    let engine = engine::load(demand, &mut findings);
    let (bundle, provider_used) = match &demand.bundle {
        Some(path) => bundle::examine(path, demand, &machine, engine, &mut findings),
        None => (None, engine.and_then(|_| engine::probe(demand, &mut findings))),
    };
    let exit_code = findings.iter().filter_map(Finding::exit_code).min().unwrap_or(0);
    Report {
        schema: SCHEMA,
        ready: exit_code == 0,
        exit_code,
        provider: demand.provider.name(),
        provider_used,
        findings,
        machine,
        engine: engine.map(EngineFacts::of),
        bundle,
    }
}
