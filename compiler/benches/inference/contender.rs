//! Who is compared, and one contender with its processes and times.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use askd_runtime::Manifest;

use crate::files::Files;
use crate::server::{Server, finish};
use crate::{Failure, RUNS, THREADS, WARM_UP_RUNS};

/// Engines in Python with the models that each of them makes of the ONNX file.
const PEERS: [(&str, &[&str]); 5] = [
    ("onnxruntime", &["float32", "int8"]),
    ("openvino", &["float32", "int8"]),
    ("ncnn", &["float32", "int8"]),
    ("mnn", &["float32", "int8"]),
    ("torch", &["eager", "compiled"]),
];
/// What a float engine's logits may differ by from the golden ones, of the largest of these.
const TOLERANCE: f32 = 1e-3;

/// A row of the table.
pub(crate) struct Spec {
    /// Name of the engine: a script's, or one that this program serves.
    pub(crate) engine: &'static str,
    /// A variant of the bundle, or what the engine makes of the float one.
    pub(crate) kind: String,
    /// Whether it computes with floats of 32 bits.
    float: bool,
    threads: &'static [usize],
}

impl Spec {
    /// All rows for a bundle.
    pub(crate) fn all(manifest: &Manifest) -> Vec<Self> {
        let mut all = Vec::new();
        // One thread has nobody to wait for; OpenVINO's threads are its own.
        let mut ours = vec![("askd", &THREADS[..]), ("askd-spinning", &THREADS[1..])];
        if openvino_library().is_some() {
            ours.push(("askd-openvino", &THREADS[..]));
        }
        for variant in &manifest.variants {
            all.extend(ours.iter().map(|&(engine, threads)| Self {
                engine,
                kind: variant.name.clone(),
                float: variant.precision == "fp32",
                threads,
            }));
        }
        for (engine, kinds) in PEERS {
            all.extend(kinds.iter().map(|kind| Self {
                engine,
                kind: (*kind).to_owned(),
                float: *kind != "int8",
                threads: &THREADS,
            }));
        }
        let floats = manifest.variants.iter().filter(|variant| variant.precision == "fp32");
        all.extend(floats.map(|variant| Self {
            engine: "tract",
            kind: variant.name.clone(),
            float: true,
            threads: &THREADS[..1],
        }));
        all
    }

    /// The process that serves this row, or prepares it.
    fn command(&self, step: &str, files: &Files, python: &Path) -> Result<Command, Failure> {
        let work = files.work.path();
        if !self.is_peer() {
            let mut command = Command::new(env::current_exe()?);
            command
                .args(["--serve", self.engine])
                .arg(&files.bundle)
                .arg(&self.kind)
                .arg(work);
            return Ok(command);
        }
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/inference");
        let shape = files.manifest.input.shape.map(|size| size.to_string()).join(",");
        let mut command = Command::new(python);
        command
            .arg("-B")
            .arg(scripts.join(format!("infer_{}.py", self.engine)))
            .arg(step);
        command.arg(&files.model).arg(&self.kind).arg(work).arg(shape);
        // PyTorch keeps what it compiles
        command.env("TORCHINDUCTOR_CACHE_DIR", work.join("inductor"));
        Ok(command)
    }

    fn is_peer(&self) -> bool {
        PEERS.iter().any(|(engine, _)| *engine == self.engine)
    }
}

/// ONNX Runtime with OpenVINO, where there is one.
pub(crate) fn openvino_library() -> Option<PathBuf> {
    let named = env::var_os("ASKD_OPENVINO_ONNXRUNTIME").filter(|path| !path.is_empty());
    named.map(PathBuf::from)
}

/// A row with its processes, one for each number of threads.
pub(crate) struct Contender {
    engine: String,
    kind: String,
    lanes: Vec<Lane>,
    top1: f64,
    difference: f32,
}

struct Lane {
    threads: usize,
    server: Server,
    nanoseconds: Vec<u64>,
}

impl Contender {
    /// Makes the engine's model and starts its processes, each of which must give the right logits.
    pub(crate) fn enter(spec: &Spec, files: &Files, python: &Path) -> Result<Self, Failure> {
        let log = files.work.path().join(format!("{}-{}.log", spec.engine, spec.kind));
        if spec.is_peer() {
            finish(spec.command("prepare", files, python)?, &log)?;
        }
        let (mut lanes, mut difference) = (Vec::new(), 0.0f32);
        for &threads in spec.threads {
            let mut command = spec.command("serve", files, python)?;
            command.arg(threads.to_string());
            let mut server = Server::start(command, log.with_extension(format!("{threads}.log")))?;
            difference = difference.max(files.difference(&server.logits(&files.work.path().join("golden.f32"))?));
            if spec.float && difference > TOLERANCE {
                return Err(format!("its logits differ by {difference:.1e} of the largest").into());
            }
            lanes.push(Lane {
                threads,
                server,
                nanoseconds: Vec::new(),
            });
        }
        let first = &mut lanes[0].server;
        let logits = first.logits(&files.work.path().join("test.f32"))?;
        let spinning = if spec.engine == "askd-spinning" {
            ", spinning"
        } else {
            ""
        };
        Ok(Self {
            engine: first.engine.clone(),
            kind: format!("{}{spinning}", spec.kind),
            top1: files.top1(&logits),
            difference,
            lanes,
        })
    }

    /// Its part of a round.
    pub(crate) fn turn(&mut self) -> Result<(), Failure> {
        for lane in &mut self.lanes {
            let times = lane.server.run(WARM_UP_RUNS + RUNS)?;
            lane.nanoseconds.extend(&times[WARM_UP_RUNS..]);
        }
        Ok(())
    }

    /// Its line of the table.
    pub(crate) fn row(&mut self) -> String {
        let mut cells = vec![self.engine.clone(), self.kind.clone()];
        for threads in THREADS {
            match self.lanes.iter_mut().find(|lane| lane.threads == threads) {
                Some(lane) => cells.extend([50, 99].map(|percent| lane.milliseconds(percent))),
                None => cells.extend([String::new(), String::new()]),
            }
        }
        cells.extend([format!("{:.1}", self.top1), format!("{:.1e}", self.difference)]);
        format!("| {} |", cells.join(" | "))
    }
}

impl Lane {
    /// The time that `percent` of the runs do not exceed.
    fn milliseconds(&mut self, percent: usize) -> String {
        self.nanoseconds.sort_unstable();
        let rank = (self.nanoseconds.len() * percent).div_ceil(100).max(1);
        let time = self.nanoseconds.get(rank - 1);
        time.map_or_else(String::new, |&time| format!("{:.3}", time as f64 / 1e6))
    }
}
