//! The projector's budget, and the factor that it chooses.

use std::fmt;
use std::str::FromStr;

use askd_models::{CLASSIFIER_MAP, Graph, Shape, distilled_student, without_projector};
use serde::{Deserialize, Serialize};

use super::latency::latency_overhead;
use super::{ProjectorCost, SharedHeadSettings};
use crate::{Error, Result, progress};

const KEY: &str = "distillation.method.max_overhead";

/// The most that all projectors together may add to the student, as `params:5%`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MaxOverhead {
    /// What is counted.
    pub of: Overhead,
    /// Percent of the student without projector, 0 or more.
    pub percent: f64,
}

/// What a projector adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overhead {
    /// Trained parameters, as [`ProjectorCost`] counts them.
    Parameters,
    /// Multiply-accumulates, as [`ProjectorCost`] counts them.
    Macs,
    /// Time of a run in ONNX Runtime on this machine: one image, one thread.
    Latency,
}

const KINDS: [(&str, Overhead); 3] = [
    ("params", Overhead::Parameters),
    ("macs", Overhead::Macs),
    ("latency", Overhead::Latency),
];

impl MaxOverhead {
    /// The smallest factor, and so the most capable projector, that stays within the budget: a power of two that divides
    /// the width of every teacher's map. The settings' own factor is not looked at.
    ///
    /// Latency is measured anew at every call, so that the factor can differ from one to the next where the budget is close.
    ///
    /// # Errors
    /// [`Error::InvalidValue`] if no factor does, with the smallest overhead there is; [`Error::Network`]; with latency
    /// [`Error::Runtime`].
    pub fn choose(&self, student: &Graph, teachers: &[&Graph], settings: &SharedHeadSettings) -> Result<usize> {
        let mut tried: Vec<(usize, f64)> = Vec::new();
        for factor in factors(teachers)? {
            let percent = self.overhead(
                student,
                teachers,
                &SharedHeadSettings {
                    factor,
                    ..settings.clone()
                },
            )?;
            tried.push((factor, percent));
            if percent <= self.percent {
                if self.of == Overhead::Latency {
                    progress::say(&told(&tried));
                }
                return Ok(factor);
            }
        }
        let Some((factor, least)) = tried.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)) else {
            return Err(Error::invalid(KEY, "a teacher or more", "none"));
        };
        // rounded up, so that what the message names is enough
        let least = (100.0 * least).ceil() / 100.0;
        let expected = format!("at least {least:.2}%, the smallest overhead there is, with f = {factor}");
        Err(Error::invalid(KEY, expected, self))
    }

    /// What the projectors of these settings add, percent.
    fn overhead(&self, student: &Graph, teachers: &[&Graph], settings: &SharedHeadSettings) -> Result<f64> {
        let distilled = distilled_student(student, teachers, &settings.graph_options())?;
        match self.of {
            Overhead::Parameters => Ok(ProjectorCost::of(student, &distilled, settings)?.parameters_percent),
            Overhead::Macs => Ok(ProjectorCost::of(student, &distilled, settings)?.macs_percent),
            Overhead::Latency => latency_overhead(&distilled, &without_projector(student)?),
        }
    }
}

/// The powers of two, from 1, that divide the width of every teacher's map.
fn factors(teachers: &[&Graph]) -> Result<Vec<usize>> {
    let mut most = None;
    for teacher in teachers {
        let Shape::Map([width, _, _]) = teacher.output(CLASSIFIER_MAP)?.shape else {
            continue; // refused where the student is put together
        };
        let halvings = width.trailing_zeros();
        most = Some(most.map_or(halvings, |most: u32| most.min(halvings)));
    }
    Ok((0..=most.unwrap_or(0)).map(|power| 1 << power).collect())
}

/// What was measured, factor by factor; the last is the one chosen.
fn told(tried: &[(usize, f64)]) -> String {
    let each: Vec<String> = tried
        .iter()
        .map(|(factor, percent)| format!("f = {factor} {percent:+.2} %"))
        .collect();
    format!("latency of the projector, one thread: {}", each.join(", "))
}

impl FromStr for MaxOverhead {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parse = || {
            let (kind, percent) = text.split_once(':')?;
            let (_, of) = KINDS.into_iter().find(|(name, _)| *name == kind)?;
            let percent: f64 = percent.strip_suffix('%')?.parse().ok()?;
            (percent.is_finite() && percent >= 0.0).then_some(Self { of, percent })
        };
        let expected = "params:PERCENT%, macs:PERCENT% or latency:PERCENT%";
        parse().ok_or_else(|| Error::invalid(KEY, expected, format!("\"{text}\"")))
    }
}

impl TryFrom<String> for MaxOverhead {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<MaxOverhead> for String {
    fn from(budget: MaxOverhead) -> Self {
        budget.to_string()
    }
}

impl fmt::Display for MaxOverhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = KINDS
            .iter()
            .find(|(_, kind)| *kind == self.of)
            .map_or("", |(name, _)| name);
        write!(f, "{name}:{}%", self.percent)
    }
}

#[cfg(test)]
mod tests {
    use askd_models::{NetworkConfig, build};

    use super::*;
    use crate::distill::Projector;

    /// What a budget chooses for ResNet-32x4 to ResNet-8x4, or for these teachers in its place.
    fn chosen(budget: &str, teachers: &[&str], projector: Projector) -> Result<usize> {
        let config = NetworkConfig::new([3, 32, 32], 100);
        let teachers: Vec<Graph> = teachers.iter().map(|name| build(name, &config).unwrap()).collect();
        let settings = SharedHeadSettings {
            projector,
            ..SharedHeadSettings::atsc()
        };
        let student = build("resnet8x4", &config).unwrap();
        let budget: MaxOverhead = budget.parse()?;
        budget.choose(&student, &teachers.iter().collect::<Vec<_>>(), &settings)
    }

    /// Published overheads of parameters: 17.3 %, 5.7 %, 2.1 % with f = 2, 4, 8.
    #[test]
    fn the_smallest_factor_within_the_budget_is_chosen() {
        let lone = |budget| chosen(budget, &["resnet32x4"], Projector::Standard).unwrap();
        for (budget, factor) in [
            ("params:100%", 1),
            ("params:17.4%", 2),
            ("params:17.3%", 4),
            ("params:5.8%", 4),
            ("params:5%", 8),
            ("params:2.2%", 8),
            ("macs:5%", 4),
        ] {
            assert_eq!(lone(budget), factor, "{budget}");
        }
        // a cheaper middle leaves room for a wider one
        assert!(chosen("params:5%", &["resnet32x4"], Projector::Depthwise).unwrap() < lone("params:5%"));
        // all teachers' projectors together
        let two = chosen("params:10%", &["resnet32x4", "resnet32x4"], Projector::Standard).unwrap();
        assert_eq!((lone("params:10%"), two), (4, 8));
    }

    #[test]
    fn what_cannot_be_is_told_with_what_can() {
        let error = |budget: &str| {
            chosen(budget, &["resnet32x4"], Projector::Standard)
                .unwrap_err()
                .to_string()
        };
        let line = error("params:0.01%");
        let start = "distillation.method.max_overhead: expected at least ";
        let end = "%, the smallest overhead there is, with f = 256, got params:0.01%";
        let least = line.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
        let least = least.unwrap_or_else(|| panic!("{line}"));
        let budget = format!("params:{least}%");
        assert_eq!(chosen(&budget, &["resnet32x4"], Projector::Standard).unwrap(), 256);
        // a teacher of 64 channels among others
        let line = chosen("macs:0%", &["resnet32x4", "resnet20"], Projector::Standard).unwrap_err();
        assert!(line.to_string().contains("with f = 64, got macs:0%"), "{line}");
    }

    #[test]
    fn a_budget_is_read_and_written() {
        for text in ["params:5%", "macs:0.5%", "latency:12%", "params:0%"] {
            assert_eq!(text.parse::<MaxOverhead>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "5%",
            "params",
            "params:5",
            "params:-1%",
            "params:nan%",
            "params:inf%",
            "size:5%",
            "params:5%%",
        ] {
            let line = text.parse::<MaxOverhead>().unwrap_err().to_string();
            let expected = format!(
                "distillation.method.max_overhead: expected params:PERCENT%, macs:PERCENT% or latency:PERCENT%, got \"{text}\""
            );
            assert_eq!(line, expected);
        }
    }
}
