//! FitNet: a map in the middle of the student imitates one of the teacher's, its hint.

use askd_models::{Graph, STAGE};
use serde::{Deserialize, Serialize};

use super::chain::{Chain, compared_at, map_of, same_size};
use super::criterion::{Criterion, Seen, Term, only};
use super::settings::check_weights;
use super::{Kd, Modules};
use crate::nn::ops;
use crate::{Error, Result};

/// The network from the student's map to the hint.
const REGRESSOR: &str = "regressor";

/// Weights of `a CE(student, y) + b T^2 KL(teacher || student) + beta mean (r(student's map) - hint)^2`, r a 1x1
/// convolution with batch norm and ReLU that is trained too.
///
/// The paper trains the student up to the guided layer on the hint first, by half the squared norm of the difference, and then
/// the whole of it on labels and logits, with T = 3 and a weight of the teacher's logits that falls from 4 to 1. Here, as in the
/// codes that later papers compare with, one loss with constant weights trains it all at once. Where maps differ in size, the
/// paper's and those codes' regressor is a larger, strided or transposed convolution; here the larger map is average-pooled.
///
/// Source: A. Romero et al. 2015, arXiv:1412.6550, section 2.2, as in `distiller_zoo/FitNet.py` of
/// github.com/HobbitLong/RepDistiller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FitNet {
    /// The stage, from 1, whose map is the hint, in both networks.
    pub hint_layer: usize,
    /// beta: weight of the difference from the hint.
    pub feature_weight: f64,
    /// T, b and a.
    #[serde(flatten)]
    pub kd: Kd,
}

impl Default for FitNet {
    /// Hint layer 2: `train_student.py` of RepDistiller (SimKD's code takes 1); beta 100: `scripts/run_distill.sh` of SimKD's
    /// code; the rest as [`Kd`]'s.
    fn default() -> Self {
        Self {
            hint_layer: 2,
            feature_weight: 100.0,
            kd: Kd::default(),
        }
    }
}

impl FitNet {
    fn hint(&self) -> String {
        format!("{STAGE}.{}", self.hint_layer)
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.hint_layer == 0 {
            return Err(Error::invalid(
                "distillation.method.hint_layer",
                "a stage, 1 or more",
                0,
            ));
        }
        check_weights(&[("feature_weight", self.feature_weight)])?;
        self.kd.check()
    }
}

impl Criterion for FitNet {
    fn label_weight(&self) -> f64 {
        self.kd.label_weight
    }

    fn student_outputs(&self, _: &Graph) -> Vec<String> {
        vec![self.hint()]
    }

    fn add_modules(&self, modules: &mut Modules, student: &Graph, teachers: &[&Graph]) -> Result<()> {
        let (from, to) = (map_of(student, &self.hint())?, map_of(only(teachers)?, &self.hint())?);
        let chain = Chain::new(REGRESSOR, compared_at(from, to)).conv(to[0], 1, true)?;
        modules.add_network(REGRESSOR, chain.batch_norm()?.relu()?.finish())
    }

    fn terms(&self, seen: &Seen, modules: &mut Modules) -> Result<Vec<Term>> {
        let mut terms = self.kd.terms(seen, modules)?;
        let (student, hint) = same_size(&seen.student.maps[0], &seen.teacher()?.maps[0])?;
        let guess = modules.run(REGRESSOR, &student)?;
        terms.push(Term {
            name: "feature_loss",
            value: ops::mean_squared_error(&guess, &hint)?,
            weight: self.feature_weight,
        });
        Ok(terms)
    }
}

#[cfg(test)]
mod tests {
    use super::super::KnowledgeDistillation;
    use super::super::testing::{SGD, look, network};
    use super::*;

    #[test]
    fn a_hint_that_is_guessed_costs_nothing() {
        let (mut student, mut teacher) = (network("resnet8", 1), network("vgg8", 2));
        let criterion = FitNet::default();
        let (mut looked, mut modules) = look(&criterion, &mut student, std::slice::from_mut(&mut teacher));
        assert!(looked.term(&criterion, &[], &mut modules, "feature_loss") > 0.0);
        // the teacher's map is the smaller one
        let (student, hint) = same_size(&looked.student.maps[0], &looked.teachers[0].maps[0]).unwrap();
        assert_eq!((student.dims(), hint.dims()), (&[6, 32, 4, 4][..], &[6, 256, 4, 4][..]));
        looked.teachers[0].maps[0] = modules.run(REGRESSOR, &student).unwrap();
        assert_eq!(looked.term(&criterion, &[], &mut modules, "feature_loss"), 0.0);
    }

    #[test]
    fn a_stage_that_is_not_there_is_named() {
        let criterion = FitNet {
            hint_layer: 4,
            ..FitNet::default()
        };
        let (student, teachers) = (network("resnet8", 1), vec![network("vgg8", 2)]);
        let error = KnowledgeDistillation::new(Box::new(criterion), SGD, student, teachers, 0).unwrap_err();
        let message = error.to_string();
        assert!(message.contains("\"resnet8\" has no output \"stage.4\""), "{message}");
    }
}
