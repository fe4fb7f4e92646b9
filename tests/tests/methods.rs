//! Every method by the command line: a few steps on real images, and what comes of them.

use askd_compiler::distill::METHODS;
use askd_compiler::weights::{HostTensor, load_safetensors};
use askd_tests::{Workspace, fashion_mnist};

/// More than one epoch, since a method may begin with its second one; the last batch of an epoch is a smaller one.
const SHORT: &str = "--data fashion-mnist:fashion --epochs 2 --batch 16 --lr 0.001";

#[test]
fn every_method_trains_a_student() {
    let workspace = Workspace::new();
    fashion_mnist(&workspace.path("fashion"), 50, 20);
    for (network, seed) in [("resnet8", 1), ("resnet14", 2)] {
        workspace
            .run(&format!(
                "train --model {network} {SHORT} --max-steps 2 --seed {seed} --out {network}"
            ))
            .text();
    }
    let taught = |network: &str| format!("--teacher {network} --teacher-weights {network}/best/weights.safetensors");
    let (one, two) = (
        taught("resnet14"),
        format!("{} {}", taught("resnet14"), taught("resnet8")),
    );
    let mut students = Vec::new();
    for method in METHODS.map(|method| method.name) {
        let teachers = match method {
            "alone" | "dml" => "",
            "aver" | "ebkd" | "ca-mkd" | "atsc" => two.as_str(),
            _ => one.as_str(),
        };
        let run = format!("distill --student resnet8 --method {method} {teachers} {SHORT} --json --out {method}");
        let result = workspace.run(&run).json();
        assert_eq!(result["test"]["images"], 20, "{method}");
        let weights = load_safetensors(workspace.path(format!("{method}/best/weights.safetensors"))).unwrap();
        let finite = |tensor: &HostTensor| tensor.data.iter().all(|value| value.is_finite());
        assert!(weights.values().all(finite), "{method}");
        assert!(!students.contains(&weights), "{method} is another method");
        students.push(weights);
        let ships_itself = !["simkd", "atsc"].contains(&method);
        let own = students[0].keys().eq(students[students.len() - 1].keys());
        assert_eq!(own, ships_itself, "{method}");
    }
}
