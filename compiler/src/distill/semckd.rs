//! Cross-layer distillation with semantic calibration (SemCKD): each stage of the student learns from all of the teacher's, by
//! weights that are learnt for each image.

use askd_models::Graph;
use candle_core::{IndexOp, Tensor};
use serde::{Deserialize, Serialize};

use super::chain::{Chain, compared_at, map_of, same_size};
use super::criterion::{Criterion, Seen, Term, only};
use super::divergence::{log_softmax, squared_error_of_samples, unit_rows};
use super::settings::check_weights;
use super::sp::products;
use super::{Kd, Modules};
use crate::{Error, Result};

/// Weights of `a CE(student, y) + b T^2 KL(teacher || student) + beta L`, and how sharp the stages' weights are.
///
/// Source: D. Chen et al. 2021, arXiv:2012.03236, as in `models/util.py` and `distiller_zoo/SemCKD.py` of
/// github.com/DefangChen/SimKD.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SemCkd {
    /// What the agreement of two stages is divided by before the softmax; above 0.
    pub softness: f64,
    /// beta: weight of the loss on maps.
    pub feature_weight: f64,
    /// T, b and a.
    #[serde(flatten)]
    pub kd: Kd,
}

impl Default for SemCkd {
    /// Softness 1: `train_student.py` of SimKD's code; beta 400: its `scripts/run_distill.sh`, as the authors' own code for
    /// CIFAR-100 (for ImageNet 50, `README.md` of github.com/DefangChen/SemCKD); the rest as [`Kd`]'s.
    fn default() -> Self {
        Self {
            softness: 1.0,
            feature_weight: 400.0,
            kd: Kd::default(),
        }
    }
}

impl SemCkd {
    pub(super) fn check(&self) -> Result<()> {
        if !(self.softness.is_finite() && self.softness > 0.0) {
            let key = "distillation.method.softness";
            return Err(Error::invalid(key, "a positive number", self.softness));
        }
        check_weights(&[("feature_weight", self.feature_weight)])?;
        self.kd.check()
    }
}

/// `L = mean over images and the student's stages of sum_j a_ij mean (r_ij(student's map i) - teacher's map j)^2`.
///
/// `r_ij` is a 1x1, a 3x3 and a 1x1 convolution, twice as wide as the teacher's map, with batch norm and ReLU between them. The
/// weights `a_ij` of an image are the softmax over j of the products of a query of stage i and a key of stage j: each a network
/// of two linear layers on the products of the image's map with those of the whole batch, over its norm, which is a quarter
/// of a batch long. So they take batches of one size. A smaller one, as an epoch may end with, has the terms on labels and
/// logits alone; the published code leaves it out.
#[derive(Debug, Clone)]
pub struct SemanticCalibration {
    /// Weights of the terms.
    pub settings: SemCkd,
    /// Images of a batch.
    pub batch: usize,
}

impl Criterion for SemanticCalibration {
    fn label_weight(&self) -> f64 {
        self.settings.kd.label_weight
    }

    fn student_outputs(&self, student: &Graph) -> Vec<String> {
        student.stages()
    }

    fn add_modules(&self, modules: &mut Modules, student: &Graph, teachers: &[&Graph]) -> Result<()> {
        let teacher = only(teachers)?;
        let (own, others) = (student.stages(), teacher.stages());
        for (kind, count) in [(QUERY, own.len()), (KEY, others.len())] {
            for stage in 0..count {
                modules.add_network(&format!("{kind}.{stage}"), self.embedding()?)?;
            }
        }
        for (i, own) in own.iter().enumerate() {
            for (j, other) in others.iter().enumerate() {
                let (from, to) = (map_of(student, own)?, map_of(teacher, other)?);
                let chain = Chain::new("regressor", compared_at(from, to));
                let chain = chain.conv(2 * to[0], 1, false)?.batch_norm()?.relu()?;
                let chain = chain.conv(2 * to[0], 3, false)?.batch_norm()?.relu()?;
                modules.add_network(&regressor(i, j), chain.conv(to[0], 1, false)?.finish())?;
            }
        }
        Ok(())
    }

    /// Refuses a set of which no batch would be whole: what is left without the loss on maps is KD.
    fn meet(&self, _: &mut Modules, images: usize) -> Result<()> {
        if images < self.batch {
            let expected =
                format!("{images} or less for method semckd, which needs one whole batch of the training images");
            return Err(Error::invalid("batch", expected, self.batch));
        }
        Ok(())
    }

    fn terms(&self, seen: &Seen, modules: &mut Modules) -> Result<Vec<Term>> {
        let mut terms = self.settings.kd.terms(seen, modules)?;
        if seen.student.logits.dim(0)? != self.batch {
            return Ok(terms);
        }
        let (own, others) = (&seen.student.maps, &seen.teacher()?.maps);
        let shares = self.shares(own, others, modules)?;
        for (i, student) in own.iter().enumerate() {
            for (j, teacher) in others.iter().enumerate() {
                let (student, teacher) = same_size(student, teacher)?;
                let guess = modules.run(&regressor(i, j), &student)?;
                let apart = squared_error_of_samples(&guess, &teacher)?;
                terms.push(Term {
                    name: "feature_loss",
                    value: ((shares.i((.., i, j))? * apart)?.mean_all()? / own.len() as f64)?,
                    weight: self.settings.feature_weight,
                });
            }
        }
        Ok(terms)
    }
}

const QUERY: &str = "query";
const KEY: &str = "key";

/// The network from the student's stage i to the teacher's stage j.
fn regressor(i: usize, j: usize) -> String {
    format!("regressor.{i}.{j}")
}

impl SemanticCalibration {
    /// From an image's products with the batch to a query or key: linear layers as 1x1 convolutions.
    fn embedding(&self) -> Result<Graph> {
        let length = (self.batch / 4).max(1);
        let chain = Chain::new("embedding", [self.batch, 1, 1])
            .conv(2 * length, 1, true)?
            .relu()?;
        Ok(chain.conv(length, 1, true)?.finish())
    }

    /// The share of each of the teacher's stages in what each of the student's learns.
    ///
    /// # Shapes
    /// - returns: `(N, S, T)` for S and T stages; sums over the last are 1
    fn shares(&self, own: &[Tensor], others: &[Tensor], modules: &mut Modules) -> Result<Tensor> {
        let mut embed = |kind: &str, maps: &[Tensor]| -> Result<Tensor> {
            let embedded = maps.iter().enumerate().map(|(stage, map)| {
                let products = products(map)?.unsqueeze(2)?.unsqueeze(3)?;
                let embedded = modules.run(&format!("{kind}.{stage}"), &products)?;
                unit_rows(&embedded.flatten_from(1)?)
            });
            Ok(Tensor::stack(&embedded.collect::<Result<Vec<_>>>()?, 1)?)
        };
        let (queries, keys) = (embed(QUERY, own)?, embed(KEY, others)?);
        let agreement = queries.matmul(&keys.transpose(1, 2)?.contiguous()?)?;
        Ok(log_softmax(&(agreement / self.settings.softness)?)?.exp()?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::D;

    use super::super::testing::{check_silence, look, network, taught};
    use super::*;
    use crate::train::Objective;

    fn of_batches(batch: usize) -> SemanticCalibration {
        let mut settings = SemCkd::default();
        settings.kd.distillation_weight = 0.0;
        SemanticCalibration { settings, batch }
    }

    #[test]
    fn stages_share_what_a_stage_learns() {
        let (mut student, mut teacher) = (network("resnet8", 1), network("vgg8", 2));
        let criterion = of_batches(6);
        let (looked, mut modules) = look(&criterion, &mut student, std::slice::from_mut(&mut teacher));
        let (own, others) = (&looked.student.maps, &looked.teachers[0].maps);
        let shares = criterion.shares(own, others, &mut modules).unwrap();
        assert_eq!(shares.dims(), [6, 3, 4]);
        for sum in shares
            .sum(D::Minus1)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap()
        {
            assert!((sum - 1.0).abs() < 1e-6, "{sum}");
        }
        // unit queries and keys: no agreement is above 1
        let spread = shares
            .max(D::Minus1)
            .unwrap()
            .max_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap();
        assert!(spread < 1.0 / (1.0 + 3.0 * (-2.0f32).exp()) + 1e-6, "{spread}");
        assert!(looked.term(&criterion, &[], &mut modules, "feature_loss") > 0.0);
    }

    #[test]
    fn a_smaller_batch_has_no_shares() {
        check_silence(taught(of_batches(7), vec![network("resnet14", 2)]));
    }

    /// Without a whole batch it would be KD, and nothing would tell.
    #[test]
    fn fewer_images_than_a_batch_are_refused() {
        let mut objective = taught(of_batches(7), vec![network("resnet14", 2)]);
        let error = objective.meet(&[0; 6]).unwrap_err().to_string();
        assert!(
            error.starts_with("batch: expected 6 or less for method semckd"),
            "{error}"
        );
        assert!(error.ends_with("got 7"), "{error}");
        objective.meet(&[0; 7]).unwrap();
    }
}
