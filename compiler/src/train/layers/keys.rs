//! Which keys a recipe has, and what each takes: read off a recipe in which all are set.

use serde::Deserialize;
use toml::{Table, Value};

use super::path::{at, insert, remove, text_at};
use super::{DECAY_KIND, MAX_OVERHEAD, METHOD_MODE, METHOD_NAME, PEER, Setting, TEACHERS};
use crate::data::{Augmentation, CorruptFiles, DataSpec};
use crate::distill::{Distillation, METHODS, Method, SharedHeadSettings, Teacher, Weighting};
use crate::nn::SgdConfig;
use crate::train::{Decay, Recipe, Schedule};
use crate::{Error, Result};

/// Keys without a fixed default: the data set, the student or nothing gives one.
const WITHOUT_DEFAULT: [&str; 9] = [
    "network",
    "input",
    "classes",
    "data",
    "mean",
    "std",
    "max_steps",
    PEER,
    MAX_OVERHEAD,
];

/// What decides which keys there are.
pub(super) struct Choices<'a> {
    pub(super) decay: &'a str,
    pub(super) method: Option<&'a str>,
    pub(super) mode: Option<&'a str>,
}

/// All keys of recipes with the same choices.
pub(super) struct KnownKeys(Table);

impl<'a> Choices<'a> {
    /// Those of a recipe in the making.
    pub(super) fn of(table: &'a Table) -> Self {
        Self {
            decay: text_at(table, DECAY_KIND).unwrap_or("cosine"),
            method: text_at(table, METHOD_NAME),
            mode: text_at(table, METHOD_MODE),
        }
    }
}

/// The values of a key on which other keys depend.
pub(super) fn choices(key: &str) -> Vec<&'static str> {
    match key {
        METHOD_NAME => METHODS.iter().map(|method| method.name).collect(),
        METHOD_MODE => vec!["shared-head", "official-code"],
        _ => vec!["constant", "step", "cosine"],
    }
}

impl KnownKeys {
    pub(super) fn of(choices: &Choices) -> Result<Self> {
        let decay = match choices.decay {
            "constant" => Decay::Constant,
            "step" => Decay::Step {
                milestones: Vec::new(),
                factor: 0.1,
            },
            _ => Decay::Cosine,
        };
        let method = match (choices.method, choices.mode) {
            (Some("atsc"), Some("official-code")) => Some(Method::Atsc(SharedHeadSettings::official_code())),
            (name, _) => name.and_then(Method::defaults),
        };
        let mut table = Table::try_from(whole(method, decay))
            .map_err(|error| Error::malformed("defaults", "a TOML form", error.to_string()))?;
        match choices.method {
            Some("dml") => insert(&mut table, PEER, Value::String(String::new())),
            Some("simkd" | "atsc") => insert(&mut table, MAX_OVERHEAD, Value::String("params:5%".to_owned())),
            _ => true,
        };
        Ok(Self(table))
    }

    /// The keys that have a default, with it.
    pub(super) fn defaults(&self) -> Table {
        let mut table = self.0.clone();
        WITHOUT_DEFAULT.iter().for_each(|key| remove(&mut table, key));
        if at(&table, TEACHERS).is_some() {
            insert(&mut table, TEACHERS, Value::Array(Vec::new()));
        }
        table
    }

    /// Checks that there is such a key and that it takes such a value; the range is for [`Recipe::check`].
    pub(super) fn check(&self, setting: &Setting) -> Result<()> {
        let key = first_of_each(&setting.key);
        let Some(known) = at(&self.0, &key) else {
            return Err(self.unknown(setting));
        };
        if known.is_table() && setting.value.is_table() {
            return Ok(());
        }
        // whether a recipe with this one value can be read: the types themselves know best
        let mut recipe = self.0.clone();
        if !insert(&mut recipe, &key, setting.value.clone()) {
            return Err(self.unknown(setting));
        }
        match Recipe::deserialize(Value::Table(recipe)) {
            Ok(_) => Ok(()),
            Err(error) => Err(setting.invalid(&expected(known, &setting.value, error.message()))),
        }
    }

    /// Every key, tables included.
    fn names(&self) -> Vec<String> {
        let mut keys = Vec::new();
        names("", &self.0, &mut keys);
        keys
    }

    /// Every key that holds a value.
    #[cfg(test)]
    pub(super) fn leaves(&self) -> Vec<String> {
        let names = self.names();
        let holds = |key: &&String| !names.iter().any(|other| other.starts_with(&format!("{key}.")));
        names.iter().filter(holds).cloned().collect()
    }

    fn unknown(&self, setting: &Setting) -> Error {
        let nearest = self.names().into_iter().min_by_key(|key| distance(&setting.key, key));
        // where a table's keys depend on a choice, say which
        let choice = [METHOD_NAME, DECAY_KIND].into_iter().find(|choice| {
            let table = choice.rsplit_once('.').map_or("", |(table, _)| table);
            setting.key.starts_with(table)
        });
        let choice = choice.and_then(|choice| Some(format!(" with {choice} = {}", at(&self.0, choice)?)));
        Error::UnknownKey {
            origin: setting.origin.source().to_owned(),
            key: setting.key.clone(),
            choice: choice.unwrap_or_default(),
            nearest: nearest.unwrap_or_default(),
        }
    }
}

/// A recipe with every key set: to its default where it has one.
fn whole(method: Option<Method>, decay: Decay) -> Recipe {
    let teacher = Teacher {
        network: String::new(),
        weights: "".into(),
        digest: String::new(),
    };
    Recipe {
        network: String::new(),
        input: [1; 3],
        classes: 1,
        data: DataSpec::embedded(),
        mean: Vec::new(),
        std: Vec::new(),
        validation: 0.1,
        subset: 1.0,
        label_noise: 0.0,
        corrupt_files: CorruptFiles::Refuse,
        epochs: 30,
        batch: 64,
        seed: 0,
        max_steps: Some(1),
        schedule: Schedule {
            learning_rate: 0.05,
            warmup_epochs: 0.0,
            decay,
        },
        optimizer: SgdConfig::default(),
        augmentation: Augmentation::default(),
        distillation: method.map(|method| Distillation {
            method,
            weighting: Weighting::Uniform,
            teachers: vec![teacher],
        }),
    }
}

/// What a key takes, in the words of a recipe's author: from what it is set to otherwise, or from the reader's message.
fn expected(known: &Value, given: &Value, message: &str) -> String {
    let said = message.rsplit_once("expected ").map_or(message, |(_, said)| said);
    let said = said.split_once(", got ").map_or(said, |(said, _)| said);
    match (known, given) {
        (Value::Float(_), _) => "a number".to_owned(),
        (Value::Integer(_), _) => "an integer, 0 or more".to_owned(),
        (Value::Boolean(_), _) => "true or false".to_owned(),
        (Value::Table(_), _) => "a table".to_owned(),
        (Value::Array(_), Value::Array(_)) if said.starts_with('f') => "a list of numbers".to_owned(),
        (Value::Array(_), Value::Array(_)) => said.to_owned(),
        (Value::Array(_), _) => "a list".to_owned(),
        (_, Value::String(_)) => said.to_owned(),
        _ => "a string".to_owned(),
    }
}

/// What it counts, in letters, that a key is in another table.
const ELSEWHERE: usize = 3;

/// How far a key is from a known one: in letters of the whole path, or of the last part where its table is another.
fn distance(key: &str, known: &str) -> usize {
    let [(table, last), (known_table, known_last)] = [key, known].map(|key| key.rsplit_once('.').unwrap_or(("", key)));
    let elsewhere = if table == known_table { 0 } else { ELSEWHERE };
    let whole = strsim::damerau_levenshtein(key, known);
    whole.min(elsewhere + strsim::damerau_levenshtein(last, known_last))
}

/// Every key below a table.
fn names(prefix: &str, table: &Table, out: &mut Vec<String>) {
    for (key, value) in table {
        let path = format!("{prefix}{key}");
        let inner = match value {
            Value::Table(table) => Some(table),
            Value::Array(elements) => elements.first().and_then(Value::as_table),
            _ => None,
        };
        if let Some(inner) = inner {
            names(&format!("{path}."), inner, out);
        }
        out.push(path);
    }
}

/// The key of the first element where it is that of another one.
fn first_of_each(key: &str) -> String {
    let parts = key.split('.');
    let first = parts.map(|part| if part.parse::<usize>().is_ok() { "0" } else { part });
    first.collect::<Vec<_>>().join(".")
}
