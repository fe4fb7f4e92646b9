//! What frozen teachers ask of a student that keeps its own classifier: the part in which such methods differ.

use askd_models::Graph;
use candle_core::Tensor;

use super::Modules;
use super::settings::TEACHERS;
use crate::nn::Network;
use crate::train::Moment;
use crate::{Error, Result};

/// Terms of a loss beside the student's cross-entropy on labels.
pub trait Criterion: std::fmt::Debug {
    /// Weight of that cross-entropy.
    fn label_weight(&self) -> f64;

    /// Outputs of the student that the terms read, beside its logits.
    fn student_outputs(&self, _student: &Graph) -> Vec<String> {
        Vec::new()
    }

    /// Outputs of a teacher that they read, beside its logits; the same ones by default.
    fn teacher_outputs(&self, teacher: &Graph) -> Vec<String> {
        self.student_outputs(teacher)
    }

    /// Adds what is trained beside the student.
    ///
    /// # Errors
    /// [`Error::Network`] if a network lacks an output.
    fn add_modules(&self, _modules: &mut Modules, _student: &Graph, _teachers: &[&Graph]) -> Result<()> {
        Ok(())
    }

    /// Adds what is kept of each of so many training images.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if they are too few for the method, [`Error::Tensor`].
    fn meet(&self, _modules: &mut Modules, _images: usize) -> Result<()> {
        Ok(())
    }

    /// The terms for a batch.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if the method takes another number of teachers, [`Error::Tensor`].
    fn terms(&self, seen: &Seen, modules: &mut Modules) -> Result<Vec<Term>>;
}

/// What student and teachers give for a batch.
#[derive(Debug)]
pub struct Seen<'a> {
    /// The student's outputs; gradients flow to them.
    pub student: Outputs,
    /// Each teacher's outputs, constants.
    pub teachers: Vec<Outputs>,
    /// The teachers, in the same order.
    pub networks: &'a [Network],
    /// Classes, u32 `(N)`.
    pub labels: &'a Tensor,
    /// Which images these are.
    pub images: TrainingImages<'a>,
    /// Where the run stands.
    pub at: &'a Moment,
}

impl Seen<'_> {
    /// What the teacher gives, of a method that takes one.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if there is none, or more than one.
    pub fn teacher(&self) -> Result<&Outputs> {
        only(&self.teachers)
    }
}

/// What belongs to the teacher of a method that takes one.
///
/// # Errors
/// [`Error::InvalidValue`] if there is none, or more than one.
pub(super) fn only<T>(of_teachers: &[T]) -> Result<&T> {
    match of_teachers {
        [of_teacher] => Ok(of_teacher),
        others => Err(Error::invalid(TEACHERS, "one", others.len())),
    }
}

/// The images of a batch among all that are trained with.
#[derive(Debug, Clone, Copy)]
pub struct TrainingImages<'a> {
    /// Position of each image of the batch in the training set, `(N)`.
    pub positions: &'a [u32],
    /// The class of every image of the training set.
    pub classes: &'a [u32],
    /// All positions, by class: those of one are one run.
    pub by_class: &'a [u32],
}

/// The positions of images of these classes, by class and then in their order.
pub(super) fn by_class(classes: &[u32]) -> Vec<u32> {
    let mut positions: Vec<u32> = (0..classes.len() as u32).collect();
    positions.sort_by_key(|position| classes[*position as usize]);
    positions
}

/// What one network gives for a batch.
#[derive(Debug, Clone)]
pub struct Outputs {
    /// The maps `(N, C, H, W)` that the criterion asked for.
    pub maps: Vec<Tensor>,
    /// `(N, K)`.
    pub logits: Tensor,
}

/// One term of a loss.
#[derive(Debug)]
pub struct Term {
    /// Its name in reports, which add terms of one name.
    pub name: &'static str,
    /// Its value: a scalar, a mean over the batch.
    pub value: Tensor,
    /// What it is multiplied with in the loss.
    pub weight: f64,
}
