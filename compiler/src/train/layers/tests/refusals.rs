//! What a wrong recipe is told.

use super::*;

/// The message with which a recipe file is refused.
fn refusal(text: &str) -> String {
    let mut layers = distillation().0;
    layers.text(FILE, text).unwrap_err().to_string()
}

/// The message with which a recipe is refused whose file can be read.
fn refusal_of_range(text: &str) -> String {
    let (mut layers, _weights) = distillation();
    layers.text(FILE, text).unwrap();
    layers.resolve().unwrap_err().to_string()
}

#[test]
fn unknown_keys_meet_the_nearest_one() {
    for (text, expected) in [
        (
            "schedule.learnin_rate = 1",
            "`schedule.learnin_rate`, did you mean `schedule.learning_rate`?",
        ),
        (
            "learning_rate = 1",
            "`learning_rate`, did you mean `schedule.learning_rate`?",
        ),
        (
            "sedule.warmup_epochs = 1",
            "`sedule.warmup_epochs`, did you mean `schedule.warmup_epochs`?",
        ),
        ("epoch = 1", "`epoch`, did you mean `epochs`?"),
        ("input.0 = 1", "`input.0`, did you mean `input`?"),
        (
            "distillation.teachers = [{ netwrk = \"a\" }]",
            "`distillation.teachers.0.netwrk`, did you mean `distillation.teachers.network`?",
        ),
        (
            "distillation.method.adaptation.strat = 1",
            "`distillation.method.adaptation.strat` with distillation.method.name = \"atsc\", \
             did you mean `distillation.method.adaptation.start`?",
        ),
        (
            "distillation.method.label_weight = 1",
            "`distillation.method.label_weight` with distillation.method.name = \"atsc\", \
             did you mean `distillation.method.teacher_weight`?",
        ),
        (
            "schedule.decay.milestones = [1]",
            "`schedule.decay.milestones` with schedule.decay.kind = \"cosine\", did you mean `schedule.decay.kind`?",
        ),
    ] {
        assert_eq!(refusal(text), format!("{FILE}: unknown key {expected}"));
    }
    let mut layers = Layers::training().unwrap();
    let error = layers.settings(vec![set("epoch", 1)]).unwrap_err();
    assert_eq!(error.to_string(), "--set: unknown key `epoch`, did you mean `epochs`?");
    assert_eq!(error.exit_code(), 2);
    let milestones = flag("--milestones", "schedule.decay.milestones", vec![1.0]);
    let line = layers.settings(vec![milestones]).unwrap_err().to_string();
    assert!(
        line.starts_with("--milestones: unknown key `schedule.decay.milestones` with"),
        "{line}"
    );
}

#[test]
fn values_of_another_type_are_named_with_what_is_taken() {
    for (text, expected) in [
        (
            "epochs = \"many\"",
            "epochs: expected an integer, 0 or more, got \"many\"",
        ),
        ("epochs = 1.5", "epochs: expected an integer, 0 or more, got 1.5"),
        ("epochs = -1", "epochs: expected an integer, 0 or more, got -1"),
        ("max_steps = -1", "max_steps: expected an integer, 0 or more, got -1"),
        ("network = 3", "network: expected a string, got 3"),
        ("schedule = 3", "schedule: expected a table, got 3"),
        (
            "schedule.learning_rate = true",
            "schedule.learning_rate: expected a number, got true",
        ),
        (
            "optimizer.nesterov = 1",
            "optimizer.nesterov: expected true or false, got 1",
        ),
        ("mean = 0.5", "mean: expected a list, got 0.5"),
        ("mean = [\"a\"]", "mean: expected a list of numbers, got [\"a\"]"),
        ("input = [3, 32]", "input: expected an array of length 3, got [3, 32]"),
        (
            "schedule.decay.kind = \"linear\"",
            "schedule.decay.kind: expected one of constant, step, cosine, got \"linear\"",
        ),
        (
            "distillation.method.name = \"magic\"",
            "distillation.method.name: expected one of alone, kd, fitnet, at, sp, vid, crd, srrl, semckd, simkd, dkd, dml, \
             aver, ebkd, ca-mkd, atsc, got \"magic\"",
        ),
        (
            "distillation.method.mode = \"shared\"",
            "distillation.method.mode: expected one of shared-head, official-code, got \"shared\"",
        ),
        (
            "distillation.method.normalise = \"all\"",
            "distillation.method.normalise: expected one of `none`, `elements`, `samples`, got \"all\"",
        ),
        (
            "distillation.method.projector = \"wide\"",
            "distillation.method.projector: expected `standard` or `depthwise`, got \"wide\"",
        ),
        (
            "distillation.method.max_overhead = 5",
            "distillation.method.max_overhead: expected a string, got 5",
        ),
        (
            "distillation.method.max_overhead = \"5%\"",
            "distillation.method.max_overhead: expected params:PERCENT%, macs:PERCENT% or latency:PERCENT%, got \"5%\"",
        ),
        (
            "distillation.method = { factor = 4, max_overhead = \"params:5%\" }",
            "distillation.method.max_overhead: expected no factor beside it: it chooses one, got \"params:5%\"",
        ),
        (
            "distillation.teachers = [{ weights = 1 }]",
            "distillation.teachers.0.weights: expected a string, got 1",
        ),
        (
            "data = \"cifar10\"",
            "data: expected fashion-mnist, fashion-mnist:PATH, cifar10:PATH, cifar100:PATH or folder:PATH, got \"cifar10\"",
        ),
        (
            "distillation.method = { name = \"alone\", factor = 2 }",
            "distillation.method.factor: expected no setting of a method with method alone, got 2",
        ),
    ] {
        assert_eq!(refusal(text), format!("{FILE}: {expected}"));
    }
    assert_eq!(
        refusal("epochs = 1\nbatch = \n"),
        "recipes/x.toml: expected TOML, got in line 2: string values must be quoted, expected literal string"
    );
}

#[test]
fn values_out_of_range_are_named_with_who_set_them() {
    for (text, expected) in [
        ("epochs = 0", "epochs: expected 1 to 100000, got 0"),
        (
            "validation = 0.9",
            "validation: expected a share from 0 to 0.5, got 0.9",
        ),
        (
            "schedule.learning_rate = 0",
            "schedule.learning_rate: expected a positive number, got 0",
        ),
        (
            "std = [0.0]",
            "std: expected 1 positive numbers, one a channel, got [0.0]",
        ),
        (
            "distillation.method.adaptation.stop = 0.25",
            "distillation.method.adaptation.stop: expected the start, 0.5, to 1, got 0.25",
        ),
        (
            "distillation.method.guard.window = 0",
            "distillation.method.guard.window: expected 1 or more, got 0",
        ),
        (
            "distillation.method.temperature = 0",
            "distillation.method.temperature: expected a positive number, got 0",
        ),
        (
            "distillation.method.max_overhead = \"params:0.1%\"",
            "distillation.method.max_overhead: expected at least 0.36%, the smallest overhead there is, with f = 64, \
             got params:0.1%",
        ),
        (
            "distillation.weighting = \"confidence\"",
            "distillation.weighting: expected uniform for a single teacher, got confidence",
        ),
    ] {
        assert_eq!(refusal_of_range(text), format!("{FILE}: {expected}"));
    }
    let (mut layers, _weights) = distillation();
    layers.text(FILE, "schedule.learning_rate = 0.1").unwrap();
    let refused = |setting| {
        let mut layers = layers.clone();
        layers.settings(vec![setting]).unwrap();
        layers.resolve().unwrap_err().to_string()
    };
    let line = refused(flag("--lr", "schedule.learning_rate", f64::NAN));
    assert_eq!(line, "--lr: expected a positive number, got NaN");
    let line = refused(set("schedule.learning_rate", -1));
    assert_eq!(line, "--set schedule.learning_rate: expected a positive number, got -1");
}

#[test]
fn what_a_recipe_cannot_do_without_is_asked_for() {
    let missing = |settings: Vec<Setting>| {
        let mut layers = Layers::distillation().unwrap();
        layers.settings(settings).unwrap();
        layers.resolve().unwrap_err().to_string()
    };
    let data = || set("data", "fashion-mnist");
    let student = || set("network", "resnet8");
    assert_eq!(
        missing(vec![]),
        "data: expected a data set, by --data or in a recipe, got none"
    );
    assert_eq!(
        missing(vec![data()]),
        "network: expected a registered network, by flag or in a recipe, got none"
    );
    assert_eq!(
        missing(vec![data(), student()]),
        "distillation.teachers: expected a teacher for method atsc, by --teacher and --teacher-weights or in a recipe, got none"
    );
    assert_eq!(
        missing(vec![
            data(),
            student(),
            set("distillation.teachers.0.network", "resnet20")
        ]),
        "distillation.teachers.0.weights: expected a teacher's, by --teacher-weights or in a recipe, got none"
    );
    let mut layers = Layers::distillation().unwrap();
    let line = layers
        .settings(vec![set("distillation.teachers.1.network", "resnet20")])
        .unwrap_err();
    assert_eq!(
        line.to_string(),
        "--set distillation.teachers.1.network: expected the teacher after the last one at most, got \"resnet20\""
    );
}
