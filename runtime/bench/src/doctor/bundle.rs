//! The bundle: whole, for this engine and machine, and does it run here?

use std::path::Path;

use askd_runtime::{Engine, Error, Model, Session, Variant};
use serde::Serialize;

use super::Demand;
use super::engine::{self, options};
use super::finding::{Cause, Finding};
use super::opset::{self, Support};
use super::target;
use crate::machine::Machine;
use crate::text::{bytes, printable};

/// A bundle whose files are what its manifest says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BundleFacts {
    /// Its directory.
    pub path: String,
    /// Its sequence number.
    pub sequence: u64,
    /// The kind of device it is meant for.
    pub device_class: String,
    /// The variant that was demanded, or the first.
    pub variant: String,
    /// All its variants.
    pub variants: Vec<VariantFacts>,
    /// Bytes that the demanded variant needs beside the engine's own: its files, its weights and activations.
    pub memory_needed_bytes: u64,
    /// How the self test went; `None` if it did not run or did not pass.
    pub self_test: Option<SelfTestFacts>,
}

/// A variant, and this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VariantFacts {
    /// Its name.
    pub name: String,
    /// What it was made for.
    pub target: String,
    /// Whether this machine is that; `None` if it cannot be told.
    pub suits: Option<bool>,
    /// Version of ONNX's default operator set.
    pub opset: u32,
    /// ONNX IR version.
    pub ir_version: u32,
    /// Size of the ONNX file, in bytes.
    pub size: u64,
    /// Estimated peak of weights and activations for one image, in bytes.
    pub peak_memory_bytes: u64,
}

/// A self test that passed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SelfTestFacts {
    /// Golden images run.
    pub images: usize,
    /// Largest absolute difference of a logit.
    pub max_abs_diff: f32,
    /// The largest difference that passes.
    pub tolerance: f32,
}

/// Opens the bundle, holds it against engine and machine, and runs it; with the name of the provider that ran.
pub(super) fn examine(
    path: &Path,
    demand: &Demand,
    machine: &Machine,
    engine: Option<&Engine>,
    findings: &mut Vec<Finding>,
) -> (Option<BundleFacts>, Option<&'static str>) {
    let model = match open(path, demand.variant.as_deref()) {
        Ok(model) => model,
        Err(error) => {
            let advice = "make or copy the bundle again";
            findings.push(Finding::of_error("bundle", Cause::BadInput, &error, advice));
            // All that is wrong at once: the provider can be tried all the same.
            return (None, engine.and_then(|_| engine::probe(demand, findings)));
        }
    };
    let mut facts = BundleFacts::of(path, &model, machine);
    let (sequence, class) = (facts.sequence, printable(&facts.device_class));
    let text = format!("every file has its digest; sequence {sequence}, device class {class}");
    findings.push(Finding::ok("bundle", text));
    let demanded = |variant: &VariantFacts| variant.name == facts.variant;
    findings.extend(
        facts
            .variants
            .iter()
            .map(|variant| suitability(variant, demanded(variant))),
    );
    findings.extend(engine.map(|engine| opset(model.variant(), engine)));
    let memory = memory(facts.memory_needed_bytes, machine);
    let fits = memory.exit_code().is_none();
    findings.push(memory);

    let session = match (engine, fits) {
        (None, _) => Err(Finding::note("session", "not tried: no engine", "see the line on it")),
        (_, false) => Err(Finding::note(
            "session",
            "not tried: too little memory",
            "see the line on it",
        )),
        (Some(_), true) => model.session(&options(demand)).map_err(|error| engine::refused(&error)),
    };
    let mut session = match session {
        Ok(session) => session,
        Err(finding) => {
            findings.push(finding);
            return (Some(facts), None);
        }
    };
    let loaded = format!("variant {} loads", printable(&facts.variant));
    findings.push(engine::works(&session, &loaded));
    facts.self_test = self_test(
        &mut session,
        model.manifest().golden_of(model.variant()).tolerance,
        findings,
    );
    (Some(facts), Some(session.provider().name()))
}

/// The demanded variant, after checking the files of all variants; only one is in memory at a time.
fn open(path: &Path, name: Option<&str>) -> Result<Model, Error> {
    let first = Model::open(path)?;
    let names: Vec<_> = first
        .manifest()
        .variants
        .iter()
        .map(|variant| variant.name.clone())
        .collect();
    let name = name.unwrap_or(&first.variant().name).to_owned();
    drop(first);
    for other in names.iter().skip(1).filter(|other| **other != name) {
        Model::open_variant(path, other)?;
    }
    Model::open_variant(path, &name)
}

impl BundleFacts {
    fn of(path: &Path, model: &Model, machine: &Machine) -> Self {
        let (manifest, variant) = (model.manifest(), model.variant());
        let files = variant.size.saturating_add(manifest.golden.size);
        Self {
            path: path.display().to_string(),
            sequence: manifest.sequence,
            device_class: manifest.device_class.clone(),
            variant: variant.name.clone(),
            variants: manifest
                .variants
                .iter()
                .map(|variant| VariantFacts::of(variant, machine))
                .collect(),
            memory_needed_bytes: variant.peak_memory_bytes.saturating_add(files),
            self_test: None,
        }
    }
}

impl VariantFacts {
    fn of(variant: &Variant, machine: &Machine) -> Self {
        Self {
            name: variant.name.clone(),
            target: variant.target.clone(),
            suits: target::suits(&variant.target, machine),
            opset: variant.opset,
            ir_version: variant.ir_version,
            size: variant.size,
            peak_memory_bytes: variant.peak_memory_bytes,
        }
    }
}

fn suitability(variant: &VariantFacts, demanded: bool) -> Finding {
    let (name, target) = (printable(&variant.name), printable(&variant.target));
    let text = match (demanded, variant.suits) {
        (true, Some(true)) => format!("{name} for {target}: suits this machine, is the one to run"),
        (true, Some(false)) => format!("{name} for {target}: is the one to run, but does not suit this machine"),
        (false, Some(true)) => format!("{name} for {target}: suits this machine"),
        (false, Some(false)) => format!("{name} for {target}: does not suit this machine"),
        (_, None) => format!("{name} for {target}: whether it suits this machine cannot be told"),
    };
    match (demanded, variant.suits) {
        (_, Some(true)) | (false, Some(false)) => Finding::ok("variant", text),
        (true, Some(false)) => Finding::note(
            "variant",
            text,
            "choose another by --variant, or make one for this machine",
        ),
        (_, None) => Finding::note("variant", text, "compare its target with the lines on cpu and jetson"),
    }
}

fn opset(variant: &Variant, engine: &Engine) -> Finding {
    let model = format!("the model has opset {} and IR {}", variant.opset, variant.ir_version);
    let version = engine.version().unwrap_or("of unknown version");
    match opset::support(version, variant.opset, variant.ir_version) {
        Support::Yes => Finding::ok("opset", format!("{model}; ONNX Runtime {version} takes them")),
        Support::No => Finding::problem(
            "opset",
            Cause::Conditions,
            format!("{model}; ONNX Runtime {version} does not take them"),
            "take a later ONNX Runtime",
        ),
        Support::Untold => Finding::note(
            "opset",
            format!("{model}; no table says whether ONNX Runtime {version} takes them"),
            "the line on the session tells",
        ),
    }
}

fn memory(needed: u64, machine: &Machine) -> Finding {
    let text = format!("needs {} beside the engine's own memory", bytes(needed));
    let Some(room) = machine.memory_room() else {
        return Finding::note(
            "fit",
            format!("{text}; what is left is missing"),
            "see the lines on memory and cgroup",
        );
    };
    let text = format!("{text}; {} left", bytes(room));
    if needed > room {
        let advice = "free memory, raise the cgroup's limit, or take a smaller model";
        return Finding::problem("fit", Cause::Conditions, text, advice);
    }
    if needed > room / 2 {
        return Finding::note("fit", text, "leave more room: the engine's own memory comes on top");
    }
    Finding::ok("fit", text)
}

fn self_test(session: &mut Session, tolerance: f32, findings: &mut Vec<Finding>) -> Option<SelfTestFacts> {
    match session.self_test() {
        Ok(passed) => {
            let (images, max_abs_diff) = (passed.images, passed.max_abs_diff);
            let text =
                format!("{images} golden images, largest difference {max_abs_diff:.2e} (allowed {tolerance:.0e})");
            findings.push(Finding::ok("self test", text));
            Some(SelfTestFacts {
                images,
                max_abs_diff,
                tolerance,
            })
        }
        Err(error) => {
            let cause = match error {
                Error::GoldenMismatch { .. } => Cause::GateFailed,
                _ => Cause::Conditions,
            };
            let advice = "do not use the bundle here; try another engine, provider or variant";
            findings.push(Finding::of_error("self test", cause, &error, advice));
            None
        }
    }
}
