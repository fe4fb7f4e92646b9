use super::*;
use crate::data::{Augmentation, DataSpec};
use crate::distill::{Adaptation, Distillation, Method, SharedHeadSettings, Teacher, Weighting};
use crate::nn::SgdConfig;
use crate::train::{Decay, Schedule};

fn recipe() -> Recipe {
    let data = DataSpec::embedded();
    Recipe {
        network: "resnet8".to_owned(),
        input: [1, 28, 28],
        classes: 10,
        mean: data.kind.mean(),
        std: data.kind.std(),
        data,
        validation: 0.1,
        subset: 1.0,
        label_noise: 0.0,
        corrupt_files: crate::data::CorruptFiles::Refuse,
        epochs: 4,
        batch: 32,
        seed: 0,
        max_steps: None,
        schedule: Schedule {
            learning_rate: 0.05,
            warmup_epochs: 0.0,
            decay: Decay::Cosine,
        },
        optimizer: SgdConfig::default(),
        augmentation: Augmentation::default(),
        distillation: None,
    }
}

fn distilled(method: fn(SharedHeadSettings) -> Method, settings: SharedHeadSettings, range: [f64; 2]) -> Recipe {
    let adaptation = Adaptation {
        start: range[0],
        stop: range[1],
        ..settings.adaptation
    };
    let teacher = Teacher {
        network: "resnet20".to_owned(),
        weights: "unread.safetensors".into(),
        digest: String::new(),
    };
    Recipe {
        distillation: Some(Distillation {
            method: method(SharedHeadSettings { adaptation, ..settings }),
            weighting: Weighting::Uniform,
            teachers: vec![teacher],
        }),
        ..recipe()
    }
}

fn adapting(range: [f64; 2]) -> Recipe {
    distilled(Method::Atsc, SharedHeadSettings::atsc(), range)
}

/// Steps of each kind, with whether the teacher adapts in them.
fn kinds(recipe: &Recipe) -> Vec<(bool, usize)> {
    let settings = recipe.distillation.as_ref().and_then(|d| d.method.shared_head());
    let adapts = |at: Moment| settings.is_some_and(|settings| settings.adaptation.rate_at(at.progress) > 0.0);
    let stretches = stretches(recipe, 10);
    stretches
        .iter()
        .map(|stretch| (adapts(stretch.at), stretch.steps))
        .collect()
}

#[test]
fn steps_of_a_kind_count_as_often_as_the_run_has_them() {
    assert_eq!(kinds(&recipe()), [(false, 40)]);
    assert_eq!(
        kinds(&distilled(Method::Simkd, SharedHeadSettings::simkd(), [0.5, 1.0])),
        [(false, 40)]
    );
    for (range, expected) in [
        ([0.5, 1.0], vec![(false, 20), (true, 20)]),
        ([0.0, 1.0], vec![(true, 40)]),
        ([0.0, 0.25], vec![(false, 30), (true, 10)]),
        ([0.3, 0.7], vec![(false, 24), (true, 16)]),
        ([0.99, 1.0], vec![(false, 40)]),
        ([0.5, 0.5], vec![(false, 40)]),
    ] {
        assert_eq!(kinds(&adapting(range)), expected, "{range:?}");
    }
    let short = |max_steps| Recipe {
        max_steps: Some(max_steps),
        ..adapting([0.5, 0.75])
    };
    assert_eq!(kinds(&short(12)), [(false, 12)]);
    assert_eq!(kinds(&short(26)), [(false, 20), (true, 6)]);
    assert_eq!(kinds(&short(400)), [(false, 30), (true, 10)]);
}

#[test]
fn figures_agree_with_each_other() {
    let recipe = Recipe {
        max_steps: Some(12),
        ..recipe()
    };
    let estimate = estimate(&recipe, &Device::Cpu).unwrap();
    println!("{estimate}");
    let images = estimate.images_per_second * estimate.step_ms / 1e3;
    assert!((images - 32.0).abs() < 1e-6, "{estimate:?}");
    // 9000 training images
    assert!(estimate.epoch_seconds > 282.0 * estimate.step_ms / 1e3, "{estimate:?}");
    assert!(estimate.total_seconds > 12.0 * estimate.step_ms / 1e3, "{estimate:?}");
    let Shares {
        forward,
        backward,
        optimizer,
        data,
    } = estimate.shares;
    assert!([forward, backward, optimizer, data].iter().all(|share| *share > 0.0));
    assert!((forward + backward + optimizer + data - 100.0).abs() < 1e-9);
    assert!(backward > optimizer && forward > data, "{estimate:?}");
    #[cfg(target_os = "linux")]
    assert!(estimate.peak_rss_mib.unwrap() > 1.0);
}

#[test]
fn the_high_water_mark_is_in_mebibytes() {
    let status = "Name:\taskd-compile\nVmPeak:\t   4096 kB\nVmHWM:\t   3584 kB\nVmRSS:\t   1024 kB\n";
    assert_eq!(high_water_mark(status), Some(3.5));
    for status in ["", "VmRSS:\t 1 kB\n", "VmHWM:\t kB\n", "VmHWM: 5\n"] {
        assert_eq!(high_water_mark(status), None, "{status}");
    }
}

#[test]
fn durations_have_the_units_people_plan_with() {
    let texts = [0.25, 59.4, 60.0, 3599.4, 3600.0, 93_784.0].map(duration);
    assert_eq!(
        texts,
        [
            "0.2 s",
            "59.4 s",
            "1 min 00 s",
            "59 min 59 s",
            "1 h 00 min",
            "26 h 03 min"
        ]
    );
}
