//! Entropy-based distillation from several teachers (EBKD): for each image, the surer a teacher is, the more it counts.

use candle_core::{D, Tensor};

use super::criterion::{Criterion, Seen, Term};
use super::divergence::log_softmax;
use super::{Kd, Modules};
use crate::Result;

/// `a CE(student, y) + b / M sum over teachers of mean (1 - H_m / sum of H) T^2 KL(teacher m || student)`, H the entropy of a
/// teacher's probabilities for an image, without temperature. The weights of an image's teachers add up to `M - 1`, and the
/// sum is divided by M, both as in the published code.
///
/// Source: K. Kwon et al. 2020, "Adaptive knowledge distillation based on entropy", ICASSP, as in `helper/loops.py` of
/// github.com/Rorozhl/CA-MKD, with `-r 1 -a 1` of its `scripts/run.sh`.
#[derive(Debug, Clone)]
pub struct EntropyBased(pub Kd);

impl Criterion for EntropyBased {
    fn label_weight(&self) -> f64 {
        self.0.label_weight
    }

    fn terms(&self, seen: &Seen, _: &mut Modules) -> Result<Vec<Term>> {
        let logits = seen.teachers.iter().map(|teacher| &teacher.logits);
        self.0.shared_terms(seen, &shares(&logits.collect::<Vec<_>>())?)
    }
}

/// `1 - H_m / sum of H` of each teacher, `(N)`.
fn shares(logits: &[&Tensor]) -> Result<Vec<Tensor>> {
    let entropies = logits.iter().map(|logits| entropy(logits));
    let entropies = Tensor::stack(&entropies.collect::<Result<Vec<_>>>()?, 0)?;
    // teachers that are all quite sure count the same
    let sum = entropies.sum_keepdim(0)?.maximum(f64::from(f32::MIN_POSITIVE))?;
    let shares = (1.0 - entropies.broadcast_div(&sum)?)?;
    (0..logits.len()).map(|m| Ok(shares.get(m)?)).collect()
}

/// Entropy of the softmax of each row, in nats, `(N)`.
fn entropy(logits: &Tensor) -> Result<Tensor> {
    let log_p = log_softmax(logits)?;
    Ok((log_p.exp()? * log_p)?.sum(D::Minus1)?.neg()?)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::super::testing::{look, network};
    use super::*;

    #[test]
    fn the_surer_teacher_counts_more() {
        let rows = |values: [[f64; 2]; 2]| Tensor::new(&values, &Device::Cpu).unwrap();
        // entropies ln 2 and 0 of the first image, the same of both teachers of the second
        let (unsure, sure) = (rows([[1.0, 1.0], [2.0, 0.0]]), rows([[900.0, 0.0], [0.0, 2.0]]));
        let shares = shares(&[&unsure, &sure]).unwrap();
        let [first, second] = [&shares[0], &shares[1]].map(|share| share.to_vec1::<f64>().unwrap());
        assert_eq!((first[0], second[0]), (0.0, 1.0));
        assert!((first[1] - 0.5).abs() < 1e-12 && (second[1] - 0.5).abs() < 1e-12);
    }

    #[test]
    fn a_students_own_logits_teach_nothing() {
        let (mut student, mut teachers) = (
            network("resnet8", 1),
            vec![network("resnet8", 1), network("resnet8", 1)],
        );
        let criterion = EntropyBased(Kd::default());
        let (looked, mut modules) = look(&criterion, &mut student, &mut teachers);
        assert_eq!(looked.term(&criterion, &teachers, &mut modules, "teacher_kl"), 0.0);
    }
}
