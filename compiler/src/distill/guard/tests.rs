//! Each trigger is provoked, and what follows is what the guard promises.

use askd_models::{DistilledOptions, Graph, LOGITS, NetworkConfig, build, distilled_student};
use candle_core::{DType, Device};

use super::*;
use crate::distill::testing::network;
use crate::distill::{Adaptation, SharedHeadSettings, Weighting};
use crate::nn::{PassMode, SgdConfig, initialise};

const STEPS: usize = 12;
const RATE: f64 = 0.05;
/// Steps before the teacher adapts.
const FROZEN: usize = 4;

fn guarded(guard: Guard) -> Guarded {
    let config = NetworkConfig::new([1, 12, 12], 4);
    let teacher = build("resnet14", &config).unwrap();
    let options = DistilledOptions {
        factor: 4,
        ..DistilledOptions::default()
    };
    let student = distilled_student(&build("resnet8", &config).unwrap(), &[&teacher], &options).unwrap();
    let network = |graph: Graph, seed| {
        let weights = initialise(&graph, seed);
        Network::new(graph, &weights, DType::F32, &Device::Cpu).unwrap()
    };
    let (student, mut teacher) = (network(student, 1), network(teacher, 2));
    // statistics as of a trained teacher, so that its features have some variance
    for _ in 0..20 {
        teacher.forward(&batch().0, PassMode::Train, &[LOGITS]).unwrap();
    }
    let settings = SharedHeadSettings {
        factor: 4,
        adaptation: Adaptation {
            start: FROZEN as f64 / STEPS as f64,
            ..Adaptation::default()
        },
        ..SharedHeadSettings::atsc()
    };
    let optimizer = SgdConfig::default();
    let inner = SharedHead::new(settings, Weighting::Uniform, optimizer, student, vec![teacher]).unwrap();
    Guarded::new(inner, guard)
}

fn batch() -> (Tensor, Tensor) {
    let values = (0..6 * 144).map(|i| ((i * i + 7 * i) % 101) as f32 / 50.0 - 1.0);
    (
        Tensor::from_vec(values.collect::<Vec<_>>(), (6, 1, 12, 12), &Device::Cpu).unwrap(),
        Tensor::new(&[0u32, 1, 2, 3, 0, 1], &Device::Cpu).unwrap(),
    )
}

fn step(objective: &mut Guarded, step: usize, rate: f64) -> StepReport {
    let (images, labels) = batch();
    let at = Moment {
        step,
        epoch: 0,
        progress: step as f64 / STEPS as f64,
        rate,
    };
    objective.step(&images, &labels, &at).unwrap()
}

/// Networks and momenta, without what the guard keeps for itself.
fn networks(objective: &Guarded) -> State {
    objective.inner.state().unwrap()
}

fn only(set: impl Fn(&mut Guard)) -> Guard {
    let mut guard = Guard {
        window: 3,
        ..Guard::OFF
    };
    set(&mut guard);
    guard
}

/// Runs until the guard trips, then to the end.
fn provoked(guard: Guard, trigger: Trigger, rate: f64) {
    let mut ours = guarded(guard);
    let mut good = None;
    let mut incident = None;
    for number in 0..STEPS {
        if number == FROZEN {
            good = Some(networks(&ours));
        }
        let report = step(&mut ours, number, if number >= FROZEN { rate } else { RATE });
        if report.incident.is_some() {
            incident = report.incident;
            break;
        }
    }
    let incident = incident.unwrap_or_else(|| panic!("{trigger:?} did not trip"));
    assert_eq!((incident.trigger, incident.back_to), (trigger, FROZEN));
    assert!(incident.step >= FROZEN, "it watches while the teacher adapts");
    assert_eq!(ours.incident(), Some(incident));
    assert!(
        networks(&ours) == good.unwrap(),
        "back to the state at which the adaptation began"
    );
    let text = incident.to_string();
    assert!(
        text.contains(&format!("at step {}", incident.step)) && text.contains("frozen"),
        "{text}"
    );

    // it goes on as SimKD: the teacher stays, the student learns, nothing trips again
    let before = networks(&ours);
    for number in incident.step + 1..STEPS {
        let report = step(&mut ours, number, RATE);
        assert!(report.incident.is_none() && report.loss.is_finite());
    }
    let after = networks(&ours);
    assert_eq!(before["teacher0"], after["teacher0"]);
    assert_ne!(before["student"], after["student"]);
    assert_eq!(ours.incident(), Some(incident));
}

#[test]
fn a_loss_that_jumps() {
    provoked(only(|guard| guard.loss_factor = 1e-3), Trigger::Loss, RATE);
}

#[test]
fn gradients_that_jump() {
    provoked(only(|guard| guard.gradient_factor = 1e-3), Trigger::GradientNorm, RATE);
}

/// A rate at which the teacher forgets what its classifier knows.
#[test]
fn a_teacher_that_loses_its_labels() {
    provoked(
        only(|guard| guard.teacher_loss_factor = 1.5),
        Trigger::TeacherLoss,
        20.0,
    );
}

#[test]
fn features_that_lose_their_variance() {
    provoked(only(|guard| guard.variance_floor = 1e3), Trigger::FeatureVariance, RATE);
}

#[test]
fn values_that_are_not_finite() {
    // no other trigger is near: the teacher adapts at a rate of no return
    provoked(only(|guard| guard.loss_factor = 1e30), Trigger::NotFinite, 1e30);
}

#[test]
fn nothing_trips_where_nothing_is_wrong_and_nothing_changes() {
    let (mut ours, mut bare) = (
        guarded(Guard {
            window: 3,
            ..Guard::default()
        }),
        guarded(Guard::OFF).inner,
    );
    let (images, labels) = batch();
    for number in 0..STEPS {
        let report = step(&mut ours, number, RATE);
        assert!(report.incident.is_none(), "{:?}", report.incident);
        let progress = number as f64 / STEPS as f64;
        let at = Moment {
            step: number,
            epoch: 0,
            progress,
            rate: RATE,
        };
        bare.step(&images, &labels, &at).unwrap();
    }
    assert!(networks(&ours) == bare.state().unwrap());
}

/// A state taken before, at and after the incident leads to the same end.
#[test]
fn a_restored_guard_goes_on_the_same() {
    let guard = only(|guard| guard.teacher_loss_factor = 1.5);
    let rate = |number| if number >= FROZEN { 20.0 } else { RATE };
    let mut whole = guarded(guard);
    let states: Vec<State> = (0..STEPS)
        .map(|number| {
            step(&mut whole, number, rate(number));
            whole.state().unwrap()
        })
        .collect();
    assert!(whole.incident().is_some());
    for from in [1, FROZEN, FROZEN + 1, STEPS - 2] {
        let mut resumed = guarded(guard);
        resumed.restore(&states[from]).unwrap();
        for number in from + 1..STEPS {
            step(&mut resumed, number, rate(number));
        }
        assert!(resumed.state().unwrap() == states[STEPS - 1], "from step {from}");
        assert_eq!(resumed.incident(), whole.incident());
    }
}

/// An objective that only notes what it is told.
struct Noting {
    network: Network,
    heard: Vec<(&'static str, Vec<u32>)>,
}

impl Objective for Noting {
    fn step(&mut self, _: &Tensor, _: &Tensor, _: &Moment) -> Result<StepReport> {
        Ok(StepReport::default())
    }

    fn meet(&mut self, classes: &[u32]) -> Result<()> {
        self.heard.push(("meet", classes.to_vec()));
        if classes.is_empty() {
            return Err(Error::invalid("data", "images", "none"));
        }
        Ok(())
    }

    fn expect(&mut self, positions: &[u32]) {
        self.heard.push(("expect", positions.to_vec()));
    }

    fn network(&mut self) -> &mut Network {
        &mut self.network
    }

    fn state(&self) -> Result<State> {
        Ok(State::new())
    }

    fn restore(&mut self, _: &State) -> Result<()> {
        Ok(())
    }
}

impl Adaptive for Noting {
    fn adapts(&self, _: &Moment) -> bool {
        false
    }

    fn freeze(&mut self) {}
}

#[test]
fn what_is_told_of_the_images_is_passed_on() {
    let noting = Noting {
        network: network("resnet8", 1),
        heard: Vec::new(),
    };
    let mut guarded = Guarded::new(noting, Guard::default());
    guarded.meet(&[3, 1]).unwrap();
    guarded.expect(&[1]);
    assert!(guarded.meet(&[]).is_err());
    let expected = [("meet", vec![3, 1]), ("expect", vec![1]), ("meet", vec![])];
    assert_eq!(guarded.inner.heard, expected);
}
