//! What the guard has seen, and when that is too much.

use std::collections::VecDeque;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::distill::Guard;
use crate::train::StepReport;
use crate::weights::{HostTensor, Weights};
use crate::{Error, Result};

/// Below this a teacher's cross-entropy, nats, counts as this much: of a teacher that is always right every loss would be a
/// multiple.
const LEAST_TEACHER_LOSS: f32 = 0.05;

/// What tripped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Trigger {
    /// The loss, against the median of the window.
    Loss,
    /// The gradients' norm, against the median of the window.
    GradientNorm,
    /// The teachers' cross-entropy, mean over the window, against the pretrained teachers'.
    TeacherLoss,
    /// The variance of F_T, mean over the window, against the pretrained teachers'.
    FeatureVariance,
    /// A loss or gradient that is not finite.
    NotFinite,
}

/// A guard that tripped.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// The step, from 0, after which it tripped.
    pub step: usize,
    /// What tripped.
    pub trigger: Trigger,
    /// What was measured; none where it was not finite.
    pub value: Option<f32>,
    /// What it was held against.
    pub limit: Option<f32>,
    /// Steps that the state had taken to which student and teachers went back.
    pub back_to: usize,
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.trigger {
            Trigger::Loss => "the loss jumped",
            Trigger::GradientNorm => "the gradients' norm jumped",
            Trigger::TeacherLoss => "the teacher's cross-entropy rose",
            Trigger::FeatureVariance => "the variance of the teacher's features fell",
            Trigger::NotFinite => "loss or gradients were not finite",
        };
        write!(f, "guard: at step {} {what}", self.step)?;
        if let (Some(value), Some(limit)) = (self.value, self.limit) {
            write!(f, " ({value:.4}, limit {limit:.4})")?;
        }
        write!(
            f,
            "; back to the state of step {}, the teacher is frozen from here on",
            self.back_to
        )
    }
}

/// The last values of the steps, all in `f32`: that is what a checkpoint holds.
#[derive(Debug)]
pub(super) struct Watch {
    settings: Guard,
    losses: Window,
    gradient_norms: Window,
    teacher_losses: Window,
    variances: Window,
    /// Mean cross-entropy and variance of the pretrained teachers, and over how many steps.
    pretrained: [f32; 2],
    pretrained_steps: usize,
    /// Adapting steps so far.
    adapting_steps: usize,
    /// Steps that the kept state had taken.
    good_step: usize,
    pub(super) incident: Option<Incident>,
}

/// The newest values, so many at most.
#[derive(Debug)]
struct Window {
    values: VecDeque<f32>,
    most: usize,
}

impl Window {
    fn new(most: usize) -> Self {
        Self {
            values: VecDeque::new(),
            most,
        }
    }

    fn push(&mut self, value: f32) {
        if self.values.len() == self.most {
            self.values.pop_front();
        }
        self.values.push_back(value);
    }

    fn mean(&self) -> Option<f32> {
        let sum: f64 = self.values.iter().map(|value| f64::from(*value)).sum();
        (!self.values.is_empty()).then(|| (sum / self.values.len() as f64) as f32)
    }

    /// The median of a full window.
    fn median(&self) -> Option<f32> {
        let mut sorted: Vec<f32> = self.values.iter().copied().collect();
        sorted.sort_by(f32::total_cmp);
        (sorted.len() == self.most).then(|| sorted[sorted.len() / 2])
    }
}

impl Watch {
    pub(super) fn new(settings: Guard) -> Self {
        let window = || Window::new(settings.window);
        Self {
            losses: window(),
            gradient_norms: window(),
            teacher_losses: window(),
            variances: window(),
            settings,
            pretrained: [0.0; 2],
            pretrained_steps: 0,
            adapting_steps: 0,
            good_step: 0,
            incident: None,
        }
    }

    /// Whether the state before the step to come is to be kept: when the adaptation begins, and every window from there.
    pub(super) fn keeps_state(&self, adapts: bool) -> bool {
        adapts && self.adapting_steps.is_multiple_of(self.settings.window)
    }

    /// The state before this step was kept.
    pub(super) fn kept(&mut self, step: usize) {
        self.good_step = step;
    }

    /// Takes a step's values in; what tripped, if something did.
    pub(super) fn look(&mut self, report: &StepReport, step: usize, adapts: bool) -> Option<Incident> {
        let term = |name: &str| {
            let found = report.terms.iter().find(|(term, _)| *term == name);
            found.map_or(f32::NAN, |(_, value)| *value as f32)
        };
        let (loss, gradient_norm) = (report.loss as f32, term("gradient_norm"));
        let teacher = [term("teacher_ce"), term("teacher_variance")];
        // what an adapting teacher's first pass saw is pretrained still: it moves after the pass
        if self.adapting_steps == 0 {
            self.pretrained_steps += 1;
            let share = 1.0 / self.pretrained_steps as f32;
            for (mean, value) in self.pretrained.iter_mut().zip(teacher) {
                *mean += (value - *mean) * share;
            }
        }
        let mut incident = None;
        if adapts {
            self.adapting_steps += 1;
            self.teacher_losses.push(teacher[0]);
            self.variances.push(teacher[1]);
            incident = self
                .tripped(loss, gradient_norm)
                .map(|(trigger, value, limit)| Incident {
                    step,
                    trigger,
                    value: Some(value),
                    limit: Some(limit),
                    back_to: self.good_step,
                });
        }
        self.losses.push(loss);
        self.gradient_norms.push(gradient_norm);
        incident
    }

    /// A step gave something that is not finite.
    pub(super) fn not_finite(&self, step: usize) -> Incident {
        Incident {
            step,
            trigger: Trigger::NotFinite,
            value: None,
            limit: None,
            back_to: self.good_step,
        }
    }

    fn tripped(&self, loss: f32, gradient_norm: f32) -> Option<(Trigger, f32, f32)> {
        let settings = &self.settings;
        let above = |trigger, value: Option<f32>, factor: f64, against: Option<f32>| {
            let (value, limit) = (value?, against? * factor as f32);
            (factor > 0.0 && value > limit).then_some((trigger, value, limit))
        };
        let floor = self.pretrained[1] * settings.variance_floor as f32;
        let below = |value: f32| (value < floor).then_some((Trigger::FeatureVariance, value, floor));
        let teacher_start = self.pretrained[0].max(LEAST_TEACHER_LOSS);
        above(Trigger::Loss, Some(loss), settings.loss_factor, self.losses.median())
            .or_else(|| {
                let median = self.gradient_norms.median();
                above(
                    Trigger::GradientNorm,
                    Some(gradient_norm),
                    settings.gradient_factor,
                    median,
                )
            })
            .or_else(|| {
                let value = self.teacher_losses.mean();
                above(
                    Trigger::TeacherLoss,
                    value,
                    settings.teacher_loss_factor,
                    Some(teacher_start),
                )
            })
            .or_else(|| self.variances.mean().and_then(below))
    }

    /// All of it as tensors, for a checkpoint.
    pub(super) fn state(&self) -> Weights {
        let numbers = [self.pretrained_steps, self.adapting_steps, self.good_step];
        let mut state = Weights::new();
        let mut add = |name: &str, values: Vec<f32>| {
            state.insert(name.to_owned(), HostTensor::new(vec![values.len()], values));
        };
        for (name, window) in self.windows() {
            add(name, window.values.iter().copied().collect());
        }
        add("pretrained", self.pretrained.to_vec());
        add("counts", numbers.map(|number| number as f32).to_vec());
        if let Some(incident) = &self.incident {
            let values = [incident.value, incident.limit].map(|value| value.unwrap_or(f32::NAN));
            let numbers = [incident.step, incident.trigger as usize, incident.back_to].map(|number| number as f32);
            add("incident", values.into_iter().chain(numbers).collect());
        }
        state
    }

    /// Takes over what [`Self::state`] gave.
    pub(super) fn restore(&mut self, state: &Weights) -> Result<()> {
        let values = |name: &str| state.get(name).map(|tensor| tensor.data.as_slice());
        let broken = || Error::invalid("checkpoint", "what a guard has seen", "something else");
        let windows = ["losses", "gradient_norms", "teacher_losses", "variances"];
        let [losses, gradient_norms, teacher_losses, variances] = windows.map(values);
        for (window, values) in [
            (&mut self.losses, losses),
            (&mut self.gradient_norms, gradient_norms),
            (&mut self.teacher_losses, teacher_losses),
            (&mut self.variances, variances),
        ] {
            window.values = values.ok_or_else(broken)?.iter().copied().collect();
        }
        let (Some(&[loss, variance]), Some(&[pretrained, adapting, good])) = (values("pretrained"), values("counts"))
        else {
            return Err(broken());
        };
        self.pretrained = [loss, variance];
        [self.pretrained_steps, self.adapting_steps, self.good_step] = [pretrained, adapting, good].map(|n| n as usize);
        self.incident = match values("incident") {
            None => None,
            Some(&[value, limit, step, trigger, back_to]) => Some(Incident {
                step: step as usize,
                trigger: Trigger::of(trigger as usize).ok_or_else(broken)?,
                value: Some(value).filter(|value| value.is_finite()),
                limit: Some(limit).filter(|limit| limit.is_finite()),
                back_to: back_to as usize,
            }),
            Some(_) => return Err(broken()),
        };
        Ok(())
    }

    fn windows(&self) -> [(&'static str, &Window); 4] {
        [
            ("losses", &self.losses),
            ("gradient_norms", &self.gradient_norms),
            ("teacher_losses", &self.teacher_losses),
            ("variances", &self.variances),
        ]
    }
}

impl Trigger {
    fn of(number: usize) -> Option<Self> {
        let all = [
            Self::Loss,
            Self::GradientNorm,
            Self::TeacherLoss,
            Self::FeatureVariance,
            Self::NotFinite,
        ];
        all.into_iter().find(|trigger| *trigger as usize == number)
    }
}
