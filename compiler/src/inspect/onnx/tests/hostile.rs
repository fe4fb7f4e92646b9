use super::*;

#[test]
fn tensors_that_are_not_what_they_say_are_errors() {
    let refused = |change: fn(&mut TensorProto)| {
        let mut tensor = floats("w", &[5, 3, 3, 3]);
        change(&mut tensor);
        let error = of(&model(vec![node("Conv", &["x", "w"], "y", vec![])], vec![tensor])).unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("tensor \"w\": expected ") && !text.contains('\n'),
            "{text}"
        );
    };
    refused(|tensor| tensor.dims = vec![5, 3, 3, 4]);
    refused(|tensor| tensor.dims = vec![-5, 3, 3, 3]);
    refused(|tensor| tensor.dims = vec![i64::MAX, i64::MAX]);
    refused(|tensor| tensor.data_type = 99);
    refused(|tensor| tensor.raw_data.clear());
    refused(|tensor| tensor.float_data = vec![0.0; 135]);
}

#[test]
fn damaged_files_never_panic() {
    let graph = build("resnet8", &NetworkConfig::new([1, 8, 8], 2)).unwrap();
    let graph = graph.keep_outputs(&[LOGITS]).unwrap();
    let bytes = write_model(&graph, &initialise(&graph, 1), &ModelInfo::new(Batch::One)).unwrap();
    // only the first part says what there is; behind it are the weights
    let (mut state, span) = (7u64, 6000.min(bytes.len()));
    for round in 0..2000 {
        let mut damaged = bytes.clone();
        for _ in 0..1 + round % 3 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            damaged[(state >> 33) as usize % span] = (state >> 20) as u8;
        }
        match OnnxReport::of(&damaged) {
            Ok(report) => assert!(report.to_string().lines().count() as u64 >= report.nodes),
            Err(error) => assert!(!error.to_string().contains('\n'), "{error}"),
        }
    }
    // numbers at the ends of their range, wherever they may stand
    for extreme in [i64::MIN, -1, 0, 1 << 40, i64::MAX] {
        let windows = ["strides", "dilations", "kernel_shape"].map(|name| attribute(name, &[extreme; 2]));
        for windows in windows {
            shape_of(
                node(
                    "MaxPool",
                    &["x"],
                    "y",
                    vec![attribute("kernel_shape", &[2, 2]), windows.clone()],
                ),
                vec![],
            );
            shape_of(
                node("Conv", &["x", "w"], "y", vec![windows]),
                vec![floats("w", &[5, 3, 3, 3])],
            );
        }
        for op in ["Pad", "Reshape", "Squeeze", "Unsqueeze", "ReduceSum"] {
            shape_of(node(op, &["x", "s"], "y", vec![]), vec![integers("s", &[extreme; 8])]);
            shape_of(
                node(op, &["x", "s"], "y", vec![integer("axis", extreme)]),
                vec![integers("s", &[extreme])],
            );
        }
        for op in ["Flatten", "Concat", "Gemm", "Transpose"] {
            let attributes = vec![integer("axis", extreme), attribute("perm", &[extreme; 4])];
            shape_of(node(op, &["x", "x"], "y", attributes), vec![]);
        }
        let tensors = ["a", "b", "c", "d"].map(|name| integers(name, &[extreme]));
        shape_of(node("Slice", &["x", "a", "b", "c", "d"], "y", vec![]), tensors.to_vec());
    }
}
