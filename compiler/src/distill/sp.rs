//! Similarity-preserving distillation (SP): images that are alike to the teacher are alike to the student.

use askd_models::{FEATURES, Graph};
use candle_core::Tensor;

use super::criterion::{Criterion, Seen, Term};
use super::divergence::unit_rows;
use super::{Imitation, Modules};
use crate::Result;
use crate::nn::ops;

/// beta of the published scripts.
///
/// Source: `scripts/run_distill.sh` of github.com/DefangChen/SimKD, as in `mdistiller/engine/cfg.py` of
/// github.com/megvii-research/mdistiller.
pub(super) const FEATURE_WEIGHT: f64 = 3000.0;

/// `L = mean (G(student) - G(teacher))^2`, with G the products of a batch's last maps with each other, each row over its norm.
///
/// Source: F. Tung and G. Mori 2019, arXiv:1907.09682, section 3, as in `distiller_zoo/SP.py` of
/// github.com/HobbitLong/RepDistiller.
#[derive(Debug, Clone)]
pub struct SimilarityPreserving(pub Imitation);

impl Criterion for SimilarityPreserving {
    fn label_weight(&self) -> f64 {
        self.0.kd.label_weight
    }

    fn student_outputs(&self, _: &Graph) -> Vec<String> {
        vec![FEATURES.to_owned()]
    }

    fn terms(&self, seen: &Seen, modules: &mut Modules) -> Result<Vec<Term>> {
        let mut terms = self.0.kd.terms(seen, modules)?;
        let [student, teacher] = [&seen.student, seen.teacher()?].map(|seen| unit_rows(&products(&seen.maps[0])?));
        terms.push(Term {
            name: "feature_loss",
            value: ops::mean_squared_error(&student?, &teacher?)?,
            weight: self.0.feature_weight,
        });
        Ok(terms)
    }
}

/// The product of each image's map with each other's.
///
/// # Shapes
/// - `map`: `(N, C, H, W)`; returns `(N, N)`
pub(super) fn products(map: &Tensor) -> Result<Tensor> {
    let rows = map.flatten_from(1)?;
    Ok(rows.matmul(&rows.t()?)?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{features_alone, look, network};
    use super::*;

    #[test]
    fn maps_of_another_shape_may_say_the_same() {
        let (mut student, mut teacher) = (network("resnet8", 1), network("resnet8", 1));
        let criterion = SimilarityPreserving(features_alone(1.0));
        let (mut looked, mut modules) = look(&criterion, &mut student, std::slice::from_mut(&mut teacher));
        assert_eq!(looked.term(&criterion, &[], &mut modules, "feature_loss"), 0.0);
        let map = looked.teachers[0].maps[0].clone();
        looked.teachers[0].maps[0] = (Tensor::cat(&[&map, &map], 2).unwrap() * 0.5).unwrap();
        assert!(looked.term(&criterion, &[], &mut modules, "feature_loss") < 1e-12);
        let order = Tensor::new(&[1u32, 0, 2, 3, 4, 5], map.device()).unwrap();
        looked.teachers[0].maps[0] = map.index_select(&order, 0).unwrap();
        assert!(looked.term(&criterion, &[], &mut modules, "feature_loss") > 1e-6);
    }
}
