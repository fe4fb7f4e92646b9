//! Our side of the comparison and tract's: the process that `peers/inference/peer.py` describes, in Rust.

use std::fs;
use std::io::{BufRead, Write};
use std::path::Path;
use std::time::Instant;

use askd_runtime::{Model, Provider, SessionOptions};
use tract_onnx::prelude::{Framework, InferenceModelExt, IntoRunnable, Tensor, tvec};

use crate::Failure;
use crate::contender::openvino_library;
use crate::files::{read, write};

/// Images to logits.
type Infer = Box<dyn FnMut(&[f32], &mut [f32]) -> Result<(), Failure>>;

/// Answers requests until the end of standard input. `task`: engine, bundle, variant, directory with `image.f32`, threads.
pub(crate) fn serve(task: &[String]) -> Result<(), Failure> {
    let [engine, bundle, variant, work, threads] = task else {
        return Err(format!("--serve: expected 5 arguments, got {}", task.len()).into());
    };
    let model = Model::open_variant(bundle, variant)?;
    let (name, mut infer) = match engine.as_str() {
        "tract" => tract(&model)?,
        engine => ours(&model, engine, threads.parse()?)?,
    };
    let image = read(&Path::new(work).join("image.f32"))?;
    let mut logits = vec![0.0; model.manifest().output.classes];
    let mut answers = std::io::stdout();
    writeln!(answers, "{name}")?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["run", count] => {
                let mut times = Vec::new();
                for _ in 0..count.parse::<usize>()? {
                    let start = Instant::now();
                    infer(&image, &mut logits)?;
                    times.push(start.elapsed().as_nanos().to_string());
                }
                writeln!(answers, "{}", times.join(" "))?;
            }
            ["logits", source, target] => {
                let mut all = Vec::new();
                for image in read(Path::new(source))?.chunks_exact(image.len()) {
                    infer(image, &mut logits)?;
                    all.extend_from_slice(&logits);
                }
                write(Path::new(target), &all)?;
                writeln!(answers, "done")?;
            }
            _ => return Err(format!("no request '{line}'").into()),
        }
    }
    Ok(())
}

fn ours(model: &Model, engine: &str, threads: u16) -> Result<(String, Infer), Failure> {
    let mut options = SessionOptions {
        intra_op_threads: threads,
        spinning: engine == "askd-spinning",
        ..SessionOptions::default()
    };
    if engine == "askd-openvino" {
        (options.provider, options.library) = (Provider::OpenVino, openvino_library());
    }
    let mut session = model.session(&options)?;
    let mut name = format!(
        "askd-runtime, ONNX Runtime {}",
        session.engine().version().unwrap_or("of its own")
    );
    if options.provider != Provider::Cpu {
        name += &format!(" by {}", options.provider);
    }
    let infer: Infer = Box::new(move |image, logits| Ok(session.run(image, logits)?));
    Ok((name, infer))
}

/// One thread, whatever is asked for.
fn tract(model: &Model) -> Result<(String, Infer), Failure> {
    let network = tract_onnx::onnx()
        .model_for_read(&mut model.onnx())?
        .into_optimized()?
        .into_runnable()?;
    let [channels, height, width] = model.manifest().input.shape;
    let infer: Infer = Box::new(move |image, logits| {
        let input = Tensor::from_shape(&[1, channels, height, width], image)?;
        let output = network.run(tvec!(input.into()))?;
        let output = output[0].to_plain_array_view::<f32>()?;
        logits.copy_from_slice(output.as_slice().ok_or("logits that are not in one piece")?);
        Ok(())
    });
    Ok((format!("tract {}", locked_version("tract-onnx")?), infer))
}

/// The version of a crate that tells none itself.
fn locked_version(name: &str) -> Result<String, Failure> {
    let lock = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"))?;
    let package = lock
        .split_once(&format!("name = \"{name}\"\nversion = \""))
        .and_then(|(_, rest)| rest.split_once('"'));
    Ok(package.ok_or_else(|| format!("Cargo.lock: no {name}"))?.0.to_owned())
}
