//! What the projectors cost in the student that ships: the one place that counts it, for every report.

use std::fmt;

use askd_models::{Graph, NodeCost, PROJECTOR, without_projector};
use serde::{Deserialize, Serialize};

use super::{Projector, SharedHeadSettings};
use crate::Result;

/// What the projectors of a distilled student cost, those of several teachers together.
///
/// Counted as the published tables do: trained parameters, so batch norm's scale and shift too, which the export folds away;
/// multiply-accumulates of convolutions. Percentages are of the same student without projector
/// ([`without_projector`]), whose classifier is its own; a teacher's wider classifier is no part of them.
///
/// Source: the published overheads of ResNet-32x4 to ResNet-8x4, 17.3 %, 5.7 % and 2.1 % with f = 2, 4, 8 (SimKD,
/// arXiv:2203.14001).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ProjectorCost {
    /// Its form.
    pub form: Projector,
    /// Its reduction factor f.
    pub factor: usize,
    /// Trained parameters.
    pub parameters: usize,
    /// Multiply-accumulates for one image.
    pub macs: usize,
    /// The parameters in percent of the student's without projector.
    pub parameters_percent: f64,
    /// The multiply-accumulates in percent of the student's without projector.
    pub macs_percent: f64,
}

impl ProjectorCost {
    /// That of `distilled`, which [`askd_models::distilled_student`] made of `student` with these settings.
    ///
    /// # Errors
    /// [`crate::Error::Network`] if `student` has no features or no logits.
    pub fn of(student: &Graph, distilled: &Graph, settings: &SharedHeadSettings) -> Result<Self> {
        let NodeCost { parameters, macs } = distilled.cost_under(PROJECTOR);
        let without = without_projector(student)?;
        let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole as f64;
        Ok(Self {
            form: settings.projector,
            factor: settings.factor,
            parameters,
            macs,
            parameters_percent: percent(parameters, without.parameter_count()),
            macs_percent: percent(macs, without.macs()),
        })
    }
}

impl fmt::Display for ProjectorCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            form,
            factor,
            parameters,
            macs,
            parameters_percent,
            macs_percent,
        } = self;
        let form = match form {
            Projector::Standard => "projector",
            Projector::Depthwise => "depthwise projector",
        };
        write!(
            f,
            "{form}, f = {factor}: {parameters} parameters and {macs} MACs, \
             {parameters_percent:.2} % and {macs_percent:.2} % of the student without it"
        )
    }
}

#[cfg(test)]
mod tests {
    use askd_models::{NetworkConfig, build, distilled_student};

    use super::*;

    fn cost(student: &str, teachers: &[&str], settings: &SharedHeadSettings, config: &NetworkConfig) -> ProjectorCost {
        let teachers: Vec<Graph> = teachers.iter().map(|name| build(name, config).unwrap()).collect();
        let student = build(student, config).unwrap();
        let teachers: Vec<&Graph> = teachers.iter().collect();
        let distilled = distilled_student(&student, &teachers, &settings.graph_options()).unwrap();
        ProjectorCost::of(&student, &distilled, settings).unwrap()
    }

    /// ResNet-32x4 to ResNet-8x4: +17.3 %, +5.7 %, +2.1 % of 1,233,540 parameters.
    #[test]
    fn percentages_are_the_published_ones() {
        let config = NetworkConfig::new([3, 32, 32], 100);
        for (factor, parameters, percent) in [(2, 214_016, 17.3), (4, 70_400, 5.7), (8, 26_240, 2.1)] {
            let settings = SharedHeadSettings {
                factor,
                ..SharedHeadSettings::simkd()
            };
            let cost = cost("resnet8x4", &["resnet32x4"], &settings, &config);
            assert_eq!((cost.factor, cost.parameters), (factor, parameters));
            assert!((cost.parameters_percent - percent).abs() < 0.05, "{cost}");
        }
    }

    #[test]
    fn it_is_told_in_one_line() {
        let config = NetworkConfig::new([1, 28, 28], 10);
        let mut settings = SharedHeadSettings::atsc();
        assert_eq!(
            cost("resnet8", &["resnet20"], &settings, &config).to_string(),
            "projector, f = 2: 13568 parameters and 652288 MACs, 18.09 % and 7.13 % of the student without it"
        );
        settings.projector = Projector::Depthwise;
        let depthwise = cost("resnet8", &["resnet20", "resnet14"], &settings, &config);
        assert_eq!((depthwise.parameters, depthwise.macs), (2 * 4640, 2 * 4384 * 49));
        assert!(
            depthwise.to_string().starts_with("depthwise projector, f = 2: 9280 "),
            "{depthwise}"
        );
    }
}
