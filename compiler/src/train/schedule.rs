//! The learning rate over a run.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How the rate falls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Decay {
    /// It stays.
    Constant,
    /// Times `factor` after each of these epochs.
    Step {
        /// Epochs, from the start of the run.
        milestones: Vec<f64>,
        /// What the rate is multiplied with.
        factor: f64,
    },
    /// Half a cosine, from the full rate after warm-up to 0 at the end.
    ///
    /// Source: Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts.
    Cosine,
}

/// Learning rate as a function of the epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The full rate.
    pub learning_rate: f64,
    /// Epochs over which the rate rises linearly from 0.
    pub warmup_epochs: f64,
    /// What follows.
    pub decay: Decay,
}

impl Schedule {
    /// The rate at `epoch` (fractional) of `epochs`.
    pub fn rate(&self, epoch: f64, epochs: f64) -> f64 {
        if epoch < self.warmup_epochs {
            return self.learning_rate * epoch / self.warmup_epochs;
        }
        match &self.decay {
            Decay::Constant => self.learning_rate,
            Decay::Step { milestones, factor } => {
                let passed = milestones.iter().filter(|milestone| epoch >= **milestone).count();
                self.learning_rate * factor.powi(passed as i32)
            }
            Decay::Cosine => {
                let done = (epoch - self.warmup_epochs) / (epochs - self.warmup_epochs).max(f64::MIN_POSITIVE);
                self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
            }
        }
    }

    /// Checks the ranges.
    ///
    /// # Errors
    /// [`Error::InvalidValue`].
    pub fn check(&self) -> Result<()> {
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return Err(Error::invalid(
                "schedule.learning_rate",
                "a positive number",
                self.learning_rate,
            ));
        }
        if !(self.warmup_epochs.is_finite() && self.warmup_epochs >= 0.0) {
            return Err(Error::invalid(
                "schedule.warmup_epochs",
                "epochs, 0 or more",
                self.warmup_epochs,
            ));
        }
        if let Decay::Step { milestones, factor } = &self.decay {
            if let Some(wrong) = milestones.iter().find(|epoch| !epoch.is_finite()) {
                return Err(Error::invalid("schedule.decay.milestones", "epochs", wrong));
            }
            if !(factor.is_finite() && *factor >= 0.0) {
                return Err(Error::invalid("schedule.decay.factor", "a number, 0 or more", factor));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn step_falls_at_each_milestone() {
        let decay = Decay::Step {
            milestones: vec![150.0, 180.0, 210.0],
            factor: 0.1,
        };
        let schedule = Schedule {
            learning_rate: 0.05,
            warmup_epochs: 0.0,
            decay,
        };
        let rates = [0.0, 149.9, 150.0, 180.0, 239.0].map(|epoch| schedule.rate(epoch, 240.0));
        for (rate, expected) in rates.into_iter().zip([0.05, 0.05, 0.005, 0.0005, 0.00005]) {
            assert!((rate - expected).abs() < 1e-12, "{rate} {expected}");
        }
    }

    #[test]
    fn cosine_warms_up_and_ends_at_zero() {
        let schedule = Schedule {
            learning_rate: 0.1,
            warmup_epochs: 2.0,
            decay: Decay::Cosine,
        };
        let rates = [0.0, 1.0, 2.0, 6.0, 10.0].map(|epoch| schedule.rate(epoch, 10.0));
        for (rate, expected) in rates.into_iter().zip([0.0, 0.05, 0.1, 0.05, 0.0]) {
            assert!((rate - expected).abs() < 1e-12, "{rate} {expected}");
        }
    }
}
