//! Which variant of a bundle, by which provider and with how many threads, serves this machine best?
//!
//! Every variant is started and tests itself, those that pass are timed in turn, and the choice is stored beside the
//! bundle. The bundle's first variant, fp32 in what `askd-compile` writes, by the first provider is the reference: another
//! one is preferred only if it is shown to be faster, and is accurate enough.

mod accuracy;
mod candidate;
mod contest;
mod decide;
mod start;
mod table;

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use askd_runtime::{
    CHOICE_SCHEMA, Choice, Engine, Error, MANIFEST_FILE, Manifest, Provider, SessionOptions, sha256_hex,
};
use serde::Serialize;

use crate::doctor::EngineFacts;
use crate::machine::Machine;
use crate::measure::{CONFIDENCE, Plan, RESAMPLES, WarmUp};
use crate::store;
use contest::{Contest, Outcome};

pub use accuracy::AccuracyFacts;
pub use candidate::{Candidate, GoldenFacts, Start, Verdict};
pub use decide::SEED;

/// Layout version of a [`Report`] as JSON.
pub const SCHEMA: u32 = 1;

/// What is to be tuned, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    /// The bundle's directory.
    pub bundle: PathBuf,
    /// The ONNX Runtime library; `None` to look for it, see [`askd_runtime::Engine::load`].
    pub library: Option<PathBuf>,
    /// Where it may run: each is tried, and must be there. The first is the reference's; none for the CPU.
    pub providers: Vec<Provider>,
    /// Numbers of threads to try; none for 1 and as many as can run at once.
    pub threads: Vec<u16>,
    /// Most points of top-1 that a variant may lie below the reference.
    pub max_drop: f64,
    /// How long to measure.
    pub plan: Plan,
    /// Where the choice is stored; `None` for beside the bundle, see [`Choice::path_beside`].
    pub out: Option<PathBuf>,
}

/// What [`tune`] found. As JSON it is described in `docs/tune.md`; its `Display` is a table for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Layout version: [`SCHEMA`].
    pub schema: u32,
    /// 0 if there is a choice, 3 if every candidate was refused.
    pub exit_code: u8,
    /// The bundle's directory.
    pub bundle: String,
    /// SHA-256 of its `askd.json`.
    pub bundle_sha256: String,
    /// Name of the reference's provider, the first that was demanded; the candidates have them all.
    pub provider: &'static str,
    /// Most points of top-1 below the reference.
    pub max_drop: f64,
    /// How intervals are made.
    pub bootstrap: Bootstrap,
    /// How the warm-up went; `None` if nothing was timed.
    pub warm_up: Option<WarmUp>,
    /// Every variant by every provider with every number of threads, variants in the bundle's order.
    pub candidates: Vec<Candidate>,
    /// The choice, as stored; `None` if every candidate was refused: nothing is stored then.
    pub choice: Option<Choice>,
    /// The file in which it is.
    pub choice_file: Option<String>,
    /// ONNX Runtime.
    pub engine: EngineFacts,
    /// The machine.
    pub machine: Machine,
}

/// How a [`Ratio`](crate::measure::Ratio)'s interval is made.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bootstrap {
    /// [`CONFIDENCE`].
    pub confidence: f64,
    /// [`RESAMPLES`].
    pub resamples: usize,
    /// [`SEED`].
    pub seed: u64,
}

/// Measures the bundle's variants on `machine`, which must be the one this runs on, and stores the choice.
///
/// `progress` is told in a line what goes on. A variant that cannot run here is refused in the report, and the others go on.
///
/// # Errors
/// Those of [`Choice::digest_of`] and [`Manifest::from_json`] for the bundle; those of [`Engine::load`]; [`Error::ProviderUnavailable`] and [`Error::Option`]; [`Error::Write`] if the
/// choice cannot be stored, which is tried before anything is measured; [`Error::ChoiceStale`] if the bundle was replaced
/// meanwhile.
pub fn tune(machine: Machine, demand: &Demand, progress: &mut dyn FnMut(&str)) -> Result<Report, Error> {
    let bundle = demand.bundle.as_path();
    let (manifest, bundle_sha256) = read_manifest(bundle)?;
    let engine = Engine::load(demand.library.as_deref())?;
    let path = match &demand.out {
        Some(path) => path.clone(),
        None => Choice::path_beside(bundle)?,
    };
    store::try_out(&path)?;

    let providers = match demand.providers.as_slice() {
        [] => &[Provider::Cpu],
        given => given,
    };
    let contest = Contest {
        manifest: &manifest,
        providers,
        threads: &thread_counts(demand, &machine),
        max_drop: demand.max_drop,
        plan: &demand.plan,
    };
    let options = |provider, threads| SessionOptions {
        library: demand.library.clone(),
        provider,
        intra_op_threads: threads,
        ..SessionOptions::default()
    };
    let begun = Instant::now();
    let Outcome {
        candidates,
        chosen,
        warm_up,
    } = contest.hold(
        &mut |variant, provider, threads| start::start(bundle, &variant.name, options(provider, threads)),
        &mut || begun.elapsed(),
        progress,
    )?;

    let mut report = Report {
        schema: SCHEMA,
        exit_code: if chosen.is_some() { 0 } else { 3 },
        bundle: bundle.display().to_string(),
        bundle_sha256,
        provider: providers[0].name(),
        max_drop: demand.max_drop,
        bootstrap: Bootstrap {
            confidence: CONFIDENCE,
            resamples: RESAMPLES,
            seed: SEED,
        },
        warm_up,
        candidates,
        choice: None,
        choice_file: None,
        engine: EngineFacts::of(engine),
        machine,
    };
    if let Some(choice) = chosen.and_then(|index| report.choice_of(index)) {
        let expected = Choice::digest_of(bundle)?;
        if expected != choice.bundle_sha256 {
            let found = choice.bundle_sha256;
            return Err(Error::ChoiceStale { path, expected, found });
        }
        store::write(&path, &choice.to_json()?)?;
        report.choice = Some(choice);
        report.choice_file = Some(path.display().to_string());
    }
    Ok(report)
}

/// The manifest of the bundle in directory `bundle`, and its SHA-256.
pub(crate) fn read_manifest(bundle: &Path) -> Result<(Manifest, String), Error> {
    let path = bundle.join(MANIFEST_FILE);
    // refuses what is no file, or too large a one
    Choice::digest_of(bundle)?;
    let bytes = std::fs::read(&path).map_err(|source| Error::Read { path, source })?;
    Ok((Manifest::from_json(&bytes)?, sha256_hex(&bytes)))
}

/// The numbers of threads to try, each once.
fn thread_counts(demand: &Demand, machine: &Machine) -> Vec<u16> {
    let all = machine.usable_cores().and_then(|cores| u16::try_from(cores).ok());
    let mut counts = match demand.threads.as_slice() {
        [] => vec![1, all.unwrap_or(1)],
        given => given.to_vec(),
    };
    counts.sort_unstable();
    counts.dedup();
    counts
}

impl Report {
    /// The choice of the candidate at `index`; `None` if it was not measured.
    fn choice_of(&self, index: usize) -> Option<Choice> {
        let chosen = self.candidates.get(index)?;
        let latency = chosen.latency?;
        let reference = self.candidates.first()?;
        let reference = self
            .candidates
            .iter()
            .find(|candidate| candidate.runs_as(reference) && candidate.threads == chosen.threads);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(Choice {
            schema: CHOICE_SCHEMA,
            bundle_sha256: self.bundle_sha256.clone(),
            variant: chosen.variant.clone(),
            threads: chosen.threads,
            provider: chosen.provider_used?,
            cpu: self.machine.cpu.model.clone(),
            cores: self.machine.usable_cores(),
            onnxruntime: self.engine.version.clone(),
            p50_ms: latency.p50_ms,
            p90_ms: latency.p90_ms,
            p99_ms: latency.p99_ms,
            reference_p50_ms: reference.and_then(|reference| Some(reference.latency?.p50_ms)),
            runs: latency.runs as u64,
            unix_seconds: now.as_secs(),
        })
    }
}
