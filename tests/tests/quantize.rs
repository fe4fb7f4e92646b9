//! Quantised models: integers where they should be, the numbers they should give, and the command around them.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::process::Command;

use askd_compiler::data::{DataSpec, Loader, Part};
use askd_compiler::onnx::{Arithmetic, ModelInfo, write_model, write_model_in};
use askd_compiler::passes;
use askd_compiler::quantize::{Activations, Calibration, Histogram, Placement, Plan, Target, layers, observe};
use askd_models::{NetworkConfig, NodeId, build, networks};
use askd_runtime::{Batch, Engine, Model, Optimisation, Preprocess, Provider, Session, SessionOptions};
use askd_tests::{Outcome, Workspace, largest_difference, random_weights};
use serde_json::{Value, json};

const CONFIG: NetworkConfig = NetworkConfig {
    input: [1, 28, 28],
    classes: 10,
};

/// Deep networks of a family whose shallow ones are tested: they take long and show nothing more.
const DEEP: [&str; 6] = [
    "resnet110",
    "resnet116",
    "resnet110x2",
    "resnet110a",
    "resnet38",
    "resnet56",
];

/// Layers of a resnet8 as shipped: seven convolutions, two of copies that were shortcuts, and the classifier.
const LAYERS: usize = 10;

/// Logits for every image of a loader.
fn logits(model: &[u8], options: &SessionOptions, loader: &Loader) -> Vec<f32> {
    let mut session = Session::from_onnx(model, options).unwrap();
    let mut all = Vec::new();
    let mut logits = vec![f32::NAN; session.interface().classes];
    for batch in loader.epoch(0, 0).unwrap() {
        for image in batch.unwrap().images.chunks_exact(session.interface().elements()) {
            session.run(image, &mut logits).unwrap();
            all.extend(&logits);
        }
    }
    all
}

/// The kernels that `provider` chooses.
fn by(provider: Provider) -> SessionOptions {
    SessionOptions {
        provider,
        ..SessionOptions::default()
    }
}

/// The engine's kernels for the CPU, or each node as ONNX defines it, in floats.
fn with(optimisation: Optimisation) -> SessionOptions {
    SessionOptions {
        optimisation,
        ..SessionOptions::default()
    }
}

/// Root of the sum of squared differences over that of the logits.
fn distance(logits: &[f32], reference: &[f32]) -> f32 {
    let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>();
    let difference = squares(&mut logits.iter().zip(reference).map(|(a, b)| a - b));
    (difference / squares(&mut reference.iter().copied())).sqrt()
}

/// For every network: close to the float network, and integer kernels of `provider` close to what ONNX says they mean.
fn every_network_computes_the_same(targets: &[Target], provider: Provider) {
    let images = DataSpec::embedded().load(Part::Test).unwrap().select(0..12);
    let input = askd_compiler::bundle::input_of(CONFIG.input, &[0.286], &[0.353]);
    let loader = Loader::plain(images, Preprocess::new(&input).unwrap(), 12);
    for network in networks().iter().filter(|network| !DEEP.contains(&network.name)) {
        let trained = build(network.name, &CONFIG).unwrap();
        let mut weights = random_weights(&trained, 5);
        let graph = passes::run_all(&trained, &mut weights).unwrap();
        let info = ModelInfo::new(Batch::One);
        let float = logits(
            &write_model(&graph, &weights, &info).unwrap(),
            &with(Optimisation::All),
            &loader,
        );
        let placement = Placement::new(&graph, &BTreeSet::new()).unwrap();
        let values: Vec<_> = placement.values.iter().copied().collect();
        let histograms = observe(&graph, &weights, &values, &loader).unwrap();
        for &target in targets {
            let activations = target.activations().unwrap_or(Activations::Unsigned);
            let range =
                |(id, histogram): (&NodeId, &Histogram)| (*id, Calibration::MinMax.range(histogram, activations));
            let ranges: BTreeMap<_, _> = histograms.iter().map(range).collect();
            let plan = Plan::new(&graph, &weights, &ranges, target, &BTreeSet::new()).unwrap();
            let arithmetic = plan.as_ref().map_or(Arithmetic::Half, Arithmetic::Integer);
            let write = || write_model_in(arithmetic, &graph, &weights, &info).unwrap();
            let model = write();
            assert!(model == write(), "{} {target}", network.name);
            let meant = logits(&model, &with(Optimisation::None), &loader);
            let kernels = logits(&model, &by(provider), &loader);
            let (noise, difference) = (distance(&meant, &float), largest_difference(&meant, &kernels));
            let moved = largest_difference(&meant, &float);
            println!(
                "{} {target}: noise {noise:.3}, kernels differ by {difference:.1e} of {moved:.1e}",
                network.name
            );
            let limit = if target.precision() == "fp16" { 0.01 } else { 0.25 };
            assert!(noise < limit, "{} {target}: {noise}", network.name);
            // unsigned activations with weights of 8 bits are for processors that do not saturate
            if target != Target::X86Vnni || cfg!(not(target_arch = "x86_64")) || is_vnni() {
                assert!(
                    difference <= 2.0 * moved,
                    "{} {target}: {difference} {moved}",
                    network.name
                );
            }
        }
    }
}

/// A layer with a channel whose weights dwarf the others', which one scale for all would wipe out.
fn a_layer_left_float_is_float(provider: Provider) {
    let images = DataSpec::embedded().load(Part::Test).unwrap().select(0..12);
    let input = askd_compiler::bundle::input_of(CONFIG.input, &[0.286], &[0.353]);
    let loader = Loader::plain(images, Preprocess::new(&input).unwrap(), 12);
    let trained = build("mobilenetv2_0.5", &CONFIG).unwrap();
    let mut weights = random_weights(&trained, 5);
    let graph = passes::run_all(&trained, &mut weights).unwrap();
    let depthwise = layers(&graph)[1];
    let name = &graph.node(depthwise).name;
    let tensor = weights.get_mut(&format!("{name}.weight")).unwrap();
    let channel = tensor.data.len() / tensor.shape[0];
    tensor.data[..channel].iter_mut().for_each(|weight| *weight *= 1000.0);
    let placement = Placement::new(&graph, &BTreeSet::from([depthwise])).unwrap();
    let values: Vec<_> = placement.values.iter().copied().collect();
    let histograms = observe(&graph, &weights, &values, &loader).unwrap();
    let range =
        |(id, histogram): (&NodeId, &Histogram)| (*id, Calibration::MinMax.range(histogram, Activations::Unsigned));
    let ranges: BTreeMap<_, _> = histograms.iter().map(range).collect();
    let plan = Plan::new(&graph, &weights, &ranges, Target::X86Avx2, &BTreeSet::from([depthwise])).unwrap();
    let plan = plan.unwrap();
    let model = write_model_in(
        Arithmetic::Integer(&plan),
        &graph,
        &weights,
        &ModelInfo::new(Batch::One),
    )
    .unwrap();
    let meant = logits(&model, &with(Optimisation::None), &loader);
    let kernels = logits(&model, &by(provider), &loader);
    let apart = distance(&kernels, &meant);
    assert!(apart < 0.03, "{apart}");
}

#[test]
fn every_network_computes_the_same_with_integers() {
    every_network_computes_the_same(&Target::ALL, Provider::Cpu);
}

#[test]
fn a_layer_left_float_is_float_in_the_engine() {
    a_layer_left_float_is_float(Provider::Cpu);
}

#[test]
fn openvino_computes_the_same_with_integers() {
    let Some(library) = openvino() else { return };
    // a process has one library, and the other tests may have loaded theirs
    if env::var_os("ASKD_CHILD").is_none() {
        let mut child = Command::new(env::current_exe().unwrap());
        child
            .args([
                "--exact",
                "quantize::openvino_computes_the_same_with_integers",
                "--nocapture",
            ])
            .envs([("ASKD_CHILD", OsStr::new("1")), ("ORT_DYLIB_PATH", &library)]);
        let text = Outcome::of(child).text();
        // a name that fits no test would run none, and succeed
        assert!(text.contains("1 passed"), "{text}");
        print!("{text}");
        return;
    }
    every_network_computes_the_same(
        &[Target::X86Vnni, Target::X86Avx2, Target::Arm64Dotprod],
        Provider::OpenVino,
    );
    a_layer_left_float_is_float(Provider::OpenVino);
}

/// ONNX Runtime with OpenVINO; where there is none, that is told.
fn openvino() -> Option<OsString> {
    let named = env::var_os("ASKD_OPENVINO_ONNXRUNTIME").filter(|path| !path.is_empty());
    if named.is_none() {
        eprintln!("skipped: ASKD_OPENVINO_ONNXRUNTIME names no ONNX Runtime with OpenVINO (make onnxruntime-openvino)");
    }
    named
}

fn is_vnni() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// A bundle of a network that has learnt a little.
fn bundle(workspace: &Workspace) {
    workspace
        .run("train --model resnet8 --data fashion-mnist --epochs 1 --max-steps 60 --batch 32 --lr 0.05 --out run")
        .text();
    workspace.run("export run --out net.askd").text();
}

fn operators(model: &Model) -> BTreeSet<String> {
    let nodes = model.placement(&SessionOptions::default()).unwrap();
    nodes.into_iter().map(|node| node.operator).collect()
}

#[test]
fn a_bundle_gets_a_variant_that_every_command_knows() {
    let workspace = Workspace::new();
    bundle(&workspace);
    let before = workspace.read_json("net.askd/askd.json");
    let flags = "--calibration fashion-mnist --max-drop 3 --json";
    let report = workspace
        .run(&format!("quantize net.askd --target x86-vnni {flags} --out both.askd"))
        .json();
    assert_eq!(workspace.read_json("net.askd/askd.json"), before);
    assert_eq!(
        (&report["variant"], &report["calibration_images"]),
        (&json!("int8-x86-vnni"), &json!(512))
    );
    assert_eq!(report["validation"]["float"]["images"], 1000);
    assert!(report["validation"]["drop"].as_f64().unwrap() <= 3.0);
    let float = before["variants"][0]["accuracy"][0]["top1"].clone();
    assert_eq!(report["test"]["float"]["top1"], float);
    let ratio = report["bytes"].as_f64().unwrap() / report["float_bytes"].as_f64().unwrap();
    assert!(ratio < 0.4, "{ratio}");
    assert_eq!(report["sensitivity"].as_array().unwrap().len(), LAYERS);

    // a second variant, in place
    workspace
        .run(&format!(
            "quantize both.askd --target arm64-dotprod --method entropy {flags}"
        ))
        .json();
    let manifest = workspace.read_json("both.askd/askd.json");
    let names = |value: &Value| {
        value["variants"]
            .as_array()
            .unwrap()
            .iter()
            .map(|v| v["name"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&manifest), ["fp32", "int8-x86-vnni", "int8-arm64-dotprod"]);
    assert_eq!(manifest["variants"][0], before["variants"][0]);
    assert_eq!(manifest["provenance"]["variants"]["int8-x86-vnni"]["images"], 512);
    let verified = workspace.run("verify both.askd --data fashion-mnist --json").json();
    assert_eq!(verified["variant"], "fp32");
    let others = verified["other_variants"].as_array().unwrap();
    assert_eq!(others.len(), 2);
    assert_eq!(others[0]["evaluation"], report["test"]["quantized"]);
    assert_eq!(others[0]["provider"], "cpu");
    if !Engine::load(None).unwrap().providers().contains(&Provider::Acl) {
        let absent = workspace.run("verify both.askd --provider acl");
        assert!(absent.error(4).contains("provider acl cannot run here"), "{absent:?}");
    }
    if let Some(library) = openvino() {
        let mut command = workspace.command("verify both.askd --provider openvino --data fashion-mnist --json");
        command.env("ORT_DYLIB_PATH", library);
        let verified = Outcome::of(command).json();
        let integers = &verified["other_variants"][0];
        assert_eq!(
            (&integers["provider"], &integers["variant"]),
            (&json!("openvino"), &json!("int8-x86-vnni"))
        );
        // held against what the bundle records, or the exit code were 3
        assert!(integers["recorded"].is_object(), "{integers}");
    }
    let evaluated = workspace
        .run("eval both.askd --variant int8-x86-vnni --data fashion-mnist --json")
        .json();
    assert_eq!(evaluated, report["test"]["quantized"]);
    let text = workspace.run("inspect both.askd").text();
    assert!(text.contains("golden.int8-x86-vnni.safetensors"), "{text}");

    // twice the same, to the byte
    workspace
        .run(&format!("quantize net.askd --target x86-vnni {flags} --out again.askd"))
        .json();
    for file in ["model.int8-x86-vnni.onnx", "golden.int8-x86-vnni.safetensors"] {
        let [first, second] = ["both.askd", "again.askd"].map(|name| workspace.read(format!("{name}/{file}")));
        assert!(first == second, "{file}");
    }

    // the engine found its integer kernels, and left nothing between them in floats
    let model = Model::open_variant(workspace.path("both.askd"), "int8-x86-vnni").unwrap();
    let found = operators(&model);
    for float in ["Conv", "FusedConv", "Add", "Relu", "Gemm", "GlobalAveragePool"] {
        assert!(!found.contains(float), "{float} among {found:?}");
    }
    assert!(
        found.contains("QLinearConv") && found.contains("QLinearAdd"),
        "{found:?}"
    );
}

#[test]
fn a_model_of_pixels_is_quantised_too() {
    let workspace = Workspace::new();
    bundle(&workspace);
    workspace
        .run("export run --input u8 --passes all,-fold-batch-norm --out pixels.askd")
        .text();
    for target in ["x86-avx2", "jetson-fp16"] {
        let flags = format!("--target {target} --calibration fashion-mnist --max-drop 3 --json");
        let report = workspace.run(&format!("quantize pixels.askd {flags}")).json();
        assert!(report["validation"]["drop"].as_f64().unwrap().abs() <= 3.0);
        let ratio = report["bytes"].as_f64().unwrap() / report["float_bytes"].as_f64().unwrap();
        assert!(ratio < 0.6, "{target} {ratio}");
    }
    // passes that the export skipped have run: no batch norm is counted any more
    let variants = workspace.read_json("pixels.askd/askd.json")["variants"].clone();
    let parameters = |variant: usize| variants[variant]["parameters"].as_u64().unwrap();
    assert!(
        parameters(1) < parameters(0) && parameters(1) == parameters(2),
        "{variants}"
    );
    let one = workspace.run("verify pixels.askd --variant jetson-fp16 --json").json();
    assert_eq!(
        (&one["variant"], &one["other_variants"]),
        (&json!("jetson-fp16"), &json!([]))
    );
    assert!(workspace.refused("verify pixels.askd --variant int4").contains("int4"));
    let verified = workspace.run("verify pixels.askd --data fashion-mnist --json").json();
    let others = verified["other_variants"].as_array().unwrap();
    assert_eq!(
        (&others[0]["variant"], &others[1]["variant"]),
        (&json!("int8-x86-avx2"), &json!("jetson-fp16"))
    );
    let difference =
        others[1]["evaluation"]["loss"].as_f64().unwrap() - verified["evaluation"]["loss"].as_f64().unwrap();
    assert!(difference.abs() < 0.01, "{difference}");
}

#[test]
fn a_gate_that_does_not_hold_writes_nothing() {
    let workspace = Workspace::new();
    bundle(&workspace);
    let before = workspace.entries();
    let flags = "--calibration fashion-mnist --target x86-avx2";
    let outcome = workspace.run(&format!("quantize net.askd {flags} --max-drop -90"));
    let error = outcome.error(3);
    assert!(
        error.contains("at most -90 points below") && error.contains("conv1"),
        "{error}"
    );
    // every number of float layers was tried but all
    assert_eq!(
        outcome.stderr.matches("layers float").count(),
        LAYERS,
        "{}",
        outcome.stderr
    );
    for (arguments, message) in [
        (format!("net.askd {flags} --images 100"), "500 to 9000 images"),
        (format!("net.askd {flags} --name fp32"), "another than the float"),
        (format!("net.askd {flags} --name a/b"), "letters, digits"),
        (
            format!("net.askd {flags} --method percentile --percentile 10"),
            "above 50",
        ),
        (format!("net.askd {flags} --percentile 99"), "--method percentile"),
        (format!("none.askd {flags}"), "none.askd"),
        (format!("net.askd {flags} --out run"), "a bundle to replace"),
    ] {
        let error = workspace.refused(&format!("quantize {arguments}"));
        assert!(error.contains(message), "{error}");
    }
    assert_eq!(workspace.entries(), before);

    // a bundle that does not say what it is made from
    let manifest = workspace.path("net.askd/askd.json");
    let mut value = workspace.read_json("net.askd/askd.json");
    value["provenance"].as_object_mut().unwrap().remove("recipe");
    fs::write(&manifest, value.to_string()).unwrap();
    let error = workspace.refused(&format!("quantize net.askd {flags}"));
    assert!(error.contains("export the bundle again"), "{error}");
}
