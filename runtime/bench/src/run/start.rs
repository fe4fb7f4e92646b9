//! From nothing to the first result. Only a process that has loaded nothing yet can tell, so each start is one of its own.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use askd_runtime::{Engine as OnnxRuntime, Model, sha256_hex};

use super::confine;
use super::engine::Engine;
use super::error::Error;
use super::report::ColdStart;
use super::subject::Subject;
use super::whole::Target;
use crate::child;
use crate::measure::median_figure;

/// How starts are made: a program that calls [`start`] and prints what it returns as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Starter {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// How many processes; the medians are told.
    pub processes: usize,
}

/// Starts `target` in this process, which must not have loaded ONNX Runtime before, and runs one image.
///
/// # Errors
/// Whatever fails, see [`run`](super::run).
pub fn start(target: &Target) -> Result<ColdStart, Error> {
    confine::apply(target)?;
    let clock = Instant::now();
    OnnxRuntime::load(target.library.as_deref())?;
    let loaded = clock.elapsed();
    let subject = Subject::open(&target.model, target.variant.as_deref())?;
    let opened = clock.elapsed();
    let session = subject.session(&target.options())?;
    let made = clock.elapsed();
    let (mut engines, _) = subject.engines(vec![session], &target.model, &target.feed)?;
    let ready = clock.elapsed();
    for engine in &mut engines {
        engine.preprocess()?;
        engine.infer()?;
        engine.postprocess()?;
    }
    let ran = clock.elapsed();
    // the runtime opens and checks in one go: how long it checked is how long it takes to check again
    let verify = match &subject {
        Subject::Bundle(model) => Some(digest_time(model, &target.model)?),
        Subject::Onnx(_) => None,
    };
    let open = opened - loaded;
    Ok(ColdStart {
        starts: 1,
        library_load: milliseconds(loaded),
        open: milliseconds(open.saturating_sub(verify.unwrap_or_default())),
        verify: verify.map(milliseconds),
        session: milliseconds(made - opened),
        first_run: milliseconds(ran - ready),
        total: milliseconds(made + (ran - ready)),
    })
}

/// Makes the starts, and tells the medians.
///
/// # Errors
/// Why there is none, in a line.
pub(super) fn measure(starter: &Starter) -> Result<ColdStart, String> {
    let start = |_| child::json(&starter.program, &starter.arguments);
    let starts: Result<Vec<ColdStart>, _> = (0..starter.processes.max(1)).map(start).collect();
    let starts = starts?;
    let median = |part: fn(&ColdStart) -> f64| median_figure(starts.iter().map(part));
    let is_checked = starts.iter().all(|start| start.verify.is_some());
    Ok(ColdStart {
        starts: starts.len(),
        library_load: median(|start| start.library_load),
        open: median(|start| start.open),
        verify: is_checked.then(|| median(|start| start.verify.unwrap_or_default())),
        session: median(|start| start.session),
        first_run: median(|start| start.first_run),
        total: median(|start| start.total),
    })
}

/// How long it takes to digest the files that opening has digested.
fn digest_time(model: &Model, bundle: &Path) -> Result<Duration, Error> {
    let path = bundle.join(&model.manifest().golden_of(model.variant()).file);
    let golden = fs::read(&path).map_err(|source| askd_runtime::Error::Read { path, source })?;
    let clock = Instant::now();
    for bytes in [model.onnx(), &golden] {
        std::hint::black_box(sha256_hex(bytes));
    }
    Ok(clock.elapsed())
}

fn milliseconds(time: Duration) -> f64 {
    1e3 * time.as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn starter(script: &str) -> Starter {
        Starter {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            processes: 3,
        }
    }

    #[test]
    fn medians_are_those_of_each_part() {
        let folder = tempfile::tempdir().unwrap();
        let count = folder.path().join("count");
        // the second and third start take longer
        let script = format!(
            "echo x >> {0}; n=$(wc -l < {0}); echo '{{\"starts\":1,\"library_load\":'$n',\"open\":2,\"verify\":null,\
             \"session\":4,\"first_run\":5,\"total\":1'$n'}}'",
            count.display()
        );
        let found = measure(&starter(&script)).unwrap();
        assert_eq!(
            (found.starts, found.library_load, found.open, found.total),
            (3, 2.0, 2.0, 12.0)
        );
        assert_eq!(found.verify, None);
    }

    #[test]
    fn a_start_that_fails_is_told_in_its_own_words() {
        let failing = starter("echo 'error: no model' >&2; exit 2");
        assert_eq!(measure(&failing).unwrap_err(), "no model");
    }
}
