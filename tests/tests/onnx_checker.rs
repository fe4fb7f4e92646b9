//! The reference checker of the ONNX project accepts every exported model.

use std::fs;
use std::path::Path;
use std::process::Command;

use askd_compiler::bundle::input_of;
use askd_compiler::onnx::{ModelInfo, write_model};
use askd_compiler::passes;
use askd_models::{
    DistilledOptions, Graph, GraphBuilder, LOGITS, NetworkConfig, Op, build, distilled_student, networks,
};
use askd_runtime::Batch;
use askd_tests::random_weights;
use serde_json::{Value, json};

/// Writes a graph folded and as it is, one with each batch; gives the file names.
fn export(dir: &Path, graph: &Graph) -> Vec<String> {
    let weights = random_weights(graph, 1);
    let mut folded_weights = weights.clone();
    let folded = passes::run_all(graph, &mut folded_weights).unwrap();
    let labels: Vec<String> = (0..graph.classes().unwrap())
        .map(|class| format!("class {class}"))
        .collect();
    let input = input_of(graph.input_shape(), &[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225]);
    let write = |(kind, graph, weights, batch)| {
        let info = ModelInfo::new(batch).describe(&input, &labels, 1.0).unwrap();
        let name = format!("{}.{kind}.onnx", Graph::name(graph));
        fs::write(dir.join(&name), write_model(graph, weights, &info).unwrap()).unwrap();
        name
    };
    [
        ("plain", graph, &weights, Batch::One),
        ("folded", &folded, &folded_weights, Batch::Dynamic),
    ]
    .map(write)
    .to_vec()
}

/// Operations that no network of the registry has, or not in these settings.
fn other_operations() -> Graph {
    let mut builder = GraphBuilder::new("other_operations", [3, 11, 14]);
    let mut x = builder.relu6("relu6", builder.input()).unwrap();
    let operations = [
        ("shuffle", Op::ChannelShuffle { groups: 3 }),
        ("unequal_bins", Op::AdaptiveAveragePool { height: 9, width: 8 }),
        (
            "max_pool",
            Op::MaxPool {
                kernel: 3,
                stride: 2,
                padding: 1,
            },
        ),
    ];
    for (name, op) in operations {
        x = builder.push(name, op, &[x]).unwrap();
    }
    let joined = builder.push("joined", Op::Concat, &[x, x]).unwrap();
    let mean = builder.push("mean", Op::Mean, &[joined, joined]).unwrap();
    let logits = builder.classifier("fc", mean, 5).unwrap();
    builder.finish(&[(LOGITS, logits)])
}

#[test]
fn the_onnx_checker_accepts_every_network() {
    let Some(python) = std::env::var_os("ASKD_PYTHON").filter(|python| !python.is_empty()) else {
        eprintln!("SKIPPED: ASKD_PYTHON names no Python with the packages of tests/requirements.txt");
        return;
    };
    let config = NetworkConfig::new([3, 9, 11], 7);
    let mut graphs: Vec<_> = networks()
        .iter()
        .map(|network| network.build(&config).unwrap())
        .collect();
    let teacher = build("resnet8x4", &config).unwrap();
    let (student, other) = (build("resnet8", &config).unwrap(), build("vgg8", &config).unwrap());
    let options = DistilledOptions {
        factor: 4,
        depthwise: false,
        shared_trunk: true,
        own_head: true,
    };
    let depthwise = DistilledOptions {
        depthwise: true,
        ..options
    };
    graphs.push(distilled_student(&student, &[&teacher], &options).unwrap());
    graphs.push(distilled_student(&student, &[&teacher, &other], &options).unwrap());
    graphs.push(distilled_student(&student, &[&teacher, &other], &depthwise).unwrap());
    graphs.push(other_operations());

    let dir = tempfile::tempdir().unwrap();
    let names: Vec<String> = graphs.iter().flat_map(|graph| export(dir.path(), graph)).collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/check_onnx.py");
    let output = Command::new(python)
        .arg(script)
        .args(&names)
        .current_dir(dir.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");

    let reports: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(reports.len(), 2 * graphs.len());
    println!("accepted {} models", reports.len());
    for (index, (report, name)) in reports.iter().zip(&names).enumerate() {
        let (graph, batch) = (&graphs[index / 2], if index % 2 == 0 { json!(1) } else { json!("N") });
        let [c, h, w] = graph.input_shape();
        assert_eq!(report["inputs"], json!({ "image": [batch, c, h, w] }), "{name}");
        assert_eq!(
            report["outputs"],
            json!({ "logits": [batch, graph.classes().unwrap()] }),
            "{name}"
        );
        assert_eq!(
            (&report["opset"], &report["ir_version"]),
            (&json!(17), &json!(8)),
            "{name}"
        );
        let metadata = &report["metadata"];
        assert_eq!(metadata["network"], graph.name());
        assert_eq!(metadata["schema"], "1");
        let parsed = |key: &str| serde_json::from_str::<Value>(metadata[key].as_str().unwrap()).unwrap();
        assert_eq!(parsed("labels")[1], "class 1");
        assert_eq!(parsed("preprocessing")["mean"], json!([0.485, 0.456, 0.406]));
        assert_eq!(parsed("preprocessing")["layout"], "NCHW");
        assert_eq!(parsed("preprocessing")["shape"], json!(graph.input_shape()));
        assert_eq!(
            report["batch_norms"] == 0,
            index % 2 == 1 || graph.name() == "other_operations",
            "{name}"
        );
    }
}
