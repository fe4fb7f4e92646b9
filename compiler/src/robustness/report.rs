//! What was measured, as data for programs and as text for people.

use std::fmt;

use serde::Serialize;

use crate::data::{Corruption, Severity};
use crate::evaluate::Evaluation;

/// Accuracy of one or more networks on the same corrupted images.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Decided what the corruptions drew.
    pub seed: u64,
    /// Number of images under each corruption at each severity.
    pub images: usize,
    /// Every network, in the order in which they were given.
    pub networks: Vec<Robustness>,
}

/// Accuracy of one network.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Robustness {
    /// A bundle's variant, or a network.
    pub name: String,
    /// On the images as they are.
    pub clean: Evaluation,
    /// Mean top-1 over all of `rows`, percent.
    pub mean_top1: f64,
    /// Means over the severities, one a corruption.
    pub means: Vec<MeanAccuracy>,
    /// Under each corruption at each severity.
    pub rows: Vec<CorruptedAccuracy>,
}

/// Accuracy under one corruption, over its severities.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MeanAccuracy {
    /// What was done to the images.
    pub corruption: Corruption,
    /// Mean top-1, percent.
    pub top1: f64,
}

/// Accuracy under one corruption at one severity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CorruptedAccuracy {
    /// What was done to the images.
    pub corruption: Corruption,
    /// How much, 1 to 5.
    pub severity: Severity,
    /// Percent of images whose largest logit is their class's.
    pub top1: f64,
    /// Percent of images whose class is among the five largest logits.
    pub top5: f64,
    /// Mean cross-entropy, nats.
    pub loss: f64,
}

impl Robustness {
    /// Of an evaluation for each case, none of which is the clean one.
    pub(super) fn of(name: &str, cases: &[Option<(Corruption, Severity)>], measured: &[Evaluation]) -> Self {
        let mut clean = measured[0];
        let mut rows = Vec::new();
        for (case, evaluation) in cases.iter().zip(measured) {
            let Evaluation { top1, top5, loss, .. } = *evaluation;
            match *case {
                Some((corruption, severity)) => rows.push(CorruptedAccuracy {
                    corruption,
                    severity,
                    top1,
                    top5,
                    loss,
                }),
                None => clean = *evaluation,
            }
        }
        let groups = rows.chunk_by(|one, next| one.corruption == next.corruption);
        let means = groups.map(|group| MeanAccuracy {
            corruption: group[0].corruption,
            top1: mean(group),
        });
        Self {
            name: name.to_owned(),
            clean,
            mean_top1: mean(&rows),
            means: means.collect(),
            rows,
        }
    }
}

fn mean(rows: &[CorruptedAccuracy]) -> f64 {
    rows.iter().map(|row| row.top1).sum::<f64>() / rows.len().max(1) as f64
}

impl fmt::Display for Report {
    /// A table of top-1 in percent: a row for each corruption and network, a column for each severity.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = self.networks.first() else {
            return Ok(());
        };
        let names = self.networks.iter().map(|network| network.name.chars().count());
        let width = names.max().unwrap_or_default();
        let severities = first
            .rows
            .chunk_by(|one, next| one.corruption == next.corruption)
            .next();
        let severities = severities.unwrap_or_default();
        writeln!(f, "top-1 %, {} images, seed {}\n", self.images, self.seed)?;
        write!(f, "{:14}  {:width$}", "severity", "")?;
        severities.iter().try_for_each(|row| write!(f, "{:>8}", row.severity))?;
        writeln!(f, "{:>8}", "mean")?;
        for (index, mean) in first.means.iter().enumerate() {
            for (place, network) in self.networks.iter().enumerate() {
                let corruption = if place == 0 { mean.corruption.name() } else { "" };
                write!(f, "{corruption:14}  {:width$}", network.name)?;
                let rows = network
                    .rows
                    .iter()
                    .skip(index * severities.len())
                    .take(severities.len());
                rows.into_iter().try_for_each(|row| write!(f, "{:8.2}", row.top1))?;
                writeln!(f, "{:8.2}", network.means[index].top1)?;
            }
        }
        writeln!(f)?;
        for network in &self.networks {
            let Robustness {
                name, clean, mean_top1, ..
            } = network;
            let lost = clean.top1 - mean_top1;
            writeln!(
                f,
                "{name:width$}  clean {:.2}, corrupted {mean_top1:.2}: {lost:.2} points lost",
                clean.top1
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(top1: f64) -> Evaluation {
        Evaluation {
            top1,
            top5: 100.0,
            loss: 1.0,
            images: 50,
        }
    }

    fn report() -> Report {
        let case = |name: &str, severity: &str| Some((name.parse().unwrap(), severity.parse().unwrap()));
        let cases = [
            None,
            case("fog", "1"),
            case("fog", "5"),
            case("jpeg", "1"),
            case("jpeg", "5"),
        ];
        let network = |name, by: f64| {
            let measured = [92.0, 90.0, 60.0, 80.0, 71.0].map(|top1| evaluation(top1 - by));
            Robustness::of(name, &cases, &measured)
        };
        Report {
            seed: 3,
            images: 50,
            networks: vec![network("fp32", 0.0), network("int8-x86", 1.0)],
        }
    }

    #[test]
    fn means_are_over_severities_and_over_all() {
        let fp32 = &report().networks[0];
        assert_eq!((fp32.clean.top1, fp32.mean_top1), (92.0, 75.25));
        assert_eq!(
            fp32.means.iter().map(|mean| mean.top1).collect::<Vec<_>>(),
            [75.0, 75.5]
        );
        let json = serde_json::to_value(report()).unwrap();
        let row = &json["networks"][1]["rows"][3];
        assert_eq!(row["corruption"], "jpeg");
        assert_eq!((row["severity"].as_u64(), row["top1"].as_f64()), (Some(5), Some(70.0)));
    }

    #[test]
    fn networks_stand_beneath_each_other() {
        let expected = "\
top-1 %, 50 images, seed 3

severity                       1       5    mean
fog             fp32       90.00   60.00   75.00
                int8-x86   89.00   59.00   74.00
jpeg            fp32       80.00   71.00   75.50
                int8-x86   79.00   70.00   74.50

fp32      clean 92.00, corrupted 75.25: 16.75 points lost
int8-x86  clean 91.00, corrupted 74.25: 16.75 points lost
";
        assert_eq!(report().to_string(), expected);
    }
}
