//! How often a value of the network was how large.

use super::calibration::Range;

/// Bins of a histogram; enough for a few thousandths of its range to be told apart.
const BINS: usize = 4096;

/// Counts of equal bins from the smallest to the largest value seen.
#[derive(Debug, Clone)]
pub struct Histogram {
    range: Range,
    counts: Vec<u64>,
    /// Values that were exactly zero, which every map meets exactly; they are in no bin.
    zeros: u64,
}

impl Histogram {
    /// An empty histogram over `range`.
    pub fn new(range: Range) -> Self {
        Self {
            range,
            counts: vec![0; BINS],
            zeros: 0,
        }
    }

    /// Counts `values`, all of which are in the range.
    pub fn add(&mut self, values: &[f32]) {
        let per_unit = BINS as f32 / (self.range.high - self.range.low);
        for value in values {
            if *value == 0.0 {
                self.zeros += 1;
            } else {
                // rounding may reach beyond the last bin
                let bin = ((value - self.range.low) * per_unit) as usize;
                self.counts[bin.min(BINS - 1)] += 1;
            }
        }
    }

    /// From the smallest to the largest value.
    pub fn range(&self) -> Range {
        self.range
    }

    /// Middle and count of each bin that has values.
    pub fn bins(&self) -> impl Iterator<Item = (f64, u64)> {
        let counts = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
        counts.map(|(bin, count)| (self.middle(bin), *count))
    }

    /// The value below which a share of all values lies, zeros included.
    pub fn quantile(&self, share: f64) -> f32 {
        let total = self.counts.iter().sum::<u64>() + self.zeros;
        let wanted = share * total as f64;
        let (mut below, mut zeros) = (0, Some(self.zeros));
        for (bin, count) in self.counts.iter().enumerate() {
            if self.middle(bin) > 0.0
                && let Some(zeros) = zeros.take()
            {
                below += zeros;
                if below as f64 >= wanted && zeros > 0 {
                    return 0.0;
                }
            }
            below += count;
            if *count > 0 && below as f64 >= wanted {
                return self.middle(bin) as f32;
            }
        }
        self.range.high
    }

    fn middle(&self, bin: usize) -> f64 {
        let (low, high) = (f64::from(self.range.low), f64::from(self.range.high));
        low + (high - low) * (bin as f64 + 0.5) / BINS as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_evenly_spread_values() {
        let mut histogram = Histogram::new(Range { low: -1.0, high: 3.0 });
        histogram.add(&(0..=4000).map(|i| i as f32 / 1000.0 - 1.0).collect::<Vec<_>>());
        for (share, value) in [(0.1, -0.6), (0.25, 0.0), (0.5, 1.0), (0.999, 2.996), (1.0, 3.0)] {
            assert!((histogram.quantile(share) - value).abs() < 0.003, "{share}");
        }
        assert_eq!(histogram.bins().map(|(_, count)| count).sum::<u64>(), 4000);
    }

    #[test]
    fn zeros_count_and_are_in_no_bin() {
        let mut histogram = Histogram::new(Range { low: 0.0, high: 1.0 });
        histogram.add(&[0.0; 90]);
        histogram.add(&[0.999; 10]);
        assert_eq!(histogram.bins().count(), 1);
        assert_eq!((histogram.quantile(0.5), histogram.quantile(0.9)), (0.0, 0.0));
        assert!((histogram.quantile(0.95) - 1.0).abs() < 0.01);
    }

    #[test]
    fn values_at_both_ends_are_counted() {
        let mut histogram = Histogram::new(Range { low: -0.3, high: 0.7 });
        histogram.add(&[-0.3, 0.7]);
        assert_eq!(histogram.bins().count(), 2);
    }
}
