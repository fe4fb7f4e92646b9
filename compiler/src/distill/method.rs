//! The methods by name.

use serde::{Deserialize, Serialize};

use super::{Dml, Kd, SharedHeadSettings};
use crate::Result;

/// A distillation method and its settings; `[distillation.method]` of a recipe, where `name` tells which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum Method {
    /// Knowledge distillation from one teacher's logits.
    Kd(Kd),
    /// The same from several teachers, the divergences averaged.
    Aver(Kd),
    /// Deep mutual learning with an untrained peer.
    Dml(Dml),
    /// Reused, frozen teacher classifier.
    Simkd(SharedHeadSettings),
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

/// Every method, `alone` first: the student on labels, which as a recipe is one without `[distillation]`.
pub const METHODS: [MethodFacts; 6] = [
    MethodFacts {
        name: "alone",
        description: "The student without a teacher, on labels: the baseline in the same loop",
        source: "no teacher",
    },
    MethodFacts {
        name: "kd",
        description: "The teacher's softened logits beside the labels",
        source: "arXiv:1503.02531",
    },
    MethodFacts {
        name: "aver",
        description: "The same from several teachers, whose divergences are averaged",
        source: "arXiv:1503.02531",
    },
    MethodFacts {
        name: "dml",
        description: "Mutual learning: student and an untrained peer teach each other",
        source: "arXiv:1706.00384",
    },
    MethodFacts {
        name: "simkd",
        description: "The student imitates the features of a frozen teacher and reuses its classifier",
        source: "arXiv:2203.14001",
    },
    MethodFacts {
        name: "atsc",
        description: "Adaptive teaching with a shared classifier: the same, and the teacher moves towards the student",
        source: "arXiv:2406.08528",
    },
];

impl Method {
    /// The method of this name with its default settings; none for `alone` and unknown names.
    pub fn defaults(name: &str) -> Option<Self> {
        match name {
            "kd" => Some(Self::Kd(Kd::default())),
            "aver" => Some(Self::Aver(Kd::default())),
            "dml" => Some(Self::Dml(Dml::default())),
            "simkd" => Some(Self::Simkd(SharedHeadSettings::simkd())),
            "atsc" => Some(Self::Atsc(SharedHeadSettings::atsc())),
            _ => None,
        }
    }

    /// Its name in [`METHODS`].
    pub fn name(&self) -> &'static str {
        match self {
            Self::Kd(_) => "kd",
            Self::Aver(_) => "aver",
            Self::Dml(_) => "dml",
            Self::Simkd(_) => "simkd",
            Self::Atsc(_) => "atsc",
        }
    }

    /// The settings of a method whose student ships with the teacher's classifier.
    pub fn shared_head(&self) -> Option<&SharedHeadSettings> {
        match self {
            Self::Simkd(settings) | Self::Atsc(settings) => Some(settings),
            Self::Kd(_) | Self::Aver(_) | Self::Dml(_) => None,
        }
    }

    /// The same, to be changed.
    pub(crate) fn shared_head_mut(&mut self) -> Option<&mut SharedHeadSettings> {
        match self {
            Self::Simkd(settings) | Self::Atsc(settings) => Some(settings),
            Self::Kd(_) | Self::Aver(_) | Self::Dml(_) => None,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Kd(settings) | Self::Aver(settings) => settings.check(),
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
