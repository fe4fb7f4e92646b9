//! A share of a number of images, with how sure it is.

use serde::Serialize;

/// Quantile of the normal distribution for an interval of 95 %.
pub(super) const QUANTILE: f64 = 1.959_964;

/// So many of so many, with its 95 % interval.
///
/// Source: E. B. Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// How many.
    pub count: usize,
    /// Of how many, 1 or more.
    pub of: usize,
    /// The share, percent.
    pub percent: f64,
    /// Lower end of the interval, percent.
    pub low: f64,
    /// Upper end of the interval, percent.
    pub high: f64,
}

impl Share {
    /// `count` of `of`; none of none.
    pub fn new(count: usize, of: usize) -> Option<Self> {
        if of == 0 {
            return None;
        }
        let (n, square) = (of as f64, QUANTILE * QUANTILE);
        let share = count as f64 / n;
        let middle = (share + square / (2.0 * n)) / (1.0 + square / n);
        let half = QUANTILE / (1.0 + square / n) * (share * (1.0 - share) / n + square / (4.0 * n * n)).sqrt();
        Some(Self {
            count,
            of,
            percent: 100.0 * share,
            low: 100.0 * (middle - half).max(0.0),
            high: 100.0 * (middle + half).min(1.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: the formula, evaluated in Python.
    #[test]
    fn intervals_are_wilsons() {
        for (count, of, low, high) in [
            (10, 20, 29.929_8, 70.070_2),
            (0, 10, 0.0, 27.753_3),
            (10, 10, 72.246_7, 100.0),
            (81, 263, 25.528_9, 36.621_0),
        ] {
            let share = Share::new(count, of).unwrap();
            assert!(
                (share.low - low).abs() < 1e-3 && (share.high - high).abs() < 1e-3,
                "{share:?}"
            );
        }
        assert_eq!(Share::new(0, 0), None);
    }
}
