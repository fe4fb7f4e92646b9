//! A demanded device is a contract: it is used, or there is a typed error that names what is missing.
#![cfg(target_os = "linux")]

mod common;

use std::env;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use askd_runtime::{Batch, Engine, Error, Missing, Model, Provider, Session, SessionOptions};
use common::{
    CLASSES, DYNAMIC, FIXED, PIXELS, assert_close, bundle, bundle_of_pixels, images, reference, require_engine, within,
};

/// Longest that a refusal may take.
const LIMIT: Duration = Duration::from_secs(1);

fn on(provider: Provider) -> SessionOptions {
    SessionOptions {
        provider,
        ..SessionOptions::default()
    }
}

/// What session creation says, and that it says it in time.
fn attempt(options: &SessionOptions) -> Result<Session, Error> {
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let model = Model::open(folder.path()).unwrap();
    let start = Instant::now();
    let result = model.session(options);
    assert!(start.elapsed() < within(LIMIT), "{:?}", start.elapsed());
    result
}

fn runs(mut session: Session) {
    let mut logits = [0.0; CLASSES];
    session.run(&images(1), &mut logits).unwrap();
    assert_close(&logits, &reference(&images(1)));
}

#[test]
fn a_provider_that_the_library_was_built_without_is_named_with_those_it_has() {
    let engine = require_engine();
    let built_with = engine.providers();
    assert_eq!(built_with.first(), Some(&Provider::Cpu));
    for provider in [
        Provider::Xnnpack,
        Provider::Acl,
        Provider::OpenVino,
        Provider::Cuda,
        Provider::TensorRt,
    ] {
        if built_with.contains(&provider) {
            eprintln!("skipped: this ONNX Runtime has {provider}");
            continue;
        }
        let error = attempt(&on(provider)).map(|_| ()).unwrap_err();
        let message = error.to_string();
        let Error::ProviderUnavailable {
            provider: named,
            missing: Missing::Support {
                library,
                built_with: has,
            },
        } = error
        else {
            panic!("unexpected {message}");
        };
        assert_eq!((named, library.as_path(), &has), (provider, engine.path(), &built_with));
        assert!(
            message.starts_with(&format!("provider {provider} cannot run here: ")),
            "{message}"
        );
    }
}

#[test]
fn cuda_or_cpu_says_which_one_it_is_and_why() {
    if require_engine().providers().contains(&Provider::Cuda) {
        eprintln!("skipped: this ONNX Runtime has cuda");
        return;
    }
    let session = attempt(&on(Provider::CudaOrCpu)).unwrap();
    assert_eq!(session.provider(), Provider::Cpu);
    assert!(matches!(
        session.fallback(),
        Some(Error::ProviderUnavailable {
            provider: Provider::Cuda,
            ..
        })
    ));
    runs(session);
    let session = attempt(&on(Provider::Cpu)).unwrap();
    assert_eq!(session.provider(), Provider::Cpu);
    assert!(session.fallback().is_none());
}

#[test]
fn the_cpu_has_nothing_to_be_strict_about() {
    require_engine();
    for memory_arena in [true, false] {
        let options = SessionOptions {
            strict: true,
            memory_arena,
            ..SessionOptions::default()
        };
        runs(attempt(&options).unwrap());
    }
}

#[test]
fn the_placement_names_every_node_and_leaves_no_file() {
    require_engine();
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let model = Model::open(folder.path()).unwrap();
    let placement = model.placement(&SessionOptions::default()).unwrap();
    assert!(
        placement.iter().any(|node| node.operator.contains("Conv")),
        "{placement:?}"
    );
    assert!(placement.iter().all(|node| node.provider == "CPUExecutionProvider"));
    let prefix = format!("askd-profile-{}-", std::process::id());
    let left = fs::read_dir(env::temp_dir()).unwrap().flatten();
    let left = left.filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    assert_eq!(left.count(), 0);
}

#[test]
fn a_profile_has_a_time_of_each_node_in_each_run() {
    require_engine();
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let model = Model::open(folder.path()).unwrap();
    let image = images(1);
    let run = |session: &mut Session| (0..7).try_for_each(|_| session.run(&image, &mut [0.0; CLASSES]));
    for profile in [
        model.profile(&SessionOptions::default(), run),
        Session::profile_onnx(FIXED, &SessionOptions::default(), run),
    ] {
        let profile = profile.unwrap();
        assert_eq!(profile.run_microseconds.len(), 7);
        assert!(
            profile.nodes.iter().all(|node| node.microseconds.len() == 7),
            "{profile:?}"
        );
        let last = profile.nodes.last().unwrap();
        assert_eq!(last.output_shapes, [[1, CLASSES as i64]], "{last:?}");
    }
}

/// The library that `variable` names, brought by `make TARGET`, for the body of `test` in a process of its own: a process has one
/// library, and the other tests of this file may have loaded theirs. `None` in the process that started it, or where there is no
/// such library, which is told.
fn other_library(test: &str, variable: &str, target: &str) -> Option<PathBuf> {
    let Some(library) = env::var_os(variable).filter(|path| !path.is_empty()) else {
        eprintln!("skipped: {variable} names no ONNX Runtime (make {target})");
        return None;
    };
    if env::var_os("ASKD_CHILD").is_none() {
        let child = common::command(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture"])
            .env("ASKD_CHILD", "1")
            .output()
            .unwrap();
        let text = [child.stdout, child.stderr]
            .map(|text| String::from_utf8_lossy(&text).into_owned())
            .join("");
        // a name that fits no test would run none, and succeed
        assert!(child.status.success() && text.contains("1 passed"), "{text}");
        print!("{text}");
        return None;
    }
    Some(library.into())
}

/// With the build for OpenVINO, which computes something here.
#[test]
fn openvino_gives_the_same_logits_with_any_number_of_threads() {
    let test = "openvino_gives_the_same_logits_with_any_number_of_threads";
    let Some(library) = other_library(test, "ASKD_OPENVINO_ONNXRUNTIME", "onnxruntime-openvino") else {
        return;
    };
    let options = |intra_op_threads| SessionOptions {
        library: Some(library.clone()),
        intra_op_threads,
        strict: true,
        ..on(Provider::OpenVino)
    };
    let fixed = bundle(FIXED, Batch::One, |_, _| {});
    let model = Model::open(fixed.path()).unwrap();
    for threads in [1, 2, 0] {
        let mut session = model.session(&options(threads)).unwrap();
        assert_eq!(session.provider(), Provider::OpenVino);
        assert_eq!(session.self_test().unwrap().images, 2);
        runs(session);
    }
    let placement = model.placement(&options(1)).unwrap();
    assert!(
        !placement.is_empty()
            && placement
                .iter()
                .all(|node| node.provider == "OpenVINOExecutionProvider"),
        "{placement:?}"
    );

    let dynamic = bundle(DYNAMIC, Batch::Dynamic, |_, _| {});
    let mut session = Model::open(dynamic.path()).unwrap().session(&options(1)).unwrap();
    for count in [1, 3, 2] {
        let mut logits = vec![0.0; count * CLASSES];
        session.run(&images(count), &mut logits).unwrap();
        assert_close(&logits, &reference(&images(count)));
    }
    let of_pixels = bundle_of_pixels(PIXELS, Batch::One, |_, _| {});
    let mut session = Model::open(of_pixels.path()).unwrap().session(&options(1)).unwrap();
    session.self_test().unwrap();
}

/// What of that build is missing the engine does not tell, so the error says how to find out.
#[test]
fn openvino_without_its_libraries_is_a_typed_error() {
    let test = "openvino_without_its_libraries_is_a_typed_error";
    let Some(library) = other_library(test, "ASKD_OPENVINO_ONNXRUNTIME", "onnxruntime-openvino") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let alone = folder.path().join("libonnxruntime.so");
    fs::copy(library, &alone).unwrap();
    let options = SessionOptions {
        library: Some(alone),
        ..on(Provider::OpenVino)
    };
    let error = attempt(&options).map(|_| ()).unwrap_err();
    assert!(
        matches!(
            &error,
            Error::ProviderUnavailable {
                provider: Provider::OpenVino,
                missing: Missing::SomeLibrary
            }
        ),
        "{error}"
    );
}

/// With the build for NVIDIA GPUs, on a machine that may have none.
#[test]
fn a_library_with_cuda_on_a_machine_without_is_a_typed_error() {
    let test = "a_library_with_cuda_on_a_machine_without_is_a_typed_error";
    let Some(library) = other_library(test, "ASKD_GPU_ONNXRUNTIME", "onnxruntime-gpu") else {
        return;
    };
    let built_with = Engine::load(Some(&library)).unwrap().providers();
    assert!(built_with.contains(&Provider::Cuda), "{built_with:?}");
    let with_library = |provider| SessionOptions {
        library: Some(library.clone()),
        ..on(provider)
    };
    for provider in [Provider::Cuda, Provider::TensorRt] {
        match attempt(&with_library(provider)) {
            Ok(session) => {
                eprintln!("{provider} runs here");
                runs(session);
            }
            Err(error) => {
                eprintln!("{error}");
                let Error::ProviderUnavailable {
                    provider: named,
                    missing,
                } = error
                else {
                    panic!("unexpected {error}");
                };
                assert_eq!(named, provider);
                assert!(!matches!(missing, Missing::Other { .. }), "{missing}");
            }
        }
    }
    let session = attempt(&with_library(Provider::CudaOrCpu)).unwrap();
    assert_eq!(session.provider() == Provider::Cpu, session.fallback().is_some());
    runs(session);
}
