//! The methods by name.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{
    AttentionTransfer, ConfidenceAware, Crd, Criterion, Dkd, Dml, EntropyBased, FitNet, Imitation, Kd, SemCkd,
    SemanticCalibration, SharedHeadSettings, SimilarityPreserving, SoftmaxRegression, VariationalInformation, at,
    ca_mkd, sp, srrl, vid,
};
use crate::Result;

/// A distillation method and its settings; `[distillation.method]` of a recipe, where `name` tells which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Method {
    /// Knowledge distillation from one teacher's logits.
    Kd(Kd),
    /// A hint from a layer in the middle.
    Fitnet(FitNet),
    /// Attention transfer.
    At(Imitation),
    /// Similarity-preserving distillation.
    Sp(Imitation),
    /// Variational information distillation.
    Vid(Imitation),
    /// Contrastive representation distillation.
    Crd(Crd),
    /// Softmax regression representation learning.
    Srrl(Imitation),
    /// Cross-layer distillation with semantic calibration.
    Semckd(SemCkd),
    /// Reused, frozen teacher classifier.
    Simkd(SharedHeadSettings),
    /// Decoupled knowledge distillation.
    Dkd(Dkd),
    /// Deep mutual learning with an untrained peer.
    Dml(Dml),
    /// Knowledge distillation from several teachers, the divergences averaged.
    Aver(Kd),
    /// The same, weighted by the teachers' entropies.
    Ebkd(Kd),
    /// Confidence-aware distillation from several teachers.
    CaMkd(Imitation),
    /// Adaptive teaching with a shared classifier.
    Atsc(SharedHeadSettings),
}

/// What `list methods` tells of a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MethodFacts {
    /// Its name on the command line and in recipes.
    pub name: &'static str,
    /// What it does, one line.
    pub description: &'static str,
    /// Where it is from.
    pub source: &'static str,
}

const fn facts(name: &'static str, source: &'static str, description: &'static str) -> MethodFacts {
    MethodFacts {
        name,
        description,
        source,
    }
}

/// Every method, `alone` first: the student on labels, which as a recipe is one without `[distillation]`.
pub const METHODS: [MethodFacts; 16] = [
    facts(
        "alone",
        "no teacher",
        "The student without a teacher, on labels: the baseline in the same loop",
    ),
    facts(
        "kd",
        "arXiv:1503.02531",
        "The teacher's softened logits beside the labels",
    ),
    facts(
        "fitnet",
        "arXiv:1412.6550",
        "KD, and a map in the middle of the student imitates the teacher's",
    ),
    facts(
        "at",
        "arXiv:1612.03928",
        "KD, and the student's stages attend to where the teacher's do",
    ),
    facts(
        "sp",
        "arXiv:1907.09682",
        "KD, and images alike to the teacher are alike to the student",
    ),
    facts(
        "vid",
        "arXiv:1904.05835",
        "KD, and the student's maps tell as much as they can of the teacher's",
    ),
    facts(
        "crd",
        "arXiv:1910.10699",
        "KD, and features of an image are nearer to the teacher's than to other classes'",
    ),
    facts(
        "srrl",
        "OpenReview ZzwDy_wiWv",
        "KD, and the student's features serve the teacher's classifier",
    ),
    facts(
        "semckd",
        "arXiv:2012.03236",
        "KD, and each stage learns from all of the teacher's by learnt weights",
    ),
    facts(
        "simkd",
        "arXiv:2203.14001",
        "The student imitates the features of a frozen teacher and reuses its classifier",
    ),
    facts(
        "dkd",
        "arXiv:2203.08679",
        "KD with separate weights for the image's class and for the others",
    ),
    facts(
        "dml",
        "arXiv:1706.00384",
        "Mutual learning: student and an untrained peer teach each other",
    ),
    facts(
        "aver",
        "arXiv:1503.02531",
        "KD from several teachers, whose divergences are averaged",
    ),
    facts(
        "ebkd",
        "ICASSP 2020, K. Kwon et al.",
        "KD from several teachers, the surer ones weighing more",
    ),
    facts(
        "ca-mkd",
        "arXiv:2201.00007",
        "KD and features from several teachers, those nearer to the label weighing more",
    ),
    facts(
        "atsc",
        "arXiv:2406.08528",
        "Adaptive teaching with a shared classifier: simkd, and the teacher moves towards the student",
    ),
];

impl Method {
    /// The method of this name with its default settings; none for `alone` and unknown names.
    pub fn defaults(name: &str) -> Option<Self> {
        match name {
            "kd" => Some(Self::Kd(Kd::default())),
            "fitnet" => Some(Self::Fitnet(FitNet::default())),
            "at" => Some(Self::At(Imitation::weighing(at::FEATURE_WEIGHT))),
            "sp" => Some(Self::Sp(Imitation::weighing(sp::FEATURE_WEIGHT))),
            "vid" => Some(Self::Vid(Imitation::weighing(vid::FEATURE_WEIGHT))),
            "crd" => Some(Self::Crd(Crd::default())),
            "srrl" => Some(Self::Srrl(Imitation::weighing(srrl::FEATURE_WEIGHT))),
            "semckd" => Some(Self::Semckd(SemCkd::default())),
            "simkd" => Some(Self::Simkd(SharedHeadSettings::simkd())),
            "dkd" => Some(Self::Dkd(Dkd::default())),
            "dml" => Some(Self::Dml(Dml::default())),
            "aver" => Some(Self::Aver(Kd::default())),
            "ebkd" => Some(Self::Ebkd(Kd::default())),
            "ca-mkd" => Some(Self::CaMkd(Imitation::weighing(ca_mkd::FEATURE_WEIGHT))),
            "atsc" => Some(Self::Atsc(SharedHeadSettings::atsc())),
            _ => None,
        }
    }

    /// Its name in [`METHODS`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kd(_) => "kd",
            Self::Fitnet(_) => "fitnet",
            Self::At(_) => "at",
            Self::Sp(_) => "sp",
            Self::Vid(_) => "vid",
            Self::Crd(_) => "crd",
            Self::Srrl(_) => "srrl",
            Self::Semckd(_) => "semckd",
            Self::Simkd(_) => "simkd",
            Self::Dkd(_) => "dkd",
            Self::Dml(_) => "dml",
            Self::Aver(_) => "aver",
            Self::Ebkd(_) => "ebkd",
            Self::CaMkd(_) => "ca-mkd",
            Self::Atsc(_) => "atsc",
        }
    }

    /// How many teachers it takes.
    pub fn teachers(&self) -> RangeInclusive<usize> {
        match self {
            Self::Dml(_) => 0..=0,
            Self::Aver(_) | Self::Atsc(_) => 1..=usize::MAX,
            Self::Ebkd(_) | Self::CaMkd(_) => 2..=usize::MAX,
            _ => 1..=1,
        }
    }

    /// What frozen teachers ask of a student that keeps its own classifier, in batches of this size; none for methods with a
    /// step of their own.
    pub fn criterion(&self, batch: usize) -> Option<Box<dyn Criterion>> {
        Some(match self {
            Self::Kd(settings) | Self::Aver(settings) => Box::new(settings.clone()),
            Self::Fitnet(settings) => Box::new(settings.clone()),
            Self::At(settings) => Box::new(AttentionTransfer(settings.clone())),
            Self::Sp(settings) => Box::new(SimilarityPreserving(settings.clone())),
            Self::Vid(settings) => Box::new(VariationalInformation(settings.clone())),
            Self::Crd(settings) => Box::new(settings.clone()),
            Self::Srrl(settings) => Box::new(SoftmaxRegression(settings.clone())),
            Self::Semckd(settings) => Box::new(SemanticCalibration {
                settings: settings.clone(),
                batch,
            }),
            Self::Dkd(settings) => Box::new(settings.clone()),
            Self::Ebkd(settings) => Box::new(EntropyBased(settings.clone())),
            Self::CaMkd(settings) => Box::new(ConfidenceAware(settings.clone())),
            Self::Simkd(_) | Self::Dml(_) | Self::Atsc(_) => return None,
        })
    }

    /// The settings of a method whose student ships with the teacher's classifier.
    pub fn shared_head(&self) -> Option<&SharedHeadSettings> {
        match self {
            Self::Simkd(settings) | Self::Atsc(settings) => Some(settings),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub(crate) fn shared_head_mut(&mut self) -> Option<&mut SharedHeadSettings> {
        match self {
            Self::Simkd(settings) | Self::Atsc(settings) => Some(settings),
            _ => None,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Kd(settings) | Self::Aver(settings) | Self::Ebkd(settings) => settings.check(),
            Self::Fitnet(settings) => settings.check(),
            Self::At(settings)
            | Self::Sp(settings)
            | Self::Vid(settings)
            | Self::Srrl(settings)
            | Self::CaMkd(settings) => settings.check(),
            Self::Crd(settings) => settings.check(),
            Self::Semckd(settings) => settings.check(),
            Self::Dkd(settings) => settings.check(),
            Self::Dml(settings) => settings.check(),
            Self::Simkd(settings) | Self::Atsc(settings) => settings.check(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_listed_method_has_defaults_that_hold_and_read_back() {
        assert_eq!((METHODS[0].name, Method::defaults("alone")), ("alone", None));
        for facts in &METHODS[1..] {
            let method = Method::defaults(facts.name).unwrap();
            assert_eq!(method.name(), facts.name);
            method.check().unwrap();
            let text = toml::to_string(&method).unwrap();
            assert!(text.starts_with(&format!("name = \"{}\"\n", facts.name)), "{text}");
            assert_eq!(toml::from_str::<Method>(&text).unwrap(), method);
        }
    }

    /// The tag is taken out before a method's own settings are read: what is left must still be known.
    #[test]
    fn unknown_keys_are_refused_at_every_depth() {
        for facts in &METHODS[1..] {
            let method = toml::Table::try_from(Method::defaults(facts.name).unwrap()).unwrap();
            let tables = method.iter().filter(|(_, value)| value.is_table());
            let mut places = vec![None];
            places.extend(tables.map(|(name, _)| Some(name.clone())));
            for place in places {
                let mut method = method.clone();
                let table = match &place {
                    Some(name) => method[name].as_table_mut().unwrap(),
                    None => &mut method,
                };
                table.insert("stranger".to_owned(), 1.into());
                let error = method.try_into::<Method>().unwrap_err().to_string();
                assert!(error.contains("unknown field `stranger`"), "{place:?}: {error}");
            }
        }
    }
}
