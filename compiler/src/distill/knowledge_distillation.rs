//! The step of every method whose student keeps its own classifier and whose teachers stay as they are.

use askd_models::{Graph, LOGITS};
use candle_core::Tensor;

use super::criterion::{Criterion, Outputs, Seen, TrainingImages, by_class};
use super::divergence::scalar;
use super::modules::Modules;
use crate::nn::{Network, PassMode, Sgd, SgdConfig, Tape, ops};
use crate::train::{Moment, Objective, State, StepReport, StepTimes, Stopwatch, count_correct, finite_loss, group};
use crate::{Error, Result};

/// Group of the criterion's own tensors in a state, and prefix of their names in the optimiser.
const CRITERION: &str = "criterion";

/// A student with its own classifier, and frozen teachers.
///
/// The loss is `a CE(student, y)` and the terms of a [`Criterion`]; one optimiser moves the student and what the criterion
/// trains of its own.
#[derive(Debug)]
pub struct KnowledgeDistillation {
    criterion: Box<dyn Criterion>,
    student: Network,
    teachers: Vec<Network>,
    modules: Modules,
    optimizer: Sgd,
    /// Classes of the training images, their positions by class, and those of the next step's images.
    classes: Vec<u32>,
    by_class: Vec<u32>,
    positions: Vec<u32>,
}

impl KnowledgeDistillation {
    /// Trains `student` on labels and what `criterion` takes of the teachers; the seed is that of the criterion's own weights.
    ///
    /// # Errors
    /// [`Error::Network`] if a network lacks an output that the criterion reads, [`Error::InvalidValue`] if the criterion takes
    /// another number of teachers.
    pub fn new(
        criterion: Box<dyn Criterion>,
        optimizer: SgdConfig,
        student: Network,
        teachers: Vec<Network>,
        seed: u64,
    ) -> Result<Self> {
        let mut modules = Modules::new(&student, seed);
        let graphs: Vec<&Graph> = teachers.iter().map(Network::graph).collect();
        criterion.add_modules(&mut modules, student.graph(), &graphs)?;
        let own = modules.trained().into_iter();
        let mut trained = student.trained().clone();
        trained.extend(own.map(|(name, var)| (format!("{CRITERION}.{name}"), var)));
        Ok(Self {
            criterion,
            optimizer: Sgd::new(optimizer, trained),
            student,
            teachers,
            modules,
            classes: Vec::new(),
            by_class: Vec::new(),
            positions: Vec::new(),
        })
    }

    /// What the criterion trains beside the student.
    pub fn modules(&self) -> &Modules {
        &self.modules
    }
}

impl Objective for KnowledgeDistillation {
    fn step(&mut self, images: &Tensor, labels: &Tensor, at: &Moment) -> Result<StepReport> {
        let (mut watch, mut times) = (Stopwatch::start(), StepTimes::default());
        let names = with_logits(self.criterion.student_outputs(self.student.graph()));
        let (outputs, tape) = self.student.record(images, PassMode::Train, &as_strs(&names))?;
        let student = Outputs::of(outputs)?;
        let mut teachers = Vec::new();
        for teacher in &mut self.teachers {
            let names = with_logits(self.criterion.teacher_outputs(teacher.graph()));
            teachers.push(Outputs::of(teacher.forward(
                images,
                PassMode::Inference,
                &as_strs(&names),
            )?)?);
        }
        let logits = student.logits.clone();
        let seen = Seen {
            student,
            teachers,
            networks: &self.teachers,
            labels,
            images: TrainingImages {
                positions: &self.positions,
                classes: &self.classes,
                by_class: &self.by_class,
            },
            at,
        };
        let label_loss = ops::cross_entropy(&logits, labels)?;
        let mut terms = vec![("student_ce", scalar(&label_loss)?)];
        let mut loss = (label_loss * self.criterion.label_weight())?;
        for term in self.criterion.terms(&seen, &mut self.modules)? {
            let value = scalar(&term.value)?;
            match terms.iter_mut().find(|(name, _)| *name == term.name) {
                Some((_, sum)) => *sum += value,
                None => terms.push((term.name, value)),
            }
            loss = (loss + (term.value * term.weight)?)?;
        }
        let mut networks = vec![(&mut self.student, PassMode::Train)];
        networks.extend(self.teachers.iter_mut().map(|teacher| (teacher, PassMode::Inference)));
        let value = finite_loss(&loss, at.step, &mut networks, images)?;
        let correct = count_correct(&logits, labels)?;
        watch.lap(&mut times.forward);
        let gradients = Tape::gradients(&loss, [tape])?;
        watch.lap(&mut times.backward);
        let norm = self.optimizer.step(&gradients, at.rate, at.step)?;
        watch.lap(&mut times.optimizer);
        terms.push(("gradient_norm", norm));
        Ok(StepReport {
            loss: value,
            correct,
            terms,
            times,
            ..StepReport::default()
        })
    }

    fn meet(&mut self, classes: &[u32]) -> Result<()> {
        classes.clone_into(&mut self.classes);
        self.by_class = by_class(classes);
        self.criterion.meet(&mut self.modules, classes.len())
    }

    fn expect(&mut self, positions: &[u32]) {
        positions.clone_into(&mut self.positions);
    }

    fn network(&mut self) -> &mut Network {
        &mut self.student
    }

    fn teachers(&mut self) -> Vec<&mut Network> {
        self.teachers.iter_mut().collect()
    }

    fn state(&self) -> Result<State> {
        let mut state = State::from([
            ("student".to_owned(), self.student.weights()?),
            ("student_momentum".to_owned(), self.optimizer.state()?),
        ]);
        let own = self.modules.weights()?;
        if !own.is_empty() {
            state.insert(CRITERION.to_owned(), own);
        }
        Ok(state)
    }

    fn restore(&mut self, state: &State) -> Result<()> {
        let none = Default::default();
        self.student.set_weights(group(state, "student")?)?;
        // no group is written of a criterion without tensors; one that has some refuses its absence
        self.modules.set_weights(group(state, CRITERION).unwrap_or(&none))?;
        self.optimizer
            .restore(group(state, "student_momentum").unwrap_or(&none))
    }
}

impl Outputs {
    /// From a pass to the maps and then the logits.
    fn of(mut outputs: Vec<Tensor>) -> Result<Self> {
        let missing = || Error::invalid("network", "logits", "no output");
        let logits = outputs.pop().ok_or_else(missing)?;
        Ok(Self { maps: outputs, logits })
    }
}

fn with_logits(mut outputs: Vec<String>) -> Vec<String> {
    outputs.push(LOGITS.to_owned());
    outputs
}

fn as_strs(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}
