//! Contrastive representation distillation (CRD): the student's features of an image are near to the teacher's of it, and far from
//! those of images of other classes.

use askd_models::{CLASSIFIER_MAP, Graph};
use candle_core::Tensor;
use rand::seq::index::sample;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::chain::{Chain, map_of};
use super::criterion::{Criterion, Seen, Term, TrainingImages, only};
use super::divergence::{scalar, softplus, unit_rows};
use super::settings::check_weights;
use super::{Kd, Modules};
use crate::nn::ops;
use crate::{Error, Result};

/// Added to a divisor.
///
/// Source: `crd/criterion.py` of github.com/HobbitLong/RepDistiller.
const EPSILON: f64 = 1e-7;

/// Weights of `a CE(student, y) + b T^2 KL(teacher || student) + beta L`, and how L contrasts images.
///
/// Both networks' pooled features go through a linear layer of their own, and over their norm: s and t. A memory keeps those of every
/// training image as they last were. For an image, `P(u) = e^(u . s / tau) / Z` with u from the teacher's memory, Z a constant that
/// the first batch gives; only their logarithms are computed, so that no tau is too small for floats. `L = -mean (ln D(positive) +
/// sum over k negatives of ln (1 - D(negative)))`, `D = P / (P + k / n)` of n training images, plus the same with the networks
/// exchanged. Positive is the image's own row, negatives are drawn among the images of other classes, once each where there are
/// enough.
///
/// Source: Y. Tian et al. 2020, arXiv:1910.10699, section 3, as in `crd/` of github.com/HobbitLong/RepDistiller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crd {
    /// Length of s and t, 1 or more.
    pub embedding: usize,
    /// k: negatives of an image, 1 or more.
    pub negatives: usize,
    /// tau: what products are divided by; above 0.
    pub contrast_temperature: f64,
    /// What a memory keeps of a row when it meets its image again, 0 to 1.
    pub memory_momentum: f64,
    /// beta: weight of the contrastive loss.
    pub feature_weight: f64,
    /// T, b and a.
    #[serde(flatten)]
    pub kd: Kd,
}

impl Default for Crd {
    /// 128 numbers, 16,384 negatives, tau 0.07 and a momentum of 0.5: `train_student.py` of the code of SimKD, as in
    /// RepDistiller's; beta 0.8: `scripts/run_distill.sh` of the former; the rest as [`Kd`]'s.
    fn default() -> Self {
        Self {
            embedding: 128,
            negatives: 16_384,
            contrast_temperature: 0.07,
            memory_momentum: 0.5,
            feature_weight: 0.8,
            kd: Kd::default(),
        }
    }
}

impl Crd {
    pub(super) fn check(&self) -> Result<()> {
        for (key, value) in [("embedding", self.embedding), ("negatives", self.negatives)] {
            if value == 0 {
                return Err(Error::invalid(format!("distillation.method.{key}"), "1 or more", 0));
            }
        }
        if !(self.contrast_temperature.is_finite() && self.contrast_temperature > 0.0) {
            let key = "distillation.method.contrast_temperature";
            return Err(Error::invalid(key, "a positive number", self.contrast_temperature));
        }
        if !(0.0..=1.0).contains(&self.memory_momentum) {
            let key = "distillation.method.memory_momentum";
            return Err(Error::invalid(key, "0 to 1", self.memory_momentum));
        }
        check_weights(&[("feature_weight", self.feature_weight)])?;
        self.kd.check()
    }

    /// `-mean (ln D(positive) + sum of ln (1 - D(negative)))`.
    ///
    /// # Shapes
    /// - `exponents`: `(N, 1 + k)`, products over tau, the positive's first; `log_normaliser`: `ln Z`, a scalar
    fn contrast(exponents: &Tensor, log_normaliser: &Tensor, images: usize) -> Result<Tensor> {
        let (count, columns) = exponents.dims2()?;
        let noise = (columns - 1) as f64 / images as f64;
        let divisor = noise + EPSILON;
        // of u = ln (P / divisor): -ln (P / (P + divisor)) = ln (e^u + 1) - u,
        // -ln (noise / (P + divisor)) = ln (e^u + 1) + ln (divisor / noise)
        let log_ratio = (exponents.broadcast_sub(log_normaliser)? - divisor.ln())?;
        let of_positives = log_ratio.narrow(1, 0, 1)?.sum_all()?;
        let of_negatives = (count * (columns - 1)) as f64 * (EPSILON / noise).ln_1p();
        let sum = ((softplus(&log_ratio)?.sum_all()? - of_positives)? + of_negatives)?;
        Ok((sum / count as f64)?)
    }
}

/// What belongs to one of the two networks, by its name.
const SIDES: [&str; 2] = ["student", "teacher"];

fn memory(side: &str) -> String {
    format!("memory.{side}")
}

fn log_normaliser(side: &str) -> String {
    format!("log_normaliser.{side}")
}

impl Criterion for Crd {
    fn label_weight(&self) -> f64 {
        self.kd.label_weight
    }

    fn student_outputs(&self, _: &Graph) -> Vec<String> {
        vec![CLASSIFIER_MAP.to_owned()]
    }

    fn add_modules(&self, modules: &mut Modules, student: &Graph, teachers: &[&Graph]) -> Result<()> {
        for (side, graph) in SIDES.iter().zip([student, only(teachers)?]) {
            let channels = map_of(graph, CLASSIFIER_MAP)?[0];
            let chain = Chain::new(side, [channels, 1, 1]).conv(self.embedding, 1, true)?;
            modules.add_network(side, chain.finish())?;
        }
        Ok(())
    }

    /// The memories of so many images, which begin with random numbers.
    fn meet(&self, modules: &mut Modules, images: usize) -> Result<()> {
        let bound = (3.0 / self.embedding as f32).sqrt();
        for (number, side) in SIDES.iter().enumerate() {
            let mut rng = ChaCha8Rng::seed_from_u64(modules.seed());
            rng.set_stream(u64::MAX - number as u64);
            let values = (0..images * self.embedding).map(|_| rng.random_range(-bound..bound));
            modules.add_memory(&memory(side), &[images, self.embedding], values.collect())?;
            // that of 0 until the first batch
            modules.add_memory(&log_normaliser(side), &[], vec![f32::NEG_INFINITY])?;
        }
        Ok(())
    }

    fn terms(&self, seen: &Seen, modules: &mut Modules) -> Result<Vec<Term>> {
        let mut terms = self.kd.terms(seen, modules)?;
        let chosen = self.choose(&seen.images, modules.seed(), seen.at.step)?;
        let chosen = Tensor::from_vec(
            chosen,
            (seen.images.positions.len(), self.negatives + 1),
            seen.labels.device(),
        )?;
        let mut embedded = Vec::new();
        for (side, outputs) in SIDES.iter().zip([&seen.student, seen.teacher()?]) {
            let pooled = ops::adaptive_average_pool(&outputs.maps[0], 1, 1)?;
            embedded.push(unit_rows(&modules.run(side, &pooled)?.flatten_from(1)?)?);
        }
        let images = seen.images.classes.len();
        // each side against the other's memory
        for (own, [side, other]) in embedded.iter().zip([[SIDES[0], SIDES[1]], [SIDES[1], SIDES[0]]]) {
            let products = own.matmul(&modules.memory(&memory(other))?.t()?)?.gather(&chosen, 1)?;
            let exponents = (products / self.contrast_temperature)?;
            let mut log_z = modules.memory(&log_normaliser(side))?.clone();
            if scalar(&log_z)? == f64::NEG_INFINITY {
                // images times the mean of e^exponent
                let sum = exponents.detach().flatten_all()?.log_sum_exp(0)?;
                log_z = (sum + (images as f64 / exponents.elem_count() as f64).ln())?;
                modules.set_memory(&log_normaliser(side), log_z.clone());
            }
            terms.push(Term {
                name: "feature_loss",
                value: Self::contrast(&exponents, &log_z, images)?,
                weight: self.feature_weight,
            });
        }
        for (own, side) in embedded.iter().zip(SIDES) {
            self.remember(&own.detach(), &seen.images, modules, &memory(side))?;
        }
        Ok(terms)
    }
}

impl Crd {
    /// For each image its own position and those of its negatives, one row after the other.
    fn choose(&self, images: &TrainingImages, seed: u64, step: usize) -> Result<Vec<u32>> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        // not a seed for each step, which would be that of another step of another run
        rng.set_stream(step as u64);
        let mut chosen = Vec::with_capacity(images.positions.len() * (self.negatives + 1));
        // those of other classes are all but one run
        let order = images.by_class;
        for &position in images.positions {
            let class = |position: &u32| images.classes[*position as usize];
            let own = class(&position);
            let start = order.partition_point(|position| class(position) < own);
            let end = order.partition_point(|position| class(position) <= own);
            let others = order.len() - (end - start);
            if others == 0 {
                let expected = "training images of two or more classes for method crd";
                return Err(Error::invalid("data", expected, "one class"));
            }
            let other = |index: usize| order[if index < start { index } else { index + end - start }];
            chosen.push(position);
            if self.negatives <= others {
                chosen.extend(sample(&mut rng, others, self.negatives).into_iter().map(other));
            } else {
                chosen.extend((0..self.negatives).map(|_| other(rng.random_range(0..others))));
            }
        }
        Ok(chosen)
    }

    /// Moves the rows of these images in a memory towards what they are now.
    fn remember(&self, now: &Tensor, images: &TrainingImages, modules: &mut Modules, name: &str) -> Result<()> {
        let rows = Tensor::new(images.positions, now.device())?;
        let before = modules.memory(name)?;
        let old = before.index_select(&rows, 0)?;
        let mixed = ((&old * self.memory_momentum)? + (now * (1.0 - self.memory_momentum))?)?;
        let index = rows.unsqueeze(1)?.broadcast_as(mixed.shape())?.contiguous()?;
        let after = before.scatter(&index, &unit_rows(&mixed)?, 0)?;
        modules.set_memory(name, after);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::super::criterion::by_class;
    use super::super::testing::{batch, met, moment, network, taught};
    use super::*;
    use crate::train::Objective;

    fn small() -> Crd {
        Crd {
            embedding: 8,
            negatives: 3,
            ..Crd::default()
        }
    }

    #[test]
    fn negatives_are_of_other_classes() {
        let classes = [0u32, 1, 1, 2, 0];
        let images = TrainingImages {
            positions: &[4, 1],
            classes: &classes,
            by_class: &by_class(&classes),
        };
        let chosen = small().choose(&images, 7, 0).unwrap();
        assert_eq!(chosen.len(), 8);
        for row in chosen.chunks(4) {
            let mut others = row[1..].to_vec();
            others.sort_unstable();
            others.dedup();
            assert_eq!(others.len(), 3, "{row:?}");
            assert!(
                others
                    .iter()
                    .all(|other| classes[*other as usize] != classes[row[0] as usize])
            );
        }
        assert_eq!((chosen[0], chosen[4]), (4, 1));
        // more than there are: some twice
        let many = Crd {
            negatives: 20,
            ..small()
        };
        assert_eq!(many.choose(&images, 7, 0).unwrap().len(), 42);
        let alone = TrainingImages {
            positions: &[0],
            classes: &[1, 1],
            by_class: &[0, 1],
        };
        assert!(many.choose(&alone, 7, 0).is_err());
    }

    #[test]
    fn no_step_of_another_seed_has_the_same_negatives() {
        let classes: Vec<u32> = (0..1000).map(|image| image % 10).collect();
        let images = TrainingImages {
            positions: &[4, 1],
            classes: &classes,
            by_class: &by_class(&classes),
        };
        let of_runs = |step| (0..4).map(move |seed| (seed, step));
        let mut seen = Vec::new();
        for (seed, step) in (0..4).flat_map(of_runs) {
            let chosen = small().choose(&images, seed, step).unwrap();
            assert!(!seen.contains(&chosen), "seed {seed}, step {step}");
            seen.push(chosen);
        }
    }

    /// The formula as it is written, in f64, where nothing overflows.
    #[test]
    fn contrast_is_that_of_the_formula() {
        let exponents = [[3.0f64, -1.0, 0.5], [-2.0, 4.0, 0.0]];
        let (z, images) = (12.0f64, 8);
        let noise = 2.0 / images as f64;
        let negative_log = |column: usize, exponent: f64| {
            let p = exponent.exp() / z;
            let part = if column == 0 { p } else { noise };
            -(part / (p + noise + EPSILON)).ln()
        };
        let of_row = |row: [f64; 3]| -> f64 { (0..3).map(|column| negative_log(column, row[column])).sum() };
        let expected = exponents.map(of_row).iter().sum::<f64>() / 2.0;
        let exponents = Tensor::new(&exponents, &Device::Cpu).unwrap();
        let log_z = Tensor::new(z.ln(), &Device::Cpu).unwrap();
        let got = scalar(&Crd::contrast(&exponents, &log_z, images).unwrap()).unwrap();
        assert!((got - expected).abs() < 1e-12, "{got} {expected}");
    }

    /// Powers of these are no floats of 32 bits.
    #[test]
    fn a_small_tau_does_not_overflow() {
        let exponents = Var::new(&[[-900.0f32, 900.0, 0.0], [900.0, -900.0, 500.0]], &Device::Cpu).unwrap();
        let log_z = Tensor::new(200.0f32, &Device::Cpu).unwrap();
        let loss = Crd::contrast(&exponents, &log_z, 100).unwrap();
        // a positive is out of reach by 1100, a negative of each image too near by 700 and 300, and the noise is 0.02
        let expected = (1100.0 + 700.0 + 300.0 - 0.02f64.ln()) / 2.0;
        assert!((scalar(&loss).unwrap() - expected).abs() < 1e-3, "{loss} {expected}");
        let gradients = loss.backward().unwrap();
        let gradient = gradients.get(&exponents).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(gradient, [[-0.5, 0.5, 0.0], [0.0, 0.0, 0.5]]);

        let small = Crd {
            contrast_temperature: 1e-3,
            ..small()
        };
        let mut objective = met(taught(small, vec![network("resnet14", 2)]));
        for step in 0..3 {
            let (images, labels) = batch(step);
            let report = objective.step(&images, &labels, &moment(step)).unwrap();
            assert!(report.terms.iter().all(|(_, value)| value.is_finite()), "{report:?}");
        }
    }

    #[test]
    fn a_memory_keeps_the_rows_of_its_images() {
        let mut objective = met(taught(small(), vec![network("resnet14", 2)]));
        let before = objective.state().unwrap()["criterion"].clone();
        let (images, labels) = batch(0);
        objective.step(&images, &labels, &moment(0)).unwrap();
        let after = &objective.state().unwrap()["criterion"];
        for side in SIDES {
            let (before, after) = (&before[&memory(side)].data, &after[&memory(side)].data);
            for (row, (before, after)) in before.chunks(8).zip(after.chunks(8)).enumerate() {
                assert_eq!(before != after, row < 6, "row {row}");
                let norm = after.iter().map(|value| value * value).sum::<f32>().sqrt();
                assert!(row >= 6 || (norm - 1.0).abs() < 1e-5, "{norm}");
            }
        }
    }
}
