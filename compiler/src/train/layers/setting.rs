//! One key of a layer, and who says it.

use toml::Value;

use crate::Error;

/// One key of a layer.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Who says it.
    pub origin: Origin,
    /// Dotted path in a recipe, as `schedule.learning_rate`; a teacher's has its number, as `distillation.teachers.0.weights`.
    pub key: String,
    /// What it is set to; a table stands for its keys.
    pub value: Value,
}

/// Who sets a key, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// A recipe file.
    File(String),
    /// A flag that stands for the key, as `--lr`.
    Flag(String),
    /// A flag that takes keys, as `--set`.
    KeyFlag(String),
}

impl Origin {
    /// What a message calls this key where it has its value from here.
    pub(super) fn names(&self, key: &str) -> String {
        match self {
            Self::File(file) => format!("{file}: {key}"),
            Self::Flag(flag) => flag.clone(),
            Self::KeyFlag(flag) => format!("{flag} {key}"),
        }
    }

    /// The file or flag itself.
    pub(super) fn source(&self) -> &str {
        match self {
            Self::File(name) | Self::Flag(name) | Self::KeyFlag(name) => name,
        }
    }
}

impl Setting {
    /// A setting of a layer.
    pub fn new(origin: Origin, key: impl Into<String>, value: impl Into<Value>) -> Self {
        Self {
            origin,
            key: key.into(),
            value: value.into(),
        }
    }

    /// The keys that a table stands for; the elements of a list of tables are numbered, after the empty list that they fill.
    pub(super) fn leaves(self) -> Vec<Self> {
        let inside = |key: String, value| Self::new(self.origin.clone(), format!("{}.{key}", self.key), value).leaves();
        match self.value {
            Value::Table(table) if !table.is_empty() => {
                table.into_iter().flat_map(|(key, value)| inside(key, value)).collect()
            }
            Value::Array(elements) if !elements.is_empty() && elements.iter().all(Value::is_table) => {
                let empty = Self::new(self.origin.clone(), self.key.clone(), Vec::<Value>::new());
                let elements = elements.into_iter().enumerate();
                let filled = elements.flat_map(|(index, value)| inside(index.to_string(), value));
                std::iter::once(empty).chain(filled).collect()
            }
            _ => vec![self],
        }
    }

    /// The error that another value was expected.
    pub(super) fn invalid(&self, expected: &str) -> Error {
        Error::invalid(self.origin.names(&self.key), expected, &self.value)
    }
}
