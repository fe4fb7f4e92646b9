//! From bundle to logits, with ONNX Runtime.

mod common;

use std::fs;
use std::path::Path;

use askd_runtime::{
    Batch, Error, GoldenData, Image, Model, Optimisation, PixelFormat, Preprocess, Provider, ResizeSize, Session,
    SessionOptions, top_k,
};
use common::{CLASSES, DYNAMIC, ELEMENTS, FIXED, assert_close, bundle, images, reference, require_engine};

fn session(onnx: &[u8], batch: Batch) -> Session {
    require_engine();
    let folder = bundle(onnx, batch, |_, _| {});
    Model::open(folder.path())
        .unwrap()
        .session(&SessionOptions::default())
        .unwrap()
}

#[test]
fn sessions_move_between_threads_and_models_are_shared() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<Session>();
    send::<Model>();
    sync::<Model>();
    send::<Error>();
    sync::<Error>();
}

#[test]
fn a_fixed_batch_gives_the_networks_logits_run_after_run() {
    let mut session = session(FIXED, Batch::One);
    assert_eq!(session.provider(), Provider::Cpu);
    assert_eq!(session.interface().shape, [3, 4, 4]);
    let input = images(5);
    for (image, want) in input
        .chunks_exact(ELEMENTS)
        .zip(reference(&input).chunks_exact(CLASSES))
    {
        let mut logits = [f32::NAN; CLASSES];
        session.run(image, &mut logits).unwrap();
        assert_close(&logits, want);
    }
}

#[test]
fn a_dynamic_batch_takes_any_number_of_images() {
    let mut session = session(DYNAMIC, Batch::Dynamic);
    for count in [1, 4, 4, 2, 1] {
        let input = images(count);
        let mut logits = vec![f32::NAN; count * CLASSES];
        session.run(&input, &mut logits).unwrap();
        assert_close(&logits, &reference(&input));
    }
}

#[test]
fn wrong_lengths_are_errors_and_the_session_goes_on() {
    for (onnx, batch, bad) in [
        (FIXED, Batch::One, vec![0, 1, ELEMENTS - 1, ELEMENTS + 1, 2 * ELEMENTS]),
        (DYNAMIC, Batch::Dynamic, vec![0, 1, ELEMENTS - 1, ELEMENTS + 1]),
    ] {
        let mut session = session(onnx, batch);
        let mut logits = [7.0; CLASSES];
        for length in bad {
            let error = session.run(&vec![0.0; length], &mut logits).unwrap_err();
            assert!(matches!(error, Error::InputLength { per_image: ELEMENTS, found, .. } if found == length));
        }
        let error = session.run(&images(1), &mut logits[..2]).unwrap_err();
        assert!(matches!(
            error,
            Error::OutputLength {
                expected: CLASSES,
                found: 2
            }
        ));
        assert_eq!(logits, [7.0; CLASSES], "outputs are written on success only");
        session.run(&images(1), &mut logits).unwrap();
        assert_close(&logits, &reference(&images(1)));
    }
}

#[test]
fn the_self_test_passes_on_golden_data_and_fails_on_others() {
    let seen = session(FIXED, Batch::One).self_test().unwrap();
    assert_eq!(seen.images, 2);
    assert!(seen.max_abs_diff <= 1e-5);
    let folder = bundle(FIXED, Batch::One, |_, golden| {
        let mut output = golden.output().to_vec();
        output[CLASSES] += 0.5;
        *golden = GoldenData::new(golden.shape(), golden.input().to_vec(), output).unwrap();
    });
    let mut session = Model::open(folder.path())
        .unwrap()
        .session(&SessionOptions::default())
        .unwrap();
    let error = session.self_test().unwrap_err();
    assert!(matches!(error, Error::GoldenMismatch { image: 1, difference, .. } if (difference - 0.5).abs() < 1e-4));
}

#[test]
fn classify_is_preprocess_then_run_then_top_k() {
    let mut session = session(FIXED, Batch::One);
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let manifest = Model::open(folder.path()).unwrap().manifest().clone();
    let bytes: Vec<u8> = (0..9 * 11 * 3).map(|at| (at * 31 % 256) as u8).collect();
    for (format, height, width) in [
        (PixelFormat::Rgb8, 9, 11),
        (PixelFormat::Gray8, 27, 11),
        (PixelFormat::Rgb8, 4, 4),
    ] {
        let image = Image::new(&bytes[..height * width * format.channels()], height, width, format).unwrap();
        let mut tensor = vec![0.0; ELEMENTS];
        Preprocess::new(&manifest.input)
            .unwrap()
            .apply(&image, &mut tensor)
            .unwrap();
        let want = reference(&tensor);
        let mut logits = [0.0; CLASSES];
        session.run_image(&image, &mut logits).unwrap();
        assert_close(&logits, &want);
        let got = session.classify(&image, 2).unwrap();
        let want = top_k(&want, &manifest.labels, 2.0, 2).unwrap();
        assert_eq!(got.len(), 2);
        for (got, want) in got.zip(&want) {
            assert_eq!((got.class, got.label), (want.class, want.label));
            assert!((got.probability - want.probability).abs() < 1e-5);
        }
    }
}

#[test]
fn plain_onnx_bytes_run_but_know_nothing_of_images() {
    require_engine();
    for optimisation in [
        Optimisation::None,
        Optimisation::Basic,
        Optimisation::Extended,
        Optimisation::All,
    ] {
        let options = SessionOptions {
            optimisation,
            intra_op_threads: 2,
            ..SessionOptions::default()
        };
        let mut session = Session::from_onnx(DYNAMIC, &options).unwrap();
        assert_eq!(session.interface().batch, Batch::Dynamic);
        let mut logits = vec![0.0; 2 * CLASSES];
        session.run(&images(2), &mut logits).unwrap();
        assert_close(&logits, &reference(&images(2)));
        let image = Image::new(&[0], 1, 1, PixelFormat::Gray8).unwrap();
        assert!(matches!(session.classify(&image, 1), Err(Error::NoManifest { .. })));
        assert!(matches!(
            session.run_image(&image, &mut logits),
            Err(Error::NoManifest { .. })
        ));
        assert!(matches!(session.self_test(), Err(Error::NoManifest { .. })));
    }
}

#[test]
fn models_that_are_no_classifier_are_refused() {
    require_engine();
    let refusal = |bytes: &[u8]| {
        Session::from_onnx(bytes, &SessionOptions::default())
            .map(|_| ())
            .unwrap_err()
    };
    let item = |bytes: &[u8]| match refusal(bytes) {
        Error::Interface { item, .. } => item,
        other => panic!("unexpected {other}"),
    };
    assert_eq!(item(include_bytes!("fixtures/tiny_batch2.onnx")), "input \"image\"");
    assert_eq!(item(include_bytes!("fixtures/tiny_u8.onnx")), "input \"image\"");
    assert_eq!(item(include_bytes!("fixtures/tiny_two_outputs.onnx")), "output");
    for bytes in [&b""[..], b"not an onnx file", &FIXED[..FIXED.len() / 2]] {
        let error = refusal(bytes);
        assert!(matches!(error, Error::OnnxFormat { .. }), "{error}");
        assert!(!error.to_string().contains('\n'));
    }
}

#[test]
fn a_quantised_model_of_the_default_domain_runs() {
    require_engine();
    let bytes = include_bytes!("fixtures/tiny_qdq.onnx");
    let mut session = Session::from_onnx(bytes, &SessionOptions::default()).unwrap();
    let mut logits = [f32::NAN; CLASSES];
    session.run(&images(1), &mut logits).unwrap();
    for (got, want) in logits.iter().zip(reference(&images(1))) {
        // Steps of 1/8 in input and features.
        assert!((got - want).abs() < 0.25, "{got}, expected {want}");
    }
}

#[test]
fn a_model_that_is_not_the_manifests_is_refused() {
    require_engine();
    let refusal = |folder: tempfile::TempDir| {
        let model = Model::open(folder.path()).unwrap();
        model
            .session(&SessionOptions::default())
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    let other = include_bytes!("fixtures/tiny_other_name.onnx");
    assert_eq!(
        refusal(bundle(other, Batch::One, |_, _| {})),
        "model: input: expected name \"image\", got name \"input\""
    );
    assert_eq!(
        refusal(bundle(FIXED, Batch::Dynamic, |_, _| {})),
        "model: input: expected batch Dynamic, got batch One"
    );
    assert_eq!(
        refusal(bundle(FIXED, Batch::One, |manifest, golden| {
            manifest.input.shape = [3, 2, 8];
            manifest.input.resize.size = ResizeSize::Exactly([2, 8]);
            *golden = GoldenData::new([2, 3, 2, 8], golden.input().to_vec(), golden.output().to_vec()).unwrap();
        })),
        "model: input: expected (C, H, W) = [3, 2, 8], got (C, H, W) = [3, 4, 4]"
    );
    assert_eq!(
        refusal(bundle(FIXED, Batch::One, |manifest, golden| {
            manifest.output.classes = 2;
            manifest.labels.pop();
            let output = golden.output()[..4].to_vec();
            *golden = GoldenData::new([2, 3, 4, 4], golden.input().to_vec(), output).unwrap();
        })),
        "model: output: expected 2 classes, got 3 classes"
    );
}

/// The bits of the logits of `images(4)`, and of what the session makes of an image.
fn served(session: &mut Session) -> Vec<u32> {
    let mut bits = Vec::new();
    for image in images(4).chunks_exact(ELEMENTS) {
        let mut logits = [f32::NAN; CLASSES];
        session.run(image, &mut logits).unwrap();
        bits.extend(logits.map(f32::to_bits));
    }
    let pixels: Vec<u8> = (0..6 * 5 * 3).collect();
    let image = Image::new(&pixels, 6, 5, PixelFormat::Rgb8).unwrap();
    for prediction in session.classify(&image, CLASSES).unwrap() {
        bits.push(prediction.probability.to_bits());
    }
    session.self_test().unwrap();
    bits
}

#[test]
fn what_happens_to_the_files_of_a_serving_bundle_changes_nothing() {
    require_engine();
    const FILES: [&str; 3] = ["askd.json", "golden.safetensors", "model.fp32.onnx"];
    type Change = fn(&Path);
    let changes: [(&str, Change); 5] = [
        ("rewritten", |path| {
            let bytes = vec![0xa5; fs::read(path).unwrap().len()];
            let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
            std::io::Write::write_all(&mut file, &bytes).unwrap();
        }),
        ("cut in half", |path| {
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        }),
        ("emptied", |path| fs::write(path, "").unwrap()),
        ("replaced", |path| {
            let other = path.with_extension("other");
            fs::write(&other, include_bytes!("fixtures/tiny_other_name.onnx")).unwrap();
            fs::rename(other, path).unwrap();
        }),
        ("deleted", |path| fs::remove_file(path).unwrap()),
    ];
    for (name, change) in changes {
        let folder = bundle(FIXED, Batch::One, |_, _| {});
        let model = Model::open(folder.path()).unwrap();
        let mut session = model.session(&SessionOptions::default()).unwrap();
        let before = served(&mut session);
        for file in FILES {
            change(&folder.path().join(file));
            assert!(served(&mut session) == before, "{file} {name}");
        }
        // What is open is whole, a session made only now included.
        assert_eq!(model.onnx(), FIXED);
        let mut later = model.session(&SessionOptions::default()).unwrap();
        drop(folder);
        assert!(served(&mut later) == before && served(&mut session) == before, "{name}");
    }
}

#[test]
fn a_bundle_in_memory_is_checked_and_runs_like_a_read_one() {
    require_engine();
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    let (manifest, onnx, golden) = (read("askd.json"), read("model.fp32.onnx"), read("golden.safetensors"));
    let files = [("golden.safetensors", &golden[..]), ("model.fp32.onnx", &onnx[..])];
    let model = Model::from_bytes(&manifest, &files).unwrap();
    assert_eq!(model.onnx(), FIXED);
    model.session(&SessionOptions::default()).unwrap().self_test().unwrap();

    let refusal = |files: &[(&str, &[u8])]| Model::from_bytes(&manifest, files).map(|_| ()).unwrap_err();
    assert!(matches!(refusal(&files[1..]), Error::MissingFile { file } if file == "golden.safetensors"));
    let short = [files[0], ("model.fp32.onnx", &onnx[1..])];
    assert!(matches!(refusal(&short), Error::FileSize { .. }));
    let mut changed = onnx.clone();
    changed[100] ^= 1;
    assert!(matches!(
        refusal(&[files[0], ("model.fp32.onnx", &changed)]),
        Error::FileDigest { .. }
    ));
    assert!(Model::from_bytes(&manifest[1..], &files).is_err());
}

#[test]
fn a_mapped_bundle_is_checked_and_runs_like_a_read_one() {
    require_engine();
    let folder = bundle(FIXED, Batch::One, |_, _| {});
    #[expect(unsafe_code, reason = "the function under test is unsafe")]
    // SAFETY: nothing touches the temporary folder while the model lives.
    let open = || unsafe { Model::open_mapped(folder.path()) };
    let model = open().unwrap();
    assert_eq!(model.onnx(), FIXED);
    model.session(&SessionOptions::default()).unwrap().self_test().unwrap();
    drop(model);
    let mut changed = FIXED.to_vec();
    changed[100] ^= 1;
    fs::write(folder.path().join("model.fp32.onnx"), changed).unwrap();
    assert!(matches!(open().map(|_| ()), Err(Error::FileDigest { .. })));
}
