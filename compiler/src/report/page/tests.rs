use askd_page::fault;
use askd_runtime::Preprocess;

use super::*;
use crate::bundle::input_of;
use crate::data::{DataSpec, ImageSet, Part};
use crate::evaluate::Predictions;
use crate::report::epochs::tests::records;
use crate::report::{
    AgainstAlone, AgainstTeacher, Difference, EpochsToAlone, Latency, Machine, Measured, Reliability, Repeated, Share,
};
use crate::robustness::{Options, Robustness, Subject, measure};
use crate::spread::Spread;
use crate::train::Recipe;

/// Four images of two classes, three of them right.
fn predictions() -> Predictions {
    Predictions {
        logits: vec![2.0, 0.0, 0.0, 1.0, 3.0, 0.0, 1.0, 0.0],
        labels: vec![0, 1, 0, 1],
    }
}

/// A student of that name, with one seed.
pub(in crate::report) fn model(name: &str) -> ModelReport {
    let predictions = predictions();
    let data = DataSpec::embedded();
    let images = data.load(Part::Test).unwrap();
    let recipe = Recipe::for_checkpoint("resnet8", &data, &images, data.kind.mean(), data.kind.std());
    let (before, after) = (Reliability::of(&predictions, 1.0), Reliability::of(&predictions, 1.5));
    ModelReport {
        name: name.to_owned(),
        short_name: name.to_owned(),
        role: Role::Distilled("atsc".to_owned()),
        variant: None,
        precision: None,
        network: "resnet8".to_owned(),
        top1: Spread::of(vec![75.0]),
        validation_top1: Some(Spread::of(vec![80.0])),
        ece_before: Spread::of(vec![before.ece]),
        ece_after: Some(Spread::of(vec![after.ece])),
        parameters: 75_002,
        macs: 9_145_216,
        bytes: 313_001,
        projector: None,
        latency_ms: Some(Latency {
            p50: 0.103,
            p10: 0.1,
            p90: 0.2,
            runs: 200,
        }),
        robustness: None,
        epochs_to_alone: EpochsToAlone::of(&[(&records(&[60.0, 80.0]), 70.0)]),
        measured: vec![Measured {
            path: format!("out/{name}"),
            seed: Some(3),
            test: predictions.evaluation(),
            per_class: vec![Share::new(2, 2), Share::new(1, 2)],
            before_temperature: before,
            after_temperature: Some(after),
            repeated: vec![Repeated {
                teacher: "teacher <b>".to_owned(),
                same_class: Share::new(81, 263),
                wrong_too: Share::new(120, 263),
            }],
            best_epoch: Some(2),
            seconds: Some(35.0),
            weights_sha256: Some("ab".repeat(32)),
            onnx_sha256: format!("{name:0>64}"),
            teachers_sha256: vec!["cd".repeat(32)],
            data_sha256: Some("ef".repeat(32)),
            recipe: Some(recipe),
            epochs: records(&[60.0, 80.0]),
        }],
    }
}

/// Accuracy under two corruptions at three severities.
fn robustness(clean: f64) -> Robustness {
    let mut subject = Subject::new("it", |images: &ImageSet| {
        let right = (0..images.len()).map(|position| images.label(position));
        Ok(Predictions {
            logits: right
                .flat_map(|label| (0..10).map(move |class| f32::from(u8::from(class == label))))
                .collect(),
            labels: (0..images.len()).map(|position| images.label(position)).collect(),
        })
    });
    let options = Options {
        corruptions: ["fog", "jpeg"].map(|name| name.parse().unwrap()).to_vec(),
        severities: ["1", "3", "5"].map(|number| number.parse().unwrap()).to_vec(),
        seed: 0,
        images_per_class: Some(1),
    };
    let images = DataSpec::embedded().load(Part::Test).unwrap();
    let preprocess = Preprocess::new(&input_of([1, 28, 28], &[0.0], &[1.0])).unwrap();
    let report = measure(&images, &preprocess, &options, std::slice::from_mut(&mut subject)).unwrap();
    let mut robustness = report.networks.into_iter().next().unwrap();
    robustness.clean.top1 = clean;
    robustness
}

fn report() -> Report {
    let mut teacher = model("teacher resnet20");
    teacher.role = Role::Teacher;
    Report {
        tool: "askd-compile 0".to_owned(),
        date: "2026-11-30T12:00:00Z".to_owned(),
        data: "folder".to_owned(),
        data_sha256: "01".repeat(32),
        images: 4,
        classes: vec!["<script>alert(1)</script>".to_owned(), "a & \"b\"".to_owned()],
        machine: Machine {
            processor: "<cpu>".to_owned(),
            cores: 2,
            onnxruntime: None,
        },
        headline: Some(Headline {
            student: "<i>student</i>".to_owned(),
            best_of: 1,
            top1: 75.0,
            bytes: 313_001,
            p50_ms: Some(0.103),
            teacher: Some(AgainstTeacher {
                name: "teacher resnet20".to_owned(),
                top1: 80.0,
                kept_percent: 93.75,
                times_smaller: 3.5,
                times_fewer_macs: 3.4,
                times_faster: Some(0.5),
            }),
            alone: Some(AgainstAlone {
                name: "alone".to_owned(),
                top1: 76.0,
                points: Spread::of(vec![-1.0]),
                interval: Some([-2.0, 0.5]),
            }),
            projector: None,
            sentences: vec!["The <student> lost.".to_owned()],
        }),
        models: vec![teacher, model("<i>student</i>")],
        differences: vec![Difference {
            key: "schedule.<rate>".to_owned(),
            values: vec![None, Some("\"<0.1>\"".to_owned())],
        }],
        notes: vec!["teacher <gone>".to_owned()],
    }
}

#[test]
fn a_page_stands_alone_and_text_of_files_is_no_markup() {
    let page = report().html();
    assert_eq!(fault(&page), None);
    for told in [
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "a &amp; &quot;b&quot;",
        "out/&lt;i&gt;student&lt;/i&gt;",
        "teacher &lt;b&gt;",
        "schedule.&lt;rate&gt;",
        "&quot;&lt;0.1&gt;&quot;",
        "teacher &lt;gone&gt;",
        "&lt;cpu&gt;",
        "The &lt;student&gt; lost.",
    ] {
        assert!(page.contains(told), "{told}");
    }
}

#[test]
fn the_figures_of_the_page_are_those_of_the_report() {
    let page = report().html();
    for told in [
        "accuracy kept</span><strong>93.8 %</strong><span>75.0 against 80.0 %</span>",
        "<strong>-1.00</strong><span>over 76.00 % alone</span>",
        "<strong>313 kB</strong><span>3.5 times smaller</span>",
        "<strong>0.103 ms</strong><span>2.0 times slower</span>",
        "<td>75.00</td>",
        "<td>0.103<small>0.100 to 0.200</small></td>",
        "<td>9,145,216</td><td>75,002</td>",
        "<td>30.8<small>25.5 to 36.6</small></td><td>45.6<small>39.7 to 51.7</small></td><td>263</td>",
        // second of two epochs
        "<td>2</td><td>2</td><td>70.00</td><td>1 of 1</td>",
        "<td>1.500</td>",
        "<td>2 of 2</td><td>35</td><td>abababababab</td>",
    ] {
        assert!(page.contains(told), "{told} in {page}");
    }
}

#[test]
fn what_is_missing_is_left_out() {
    let mut bare = report();
    bare.headline = None;
    bare.notes.clear();
    bare.differences.clear();
    bare.models.truncate(1);
    let model = &mut bare.models[0];
    (model.latency_ms, model.epochs_to_alone, model.ece_after) = (None, None, None);
    let seed = &mut model.measured[0];
    seed.repeated.clear();
    seed.epochs.clear();
    (seed.after_temperature, seed.recipe, seed.seed) = (None, None, None);
    let page = bare.html();
    assert_eq!(fault(&page), None);
    for absent in [
        "lead",
        "over latency",
        "Epochs to",
        "Errors taken",
        "Over the epochs",
        "Left out",
        "Settings that",
    ] {
        let body = page.split_once("</style>").unwrap().1;
        assert!(!body.contains(absent), "{absent}");
    }
    assert!(page.contains("not fitted"));
}

#[test]
fn of_many_classes_the_weakest_are_shown() {
    let mut report = report();
    report.classes = (0..100).map(|class| format!("class {class}")).collect();
    for (model, worst) in report.models.iter_mut().zip([100, 70]) {
        let share = |class: usize| Share::new(if class == 70 { worst - 60 } else { 90 }, 100);
        model.measured[0].per_class = (0..100).map(share).collect();
    }
    let page = report.html();
    assert_eq!(page.matches("<th>class ").count(), 20);
    assert!(page.contains("<th>class 70</th><td>40.0"), "{page}");
    assert!(
        page.contains("Of 100 classes the 20 in which &lt;i&gt;student&lt;/i&gt; is furthest below teacher resnet20")
    );
}

#[test]
fn a_floating_variant_is_drawn_once_and_colours_are_the_models() {
    let mut report = report();
    let mut variant = model("<i>student</i>");
    variant.name = "s.askd fp32".to_owned();
    variant.variant = Some("fp32".to_owned());
    report.models.push(variant);
    assert_eq!(distinct(&report).count(), 2);
    assert!(coloured(&report).map(|(_, _, colour)| colour).eq([5, 1, 2]));
}

#[test]
fn sizes_and_times_have_three_digits() {
    assert_eq!([999, 313_001, 1_093_191].map(size), ["999 B", "313 kB", "1.09 MB"]);
    assert_eq!([0.1034, 1.234, 12.34].map(milliseconds), ["0.103", "1.23", "12.3"]);
}

#[test]
fn corrupted_images_have_a_table_and_a_line() {
    let mut report = report();
    assert!(!report.html().contains("Corrupted images"));
    report.models[1].robustness = Some(robustness(93.25));
    let html = report.html();
    assert_eq!(fault(&html), None);
    assert!(html.contains("Corrupted images"), "{html}");
    for row in [
        "<th>as they are</th><td>93.25</td>",
        "<th>fog</th><td>100.00</td>",
        "<th>mean of all</th><td>100.00</td>",
    ] {
        assert!(html.contains(row), "{row}");
    }
    assert!(html.contains("top-1 over severity"), "{html}");
}
