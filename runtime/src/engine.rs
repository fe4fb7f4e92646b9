//! The ONNX Runtime library of this process: loaded once, kept until the process ends.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::error::Error;
use crate::library::{self, Candidate, MINIMUM, RECOMMENDED};
use crate::maps::Maps;
use crate::provider::Provider;
use crate::telemetry::{self, Telemetry};

/// The loaded ONNX Runtime.
///
/// A process can load only one: the first success is kept, a failure can be tried again with another path.
pub struct Engine {
    path: PathBuf,
    version: Option<String>,
    /// Whether the variable kept telemetry off when the library was loaded; later it has no effect.
    silenced: bool,
    /// Whether the library has telemetry, once somebody has asked.
    has_telemetry: OnceLock<bool>,
    environment: ort::environment::Environment,
}

impl Engine {
    /// Loads ONNX Runtime, or returns the one already loaded.
    ///
    /// With a `path`, that file and no other. Without one: the file that `ORT_DYLIB_PATH` names and no other; without
    /// that too, `libonnxruntime.so` (with any version suffix) beside the executable, in `../lib`,
    /// `../onnxruntime/lib` or `../../onnxruntime/lib` from there; last, whatever the system's loader finds under
    /// that name.
    ///
    /// # Errors
    /// [`Error::LibraryNotFound`], [`Error::LibraryUnreadable`], [`Error::LibraryFormat`],
    /// [`Error::LibraryArchitecture`], [`Error::LibraryTooOld`] or [`Error::LibraryLoad`] where there is no usable
    /// library; [`Error::LibraryConflict`] if `path` is another library than the one loaded; [`Error::Engine`] if
    /// ONNX Runtime itself does not start.
    pub fn load(path: Option<&Path>) -> Result<&'static Self, Error> {
        static LOADED: OnceLock<Engine> = OnceLock::new();
        static LOADING: Mutex<()> = Mutex::new(());

        if let Some(engine) = LOADED.get() {
            return engine.agreeing_with(path);
        }
        // The lock guards no data, so a panic elsewhere leaves nothing half-done behind it.
        let _guard = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = LOADED.get() {
            return engine.agreeing_with(path);
        }
        let engine = Self::start(path)?;
        Ok(LOADED.get_or_init(|| engine))
    }

    /// The library file, or the bare name that the system's loader found.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// ONNX Runtime's version, such as `1.32.0`; `None` if the library does not tell (a bare name, a private build).
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The providers it was built with, which says nothing of what this machine can run.
    pub fn providers(&self) -> Vec<Provider> {
        let mut all = Provider::ALL.to_vec();
        // Which is a rule, not a provider.
        all.retain(|&provider| provider != Provider::CudaOrCpu && provider.is_built_in());
        all
    }

    /// One line on a reason for care, such as a version with known crashes; `None` if there is none.
    pub fn warning(&self) -> Option<String> {
        let path = self.path.display();
        let elderly = self
            .version
            .as_deref()
            .filter(|version| library::is_below(version, RECOMMENDED));
        if let Some(version) = elderly {
            return Some(format!(
                "{path}: ONNX Runtime {version} can crash or hang on malformed models: run none that no bundle vouches for \
                 ({RECOMMENDED} and later are known to withstand them)"
            ));
        }
        // where it is off, the library need not be searched
        (!self.silenced && self.has_telemetry()).then(|| {
            format!(
                "{path}: this build of ONNX Runtime reports to Microsoft over the network and writes to the user's cache \
                 directory: set {}=1 before it is loaded, or call askd_runtime::disable_telemetry first in main",
                telemetry::VARIABLE
            )
        })
    }

    /// Whether the library reports to its maker, as the builds that Microsoft publishes do from 1.29 on unless they are told not to.
    ///
    /// The first call searches the library's file; one that cannot be read counts as having none. See
    /// [`disable_telemetry`](crate::disable_telemetry).
    pub fn telemetry(&self) -> Telemetry {
        match (self.has_telemetry(), self.silenced) {
            (false, _) => Telemetry::None,
            (true, true) => Telemetry::Off,
            (true, false) => Telemetry::On,
        }
    }

    fn has_telemetry(&self) -> bool {
        let search = || self.file().is_some_and(|file| telemetry::is_in(&file).unwrap_or(false));
        *self.has_telemetry.get_or_init(search)
    }

    /// The library's file, also of one that the system's loader found by a bare name.
    fn file(&self) -> Option<PathBuf> {
        if self.path.is_absolute() {
            return Some(self.path.clone());
        }
        Maps::of_this_process()?.file_named(self.path.to_str()?)
    }

    pub(crate) fn environment(&self) -> &ort::environment::Environment {
        &self.environment
    }

    fn agreeing_with(&'static self, path: Option<&Path>) -> Result<&'static Self, Error> {
        match path {
            Some(requested) if !same_file(requested, &self.path) => {
                // A file that could not be loaded anyhow is reported as that.
                library::inspect(requested)?;
                Err(Error::LibraryConflict {
                    loaded: self.path.clone(),
                    requested: requested.to_owned(),
                })
            }
            _ => Ok(self),
        }
    }

    fn start(path: Option<&Path>) -> Result<Self, Error> {
        let (candidates, searched) = library::locate(path)?;
        let silenced = telemetry::is_disabled();
        for candidate in candidates {
            let (path, version, by_name) = match candidate {
                Candidate::File { path, version } => (path, version, false),
                Candidate::SystemName(name) => (PathBuf::from(name), None, true),
            };
            let builder = match ort::init_from(&path) {
                Ok(builder) => builder,
                Err(ort::LoadDynamicError::BadVersion { version_str, .. }) => {
                    return Err(Error::LibraryTooOld {
                        path,
                        found: version_str,
                        minimum: MINIMUM,
                    });
                }
                Err(ort::LoadDynamicError::Dlopen { error, .. }) if by_name && is_absent(&error, &path) => continue,
                // Its cause would be lost behind `ort`'s own error.
                Err(ort::LoadDynamicError::Dlopen { error, .. }) => {
                    return Err(Error::LibraryLoad {
                        path,
                        source: Box::new(error),
                    });
                }
                Err(error) => {
                    return Err(Error::LibraryLoad {
                        path,
                        source: Box::new(error),
                    });
                }
            };
            let environment = builder
                .with_name("askd")
                // Keeps off what comes after the first report of the process; see `telemetry`.
                .with_telemetry(false)
                .build()
                .map_err(failed_to("start"))?;
            // Failures are returned, not printed.
            environment.set_log_level(ort::logging::LogLevel::Fatal);
            return Ok(Self {
                path,
                version,
                silenced,
                has_telemetry: OnceLock::new(),
                environment,
            });
        }
        Err(Error::LibraryNotFound { searched })
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("path", &self.path)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Wraps an error of `ort`, whose own type stays out of this crate's signatures.
pub(crate) fn failed_to<R>(action: &'static str) -> impl FnOnce(ort::Error<R>) -> Error {
    // The builder that `ort` hands back inside some errors is dropped here: it cannot be sent between threads.
    move |error| Error::Engine {
        action,
        source: error.message().to_owned().into(),
    }
}

/// Whether the system's loader knows no library called `name`; it tells so only as text, at the end of the chain.
///
/// A library that is there but misses another one is not absent: its message names the other one.
fn is_absent(error: &(dyn StdError + 'static), name: &Path) -> bool {
    let last = std::iter::successors(Some(error), |&error| error.source()).last();
    let text = last.map(ToString::to_string).unwrap_or_default();
    text.contains("No such file") && name.to_str().is_some_and(|name| text.contains(name))
}

fn same_file(requested: &Path, loaded: &Path) -> bool {
    requested == loaded
        || matches!((requested.canonicalize(), loaded.canonicalize()), (Ok(requested), Ok(loaded)) if requested == loaded)
}
