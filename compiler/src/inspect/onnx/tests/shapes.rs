use super::*;

#[test]
fn shapes_follow_the_operators_pages() {
    let ints = |name, values: &[i64]| integers(name, values);
    let int = integer;
    let cases: Vec<(&str, NodeProto, Vec<TensorProto>)> = vec![
        (
            "Nx5x3x4",
            node(
                "Conv",
                &["x", "w"],
                "y",
                vec![attribute("strides", &[2, 2]), attribute("pads", &[0, 1, 0, 2])],
            ),
            vec![floats("w", &[5, 3, 3, 3])],
        ),
        // 8 and 6 pixels rounded up by strides of 3
        (
            "Nx6x3x2",
            node(
                "Conv",
                &["x", "w"],
                "y",
                vec![
                    AttributeProto {
                        s: b"SAME_UPPER".to_vec(),
                        ..integer("auto_pad", 0)
                    },
                    attribute("strides", &[3, 3]),
                    int("group", 3),
                ],
            ),
            vec![floats("w", &[6, 1, 5, 5])],
        ),
        (
            "Nx5x4x2",
            node("Conv", &["x", "w"], "y", vec![attribute("dilations", &[2, 2])]),
            vec![floats("w", &[5, 3, 3, 3])],
        ),
        (
            "?",
            node("Conv", &["x", "w"], "y", vec![]),
            vec![floats("w", &[5, 4, 3, 3])],
        ),
        (
            "?",
            node("Conv", &["x", "w"], "y", vec![]),
            vec![floats("w", &[5, 3, 9, 9])],
        ),
        (
            "?",
            node("Conv", &["x", "w"], "y", vec![attribute("strides", &[0, 1])]),
            vec![floats("w", &[5, 3, 3, 3])],
        ),
        (
            "Nx3x4x3",
            node(
                "MaxPool",
                &["x"],
                "y",
                vec![attribute("kernel_shape", &[2, 2]), attribute("strides", &[2, 2])],
            ),
            vec![],
        ),
        // 8 - 3 is no multiple of 2: whether the last window counts depends on the version
        (
            "Nx3x?x?",
            node(
                "AveragePool",
                &["x"],
                "y",
                vec![
                    attribute("kernel_shape", &[3, 3]),
                    attribute("strides", &[2, 2]),
                    int("ceil_mode", 1),
                ],
            ),
            vec![],
        ),
        ("Nx144", node("Flatten", &["x"], "y", vec![]), vec![]),
        (
            "Nx48x3",
            node("Reshape", &["x", "s"], "y", vec![]),
            vec![ints("s", &[0, 48, -1])],
        ),
        (
            "?x4",
            node("Reshape", &["x", "s"], "y", vec![]),
            vec![ints("s", &[-1, 4])],
        ),
        (
            "Nx8x6x3",
            node("Transpose", &["x"], "y", vec![attribute("perm", &[0, 2, 3, 1])]),
            vec![],
        ),
        (
            "?",
            node("Transpose", &["x"], "y", vec![attribute("perm", &[0, 2, 2, 1])]),
            vec![],
        ),
        (
            "Nx3x4x6",
            node("Slice", &["x", "a", "b", "c", "d"], "y", vec![]),
            vec![
                ints("a", &[0]),
                ints("b", &[i64::MAX]),
                ints("c", &[2]),
                ints("d", &[2]),
            ],
        ),
        // backwards from the last to the first
        (
            "Nx3x8x3",
            node("Slice", &["x", "a", "b", "c", "d"], "y", vec![]),
            vec![
                ints("a", &[-1]),
                ints("b", &[i64::MIN]),
                ints("c", &[-1]),
                ints("d", &[-2]),
            ],
        ),
        (
            "Nx7x8x6",
            node("Pad", &["x", "p"], "y", vec![]),
            vec![ints("p", &[0, 1, 0, 0, 0, 3, 0, 0])],
        ),
        (
            "Nx3",
            node(
                "ReduceMean",
                &["x"],
                "y",
                vec![attribute("axes", &[2, 3]), int("keepdims", 0)],
            ),
            vec![],
        ),
        (
            "Nx3x1x8x6",
            node("Unsqueeze", &["x", "p"], "y", vec![]),
            vec![ints("p", &[2])],
        ),
        (
            "Nx3x8x6",
            node("Add", &["x", "b"], "y", vec![]),
            vec![floats("b", &[3, 1, 1])],
        ),
        (
            "?",
            node("Add", &["x", "b"], "y", vec![]),
            vec![floats("b", &[4, 1, 1])],
        ),
        (
            "Nx6x8x6",
            node("Concat", &["x", "x"], "y", vec![int("axis", 1)]),
            vec![],
        ),
        (
            "Nx3x8x9",
            node("MatMul", &["x", "b"], "y", vec![]),
            vec![floats("b", &[6, 9])],
        ),
        ("?", node("NonMaxSuppression", &["x"], "y", vec![]), vec![]),
        ("?", node("Relu", &["nothing"], "y", vec![]), vec![]),
    ];
    for (expected, node, tensors) in cases {
        let what = format!(
            "{} {:?}",
            node.op_type,
            node.attribute.iter().map(|a| &a.name).collect::<Vec<_>>()
        );
        assert_eq!(shape_of(node, tensors), expected, "{what}");
    }
}

#[test]
fn opsets_decide_where_settings_are() {
    let mut before = model(
        vec![node(
            "Pad",
            &["x"],
            "y",
            vec![attribute("pads", &[0, 0, 1, 1, 0, 0, 1, 1])],
        )],
        vec![],
    );
    before.opset_import = vec![OperatorSetIdProto {
        version: 10,
        ..OperatorSetIdProto::default()
    }];
    assert_eq!(shape_text(of(&before).unwrap().layers[0].shape.as_deref()), "Nx3x10x8");
    before.opset_import[0].version = 11;
    assert_eq!(of(&before).unwrap().layers[0].shape, None);
}
