//! Confidence-aware distillation from several teachers (CA-MKD): for each image, the nearer a teacher is to the label, the more
//! it counts.

use askd_models::{CLASSIFIER_MAP, FEATURES, Graph};
use candle_core::Tensor;

use super::chain::{Chain, compared_at, map_of, same_size};
use super::criterion::{Criterion, Seen, Term};
use super::divergence::squared_error_of_samples;
use super::shared_head::{confidence, head_tensors};
use super::{Imitation, Modules};
use crate::Result;
use crate::nn::ops;

/// beta of the published script.
///
/// Source: `scripts/run.sh` of github.com/Rorozhl/CA-MKD, `-r 1 -a 1 -b 50`.
pub(super) const FEATURE_WEIGHT: f64 = 50.0;

/// `a CE(student, y) + b / M sum of mean w_m T^2 KL(teacher m || student) + beta / M sum of mean v_m (e_m(f) - f_m)^2`.
///
/// f is the student's last map, `f_m` the one that teacher m's classifier pools, `e_m` a 1x1 convolution with batch norm and ReLU
/// that is trained too. `w_m = (1 - softmax over teachers of CE) / (M - 1)` for each image, CE that of teacher m's logits, and v_m
/// the same of its classifier on `e_m(f)`, through which a gradient flows.
///
/// As in the published code, and not in the paper, sums over teachers are divided by M, though their weights add up to 1, and the
/// last term is left out of the first epoch. Unlike that code, a smaller batch at the end of an epoch is trained with, and of
/// a teacher's larger map the average-pooled one is compared, not the student's interpolated.
///
/// Source: H. Zhang et al. 2022, arXiv:2201.00007, section 2, as in `helper/loops.py`, `models/util.py` and
/// `distiller_zoo/CAMKD.py` of github.com/Rorozhl/CA-MKD.
#[derive(Debug, Clone)]
pub struct ConfidenceAware(pub Imitation);

impl Criterion for ConfidenceAware {
    fn label_weight(&self) -> f64 {
        self.0.kd.label_weight
    }

    fn student_outputs(&self, _: &Graph) -> Vec<String> {
        vec![FEATURES.to_owned()]
    }

    fn teacher_outputs(&self, _: &Graph) -> Vec<String> {
        vec![CLASSIFIER_MAP.to_owned()]
    }

    fn add_modules(&self, modules: &mut Modules, student: &Graph, teachers: &[&Graph]) -> Result<()> {
        for (m, teacher) in teachers.iter().enumerate() {
            let (from, to) = (map_of(student, FEATURES)?, map_of(teacher, CLASSIFIER_MAP)?);
            let chain = Chain::new("embedding", compared_at(from, to)).conv(to[0], 1, true)?;
            modules.add_network(&embedding(m), chain.batch_norm()?.relu()?.finish())?;
        }
        Ok(())
    }

    fn terms(&self, seen: &Seen, modules: &mut Modules) -> Result<Vec<Term>> {
        let count = seen.teachers.len() as f64;
        let logits: Vec<Tensor> = seen.teachers.iter().map(|teacher| teacher.logits.clone()).collect();
        let shares = confidence(&logits, seen.labels)?;
        let mut terms = self.0.kd.shared_terms(seen, &shares)?;
        if seen.at.epoch == 0 {
            return Ok(terms);
        }
        let (mut differences, mut through_classifiers) = (Vec::new(), Vec::new());
        for (m, (teacher, network)) in seen.teachers.iter().zip(seen.networks).enumerate() {
            let (student, target) = same_size(&seen.student.maps[0], &teacher.maps[0])?;
            let embedded = modules.run(&embedding(m), &student)?;
            let [weight, bias] = head_tensors(network)?;
            through_classifiers.push(ops::linear(&ops::global_average_pool(&embedded)?, &weight, &bias)?);
            differences.push(squared_error_of_samples(&embedded, &target)?);
        }
        let shares = confidence(&through_classifiers, seen.labels)?;
        for (difference, share) in differences.iter().zip(shares) {
            terms.push(Term {
                name: "feature_loss",
                value: ((share * difference)?.mean_all()? / count)?,
                weight: self.0.feature_weight,
            });
        }
        Ok(terms)
    }
}

/// The network from the student's map to teacher m's.
fn embedding(m: usize) -> String {
    format!("embedding.{m}")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{batch, look, moment, network, taught};
    use super::*;
    use crate::nn::Network;
    use crate::train::{Moment, Objective};

    fn teachers() -> Vec<Network> {
        vec![network("resnet14", 2), network("mobilenetv2_0.5", 3)]
    }

    #[test]
    fn maps_that_are_the_teachers_cost_nothing() {
        let (mut student, mut teachers) = (network("resnet8", 1), teachers());
        let criterion = ConfidenceAware(Imitation::weighing(1.0));
        let (mut looked, mut modules) = look(&criterion, &mut student, &mut teachers);
        assert!(looked.term(&criterion, &teachers, &mut modules, "feature_loss") > 0.0);
        for m in 0..2 {
            let (student, target) = same_size(&looked.student.maps[0], &looked.teachers[m].maps[0]).unwrap();
            looked.teachers[m].maps[0] = modules.run(&embedding(m), &student).unwrap();
            assert_eq!(looked.teachers[m].maps[0].dims(), target.dims());
        }
        assert_eq!(looked.term(&criterion, &teachers, &mut modules, "feature_loss"), 0.0);
    }

    #[test]
    fn the_first_epoch_has_no_maps() {
        let mut objective = taught(ConfidenceAware(Imitation::weighing(1.0)), teachers());
        let (images, labels) = batch(0);
        for epoch in [0, 1] {
            let at = Moment { epoch, ..moment(0) };
            let report = objective.step(&images, &labels, &at).unwrap();
            let has_maps = report.terms.iter().any(|(name, _)| *name == "feature_loss");
            assert_eq!(has_maps, epoch == 1, "{:?}", report.terms);
        }
    }
}
