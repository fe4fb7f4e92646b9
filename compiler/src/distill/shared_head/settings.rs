//! Settings of the methods whose student ships with the teacher's classifier: SimKD and ATSC.

use askd_models::DistilledOptions;
use serde::{Deserialize, Serialize};

use crate::distill::MaxOverhead;
use crate::distill::settings::{check_temperature, check_weights};
use crate::{Error, Result};

/// Weights of the losses, rates and stabilisers; symbols as in the paper and its code.
///
/// Source: arXiv:2406.08528, section 3, and the authors' code; SimKD: arXiv:2203.14001.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SharedHeadSettings {
    /// Which reading of ATSC's training step.
    pub mode: Mode,
    /// f: the projector's reduction factor; the larger, the smaller the projector.
    pub factor: usize,
    /// What the projector may cost: chooses f while a recipe is resolved, and is in no resolved one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_overhead: Option<MaxOverhead>,
    /// What the projector's middle is.
    #[serde(default)]
    pub projector: Projector,
    /// Whether the projectors of several teachers share their first two convolutions.
    pub shared_trunk: bool,
    /// beta: weight of the feature loss L_F.
    pub feature_weight: f64,
    /// s: weight of the student's cross-entropy through the shared classifier.
    pub student_weight: f64,
    /// t: weight of the teacher's cross-entropy in the step of its encoder.
    pub teacher_weight: f64,
    /// w: weight of the anchor that holds the teacher near its pretrained weights.
    pub anchor_weight: f64,
    /// c: weight of the cross-entropy of the student's own head, which does not ship.
    pub own_head_weight: f64,
    /// d: weight of T^2 times the divergence of the student's own head from the teacher's logits.
    pub own_head_distillation_weight: f64,
    /// T of the term with d; above 0.
    pub temperature: f64,
    /// What L_F is divided by.
    pub normalise: Normalise,
    /// Shared classifier's rate over the student's while the teacher adapts; 0 freezes it.
    pub classifier_rate: f64,
    /// When and how fast the teacher's encoder moves.
    pub adaptation: Adaptation,
    /// What ends the adaptation when it goes wrong.
    pub guard: Guard,
}

/// Readings of ATSC's training step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Mode {
    /// The classifier moves on the teacher's features, the encoders on the feature loss with its stabilisers.
    SharedHead,
    /// The step of the authors' code, its collapse on small runs included: for comparison with published figures.
    OfficialCode,
}

/// Forms of the projector, by its 3x3 convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Projector {
    /// A full one, as published.
    #[default]
    Standard,
    /// A depthwise one, with the 1x1 convolution behind it a depthwise separable convolution (arXiv:1704.04861).
    Depthwise,
}

/// What the feature loss is divided by, gradient included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Normalise {
    /// Nothing.
    None,
    /// The variance of F_T over all its elements.
    Elements,
    /// The variance of F_T over the batch's samples, at each element, then the mean; of a lone sample, over its elements.
    Samples,
}

/// The teacher's schedule: which part of the run it moves in, and its rate there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adaptation {
    /// Teacher encoder's rate over the student's; 0 freezes it for the whole run.
    pub rate: f64,
    /// How that multiplier falls from start to stop.
    pub decay: AdaptationDecay,
    /// Share of the run after which the teacher begins to adapt, 0 to 1.
    pub start: f64,
    /// Share of the run after which the teacher freezes, 0 to 1.
    pub stop: f64,
}

/// How the teacher's multiplier falls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum AdaptationDecay {
    /// It stays.
    Constant,
    /// Half a cosine, from the full multiplier at start to 0 at stop.
    Cosine,
}

/// Triggers that end the adaptation: student and teacher go back to the last good state, the teacher freezes.
///
/// It watches only while a teacher adapts. A factor of 0 switches its trigger off.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// Steps that the triggers look back, 1 or more: a loss or gradient norm is held against their median, the teacher's
    /// cross-entropy and variance are means over them.
    pub window: usize,
    /// Trips when the loss is more than so many times the window's.
    pub loss_factor: f64,
    /// Trips when the gradients' norm is more than so many times the window's.
    pub gradient_factor: f64,
    /// Trips when the teacher's cross-entropy, mean over the window, is more than so many times the pretrained teacher's, which
    /// counts as 0.05 nats at least.
    pub teacher_loss_factor: f64,
    /// Trips when the variance of F_T, mean over the window, is below this share of the pretrained teacher's.
    pub variance_floor: f64,
}

impl SharedHeadSettings {
    /// SimKD: a frozen teacher, the plain feature loss, nothing else; f = 2 is its paper's best.
    pub fn simkd() -> Self {
        Self {
            mode: Mode::SharedHead,
            factor: 2,
            max_overhead: None,
            projector: Projector::Standard,
            shared_trunk: false,
            feature_weight: 1.0,
            student_weight: 0.0,
            teacher_weight: 0.0,
            anchor_weight: 0.0,
            own_head_weight: 0.0,
            own_head_distillation_weight: 0.0,
            temperature: 4.0,
            normalise: Normalise::None,
            classifier_rate: 0.0,
            adaptation: Adaptation {
                rate: 0.0,
                ..Adaptation::default()
            },
            guard: Guard::OFF,
        }
    }

    /// ATSC in its `shared-head` reading, with what held on small runs (docs/study.md).
    pub fn atsc() -> Self {
        Self {
            student_weight: 1.0,
            teacher_weight: 1.0,
            anchor_weight: 0.1,
            normalise: Normalise::Samples,
            classifier_rate: 0.1,
            adaptation: Adaptation::default(),
            guard: Guard::default(),
            ..Self::simkd()
        }
    }

    /// ATSC as the authors' code does it: beta 1, w 1, all rates the student's from the first step on, no further terms.
    pub fn official_code() -> Self {
        Self {
            mode: Mode::OfficialCode,
            anchor_weight: 1.0,
            classifier_rate: 1.0,
            adaptation: Adaptation {
                rate: 1.0,
                start: 0.0,
                ..Adaptation::default()
            },
            ..Self::simkd()
        }
    }

    /// How the training graph is put together.
    pub fn graph_options(&self) -> DistilledOptions {
        DistilledOptions {
            factor: self.factor,
            depthwise: self.projector == Projector::Depthwise,
            shared_trunk: self.shared_trunk,
            own_head: self.has_own_head(),
        }
    }

    /// Whether the student's own classifier is part of the training graph.
    pub fn has_own_head(&self) -> bool {
        self.mode == Mode::OfficialCode || self.own_head_weight > 0.0 || self.own_head_distillation_weight > 0.0
    }

    pub(in crate::distill) fn check(&self) -> Result<()> {
        if let Some(budget) = &self.max_overhead {
            let expected = "none where f is settled: it chooses one while a recipe is resolved";
            return Err(Error::invalid("distillation.method.max_overhead", expected, budget));
        }
        if self.mode == Mode::OfficialCode {
            self.check_official_code()?;
        }
        check_weights(&[
            ("feature_weight", self.feature_weight),
            ("student_weight", self.student_weight),
            ("teacher_weight", self.teacher_weight),
            ("anchor_weight", self.anchor_weight),
            ("own_head_weight", self.own_head_weight),
            ("own_head_distillation_weight", self.own_head_distillation_weight),
            ("classifier_rate", self.classifier_rate),
            ("adaptation.rate", self.adaptation.rate),
            ("guard.loss_factor", self.guard.loss_factor),
            ("guard.gradient_factor", self.guard.gradient_factor),
            ("guard.teacher_loss_factor", self.guard.teacher_loss_factor),
            ("guard.variance_floor", self.guard.variance_floor),
        ])?;
        check_temperature(self.temperature)?;
        if self.guard.window == 0 {
            return Err(Error::invalid("distillation.method.guard.window", "1 or more", 0));
        }
        let Adaptation { start, stop, .. } = self.adaptation;
        if !(0.0..=1.0).contains(&start) {
            return Err(Error::invalid("distillation.method.adaptation.start", "0 to 1", start));
        }
        if !(start..=1.0).contains(&stop) {
            let expected = format!("the start, {start}, to 1");
            return Err(Error::invalid("distillation.method.adaptation.stop", expected, stop));
        }
        Ok(())
    }
}

impl SharedHeadSettings {
    /// The authors' step has no stabilisers: what they would do is refused, so that nothing is silently left out.
    fn check_official_code(&self) -> Result<()> {
        let official = Self::official_code();
        let expected = [
            ("student_weight", "0", self.student_weight == 0.0),
            ("teacher_weight", "0", self.teacher_weight == 0.0),
            ("normalise", "none", self.normalise == Normalise::None),
            ("classifier_rate", "1", self.classifier_rate == 1.0),
            (
                "adaptation",
                "rate 1, constant, from 0 to 1",
                self.adaptation == official.adaptation,
            ),
            ("guard", "every trigger 0", self.guard.is_off()),
        ];
        match expected.into_iter().find(|(_, _, holds)| !holds) {
            Some((key, expected, _)) => Err(Error::invalid(
                format!("distillation.method.{key}"),
                format!("{expected} in mode official-code"),
                "another",
            )),
            None => Ok(()),
        }
    }
}

impl Default for Adaptation {
    /// A tenth of the student's rate, in the second half of the run.
    fn default() -> Self {
        Self {
            rate: 0.1,
            decay: AdaptationDecay::Constant,
            start: 0.5,
            stop: 1.0,
        }
    }
}

impl Adaptation {
    /// The teacher's rate over the student's when `progress` of the run is done, a share; 0 while it is frozen.
    pub fn rate_at(&self, progress: f64) -> f64 {
        if !(self.start..self.stop).contains(&progress) {
            return 0.0;
        }
        match self.decay {
            AdaptationDecay::Constant => self.rate,
            AdaptationDecay::Cosine => {
                let done = (progress - self.start) / (self.stop - self.start);
                self.rate * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
            }
        }
    }
}

impl Default for Guard {
    /// All triggers on; the floor is half of the pretrained teacher's variance.
    fn default() -> Self {
        Self {
            window: 50,
            loss_factor: 10.0,
            gradient_factor: 100.0,
            teacher_loss_factor: 3.0,
            variance_floor: 0.5,
        }
    }
}

impl Guard {
    /// No trigger.
    pub const OFF: Self = Self {
        window: 50,
        loss_factor: 0.0,
        gradient_factor: 0.0,
        teacher_loss_factor: 0.0,
        variance_floor: 0.0,
    };

    /// Whether it never trips.
    pub fn is_off(&self) -> bool {
        [
            self.loss_factor,
            self.gradient_factor,
            self.teacher_loss_factor,
            self.variance_floor,
        ]
        .iter()
        .all(|factor| *factor == 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_teachers_rate_follows_its_schedule() {
        let constant = Adaptation {
            rate: 0.2,
            decay: AdaptationDecay::Constant,
            start: 0.25,
            stop: 0.75,
        };
        let cosine = Adaptation {
            decay: AdaptationDecay::Cosine,
            ..constant
        };
        let at = [0.0, 0.24, 0.25, 0.5, 0.74, 0.75, 0.99];
        assert_eq!(
            at.map(|progress| constant.rate_at(progress)),
            [0.0, 0.0, 0.2, 0.2, 0.2, 0.0, 0.0]
        );
        let rates = at.map(|progress| cosine.rate_at(progress));
        for (rate, expected) in rates.into_iter().zip([0.0, 0.0, 0.2, 0.1, 0.000_197_327, 0.0, 0.0]) {
            assert!((rate - expected).abs() < 1e-9, "{rates:?}");
        }
    }
}
