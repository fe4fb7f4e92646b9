//! ATSC's step as the authors' code does it, its collapse on small runs included: for comparison with published figures.
//!
//! Source: github.com/random2314235/ATSC, `helper/loops.py` and `train_student.py`. Student and teacher run in training mode;
//! one optimiser moves all of both on `beta L_F + c L_c + d L_d + w L_A`, where the anchor holds every teacher tensor of
//! two or more dimensions; then a second pass of the teacher gives `CE(cls(F_T))`, which moves the classifier's bias alone.

use std::collections::BTreeMap;

use askd_models::{CLASSIFIER, CLASSIFIER_MAP, LOGITS, OWN_LOGITS, PROJECTED};
use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};

use super::SharedHeadSettings;
use super::divergence::{kl_of_samples, scalar};
use super::shared_head::{HEAD_TENSORS, Normalise, exactly, head_of, pooled_to, trained_where, variance};
use crate::Result;
use crate::nn::{Network, PassMode, Sgd, SgdConfig, Tape, ops};
use crate::train::{Moment, Objective, State, StepReport, StepTimes, Stopwatch, count_correct, finite_loss, group};

/// Student, projector and teacher, all of them moved at one rate.
#[derive(Debug)]
pub struct OfficialCode {
    settings: SharedHeadSettings,
    /// Student encoder + own head + projector + the shared classifier.
    student: Network,
    teacher: Network,
    student_optimizer: Sgd,
    /// The teacher's tensors of two or more dimensions.
    anchored_optimizer: Sgd,
    /// Its other tensors.
    free_optimizer: Sgd,
    /// The classifier's bias again, with a momentum of its own.
    bias_optimizer: Sgd,
    bias: Var,
}

impl OfficialCode {
    /// Couples a student graph with an own head, made by [`askd_models::distilled_student`], to its teacher.
    ///
    /// # Errors
    /// [`Error::InvalidValue`](crate::Error::InvalidValue) if the teacher has no classifier or the widths differ.
    pub fn new(
        settings: SharedHeadSettings,
        optimizer: SgdConfig,
        mut student: Network,
        teacher: Network,
    ) -> Result<Self> {
        let head = head_of(teacher.graph())?;
        for tensor in HEAD_TENSORS {
            let shared = teacher.trained()[&format!("{head}.{tensor}")].clone();
            student.share(&format!("{CLASSIFIER}.{tensor}"), &shared)?;
        }
        let bias = teacher.trained()[&format!("{head}.bias")].clone();
        let is_matrix = |name: &str| teacher.trained()[name].dims().len() >= 2;
        let anchored = Sgd::new(optimizer, trained_where(&teacher, is_matrix)).anchored(settings.anchor_weight)?;
        let shared = format!("{CLASSIFIER}.");
        Ok(Self {
            student_optimizer: Sgd::new(optimizer, trained_where(&student, |name| !name.starts_with(&shared))),
            anchored_optimizer: anchored,
            free_optimizer: Sgd::new(optimizer, trained_where(&teacher, |name| !is_matrix(name))),
            bias_optimizer: Sgd::new(optimizer, BTreeMap::from([("bias".to_owned(), bias.clone())])),
            settings,
            student,
            teacher,
            bias,
        })
    }

    /// The second pass of the teacher, with moved weights: its running statistics move again, and the bias steps.
    fn move_bias(&mut self, images: &Tensor, labels: &Tensor, at: &Moment, times: &mut StepTimes) -> Result<f64> {
        let mut watch = Stopwatch::start();
        // of this pass only the bias steps, whose gradient is that of the logits, summed: no way back is needed
        let (outputs, _) = self.teacher.record(images, PassMode::Train, &[LOGITS])?;
        let [logits] = exactly(outputs)?;
        let loss = ops::cross_entropy(&logits, labels)?;
        let value = scalar(&loss)?;
        watch.lap(&mut times.forward);
        let mut gradients = loss.backward()?;
        let of_bias = match gradients.get(&logits) {
            Some(of_logits) => of_logits.sum(0)?,
            None => self.bias.zeros_like()?,
        };
        gradients.insert(&self.bias, of_bias);
        watch.lap(&mut times.backward);
        self.bias_optimizer.step(&gradients, at.rate, at.step)?;
        watch.lap(&mut times.optimizer);
        Ok(value)
    }
}

impl Objective for OfficialCode {
    fn step(&mut self, images: &Tensor, labels: &Tensor, at: &Moment) -> Result<StepReport> {
        let (mut watch, mut times) = (Stopwatch::start(), StepTimes::default());
        let (outputs, teacher_tape) = self
            .teacher
            .record(images, PassMode::Train, &[CLASSIFIER_MAP, LOGITS])?;
        let [features, teacher_logits] = exactly(outputs)?;
        let outputs = [PROJECTED, LOGITS, OWN_LOGITS];
        let (outputs, student_tape) = self.student.record(images, PassMode::Train, &outputs)?;
        let [projected, logits, own] = exactly(outputs)?;

        let target = pooled_to(&features, &projected)?;
        let apart = ops::mean_squared_error(&projected, &target)?;
        let mut terms = vec![
            ("feature_loss", scalar(&apart)?),
            (
                "teacher_variance",
                scalar(&variance(&target.detach(), Normalise::Elements)?)?,
            ),
        ];
        let mut loss = (apart * self.settings.feature_weight)?;
        if self.settings.own_head_weight > 0.0 {
            let own_loss = ops::cross_entropy(&own, labels)?;
            terms.push(("own_ce", scalar(&own_loss)?));
            loss = (loss + (own_loss * self.settings.own_head_weight)?)?;
        }
        if self.settings.own_head_distillation_weight > 0.0 {
            // the code lets this gradient into the teacher
            let divergence = kl_of_samples(&own, &teacher_logits, self.settings.temperature)?.mean_all()?;
            terms.push(("own_kl", scalar(&divergence)?));
            loss = (loss + (divergence * self.settings.own_head_distillation_weight)?)?;
        }
        let mode = PassMode::Train;
        let networks = &mut [(&mut self.student, mode), (&mut self.teacher, mode)];
        let value = finite_loss(&loss, at.step, networks, images)?;
        let correct = count_correct(&logits, labels)?;
        watch.lap(&mut times.forward);

        let mut gradients = Tape::gradients(&loss, [student_tape, teacher_tape])?;
        watch.lap(&mut times.backward);
        let mut squares = 0.0;
        for optimizer in [
            &mut self.student_optimizer,
            &mut self.anchored_optimizer,
            &mut self.free_optimizer,
        ] {
            add_missing(&mut gradients, optimizer)?;
            squares += optimizer.step(&gradients, at.rate, at.step)?.powi(2);
        }
        terms.push(("gradient_norm", squares.sqrt()));
        terms.push(("anchor_distance", self.anchored_optimizer.anchor_distance()?));
        watch.lap(&mut times.optimizer);
        let teacher_ce = self.move_bias(images, labels, at, &mut times)?;
        terms.push(("teacher_ce", teacher_ce));
        Ok(StepReport {
            loss: value,
            correct,
            terms,
            times,
            ..StepReport::default()
        })
    }

    fn network(&mut self) -> &mut Network {
        &mut self.student
    }

    fn teachers(&mut self) -> Vec<&mut Network> {
        vec![&mut self.teacher]
    }

    fn teachers_move(&self) -> bool {
        true
    }

    fn state(&self) -> Result<State> {
        let mut state = State::from([
            ("student".to_owned(), self.student.weights()?),
            ("teacher".to_owned(), self.teacher.weights()?),
        ]);
        for (name, optimizer) in self.optimizers() {
            state.insert(name.to_owned(), optimizer.state()?);
        }
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        self.student.set_weights(group(state, "student")?)?;
        self.teacher.set_weights(group(state, "teacher")?)?;
        let none = Default::default();
        let momentum = |name: &str| group(state, name).unwrap_or(&none);
        self.student_optimizer.restore(momentum(STUDENT_MOMENTUM))?;
        self.anchored_optimizer.restore(momentum(ANCHORED_MOMENTUM))?;
        self.free_optimizer.restore(momentum(FREE_MOMENTUM))?;
        self.bias_optimizer.restore(momentum(BIAS_MOMENTUM))
    }
}

const STUDENT_MOMENTUM: &str = "student_momentum";
const ANCHORED_MOMENTUM: &str = "teacher_anchored_momentum";
const FREE_MOMENTUM: &str = "teacher_free_momentum";
const BIAS_MOMENTUM: &str = "bias_momentum";

impl OfficialCode {
    fn optimizers(&self) -> [(&'static str, &Sgd); 4] {
        [
            (STUDENT_MOMENTUM, &self.student_optimizer),
            (ANCHORED_MOMENTUM, &self.anchored_optimizer),
            (FREE_MOMENTUM, &self.free_optimizer),
            (BIAS_MOMENTUM, &self.bias_optimizer),
        ]
    }
}

/// Gives every tensor that the loss does not reach a gradient of 0: in the code all terms are there, with weight 0, so
/// weight decay, momentum and anchor move those tensors too.
fn add_missing(gradients: &mut GradStore, optimizer: &Sgd) -> Result<()> {
    for var in optimizer.parameters() {
        if gradients.get(var).is_none() {
            gradients.insert(var, var.zeros_like()?);
        }
    }
    Ok(())
}
