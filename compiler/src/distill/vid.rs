//! Variational information distillation (VID): the student's maps tell as much of the teacher's as they can.

use askd_models::Graph;
use candle_core::Tensor;

use super::chain::{Chain, compared_at, map_of, same_size};
use super::criterion::{Criterion, Seen, Term, only};
use super::divergence::softplus;
use super::{Imitation, Modules};
use crate::Result;

/// beta of the published scripts.
///
/// Source: `scripts/run_distill.sh` of github.com/DefangChen/SimKD, as in `mdistiller/engine/cfg.py` of
/// github.com/megvii-research/mdistiller.
pub(super) const FEATURE_WEIGHT: f64 = 1.0;

/// Variance of each channel's guess at the beginning, and the least there can be.
///
/// Source: `distiller_zoo/VID.py` of github.com/HobbitLong/RepDistiller.
const FIRST_VARIANCE: f64 = 5.0;
const SMALLEST_VARIANCE: f64 = 1e-5;

/// `L = sum over stages of mean ((m(student's map) - teacher's map)^2 / v + ln v) / 2`: the negative logarithm of a normal
/// density but for a constant. m is three 1x1 convolutions with ReLU between them, v one number a channel; both are trained.
/// Stages are taken in pairs from the first on.
///
/// Source: S. Ahn et al. 2019, arXiv:1904.05835, equations 4 and 5, as in `distiller_zoo/VID.py` of
/// github.com/HobbitLong/RepDistiller.
#[derive(Debug, Clone)]
pub struct VariationalInformation(pub Imitation);

impl Criterion for VariationalInformation {
    fn label_weight(&self) -> f64 {
        self.0.kd.label_weight
    }

    fn student_outputs(&self, student: &Graph) -> Vec<String> {
        student.stages()
    }

    fn add_modules(&self, modules: &mut Modules, student: &Graph, teachers: &[&Graph]) -> Result<()> {
        // the logarithm of e^x + 1 is the variance
        let scale = ((FIRST_VARIANCE - SMALLEST_VARIANCE).exp() - 1.0).ln();
        let teacher = only(teachers)?;
        for (number, (from, to)) in student.stages().iter().zip(teacher.stages()).enumerate() {
            let (from, to) = (map_of(student, from)?, map_of(teacher, &to)?);
            let chain = Chain::new("mean", compared_at(from, to))
                .conv(to[0], 1, false)?
                .relu()?;
            let chain = chain.conv(to[0], 1, false)?.relu()?.conv(to[0], 1, false)?;
            modules.add_network(&mean(number), chain.finish())?;
            modules.add_vector(&log_scale(number), to[0], scale)?;
        }
        Ok(())
    }

    fn terms(&self, seen: &Seen, modules: &mut Modules) -> Result<Vec<Term>> {
        let mut terms = self.0.kd.terms(seen, modules)?;
        for (number, (student, teacher)) in seen.student.maps.iter().zip(&seen.teacher()?.maps).enumerate() {
            let (student, teacher) = same_size(student, teacher)?;
            let guess = modules.run(&mean(number), &student)?;
            let variance = variance(modules.tensor(&log_scale(number))?)?;
            let apart = (guess - teacher)?.sqr()?.broadcast_div(&variance)?;
            terms.push(Term {
                name: "feature_loss",
                // the logarithm's mean is that over channels
                value: ((apart.mean_all()? + variance.log()?.mean_all()?)? * 0.5)?,
                weight: self.0.feature_weight,
            });
        }
        Ok(terms)
    }
}

/// The network that guesses a stage's map, and the tensor that tells how sure it is; stages from 0.
fn mean(stage: usize) -> String {
    format!("mean.{}", stage + 1)
}

fn log_scale(stage: usize) -> String {
    format!("log_scale.{}", stage + 1)
}

/// `(1, C, 1, 1)`, above 0.
fn variance(log_scale: &Tensor) -> Result<Tensor> {
    Ok((softplus(log_scale)? + SMALLEST_VARIANCE)?.reshape((1, (), 1, 1))?)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{features_alone, look, network};
    use super::*;

    #[test]
    fn of_a_map_that_is_guessed_only_the_doubt_is_left() {
        let (mut student, mut teacher) = (network("resnet8", 1), network("vgg8", 2));
        let criterion = VariationalInformation(features_alone(1.0));
        let (mut looked, mut modules) = look(&criterion, &mut student, std::slice::from_mut(&mut teacher));
        let doubt = 3.0 * 0.5 * FIRST_VARIANCE.ln();
        assert!(looked.term(&criterion, &[], &mut modules, "feature_loss") > doubt + 1e-6);
        for number in 0..3 {
            let (student, _) = same_size(&looked.student.maps[number], &looked.teachers[0].maps[number]).unwrap();
            looked.teachers[0].maps[number] = modules.run(&mean(number), &student).unwrap();
        }
        let left = looked.term(&criterion, &[], &mut modules, "feature_loss");
        assert!((left - doubt).abs() < 1e-5, "{left} {doubt}");
    }

    #[test]
    fn a_variance_is_finite_and_above_zero_whatever_is_learnt() {
        let learnt = Tensor::new(&[-1e4f32, 0.0, 100.0, 1e4], &candle_core::Device::Cpu).unwrap();
        let variance = variance(&learnt).unwrap();
        assert_eq!(variance.dims(), [1, 4, 1, 1]);
        let smallest = SMALLEST_VARIANCE as f32;
        let expected = [
            smallest,
            std::f32::consts::LN_2 + smallest,
            100.0 + smallest,
            1e4 + smallest,
        ];
        assert_eq!(variance.flatten_all().unwrap().to_vec1::<f32>().unwrap(), expected);
    }
}
