//! Attention transfer (AT): the student looks where the teacher looks, stage by stage.

use askd_models::Graph;
use candle_core::Tensor;

use super::chain::same_size;
use super::criterion::{Criterion, Seen, Term};
use super::divergence::unit_rows;
use super::{Imitation, Modules};
use crate::Result;
use crate::nn::ops;

/// beta of the published scripts.
///
/// Source: `scripts/run_distill.sh` of github.com/DefangChen/SimKD, as in `mdistiller/engine/cfg.py` of
/// github.com/megvii-research/mdistiller.
pub(super) const FEATURE_WEIGHT: f64 = 1000.0;

/// `L = sum over stages of mean (A(student) - A(teacher))^2`, with attention A a map's mean square over channels, over its
/// norm. Stages are taken in pairs from the first on; a network with more keeps the rest to itself.
///
/// Source: S. Zagoruyko and N. Komodakis 2017, arXiv:1612.03928, section 3.1, as in `distiller_zoo/AT.py` of
/// github.com/HobbitLong/RepDistiller.
#[derive(Debug, Clone)]
pub struct AttentionTransfer(pub Imitation);

impl Criterion for AttentionTransfer {
    fn label_weight(&self) -> f64 {
        self.0.kd.label_weight
    }

    fn student_outputs(&self, student: &Graph) -> Vec<String> {
        student.stages()
    }

    fn terms(&self, seen: &Seen, modules: &mut Modules) -> Result<Vec<Term>> {
        let mut terms = self.0.kd.terms(seen, modules)?;
        for (student, teacher) in seen.student.maps.iter().zip(&seen.teacher()?.maps) {
            let (student, teacher) = same_size(student, teacher)?;
            terms.push(Term {
                name: "feature_loss",
                value: ops::mean_squared_error(&attention(&student)?, &attention(&teacher)?)?,
                weight: self.0.feature_weight,
            });
        }
        Ok(terms)
    }
}

/// Where a network looks.
///
/// # Shapes
/// - `map`: `(N, C, H, W)`; returns `(N, H W)`, each row of norm 1
fn attention(map: &Tensor) -> Result<Tensor> {
    unit_rows(&map.sqr()?.mean(1)?.flatten_from(1)?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{features_alone, look, network};
    use super::*;

    #[test]
    fn channels_and_scale_do_not_matter() {
        let (mut student, mut teacher) = (network("resnet8", 1), network("resnet8", 1));
        let criterion = AttentionTransfer(features_alone(1.0));
        let (mut looked, mut modules) = look(&criterion, &mut student, std::slice::from_mut(&mut teacher));
        assert_eq!(looked.student.maps.len(), 3);
        let loss = |looked: &super::super::testing::Looked, modules: &mut Modules| {
            looked.term(&criterion, &[], modules, "feature_loss")
        };
        assert_eq!(loss(&looked, &mut modules), 0.0);
        for map in &mut looked.teachers[0].maps {
            *map = (Tensor::cat(&[&*map, &*map], 1).unwrap() * 3.0).unwrap();
        }
        assert!(loss(&looked, &mut modules) < 1e-12);
        for map in &mut looked.teachers[0].maps {
            *map = map.flip(&[2]).unwrap();
        }
        assert!(loss(&looked, &mut modules) > 1e-6);
    }
}
