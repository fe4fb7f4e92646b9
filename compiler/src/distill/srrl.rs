//! Softmax regression representation learning (SRRL): the student's pooled features, carried over, are the teacher's, and give
//! the teacher's logits in the teacher's classifier.

use askd_models::{CLASSIFIER_MAP, Graph};
use candle_core::Tensor;

use super::chain::{Chain, map_of};
use super::criterion::{Criterion, Seen, Term, only};
use super::shared_head::head_tensors;
use super::{Imitation, Modules};
use crate::Result;
use crate::nn::ops;

/// beta of the published scripts.
///
/// Source: `scripts/run_distill.sh` of github.com/DefangChen/SimKD.
pub(super) const FEATURE_WEIGHT: f64 = 1.0;

/// The network from the student's pooled features to the teacher's.
const CONNECTOR: &str = "connector";

/// `L = mean (c(f) - f_T)^2 + mean (cls_T(c(f)) - z_T)^2`: f and f_T what the classifiers take, c a linear layer with batch
/// norm and ReLU that is trained too, `cls_T` and `z_T` the teacher's classifier, which stays, and its logits.
///
/// Source: J. Yang et al. 2021, "Knowledge distillation via softmax regression representation learning", ICLR, OpenReview
/// ZzwDy_wiWv, as in `models/util.py` and `helper/loops.py` of github.com/DefangChen/SimKD.
#[derive(Debug, Clone)]
pub struct SoftmaxRegression(pub Imitation);

impl Criterion for SoftmaxRegression {
    fn label_weight(&self) -> f64 {
        self.0.kd.label_weight
    }

    fn student_outputs(&self, _: &Graph) -> Vec<String> {
        vec![CLASSIFIER_MAP.to_owned()]
    }

    fn add_modules(&self, modules: &mut Modules, student: &Graph, teachers: &[&Graph]) -> Result<()> {
        let [from, to] = [student, *only(teachers)?].map(|graph| map_of(graph, CLASSIFIER_MAP));
        let chain = Chain::new(CONNECTOR, [from?[0], 1, 1]).conv(to?[0], 1, false)?;
        modules.add_network(CONNECTOR, chain.batch_norm()?.relu()?.finish())
    }

    fn terms(&self, seen: &Seen, modules: &mut Modules) -> Result<Vec<Term>> {
        let mut terms = self.0.kd.terms(seen, modules)?;
        let teacher = seen.teacher()?;
        let carried = carry(&seen.student.maps[0], modules)?;
        let features = ops::global_average_pool(&teacher.maps[0])?;
        let [weight, bias] = head_tensors(only(seen.networks)?)?;
        let logits = ops::linear(&carried, &weight, &bias)?;
        for (name, value) in [
            ("feature_loss", ops::mean_squared_error(&carried, &features)?),
            ("logit_loss", ops::mean_squared_error(&logits, &teacher.logits)?),
        ] {
            terms.push(Term {
                name,
                value,
                weight: self.0.feature_weight,
            });
        }
        Ok(terms)
    }
}

/// The student's pooled map as the teacher's classifier would have it, `(N, C_T)`.
fn carry(map: &Tensor, modules: &mut Modules) -> Result<Tensor> {
    let pooled = ops::adaptive_average_pool(map, 1, 1)?;
    Ok(modules.run(CONNECTOR, &pooled)?.flatten_from(1)?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{features_alone, look, network};
    use super::*;

    #[test]
    fn features_that_are_the_teachers_cost_nothing() {
        let (mut student, mut teachers) = (network("resnet8", 1), vec![network("vgg8", 2)]);
        let criterion = SoftmaxRegression(features_alone(1.0));
        let (mut looked, mut modules) = look(&criterion, &mut student, &mut teachers);
        for name in ["feature_loss", "logit_loss"] {
            assert!(looked.term(&criterion, &teachers, &mut modules, name) > 0.0, "{name}");
        }
        let carried = carry(&looked.student.maps[0], &mut modules).unwrap();
        let [weight, bias] = head_tensors(&teachers[0]).unwrap();
        looked.teachers[0].logits = ops::linear(&carried, &weight, &bias).unwrap();
        looked.teachers[0].maps[0] = carried.unsqueeze(2).unwrap().unsqueeze(3).unwrap();
        for name in ["feature_loss", "logit_loss"] {
            assert_eq!(looked.term(&criterion, &teachers, &mut modules, name), 0.0, "{name}");
        }
    }
}
