//! The engine: found, of which version, built with what, and does the provider work?

use askd_runtime::{Engine, Error, Provider, Session, SessionOptions, Telemetry};
use serde::Serialize;

use super::Demand;
use super::finding::{Cause, Finding};

/// What to do without a usable library.
const NAME_ONE: &str =
    "name an ONNX Runtime, 1.17 or later and built for this machine, with --library or ORT_DYLIB_PATH";

/// A network of five operators in the compiler's opset: the least that a provider must run.
const PROBE: &[u8] = include_bytes!("../../../tests/fixtures/tiny_fixed.onnx");

/// The loaded ONNX Runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EngineFacts {
    /// The library's file, or the bare name that the system's loader found.
    pub path: String,
    /// Its version, if it tells.
    pub version: Option<String>,
    /// What to know of that version.
    pub warning: Option<String>,
    /// Whether it reports to its maker: `none`, where it cannot; `off`, as it was told here; `on`.
    pub telemetry: &'static str,
    /// Names of the providers it was built with, of those that the runtime knows.
    pub providers: Vec<&'static str>,
}

impl EngineFacts {
    pub(crate) fn of(engine: &Engine) -> Self {
        Self {
            path: engine.path().display().to_string(),
            version: engine.version().map(str::to_owned),
            warning: engine.warning(),
            telemetry: engine.telemetry().name(),
            providers: engine.providers().into_iter().map(Provider::name).collect(),
        }
    }
}

/// How a session is made to meet the demand.
pub(super) fn options(demand: &Demand) -> SessionOptions {
    SessionOptions {
        library: demand.library.clone(),
        provider: demand.provider,
        ..SessionOptions::default()
    }
}

/// Loads the engine and says what it is.
pub(super) fn load(demand: &Demand, findings: &mut Vec<Finding>) -> Option<&'static Engine> {
    let engine = match Engine::load(demand.library.as_deref()) {
        Ok(engine) => engine,
        Err(error) => {
            let finding = Finding::of_error("engine", Cause::Conditions, &error, NAME_ONE);
            // The runtime's own advice knows nothing of flags.
            let advice = Some(NAME_ONE.to_owned());
            findings.push(Finding { advice, ..finding });
            return None;
        }
    };
    let facts = EngineFacts::of(engine);
    let version = facts.version.as_deref().unwrap_or("of unknown version");
    let path = &facts.path;
    findings.push(Finding::ok("engine", format!("ONNX Runtime {version}, {path}")));
    findings.extend(care(engine.telemetry(), facts.warning));
    let providers = facts.providers.join(", ");
    findings.push(Finding::ok("providers", format!("built with {providers}")));
    Some(engine)
}

/// What to know of the engine before a product has it.
fn care(telemetry: Telemetry, warning: Option<String>) -> Vec<Finding> {
    let advice =
        "start your program with ORT_DISABLE_TELEMETRY=1, or call askd_runtime::disable_telemetry first in main";
    let quiet = "this build reports to Microsoft over the network, unless it is told not to, as it was here";
    let elderly = |text| Finding::note("engine", text, "take a later one where the board allows it");
    match (telemetry, warning) {
        (Telemetry::On, Some(warning)) => vec![Finding::note("telemetry", warning, advice)],
        (Telemetry::None, warning) => warning.map(elderly).into_iter().collect(),
        (_, warning) => {
            let quiet = Finding::note("telemetry", quiet, advice);
            warning.map(elderly).into_iter().chain([quiet]).collect()
        }
    }
}

/// Whether the demanded provider runs a small network; the name of the one that did.
pub(super) fn probe(demand: &Demand, findings: &mut Vec<Finding>) -> Option<&'static str> {
    let run = || -> Result<Session, Error> {
        let mut session = Session::from_onnx(PROBE, &options(demand))?;
        let interface = session.interface();
        let (input, mut output) = (vec![0.0; interface.elements()], vec![0.0; interface.classes]);
        session.run(&input, &mut output)?;
        Ok(session)
    };
    match run() {
        Ok(session) => {
            findings.push(works(&session, "a small network runs"));
            Some(session.provider().name())
        }
        Err(error) => {
            findings.push(refused(&error));
            None
        }
    }
}

/// What it means that there is a session.
pub(super) fn works(session: &Session, what: &str) -> Finding {
    let text = format!("{what} on {}", session.provider());
    match session.fallback() {
        None => Finding::ok("session", text),
        Some(reason) => {
            let text = format!("{text}, not on the GPU: {reason}");
            Finding::note("session", text, "mend that, or demand cpu; cuda makes it a problem")
        }
    }
}

/// What it means that there is none.
pub(super) fn refused(error: &Error) -> Finding {
    // A model that is not what its manifest says is the bundle's fault, all else that of engine and machine.
    let cause = match error {
        Error::Interface { .. } => Cause::BadInput,
        _ => Cause::Conditions,
    };
    let advice = "take another engine or provider, or export the model for this one";
    Finding::of_error("session", cause, error, advice)
}
