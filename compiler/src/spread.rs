//! Mean and spread of a measurement over seeds.

use std::fmt;

use serde::Serialize;

/// Values of several seeds, with their mean and sample standard deviation.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Sample standard deviation; 0 of a single value.
    pub std: f64,
    /// Each seed's value.
    pub values: Vec<f64>,
}

impl Spread {
    /// Of these values.
    pub fn of(values: Vec<f64>) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self {
            mean,
            std: (squares / (count - 1.0).max(1.0)).sqrt(),
            values,
        }
    }

    /// One value more.
    pub fn add(&mut self, value: f64) {
        let mut values = std::mem::take(&mut self.values);
        values.push(value);
        *self = Self::of(values);
    }
}

/// The value below which `share` of the sorted samples lie: nearest rank; NaN of none.
pub(crate) fn percentile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.values.len() {
            0 => write!(f, "–"),
            1 => write!(f, "{:.2}", self.mean),
            _ => write!(f, "{:.2} ± {:.2}", self.mean, self.std),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let samples: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(
            [0.5, 0.9, 0.99].map(|share| percentile(&samples, share)),
            [50.0, 90.0, 99.0]
        );
        assert_eq!(percentile(&[7.0], 0.5), 7.0);
    }

    #[test]
    fn spread_is_the_samples() {
        let mut spread = Spread::of(vec![1.0, 2.0]);
        spread.add(6.0);
        assert_eq!((spread.mean, spread.values.len()), (3.0, 3));
        assert!((spread.std - 7f64.sqrt()).abs() < 1e-12);
        assert_eq!(Spread::of(vec![5.0]).to_string(), "5.00");
        assert_eq!(spread.to_string(), "3.00 ± 2.65");
    }
}
